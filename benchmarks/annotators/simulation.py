"""Votes of which everything is known: the setting of the published comparison, pools drawn to a side, and a million votes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from alidade.preferences.ballots import Ballots

SPREAD = 1.5
SIDE_BIAS = 0.15


@dataclass(frozen=True)
class Planted:
    """Votes, what the answers are worth, and who tosses coins."""

    ballots: Ballots
    utility: np.ndarray
    tosses: np.ndarray


def careful_or_not(gap: np.ndarray, tosses: np.ndarray) -> np.ndarray:
    """P(left): those who do not toss coins look in .95 of their votes."""
    return np.where(tosses, 0.5, 0.95 * expit(gap) + 0.025)


def left_without_looking(gap: np.ndarray, tosses: np.ndarray) -> np.ndarray:
    """P(left): .3 of all votes pick the left without looking."""
    return (1 - 2 * SIDE_BIAS) * expit(gap) + 2 * SIDE_BIAS


def published(
    seed: int, chance: Callable[[np.ndarray, np.ndarray], np.ndarray] = careful_or_not, votes: int = 1500
) -> Planted:
    """30 answers, 12 annotators of whom the first 4 toss coins."""
    rng = np.random.default_rng(seed)
    utility, who = rng.normal(0, SPREAD, 30), np.arange(votes) % 12
    left = rng.integers(0, 30, votes)
    right = (left + rng.integers(1, 30, votes)) % 30
    return _cast(rng, utility, (who, left, right), np.arange(12) < 4, chance)


def many(votes: int, annotators: int, pairs: int) -> Planted:
    """Votes on pairs that share no answer; a fifth of the annotators toss coins."""
    rng = np.random.default_rng(0)
    utility = rng.normal(0, SPREAD, 2 * pairs)
    pair, who, flip = rng.integers(0, pairs, votes), rng.integers(0, annotators, votes), rng.integers(0, 2, votes)
    tosses = np.arange(annotators) < annotators // 5
    return _cast(rng, utility, (who, 2 * pair + flip, 2 * pair + 1 - flip), tosses, careful_or_not)


def apart(spread: float, votes: int, pairs: int = 3000) -> Planted:
    """A few votes on each of some pairs that share no answer, by 50 annotators of whom 10 toss coins."""
    rng = np.random.default_rng(0)
    utility = rng.normal(0, spread, 2 * pairs)
    who = np.concatenate([rng.permutation(50)[:votes] for _ in range(pairs)])
    pair, flip = np.repeat(np.arange(pairs), votes), rng.integers(0, 2, len(who))
    return _cast(rng, utility, (who, 2 * pair + flip, 2 * pair + 1 - flip), np.arange(50) < 10, careful_or_not)


def _cast(
    rng: np.random.Generator,
    utility: np.ndarray,
    columns: tuple[np.ndarray, np.ndarray, np.ndarray],
    tosses: np.ndarray,
    chance: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> Planted:
    who, left, right = columns
    right_picked = rng.random(len(who)) >= chance(utility[left] - utility[right], tosses[who])
    return Planted(Ballots(who, left, right, right_picked.astype(int)), utility, tosses)
