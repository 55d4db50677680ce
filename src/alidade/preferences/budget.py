"""How to spend a budget of votes: on how many pairs, with how much overlap and how much gold, and what each choice is good for.

From what a crowd is (`crowd.py`) follow how often labels are right, how far agreement is known, and what votes tell of the people who
gave them; all is exact but for intervals, which are those of many votes. A tie says nothing of people, and of a pair what it is: labels
and what they teach are reckoned as if there were none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import ceil, comb, sqrt

import numpy as np
from pydantic import Field
from scipy.stats import binom

from alidade.preferences.crowd import Array, Crowd, gaps_of, typical_lean
from alidade.records import Record
from alidade.stats import normal_quantile

VOTES_PER_PAIR = (1, 2, 3, 5)
OVERLAP_SHARES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
GOLD_SHARES = (0.0, 0.02, 0.05, 0.1, 0.2)
MOST_OVERLAP = 0.2  # share of pairs, where no share measures people as wanted: more costs too much of what is learned


class Design(Record):
    """How votes are spread, by the names of a queue's settings."""

    votes_per_item: int = Field(default=1, ge=1)
    overlap_share: float = Field(default=0.15, ge=0, le=1)
    overlap_votes: int = Field(default=3, ge=1)
    gold_share: float = Field(default=0.05, ge=0, le=0.5)
    repeat_share: float = Field(default=0.05, ge=0, lt=0.5)


class Outlook(Record):
    """What a design leads to with the `votes` that it takes; half-widths are of 95 % intervals, and None where nothing is measured.

    `labels_right` is the share of pairs, but for ties, whose better answer most votes are for, an even split being half right.
    `teaches_like` is the number of votes, on pairs of their own, that teach as much where nothing of a pair's gap is foreseen.
    `gold_items` is how many known answers are needed, since nobody is shown one twice. `agreement` and `alpha` leave ties out; `skill`
    is one annotator's.
    """

    design: Design
    votes: int
    pairs: int
    gold_items: int
    labels_right: float
    teaches_like: float
    agreement: float | None
    alpha: float | None
    skill: float | None


class Plan(Record):
    """A recommended design's outlook, beside those that differ from it in one setting; `wanted` is the half-width of skill asked for."""

    votes: int
    crowd: Crowd
    wanted: float
    best: Outlook
    by_votes_per_item: tuple[Outlook, ...]
    by_overlap_share: tuple[Outlook, ...]
    by_gold_share: tuple[Outlook, ...]


def outlook(votes: int, crowd: Crowd, design: Design, most_pairs: int | None = None) -> Outlook:
    """What a budget of `votes`, gold and hidden repeats included, leads to, where there are at most `most_pairs` to vote on."""
    table = _Votes(crowd)
    usual = min(design.votes_per_item, crowd.annotators)
    more = min(max(design.overlap_votes, usual), crowd.annotators)
    for_work = 1 - design.gold_share - design.repeat_share
    votes_a_pair = (usual * (1 - design.overlap_share) + more * design.overlap_share) / for_work
    pairs = min(votes / votes_a_pair, votes if most_pairs is None else most_pairs)
    items = [(pairs * (1 - design.overlap_share), usual), (pairs * design.overlap_share, more)]
    gold = pairs * votes_a_pair * design.gold_share
    told = gold * table.told_by_gold + sum(count * each * table.told_beside(each - 1) for count, each in items)
    z = normal_quantile(0.975)
    by_pair, by_vote = (_error_of_agreement(table, items, weight) for weight in (_one, _per_vote))
    return Outlook(
        design=design,
        votes=round(pairs * votes_a_pair),
        pairs=round(pairs),
        gold_items=ceil(gold / crowd.annotators - 1e-9),
        labels_right=sum(count * table.right(each) for count, each in items) / pairs,
        teaches_like=sum(count * table.teaches(each) for count, each in items),
        agreement=None if by_pair is None else z * by_pair,
        alpha=None if by_vote is None else 2 * z * by_vote,
        skill=z * sqrt(crowd.annotators / told) * typical_lean(crowd.spread) / 2 if told > 0 else None,
    )


def plan_votes(votes: int, crowd: Crowd, *, skill_within: float = 0.1, most_pairs: int | None = None) -> Plan:
    """The fewest votes a pair, for more pairs always teach more; as little overlap as measures each annotator's skill as wanted.

    Where no share up to `MOST_OVERLAP` does, that share. More votes a pair only where there are fewer pairs than votes.
    """

    def by(field: str, values: tuple[float, ...], base: Design) -> tuple[Outlook, ...]:
        designs = (base.model_copy(update={field: value}) for value in values)
        return tuple(outlook(votes, crowd, design, most_pairs) for design in designs)

    start = Design(overlap_votes=min(3, crowd.annotators))
    counts = tuple(count for count in VOTES_PER_PAIR if count <= crowd.annotators)
    best = max(by("votes_per_item", counts, start), key=lambda found: found.teaches_like).design
    best = best.model_copy(update={"overlap_votes": max(best.overlap_votes, best.votes_per_item)})
    allowed = tuple(share for share in OVERLAP_SHARES if share <= MOST_OVERLAP)
    shares = by("overlap_share", allowed, best)
    enough = [found for found in shares if found.skill is not None and found.skill <= skill_within]
    chosen = (enough or shares[-1:])[0]
    return Plan(
        votes=votes,
        crowd=crowd,
        wanted=skill_within,
        best=chosen,
        by_votes_per_item=by("votes_per_item", counts, chosen.design),
        by_overlap_share=by("overlap_share", OVERLAP_SHARES, chosen.design),
        by_gold_share=by("gold_share", GOLD_SHARES, chosen.design),
    )


@dataclass(frozen=True)
class _Votes:
    """What a number of votes on one pair say, averaged over gaps and over which of the votes are ties."""

    crowd: Crowd

    @cached_property
    def _leans(self) -> Array:
        """P(left) of a decided vote, at each of the gaps."""
        gaps, _ = gaps_of(self.crowd.spread)
        return (1 + self.crowd.attention * np.tanh(gaps / 2)) / 2

    def _decided(self, votes: int) -> Array:
        """How likely 0, 1, ... of the votes are no ties."""
        return binom.pmf(np.arange(votes + 1), votes, 1 - self.crowd.ties)

    def _over_decided(self, votes: int, value: Callable[[int], float]) -> float:
        return float(sum(chance * value(count) for count, chance in enumerate(self._decided(votes)) if chance))

    def _left(self, decided: int) -> Array:
        """P(0, 1, ... of the decided votes are for the left) at each of the gaps: [gaps, decided + 1]."""
        return binom.pmf(np.arange(decided + 1), decided, self._leans[:, None])

    def right(self, votes: int) -> float:
        """How often most of the votes are for the better answer, an even split being half right."""
        gaps, shares = gaps_of(self.crowd.spread)
        side = np.sign(2 * np.arange(votes + 1) - votes)
        return float(shares @ (1 + np.sign(gaps) * (self._left(votes) @ side))) / 2

    def teaches(self, votes: int) -> float:
        """As how many votes on pairs of their own.

        Source: Kish 1965, Survey Sampling, section 5.4; Moulton 1986, Random group effects and the precision of regression estimates.
        """
        return votes / (1 + (votes - 1) * self.crowd.correlation)

    @property
    def told_by_gold(self) -> float:
        """What one vote on a known pair a typical gap apart says of its annotator's attention (Fisher's information)."""
        lean = typical_lean(self.crowd.spread)
        return (1 - self.crowd.ties) * lean**2 / (1 - (self.crowd.attention * lean) ** 2)

    def told_beside(self, others: int) -> float:
        """What one vote says of its annotator's attention beside others' votes on the pair.

        Given those the pair leans by q, the mean of tanh(gap / 2), and the vote is for the left with (1 + attention * q) / 2.
        """
        gaps, shares = gaps_of(self.crowd.spread)

        def told(decided: int) -> float:
            weights = shares[:, None] * self._left(decided)
            chance = weights.sum(axis=0)
            leans = np.tanh(gaps / 2) @ weights / chance
            return float(chance @ (leans**2 / (1 - (self.crowd.attention * leans) ** 2)))

        return (1 - self.crowd.ties) * self._over_decided(others, told)

    def disagreement(self, votes: int, weight: Callable[[int], float]) -> tuple[float, float]:
        """Of the pairs of people on one pair, weighted: how many, and the variance of how many of them differ beyond the usual."""
        usual, count, variance = 1 - self.crowd.agreement, 0.0, 0.0
        _, shares = gaps_of(self.crowd.spread)
        for decided, chance in enumerate(self._decided(votes)):
            if decided > 1:
                each, among = weight(decided), comb(decided, 2)
                count += chance * each * among
                left = np.arange(decided + 1)
                beyond = (left * (decided - left) - usual * among) ** 2
                variance += chance * each**2 * float(shares @ self._left(decided) @ beyond)
        return count, variance


def _error_of_agreement(table: _Votes, items: list[tuple[float, int]], weight: Callable[[int], float]) -> float | None:
    """The standard error of a share of pairs of people over such items: that of a ratio, clustered by item."""
    parts = [(count, *table.disagreement(each, weight)) for count, each in items]
    compared = sum(count * pairs for count, pairs, _ in parts)
    return sqrt(sum(count * variance for count, _, variance in parts)) / compared if compared else None


def _one(decided: int) -> float:
    return 1.0


def _per_vote(decided: int) -> float:
    """Krippendorff's weight: each vote counts once, whoever else voted."""
    return 1 / (decided - 1)
