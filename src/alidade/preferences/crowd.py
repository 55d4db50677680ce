"""A crowd of voters as a budget is planned with: everybody alike, by how careful they are and how far the pairs lie apart.

A vote on a pair whose answers lie `gap` apart picks the better one with the chance (1 + attention * tanh(gap / 2)) / 2, and gaps are
normal around 0: the annotator model of `pairwise.py` without side bias. Skill and agreement follow from attention and spread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import sqrt
from statistics import fmean

import numpy as np
from pydantic import Field
from scipy.optimize import root_scalar
from scipy.special import roots_hermitenorm

from alidade.preferences.acts import polls
from alidade.preferences.agreement import agreement as agreement_on
from alidade.preferences.belief import believe
from alidade.records import Record, Vote
from alidade.stats import normal_quantile

Array = np.ndarray
ATTENTION = 0.95  # of votes, where skill or agreement alone is known
MEDIAN = normal_quantile(0.75)  # how far a standard normal number typically is from 0
NARROWEST, WIDEST = 0.01, 50.0  # spreads of gaps, log-odds
LEAST, MOST = 0.505, 0.99  # agreement or skill, and ties, that votes are taken to show


class Crowd(Record):
    """Who votes on what: how many people, the share of votes given with care, how far pairs lie apart, the share of ties.

    `spread` is the standard deviation of gaps, in log-odds of a careful vote.
    """

    annotators: int = Field(ge=1)
    attention: float = Field(gt=0, le=1)
    spread: float = Field(gt=0)
    ties: float = Field(default=0.0, ge=0, lt=1)

    @property
    def skill(self) -> float:
        """How often the better of two answers a typical (median) gap apart is picked, ties left out."""
        return (1 + self.attention * typical_lean(self.spread)) / 2

    @property
    def agreement(self) -> float:
        """How often two people pick the same answer, ties left out."""
        return (1 + self.correlation) / 2

    @property
    def correlation(self) -> float:
        """Of two people's votes on one pair; it is Krippendorff's alpha where either answer is picked equally often."""
        return self.attention**2 * _lean_squared(self.spread)


def crowd_of(annotators: int, *, skill: float, ties: float = 0.0) -> Crowd:
    """The crowd of this skill, above 1/2, and of usual attention."""
    attention = max(ATTENTION, (2 * skill - 1) / typical_lean(WIDEST))
    spread = _spread_where(lambda spread: attention * typical_lean(spread) - (2 * skill - 1))
    return Crowd(annotators=annotators, attention=min(attention, 1.0), spread=spread, ties=ties)


def crowd_agreeing(annotators: int, *, agreement: float, ties: float = 0.0) -> Crowd:
    """The crowd of which two agree this often, above 1/2, and of usual attention.

    What attention is assumed matters little: agreement alone says what skill is, to a few hundredths.
    """
    attention = max(ATTENTION, sqrt((2 * agreement - 1) / _lean_squared(WIDEST)))
    spread = _spread_where(lambda spread: attention**2 * _lean_squared(spread) - (2 * agreement - 1))
    return Crowd(annotators=annotators, attention=min(attention, 1.0), spread=spread, ties=ties)


def crowd_seen(votes: Sequence[Vote]) -> Crowd:
    """The crowd that cast these votes, by how often two people picked the same; by the annotator model's skill where none judged one pair.

    Raises:
        DataError: when there are no votes.
    """
    every = polls(votes)
    voters = {vote.annotator for vote in votes}
    ties = min(fmean(vote.choice == "tie" for vote in votes) if votes else 0.0, MOST)
    decided = agreement_on("all", every).decided
    if decided is not None:
        return crowd_agreeing(len(voters), agreement=min(max(decided.mean, LEAST), MOST), ties=ties)
    skills = [each.skill for each in believe(votes).voters.annotators]
    skill = sum(each.mean * each.n for each in skills) / sum(each.n for each in skills)
    return crowd_of(len(voters), skill=min(max(skill, LEAST), MOST), ties=ties)


@lru_cache
def gaps_of(spread: float) -> tuple[Array, Array]:
    """Gaps and their shares: a normal distribution in points; an even number, so that none is 0."""
    points, weights = roots_hermitenorm(80)
    return spread * points, weights / weights.sum()


def typical_lean(spread: float) -> float:
    """How far a careful vote on a typical pair leans to the better answer: tanh of half the median gap."""
    return float(np.tanh(spread * MEDIAN / 2))


def _lean_squared(spread: float) -> float:
    gaps, shares = gaps_of(spread)
    return float(shares @ np.tanh(gaps / 2) ** 2)


def _spread_where(rising: Callable[[float], float]) -> float:
    """Where a rising function of spread is 0, or the end that is nearest to it."""
    if rising(NARROWEST) >= 0:
        return NARROWEST
    return WIDEST if rising(WIDEST) <= 0 else float(root_scalar(rising, bracket=(NARROWEST, WIDEST)).root)
