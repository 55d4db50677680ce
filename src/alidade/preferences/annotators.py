"""Who voted, and how far to believe them: a probability for each pair, from annotators of different reliability.

The answers' utilities and the annotators' traits (`ballots.py`) are fitted together: the most probable ones, under priors that draw
whatever few votes speak of to the middle of the pool. How sure they are is read off the votes' expected information.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import coo_array, csr_array
from scipy.special import expit

from alidade.preferences.ballots import LEFT, RIGHT, TIE, TIES, TRAITS, Array, Ballots, Layout, Likelihood
from alidade.preferences.uncertainty import Covariance
from alidade.records import Estimate

ITERATIONS = 500
QUANTILE = 1.959964
UTILITY_SPREAD = 2.0
TIES_SPREAD = 2.0


@dataclass(frozen=True)
class Pool:
    """What is expected of a trait, as it is fitted: its middle, how far that may be off, and how far people differ."""

    middle: float
    doubt: float
    spread: float


# Nobody knows the pool's sharpness apart from the unit of utility: its middle is 1 by definition.
POOLS = {
    "attention": Pool(2.0, 1.0, 1.0),
    "sharpness": Pool(0.0, 0.0, 0.5),
    "offset": Pool(0.0, 1.0, 0.5),
    "side": Pool(0.0, 1.0, 1.0),
}


@dataclass(frozen=True)
class AnnotatorModel:
    """What was fitted, `flat` in the order of `layout`; `votes` [annotators] says how many each gave."""

    flat: Array
    layout: Layout
    covariance: Covariance
    votes: Array

    @property
    def utility(self) -> Array:
        """What each answer is worth; the unit is the sharpness of a middling annotator."""
        return self.flat[: self.layout.answers]

    @property
    def attention(self) -> Array:
        """Per annotator: the share of votes given with care."""
        return expit(self.flat[self.layout.trait("attention")])

    @property
    def sharpness(self) -> Array:
        """Per annotator: log-odds per unit of utility."""
        return np.exp(self.flat[self.layout.trait("sharpness")])

    @property
    def skill(self) -> Array:
        """Per annotator: how much likelier the right pick is than the wrong one at a gap of 1."""
        return self.attention * (2 * expit(self.sharpness) - 1)

    def label_prob(self, left: Array, right: Array, known: Array | float = 0.0) -> Array:
        """P(left is better) to a careful annotator without side bias, averaged over what is not known of the gap.

        Such an annotator is as sharp as the pool, votes counted: the unit of utility is no more than a prior's.

        Source: MacKay 1992, The evidence framework applied to classification networks (the average of a sigmoid).
        """
        sharp = np.exp(self.votes @ np.log(self.sharpness) / self.votes.sum())
        gap = sharp * (self.utility[left] - self.utility[right] + known)
        return expit(gap / np.sqrt(1 + np.pi * sharp**2 * self.covariance.of_gaps(left, right) / 8))

    def reliability(self) -> list[Estimate]:
        """Per annotator: attention, with its interval."""
        at = self.flat[self.layout.trait("attention")]
        error = np.sqrt(np.diag(self.covariance.shared)[self._shared("attention")])
        bounds = (expit(at + sign * QUANTILE * error) for sign in (-1, 1))
        rows = zip(self.attention, *bounds, self.votes, strict=True)
        return [Estimate(mean=mean, low=low, high=high, n=int(n)) for mean, low, high, n in rows]

    def side_bias(self) -> list[Estimate]:
        """Per annotator: how much oftener than half the left of two equal answers is picked, where one is picked."""
        lever = self._side_lever()
        variance = ((lever @ self.covariance.shared) * lever).sum(axis=1)
        rows = zip(self._side_lead(), np.sqrt(variance), self.votes, strict=True)
        return [_estimate(mean, error, n) for mean, error, n in rows]

    def pool_side_bias(self) -> Estimate:
        """The annotators' side biases, averaged by how many votes each gave."""
        share = self.votes / self.votes.sum()
        lever = share @ self._side_lever()
        return _estimate(share @ self._side_lead(), np.sqrt(lever @ self.covariance.shared @ lever), self.votes.sum())

    def _side_lead(self) -> Array:
        attention, side = self.attention, expit(self.flat[self.layout.trait("side")])
        return attention * expit(self.flat[self.layout.trait("offset")]) + (1 - attention) * side - 0.5

    def _side_lever(self) -> Array:
        """By how much each annotator's side bias changes with the shared parameters, [annotators, shared]."""
        attention, side = self.attention, expit(self.flat[self.layout.trait("side")])
        middle = expit(self.flat[self.layout.trait("offset")])
        slopes = {
            "attention": (middle - side) * attention * (1 - attention),
            "offset": attention * middle * (1 - middle),
            "side": (1 - attention) * side * (1 - side),
        }
        lever = np.zeros((len(attention), self.layout.size - self.layout.answers))
        for name, slope in slopes.items():
            np.fill_diagonal(lever[:, self._shared(name)], slope)
        return lever

    def _shared(self, name: str) -> slice:
        place, answers = self.layout.trait(name), self.layout.answers
        return slice(place.start - answers, place.stop - answers)


def _estimate(mean: float, error: float, n: float) -> Estimate:
    return Estimate(mean=float(mean), low=float(mean - QUANTILE * error), high=float(mean + QUANTILE * error), n=int(n))


class Posterior:
    """The log of the posterior density of utilities and annotators, but for a constant."""

    def __init__(self, ballots: Ballots) -> None:
        self.ballots, self.layout = ballots, Layout(ballots.answers, ballots.annotators)
        self._prior, self._expected = _prior(self.layout)

    def start(self) -> Array:
        """Equal answers, and annotators as expected."""
        flat = np.zeros(self.layout.size)
        for name, pool in POOLS.items():
            flat[self.layout.trait(name)] = pool.middle
        return flat

    def at(self, flat: Array) -> tuple[float, Array]:
        """Its value and its gradient."""
        ballots, layout = self.ballots, self.layout
        likelihood = Likelihood(ballots, layout, flat)
        chance = likelihood.chances(ballots.outcome)
        slopes = {name: slope / chance for name, slope in likelihood.slopes(ballots.outcome).items()}
        gradient = np.zeros(layout.size)
        gradient[: layout.answers] = np.bincount(ballots.left, slopes["gap"], layout.answers)
        gradient[: layout.answers] -= np.bincount(ballots.right, slopes["gap"], layout.answers)
        for name in TRAITS:
            gradient[layout.trait(name)] = np.bincount(ballots.annotator, slopes[name], layout.annotators)
        for name in TIES:
            gradient[layout.tie(name)] = slopes[name].sum()
        away = self._prior @ flat - self._expected
        return float(np.log(chance).sum() - 0.5 * away @ away), gradient - self._prior.T @ away

    def information(self, flat: Array) -> csr_array:
        """What the votes, and the priors, are expected to say of the parameters: the inverse of their covariance."""
        likelihood = Likelihood(self.ballots, self.layout, flat)
        found = self._prior.T @ self._prior
        for outcome in (LEFT, RIGHT, TIE) if self.ballots.has_ties else (LEFT, RIGHT):
            slopes, chance = likelihood.slopes(outcome), likelihood.chances(outcome)
            rows = self._rows({name: slope / np.sqrt(chance) for name, slope in slopes.items()})
            found = found + rows.T @ rows
        return csr_array(found)

    def _rows(self, slopes: dict[str, Array]) -> csr_array:
        """`slopes` as a sparse matrix [votes, parameters]."""
        ballots, layout, votes = self.ballots, self.layout, len(self.ballots)
        columns = [ballots.left, ballots.right]
        columns += [ballots.annotator + layout.trait(name).start for name in TRAITS]
        columns += [np.full(votes, layout.tie(name)) for name in TIES]
        values = [slopes["gap"], -slopes["gap"], *(slopes[name] for name in (*TRAITS, *TIES))]
        places = (np.tile(np.arange(votes), len(columns)), np.concatenate(columns))
        return csr_array(coo_array((np.concatenate(values), places), shape=(votes, layout.size)))


def _prior(layout: Layout) -> tuple[csr_array, Array]:
    """The priors as rows r and values e: each says that r @ parameters is normal around e with variance 1."""
    utilities, ties = range(layout.answers), [layout.tie(name) for name in TIES]
    rows: list[dict[int, float]] = [{place: 1 / UTILITY_SPREAD} for place in utilities]
    rows += [{place: 1 / TIES_SPREAD} for place in ties]
    expected = [0.0] * len(rows)
    for name, pool in POOLS.items():
        middle, places = layout.middle(name), layout.trait(name)
        # Without doubt about the middle it moves nothing, and stays at 0.
        moved = {middle: -1 / pool.spread} if pool.doubt else {}
        rows += [{place: 1 / pool.spread} | moved for place in range(places.start, places.stop)]
        rows.append({middle: 1 / (pool.doubt or 1.0)})
        expected += [pool.middle / pool.spread] * layout.annotators + [0.0]
    entries = [(number, place, value) for number, row in enumerate(rows) for place, value in row.items()]
    numbers, places, values = zip(*entries, strict=True)
    shape = (len(rows), layout.size)
    return csr_array(coo_array((np.array(values), (np.array(numbers), np.array(places))), shape=shape)), np.array(
        expected
    )


def fit_annotators(ballots: Ballots) -> AnnotatorModel:
    """The most probable utilities and annotators, with their covariance."""
    posterior = Posterior(ballots)

    def loss(flat: Array) -> tuple[float, Array]:
        value, gradient = posterior.at(flat)
        return -value, -gradient

    found = minimize(loss, posterior.start(), jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS})
    layout = posterior.layout
    covariance = Covariance.of(posterior.information(found.x), layout.answers)
    votes = np.bincount(ballots.annotator, minlength=layout.annotators).astype(float)
    return AnnotatorModel(found.x, layout, covariance, votes)
