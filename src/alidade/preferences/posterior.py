"""The density that is climbed to fit annotators: how likely the votes are, times what is expected of answers and people.

The unit of utility is the sharpness of the pool's careful votes, by definition: their logs average to 0. The utilities are averaged
over when annotators are fitted, as far as a quadratic goes (Laplace). At the mode of all of them together utilities would shrink
and annotators sharpen without end, since a little less of the prior on each of many answers outweighs all that is said of few annotators.

Source: MacKay 1992, Bayesian interpolation (the evidence); Breslow and Clayton 1993, Approximate inference in generalized linear
mixed models (what is lost where an answer has few votes).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import coo_array, csr_array, dia_array

from alidade.preferences.ballots import POOLED, Array, Ballots, Layout
from alidade.preferences.orders import OrderVotes
from alidade.preferences.pairwise import PairVotes
from alidade.preferences.uncertainty import inverse_by_block

ITERATIONS = 200
ROUNDS = 20
SETTLED = 0.01  # in log sharpness
PRECISE = 1e-9
SPREAD = 2.0  # of utilities: log-odds of a careful vote
NUDGE = 0.01  # log-odds of attention by which its slope is found
TINY = 1e-9


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
class Room:
    """Per annotator: how many utilities' worth their votes tell, and how that grows.

    It grows with the square of the sharpness and `2 pull` times as fast in the log-odds of attention; `since` is where it was found.
    """

    told: Array
    pull: Array
    since: Array


@dataclass(frozen=True)
class Posterior:
    """The log of the posterior density of utilities and annotators, but for a constant.

    `unit` [annotators] is how much each annotator's sharpness counts for the unit, `room` what each one's votes leave open of the
    utilities.
    """

    ballots: Ballots
    layout: Layout
    votes: tuple[PairVotes | OrderVotes, ...]
    unit: Array
    room: Room

    @classmethod
    def of(cls, ballots: Ballots) -> Posterior:
        """Every vote counting alike for the unit."""
        layout = Layout(ballots.answers, len(ballots.votes))
        pairs = (PairVotes(ballots, layout),) if len(ballots) else ()
        votes = (*pairs, *(OrderVotes(orders, layout) for orders in ballots.orders))
        nothing = np.zeros(layout.annotators)
        return cls(ballots, layout, votes, ballots.votes / ballots.votes.sum(), Room(nothing, nothing, nothing))

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
        utilities = flat[: self.layout.answers] / SPREAD**2
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
        """This posterior with what its top `flat` says of the unit and the room the utilities have."""
        answers, attention = self.layout.answers, self.layout.trait("attention")
        certain = inverse_by_block(self.information(flat, answers))
        told, nudged = self._told(flat, certain), flat.copy()
        nudged[attention] += NUDGE
        pull = np.log((self._told(nudged, certain) + TINY) / (told + TINY)) / (2 * NUDGE)
        weight = told + self.ballots.votes / self.ballots.votes.sum()
        room = Room(told, pull, flat[self.layout.trait("sharpness")] + pull * flat[attention])
        return replace(self, unit=weight / weight.sum(), room=room)

    def _told(self, flat: Array, certain: csr_array) -> Array:
        """Per annotator: how many utilities' worth their votes tell, `certain` being the covariance of the utilities."""
        told = np.zeros(self.layout.annotators)
        for votes in self.votes:
            for who, places, values in votes.scores(flat):
                some = _sparse(places, values, self.layout.size)[:, : self.layout.answers]
                share = np.asarray((some @ certain).multiply(some).sum(axis=1)).ravel()
                told += np.bincount(who, share, self.layout.annotators)
        return told

    def _volume(self, flat: Array) -> tuple[float, Array]:
        """What averaging over the utilities adds: the surer the annotators, the less room the utilities have.

        It is -log det(information of the utilities) / 2 but for a constant, tangent to it where the room was settled.
        """
        attention, sharpness = self.layout.trait("attention"), self.layout.trait("sharpness")
        grown = self.room.told * np.exp(2 * (flat[sharpness] + self.room.pull * flat[attention] - self.room.since))
        gradient = np.zeros(self.layout.size)
        gradient[sharpness], gradient[attention] = -grown, -grown * self.room.pull
        return -0.5 * float(grown.sum()), gradient

    def information(self, flat: Array, first: int | None = None) -> csr_array:
        """What the votes, and the priors, are expected to say of the (`first`) parameters: the inverse of their covariance."""
        rows, _ = self._prior
        own = np.zeros(self.layout.size)
        own[: self.layout.answers] = SPREAD**-2
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
        found[: self.layout.answers] += SPREAD**-2
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


def climb(ballots: Ballots) -> tuple[Posterior, Array]:
    """The posterior with the unit and the room that fit the votes, and its top."""
    posterior = Posterior.of(ballots)
    flat = posterior.start()
    sharpness = posterior.layout.trait("sharpness")
    for _ in range(ROUNDS):
        posterior = posterior.settled(flat)
        before, flat = flat, posterior.climbed(posterior.in_unit(flat))
        if np.abs(flat[sharpness] - before[sharpness]).max() < SETTLED:
            break
    return posterior, flat
