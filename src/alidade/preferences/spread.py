"""How far apart answers lie: the spread of their utilities under which the votes on pairs are likeliest.

Each pair is taken for itself, its gap averaged over on a grid, which is exact where pairs share no answers and sound where they do
(a composite likelihood). An annotator is here careful or picks by habit, everybody
by the same: each one's share of care and the pool's habit are fitted along.

Source: Bock and Aitkin 1981, Marginal maximum likelihood estimation of item parameters; Varin, Reid and Firth 2011, An overview of
composite likelihood methods.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit

from alidade.preferences.ballots import LEFT, RIGHT, TIE, Array, Ballots, votes_on_pairs

USUAL = 2.0  # log-odds of a careful vote
DOUBT = 0.5  # of its log
SPREADS = USUAL * 2 ** np.arange(-3.0, 3.01, 0.125)
ROUNDS = 20
FURTHER = 3.0  # times as far as expectation maximisation goes, which is slow here
SETTLED = 0.01  # in shares of care
LEAST_CARE = 0.01
MOST_PAIRS = 2000
CARE, CARE_VOTES = 0.88, 2.0  # what is expected of an annotator, and how many votes that is worth
HABIT_VOTES = 20.0  # that neither side is picked more often without looking
EQUAL, EQUAL_PAIRS = 0.1, 10.0  # the share of pairs that are expected to be equal, and how many pairs that is worth
AT = np.linspace(-4.2, 4.2, 19)
GAPS, WIDTHS = np.sinh(AT), np.cosh(AT) * (AT[1] - AT[0])  # closer together where chances change
SQRT_PI = float(np.sqrt(np.pi))
LEVEL = len(AT) // 2  # where the gap is none
FAR, HELD = 4 * USUAL, 3  # a spread to start from, and for how many rounds it is held
CLEARLY = 5.0  # nats
# The gap of two answers has twice the variance of one: its density at each gap and spread, times the width of the cell.
PRIOR = WIDTHS * np.exp(-((GAPS / SPREADS[:, None]) ** 2) / 4) / (2 * SQRT_PI * SPREADS[:, None])
PRIOR = PRIOR.T.astype(np.float32)


class Spread(NamedTuple):
    """How far apart answers lie.

    `utilities` is the spread of what answers are worth, in log-odds of a careful vote, where they differ; `equal` is the share of pairs
    that do not, which is none where nobody calls a tie: votes for sides do not tell equal answers from near ones; `care` is each
    annotator's share of careful votes.
    """

    utilities: float
    equal: float
    care: Array


def fitted_spread(ballots: Ballots) -> Spread:
    """Under which the votes are likeliest.

    Disagreement may be carelessness or answers near each other. Where many tie, and some never do, expectation maximisation stays with
    what it took it for at first; so it starts from both, and answers far apart must be clearly likelier to be believed.
    """
    asked = _votes_on_pairs(ballots)
    likely, found = _climbed(asked, len(ballots.votes), None)
    if not found.equal:
        return found
    far_likely, far = _climbed(asked, len(ballots.votes), FAR)
    return far if far_likely > likely + CLEARLY else found


def _climbed(asked: _Asked, annotators: int, held: float | None) -> tuple[float, Spread]:
    """The likeliest from a start at which the spread is `held` for some rounds, or free; and the log of how likely."""
    starts = np.flatnonzero(np.diff(asked.pair, prepend=-1))
    row = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(asked.pair)))
    likelier = -0.5 * (np.log(SPREADS / USUAL) / DOUBT) ** 2
    crowd = _Crowd.at_first(annotators, float(np.mean(asked.said == TIE)))
    trusted = CARE_VOTES + np.bincount(asked.who, minlength=annotators)
    before, score, best = crowd, 0.0, 0
    for turn in range(ROUNDS):
        with_care, chance = crowd.chances(asked)
        told = np.add.reduceat(np.log(chance), starts, axis=0)
        most = told.max(axis=1, keepdims=True)
        likely = np.exp(told - most)
        level = crowd.equal * likely[:, LEVEL]
        either = level[:, None] + (1 - crowd.equal) * (likely @ PRIOR)
        scores = np.log(either).sum(axis=0, dtype=float) + likelier
        is_held = held is not None and turn < HELD
        best = int(np.abs(SPREADS - held).argmin() if is_held else scores.argmax())
        gaps = (1 - crowd.equal) * likely * PRIOR[:, best]
        gaps[:, LEVEL] += level
        gaps /= gaps.sum(axis=1, keepdims=True)
        cared = with_care / chance * gaps[row]
        before, score = crowd, float(scores[best] + most.sum(dtype=float))
        crowd = crowd.after(asked, cared, trusted, (level / either[:, best], len(likely)))
        if not is_held and np.abs(crowd.care - before.care).max() < SETTLED:
            break
    believed = CARE_VOTES * float((CARE * np.log(before.care) + (1 - CARE) * np.log(1 - before.care)).sum())
    return score + believed, Spread(float(SPREADS[best]), crowd.equal, crowd.care)


class _Asked(NamedTuple):
    """Votes sorted by pair: who voted, on which pair, whether its first answer won (0), its second (1) or none (2); the outcome."""

    who: Array
    pair: Array
    said: Array
    shown: Array


class _Crowd(NamedTuple):
    """What is fitted beside the spread: care, how often careless votes go left, ties of each kind, the share of equal pairs."""

    care: Array
    habit: float
    tied: float
    nu: float
    equal: float

    @classmethod
    def at_first(cls, annotators: int, tied: float) -> _Crowd:
        return cls(np.full(annotators, CARE), 0.5, tied, 2 * tied, EQUAL if tied else 0.0)

    def chances(self, asked: _Asked) -> tuple[Array, Array]:
        """Of each vote at each gap: that it was given with care and came out so, and that it came out so."""
        caring = self.care[asked.who, None].astype(np.float32)
        with_care = caring * _careful(self.nu)[asked.said]
        each = [(1 - self.tied) * self.habit, (1 - self.tied) * (1 - self.habit), self.tied]
        return with_care, with_care + (1 - caring) * np.array(each, dtype=np.float32)[asked.shown, None]

    def after(self, asked: _Asked, cared: Array, trusted: Array, level: tuple[Array, int]) -> _Crowd:
        """As seen by who seems to have cared at which gap, and which pairs seem equal."""
        sure, (equals, pairs) = cared.sum(axis=1), level
        found = (CARE_VOTES * CARE + np.bincount(asked.who, sure, len(self.care))) / trusted
        left, right = (HABIT_VOTES / 2 + float((1 - sure) @ (asked.shown == side)) for side in (LEFT, RIGHT))
        nu, equal = self.nu, self.equal
        if self.tied:
            equal = (EQUAL_PAIRS * EQUAL + float(equals.sum(dtype=float))) / (EQUAL_PAIRS + pairs)
            nu *= float(cared[asked.said == TIE].sum() / (cared.sum(axis=0) @ _careful(nu)[TIE]))
        further = expit(logit(self.care) + FURTHER * (logit(found) - logit(self.care)))
        return _Crowd(np.clip(further, LEAST_CARE, 1 - LEAST_CARE), left / (left + right), self.tied, nu, equal)


def _careful(nu: float) -> Array:
    """P(first wins), P(second wins) and P(tie) of a careful vote at each gap, by Davidson; single precision is plenty here."""
    ahead, behind, tie = np.exp(GAPS / 2), np.exp(-GAPS / 2), np.full_like(GAPS, nu)
    return (np.stack([ahead, behind, tie]) / (ahead + behind + tie)).astype(np.float32)


def _votes_on_pairs(ballots: Ballots) -> _Asked:
    """Sorted by pair.

    An order is all its pairs that are not tied; of very many pairs every n-th is taken.
    """
    every = [ballots, *map(votes_on_pairs, ballots.orders)]
    asked = [(one.annotator, one.left, one.right, one.outcome) for one in every]
    who, left, right, outcome = map(np.concatenate, zip(*asked, strict=True))
    said = np.where((left > right) & (outcome != TIE), 1 - outcome, outcome)
    keys = np.minimum(left, right) * ballots.answers + np.maximum(left, right)
    pairs, pair = np.unique(keys, return_inverse=True)
    order = np.argsort(pair, kind="stable")
    order = order[pair[order] % -(-len(pairs) // MOST_PAIRS) == 0]
    return _Asked(who[order], pair[order], said[order], outcome[order])
