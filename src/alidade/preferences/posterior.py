"""The density that is climbed to fit annotators: how likely the votes are, times what is expected of answers and people.

The unit of utility is the sharpness of the pool's careful votes, by definition: their logs average to 0. The utilities are averaged
over when annotators are fitted, as far as a quadratic goes (Laplace). At the mode of all of them together utilities would shrink
and annotators sharpen without end, since a little less of the prior on each of many answers outweighs all that is said of few annotators.

Source: MacKay 1992, Bayesian interpolation (the evidence); Breslow and Clayton 1993, Approximate inference in generalized linear
mixed models (what is lost where an answer has few votes).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from scipy.sparse import coo_array, csr_array, dia_array
from scipy.special import logit

from alidade.preferences.ballots import POOLED, Array, Ballots, Layout
from alidade.preferences.orders import OrderVotes
from alidade.preferences.pairwise import PairVotes
from alidade.preferences.search import highest
from alidade.preferences.spread import fitted_spread
from alidade.preferences.uncertainty import Covariance, Information, Matrix, each_squared, inverse, sparse

ROUNDS = 20
SETTLED = 0.01  # in log sharpness
PRECISE = 1e-7  # nats a vote that the last step of a search may still gain
NUDGE = 0.01  # log-odds of attention by which its slope is found
TINY = 1e-9
DENSE = 400  # parameters up to which matrices are written out


@dataclass(frozen=True)
class Expected:
    """What is expected of a trait, as it is fitted: its middle, how far that may be off, and how far people differ."""

    middle: float
    doubt: float
    spread: float


# The pool's sharpness is the unit of utility: its middle is 1 by definition.
EXPECTED = {
    "attention": Expected(0.0, 0.0, 0.3),
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

    `spread` is that of the utilities, in log-odds of a careful vote; `equal` is the share of pairs
    that are equal; `care` [annotators] is where the search for attention starts;
    `unit` [annotators] is how much each annotator's sharpness counts for the unit; `room` is what each one's votes leave open of
    the utilities.
    """

    ballots: Ballots
    layout: Layout
    votes: tuple[PairVotes | OrderVotes, ...]
    spread: float
    equal: float
    care: Array
    unit: Array
    room: Room

    @classmethod
    def of(cls, ballots: Ballots) -> Posterior:
        """Every vote counting alike for the unit."""
        layout = Layout(ballots.answers, len(ballots.votes))
        pairs = (PairVotes(ballots, layout),) if len(ballots) else ()
        votes = (*pairs, *(OrderVotes(orders, layout) for orders in ballots.orders))
        nothing = np.zeros(layout.annotators)
        unit, room = ballots.votes / ballots.votes.sum(), Room(nothing, nothing, nothing)
        return cls(ballots, layout, votes, *fitted_spread(ballots), unit, room)

    def start(self) -> Array:
        """Equal answers, and annotators as expected, but for how careful they seem."""
        flat = np.zeros(self.layout.size)
        for name, expected in EXPECTED.items():
            flat[self.layout.trait(name)] = expected.middle
        for name, (middle, _) in POOLED_EXPECTED.items():
            flat[self.layout.pooled(name)] = middle
        flat[self.layout.trait("attention")] = logit(np.clip(self.care, 0.05, 0.95))
        return flat

    def at(self, flat: Array) -> tuple[float, Array]:
        """Its value and its gradient."""
        rows, expected = self._prior
        away = rows @ flat - expected
        utilities = flat[: self.layout.answers] / self.spread**2
        value, gradient = -0.5 * float(away @ away + utilities @ flat[: self.layout.answers]), -(away @ rows)
        gradient[: self.layout.answers] -= utilities
        more, slope = self._volume(flat)
        value, gradient = value + more, gradient + slope
        for votes in self.votes:
            more, slope = votes.at(flat)
            value, gradient = value + more, gradient + slope
        return value, gradient

    def climbed(self, flat: Array, covariance: Covariance) -> Array:
        """The top, from `flat`, where the covariance is about `covariance`."""
        return highest(self.at, flat, covariance.times, PRECISE * float(self.ballots.votes.sum()))

    def answered(self, flat: Array) -> Array:
        """The top in the utilities alone, from `flat`."""
        answers, certain = self.layout.answers, inverse(self.about(flat).own)

        def utilities_only(slopes: Array) -> Array:
            step = np.zeros_like(slopes)
            step[:answers] = certain @ slopes[:answers]
            return step

        return highest(self.at, flat, utilities_only, 1.0)

    def covariance(self, information: Information) -> Covariance:
        """That of all parameters, their unit being known."""
        fixed = np.zeros(self.layout.size)
        fixed[self.layout.trait("sharpness")] = self.unit
        return Covariance.of(information, self.layout, fixed)

    def in_unit(self, flat: Array) -> Array:
        """`flat` with sharpness in the unit."""
        moved, place = flat.copy(), self.layout.trait("sharpness")
        moved[place] -= self.unit @ flat[place]
        return moved

    def settled(self, flat: Array, information: Information) -> Posterior:
        """This posterior with what its top `flat`, and the information there, say of the unit and the room the utilities have."""
        attention = self.layout.trait("attention")
        certain = inverse(information.own)
        told, nudged = self._told(flat, certain), flat.copy()
        nudged[attention] += NUDGE
        pull = np.log((self._told(nudged, certain) + TINY) / (told + TINY)) / (2 * NUDGE)
        weight = told + self.ballots.votes / self.ballots.votes.sum()
        room = Room(told, pull, flat[self.layout.trait("sharpness")] + pull * flat[attention])
        return replace(self, unit=weight / weight.sum(), room=room)

    def _told(self, flat: Array, certain: Matrix) -> Array:
        """Per annotator: how many utilities' worth their votes tell, `certain` being the covariance of the utilities."""
        told = np.zeros(self.layout.annotators)
        for votes in self.votes:
            for who, places, values in votes.scores(flat):
                upto = self._utilities_in(places)
                told += np.bincount(who, each_squared(certain, places[:upto], values[:upto]), self.layout.annotators)
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

    def information(self, flat: Array) -> Information:
        """What the votes, and the priors, are expected to say of the parameters: the inverse of their covariance."""
        if self.layout.size <= DENSE:
            return self._information_at_once(flat)
        answers, own, among = self.layout.answers, *self._prior_information
        across = csr_array((answers, self.layout.size - answers))
        for first, other in self._halves(flat):
            own, across, among = own + first.T @ first, across + first.T @ other, among + other.T @ other
        return Information(own, csr_array(across), among)

    def about(self, flat: Array) -> Information:
        """The information, or where that is large about it: each vote counts for itself for what it leaves to all but the utilities."""
        if self.layout.size <= DENSE:
            return self._information_at_once(flat)
        answers, own, among = self.layout.answers, *self._prior_information
        for first, _ in self._halves(flat):
            own = own + first.T @ first
        certain = inverse(own)
        for first, other in self._halves(flat):
            taken = np.asarray((first @ certain).multiply(first).sum(axis=1)).ravel()
            left = _diagonal(1 - taken) @ other
            among = among + left.T @ other
        return Information(own, csr_array((answers, self.layout.size - answers)), csr_array(among))

    def _information_at_once(self, flat: Array) -> Information:
        answers, size = self.layout.answers, self.layout.size
        rows, _ = self._prior
        found = rows.T @ rows + np.diag(np.where(np.arange(size) < answers, self.spread**-2, 0.0))
        for votes in self.votes:
            for _, places, values in votes.scores(flat):
                found += _squares(places, values, size)
        return Information(found[:answers, :answers], found[:answers, answers:], found[answers:, answers:])

    def _halves(self, flat: Array) -> Iterator[tuple[csr_array, csr_array]]:
        """What the votes would say of the utilities, and of all else."""
        answers = self.layout.answers
        for votes in self.votes:
            for _, places, values in votes.scores(flat):
                upto = self._utilities_in(places)
                first = sparse(places[:upto], values[:upto], answers)
                yield first, sparse(places[upto:] - answers, values[upto:], self.layout.size - answers)

    @property
    def _prior_information(self) -> tuple[csr_array, csr_array]:
        rest = csr_array(self._prior[0][:, self.layout.answers :])
        return _diagonal(np.full(self.layout.answers, self.spread**-2)), csr_array(rest.T @ rest)

    def _utilities_in(self, places: Array) -> int:
        """How many of the rows of `places`, which come first, are utilities."""
        return int((places[:, 0] < self.layout.answers).sum())

    @cached_property
    def _prior(self) -> tuple[Matrix, Array]:
        matrix, expected = _prior(self.layout, self.layout.size <= DENSE)
        seems = expected.copy()
        # The rows of attention come right behind those of the pool.
        rows = slice(len(POOLED), len(POOLED) + self.layout.annotators)
        seems[rows] += logit(self.care) / EXPECTED["attention"].spread
        return matrix, seems


def _diagonal(values: Array) -> csr_array:
    return csr_array(dia_array((values[None], [0]), shape=(len(values), len(values))))


def _squares(places: Array, values: Array, size: int) -> Array:
    """The sum over columns of each times itself, [size, size]."""
    first, second = np.triu_indices(len(places))
    found = np.bincount(
        (places[first] * size + places[second]).ravel(), (values[first] * values[second]).ravel(), size**2
    ).reshape(size, size)
    return found + found.T - np.diag(np.diag(found))


@lru_cache(maxsize=4)
def _prior(layout: Layout, written_out: bool) -> tuple[Matrix, Array]:
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
    return (matrix.toarray() if written_out else matrix), np.array(expected)


def climb(ballots: Ballots) -> tuple[Posterior, Array, Covariance]:
    """The posterior with the unit and the room that fit the votes, its top, and the covariance there."""
    posterior = Posterior.of(ballots)
    flat = posterior.answered(posterior.start())
    sharpness = posterior.layout.trait("sharpness")
    for _ in range(ROUNDS):
        information = posterior.about(flat)
        posterior = posterior.settled(flat, information)
        before, flat = flat, posterior.climbed(posterior.in_unit(flat), posterior.covariance(information))
        if np.abs(flat[sharpness] - before[sharpness]).max() < SETTLED:
            break
    return posterior, flat, posterior.covariance(posterior.information(flat))
