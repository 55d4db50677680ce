"""The density that is climbed to fit annotators: how likely the votes are, times what is expected of answers and people.

The unit of utility is the sharpness of the pool's careful votes, by definition: their logs average to 0. How far answers
lie apart in that unit is fitted by the evidence, the utilities averaged over. At the mode of all of them together
utilities would shrink and annotators sharpen without end, since what is said of many answers outweighs what is said of few annotators.

Source: MacKay 1992, Bayesian interpolation (the evidence for a spread, and its fixed point).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import coo_array, csr_array, dia_array
from scipy.special import expit, log_expit

from alidade.preferences.ballots import POOLED, Array, Ballots, Layout
from alidade.preferences.orders import OrderVotes
from alidade.preferences.pairwise import PairVotes
from alidade.preferences.uncertainty import inverse_by_block

ITERATIONS = 200
ROUNDS = 20
SETTLED = 0.01
PRECISE = 1e-9
ANSWERS_EXPECTED = 4  # how many answers' worth of belief there is in the spread expected
SPREAD = 2.0


@dataclass(frozen=True)
class Expected:
    """What is expected of a trait, as it is fitted: its middle, how far that may be off, and how far people differ."""

    middle: float
    doubt: float
    spread: float


# The pool's sharpness is the unit of utility: its middle is 1 by definition.
EXPECTED = {
    "attention": Expected(2.0, 1.0, 1.0),
    "sharpness": Expected(0.0, 0.0, 0.5),
    "offset": Expected(0.0, 1.0, 0.5),
    "side": Expected(0.0, 1.0, 1.0),
}
POOLED_EXPECTED = {name: (0.0, 2.0) for name in POOLED} | {"known": (1.0, 1.0)}


@dataclass(frozen=True)
class Posterior:
    """The log of the posterior density of utilities and annotators, but for a constant.

    `spread` is how far utilities are from 0, `unit` [annotators] how much each annotator's sharpness counts for the unit.
    """

    ballots: Ballots
    layout: Layout
    votes: tuple[PairVotes | OrderVotes, ...]
    spread: float
    unit: Array
    told: Array
    sure: Array

    @classmethod
    def of(cls, ballots: Ballots) -> Posterior:
        """Every vote counting alike for the unit."""
        layout = Layout(ballots.answers, len(ballots.votes))
        pairs = (PairVotes(ballots, layout),) if len(ballots) else ()
        votes = (*pairs, *(OrderVotes(orders, layout) for orders in ballots.orders))
        nothing = np.zeros(layout.annotators)
        return cls(ballots, layout, votes, SPREAD, ballots.votes / ballots.votes.sum(), nothing, nothing)

    def start(self) -> Array:
        """Equal answers, and annotators as expected."""
        flat = np.zeros(self.layout.size)
        for name, expected in EXPECTED.items():
            flat[self.layout.trait(name)] = expected.middle
        for name, (middle, _) in POOLED_EXPECTED.items():
            flat[self.layout.pooled(name)] = middle
        return flat

    def at(self, flat: Array) -> tuple[float, Array]:
        """Its value and its gradient."""
        rows, expected = self._prior
        away = rows @ flat - expected
        utilities = flat[: self.layout.answers] / self.spread**2
        value, gradient = -0.5 * float(away @ away + utilities @ flat[: self.layout.answers]), -(rows.T @ away)
        gradient[: self.layout.answers] -= utilities
        more, slope = self._volume(flat)
        value, gradient = value + more, gradient + slope
        for votes in self.votes:
            more, slope = votes.at(flat)
            value, gradient = value + more, gradient + slope
        return value, gradient

    def climbed(self, flat: Array) -> Array:
        """The top, from `flat`, each parameter measured in how sure it is there."""
        scale = np.sqrt(self._diagonal(flat))

        def loss(scaled: Array) -> tuple[float, Array]:
            value, gradient = self.at(self.in_unit(scaled / scale))
            place = self.layout.trait("sharpness")
            gradient[place] -= self.unit * gradient[place].sum()
            return -value, -gradient / scale

        how = {"maxiter": ITERATIONS, "ftol": PRECISE, "gtol": 1e-4}
        return self.in_unit(minimize(loss, flat * scale, jac=True, method="L-BFGS-B", options=how).x / scale)

    def in_unit(self, flat: Array) -> Array:
        """`flat` with sharpness in the unit."""
        moved, place = flat.copy(), self.layout.trait("sharpness")
        moved[place] -= self.unit @ flat[place]
        return moved

    def settled(self, flat: Array) -> Posterior:
        """This posterior with what its top `flat` says of the spread, the unit and the room the utilities have."""
        answers, annotators = self.layout.answers, self.layout.annotators
        certain = inverse_by_block(self.information(flat, answers))
        squares = np.square(flat[:answers]).sum() + ANSWERS_EXPECTED * SPREAD**2
        count = answers - certain.trace() / self.spread**2 + ANSWERS_EXPECTED
        told = np.zeros(annotators)
        for votes in self.votes:
            for who, places, values in votes.scores(flat):
                some = _sparse(places, values, self.layout.size)[:, :answers]
                told += np.bincount(who, np.asarray((some @ certain).multiply(some).sum(axis=1)).ravel(), annotators)
        weight = told + self.ballots.votes / self.ballots.votes.sum()
        return replace(
            self,
            spread=float(np.sqrt(squares / count)),
            unit=weight / weight.sum(),
            told=told,
            sure=self._steepness(flat),
        )

    def _volume(self, flat: Array) -> tuple[float, Array]:
        """What averaging over the utilities adds: the steeper the annotators, the less room the utilities have.

        It is -log det(information of the utilities) / 2 from below, tangent where it was last settled.
        """
        grown = self.told * np.exp(2 * (self._steepness(flat) - self.sure))
        gradient = np.zeros(self.layout.size)
        gradient[self.layout.trait("sharpness")] = -grown
        gradient[self.layout.trait("attention")] = -grown * expit(-flat[self.layout.trait("attention")])
        return -0.5 * float(grown.sum()), gradient

    def _steepness(self, flat: Array) -> Array:
        """Per annotator: the log of by how much the chance of a pick changes with a gap, but for what depends on the gap."""
        return flat[self.layout.trait("sharpness")] + log_expit(flat[self.layout.trait("attention")])

    def information(self, flat: Array, first: int | None = None) -> csr_array:
        """What the votes, and the priors, are expected to say of the (`first`) parameters: the inverse of their covariance."""
        rows, _ = self._prior
        own = np.zeros(self.layout.size)
        own[: self.layout.answers] = self.spread**-2
        found = csr_array(rows.T @ rows) + _diagonal(own)
        found = found[:first, :first]
        for votes in self.votes:
            for _, places, values in votes.scores(flat):
                some = _sparse(places, values, self.layout.size)[:, :first]
                found = found + some.T @ some
        return csr_array(found)

    def _diagonal(self, flat: Array) -> Array:
        """The diagonal of the information."""
        rows, _ = self._prior
        found = np.asarray(rows.multiply(rows).sum(axis=0)).ravel()
        found[: self.layout.answers] += self.spread**-2
        for votes in self.votes:
            for _, places, values in votes.scores(flat):
                found += np.bincount(places.ravel(), np.square(values).ravel(), self.layout.size)
        return found

    @cached_property
    def _prior(self) -> tuple[csr_array, Array]:
        return _prior(self.layout)


def _diagonal(values: Array) -> csr_array:
    return csr_array(dia_array((values[None], [0]), shape=(len(values), len(values))))


def _sparse(places: Array, values: Array, size: int) -> csr_array:
    votes, each = places.shape
    return csr_array((values.ravel(), places.ravel(), np.arange(0, votes * each + 1, each)), shape=(votes, size))


def _prior(layout: Layout) -> tuple[csr_array, Array]:
    """The priors but for the utilities' as rows r and values e: each says that r @ parameters is normal around e with variance 1."""
    rows: list[dict[int, float]] = [{layout.pooled(name): 1 / spread} for name, (_, spread) in POOLED_EXPECTED.items()]
    expected = [middle / spread for middle, spread in POOLED_EXPECTED.values()]
    for name, pool in EXPECTED.items():
        middle, places = layout.middle(name), layout.trait(name)
        # Without doubt about the middle it moves nothing, and stays at 0.
        moved = {middle: -1 / pool.spread} if pool.doubt else {}
        rows += [{place: 1 / pool.spread} | moved for place in range(places.start, places.stop)]
        rows.append({middle: 1 / (pool.doubt or 1.0)})
        expected += [pool.middle / pool.spread] * layout.annotators + [0.0]
    entries = [(number, place, value) for number, row in enumerate(rows) for place, value in row.items()]
    numbers, places, values = zip(*entries, strict=True)
    shape = (len(rows), layout.size)
    matrix = csr_array(coo_array((np.array(values), (np.array(numbers), np.array(places))), shape=shape))
    return matrix, np.array(expected)


def climb(ballots: Ballots, on_round: Callable[[float], None] = lambda _: None) -> tuple[Posterior, Array]:
    """The posterior with the spread and the unit that fit the votes, and its top."""
    posterior = Posterior.of(ballots)
    flat = posterior.start()
    # Equal answers say nothing of the spread.
    posterior = replace(posterior.settled(flat), spread=SPREAD)
    flat = posterior.climbed(flat)
    for _ in range(ROUNDS):
        settled = posterior.settled(flat)
        change = abs(np.log(settled.spread / posterior.spread))
        posterior, flat = settled, settled.climbed(settled.in_unit(flat))
        on_round(posterior.spread)
        if change < SETTLED:
            break
    return posterior, flat
