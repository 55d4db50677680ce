"""How far apart answers lie: the spread of their utilities under which the votes on pairs are likeliest.

Each pair is taken for itself, its gap averaged over on a grid, which is exact where pairs share no answers and sound where they do
(a composite likelihood). An annotator is here careful or picks by habit, everybody
by the same: each one's share of care and the pool's habit are fitted along.

Source: Bock and Aitkin 1981, Marginal maximum likelihood estimation of item parameters; Varin, Reid and Firth 2011, An overview of
composite likelihood methods.
"""

from __future__ import annotations

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
AT = np.linspace(-4.2, 4.2, 19)
GAPS, WIDTHS = np.sinh(AT), np.cosh(AT)  # closer together where chances change


def fitted_spread(ballots: Ballots) -> tuple[float, Array]:
    """The spread of utilities, in log-odds of a careful vote; and each annotator's share of care."""
    who, pair, said, shown = _votes_on_pairs(ballots)
    starts = np.flatnonzero(np.diff(pair, prepend=-1))
    row = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(pair)))
    # The gap of two answers has twice the variance of one.
    prior = np.exp(np.log(WIDTHS) - (GAPS / SPREADS[:, None]) ** 2 / 4 - np.log(SPREADS[:, None])).T.astype(np.float32)
    expected = -0.5 * (np.log(SPREADS / USUAL) / DOUBT) ** 2
    tied = float(np.mean(said == TIE))
    care, nu, best = np.full(len(ballots.votes), CARE), 2 * tied, 0
    habit = 0.5
    trusted = CARE_VOTES + np.bincount(who, minlength=len(care))
    for _ in range(ROUNDS):
        caring = care[who, None].astype(np.float32)
        with_care = caring * _careful(nu)[said]
        idle = np.array([(1 - tied) * habit, (1 - tied) * (1 - habit), tied], dtype=np.float32)[shown, None]
        chance = with_care + (1 - caring) * idle
        told = np.add.reduceat(np.log(chance), starts, axis=0)
        likely = np.exp(told - told.max(axis=1, keepdims=True))
        best = int(np.argmax(np.log(likely @ prior).sum(axis=0, dtype=float) + expected))
        gaps = likely * prior[:, best]
        gaps /= gaps.sum(axis=1, keepdims=True)
        cared = with_care / chance * gaps[row]
        sure = cared.sum(axis=1)
        found = (CARE_VOTES * CARE + np.bincount(who, sure, len(care))) / trusted
        left, right = (HABIT_VOTES / 2 + float((1 - sure) @ (shown == side)) for side in (LEFT, RIGHT))
        habit = left / (left + right)
        if tied:
            nu *= float(cared[said == TIE].sum() / (cared.sum(axis=0) @ _careful(nu)[TIE]))
        further = expit(logit(care) + FURTHER * (logit(found) - logit(care)))
        before, care = care, np.clip(further, LEAST_CARE, 1 - LEAST_CARE)
        if np.abs(care - before).max() < SETTLED:
            break
    return float(SPREADS[best]), care


def _careful(nu: float) -> Array:
    """P(first wins), P(second wins) and P(tie) of a careful vote at each gap, by Davidson; single precision is plenty here."""
    ahead, behind, tie = np.exp(GAPS / 2), np.exp(-GAPS / 2), np.full_like(GAPS, nu)
    return (np.stack([ahead, behind, tie]) / (ahead + behind + tie)).astype(np.float32)


def _votes_on_pairs(ballots: Ballots) -> tuple[Array, Array, Array, Array]:
    """Sorted by pair: who voted, on which pair, whether the answer of the lower number won (0), the other (1) or none (2); the outcome.

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
    return who[order], pair[order], said[order], outcome[order]
