"""How much more one answer is worth than another: the pair's own votes as they are, all else as a normal distribution.

Around the mode the votes on a pair are far from normal where they all agree: they only say that the gap is not small. So they are taken
out of the normal distribution and put back on a grid. For a pair that shares no answers with others this is exact, given the annotators.

Source: Minka 2001, Expectation propagation for approximate Bayesian inference (the cavity and the tilted distribution).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.special import expit

from alidade.preferences.ballots import Array
from alidade.preferences.orders import OrderVotes
from alidade.preferences.pairwise import AT_ONCE, PairVotes
from alidade.preferences.posterior import Posterior
from alidade.preferences.uncertainty import Matrix, each_squared

Pairs = tuple[Array, Array]  # left and right answers
DEVIATIONS = np.linspace(-5, 5, 61)
STEP = DEVIATIONS[1] - DEVIATIONS[0]
NORMAL = np.exp(-0.5 * DEVIATIONS**2) / np.sqrt(2 * np.pi)
TINY = 1e-12


def chance_left_is_better(posterior: Posterior, flat: Array, certain: Matrix, asked: Pairs, lead: Array) -> Array:
    """P(left is better) to a careful annotator, for pairs of which a `lead` of the left one is known beforehand.

    `certain` is the covariance of the utilities, given the annotators.
    """
    pairs = _Pairs.among(asked, posterior.layout.answers)
    mean = flat[pairs.first] - flat[pairs.second]
    signs = np.stack([np.ones(len(mean)), -np.ones(len(mean))])
    precision = 1 / each_squared(certain, np.stack([pairs.first, pairs.second]), signs)
    own = [_Own.of(votes, flat, pairs, precision) for votes in posterior.votes]
    told = sum((one.told for one in own), np.zeros(len(mean)))
    slope = sum((one.slope for one in own), np.zeros(len(mean)))
    # Never less sure than before any vote.
    without = np.maximum(precision - told, 0.5 / posterior.spread**2)
    middle = mean - slope / without
    gaps = middle[:, None] + DEVIATIONS / np.sqrt(without)[:, None]
    # One further column: no gap at all.
    gaps = np.hstack([gaps, np.zeros((len(mean), 1))])
    likely = sum((one.log_chance(flat, gaps) for one in own), np.zeros_like(gaps))
    likely = np.exp(likely - likely.max(axis=1, keepdims=True))
    apart = likely[:, :-1] * (NORMAL * STEP)
    # The other pairs speak of the gap as `middle` and `without`; by Savage and Dickey they favour equality by how much denser that
    # is at no gap than the prior.
    denser = np.sqrt(2 * without) * posterior.spread * np.exp(-0.5 * without * middle**2)
    level = posterior.equal * likely[:, -1] * denser
    equal = level / (level + (1 - posterior.equal) * apart.sum(axis=1))
    apart /= apart.sum(axis=1, keepdims=True)
    turned = np.where(asked[0] > asked[1], -1.0, 1.0)[:, None]
    told = (apart[pairs.place] * expit(turned * gaps[pairs.place, :-1] + lead[:, None])).sum(axis=1)
    # Shares that sum to one by rounding may make a sure label a hair more than certain.
    return np.clip(told + equal[pairs.place] * (expit(lead) - told), 0.0, 1.0)


class _Pairs(NamedTuple):
    """Different pairs of answers, the lower number first; and at which place among them each of those asked for is."""

    keys: Array
    place: Array
    answers: int

    @classmethod
    def among(cls, asked: Pairs, answers: int) -> _Pairs:
        return cls(*np.unique(_keys(*asked, answers), return_inverse=True), answers)

    @property
    def first(self) -> Array:
        return self.keys // self.answers

    @property
    def second(self) -> Array:
        return self.keys % self.answers


def _keys(left: Array, right: Array, answers: int) -> Array:
    return np.minimum(left, right) * answers + np.maximum(left, right)


@dataclass(frozen=True)
class _Own:
    """The votes on each of the pairs, what they say of its gap around the mode, and with what share who of them counts for which pair.

    Votes between two answers count whole. An order says more of a pair than that one came before the
    other, so what is taken out for it is only near to what it put in: it counts so far that it is at most half of all that is known.
    """

    votes: PairVotes
    turned: Array
    pair: Array
    of_pair: csr_array
    slope: Array
    told: Array

    @classmethod
    def of(cls, votes: PairVotes | OrderVotes, flat: Array, pairs: _Pairs, precision: Array) -> _Own:
        asked = votes if isinstance(votes, PairVotes) else votes.on_pairs()
        keys = _keys(asked.left, asked.right, pairs.answers)
        pair = np.minimum(np.searchsorted(pairs.keys, keys), len(pairs.keys) - 1)
        slope, told = asked.on_gaps(flat)
        share = np.ones(len(pairs.keys))
        counts = pairs.keys[pair] == keys
        if asked is not votes:
            by_pair = np.bincount(pair, counts * told, len(share))
            share = np.minimum(1.0, precision / np.maximum(2 * by_pair, TINY))
        shape = (len(pairs.keys), len(keys))
        of_pair = csr_array((counts * share[pair], (pair, np.arange(len(keys)))), shape=shape)
        turned = np.where(asked.left > asked.right, -1.0, 1.0)
        return cls(asked, turned, pair, of_pair, of_pair @ (turned * slope), of_pair @ told)

    def log_chance(self, flat: Array, gaps: Array) -> Array:
        """Of each pair's own votes together, at each of its `gaps` [pairs, any]."""
        found = np.zeros_like(gaps)
        for start in range(0, len(self.pair), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            lead = self.turned[part, None] * gaps[self.pair[part]]
            found += self.of_pair[:, part] @ self.votes.log_chance(flat, lead, start)
        return found
