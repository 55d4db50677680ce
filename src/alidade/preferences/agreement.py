"""How far people agree: with one another, with themselves, and with what is known to be right.

A vote is coded by the answer numbers, so it does not matter who saw which answer on which side, and a tie is an outcome of its
own. People are compared where they judged the same two answers in the same attribute by the same version of the guideline.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from alidade.preferences.acts import CHOICES, Item, Poll, by_annotator, choice_of, in_order, item_of, polls
from alidade.preferences.tally import Pair, pair_of
from alidade.records import Choice, Estimate, Record, Vote
from alidade.seeds import derive
from alidade.stats import clustered_proportion, proportion

RESAMPLES = 1000


class Agreement(Record):
    """How far annotators agree on items that at least two of them judged.

    `alpha` is Krippendorff's (1 all agree, 0 as by chance), None where nobody ever chose otherwise. `pairwise` is the share of
    pairs of annotators on an item who chose the same, `decided` that share where neither called a tie.
    """

    name: str
    items: int
    annotators: int
    votes: int
    alpha: Estimate | None
    pairwise: Estimate | None
    decided: Estimate | None


class Repeats(Record):
    """The share of repeats on which an annotator chose as the first time; by whether the answers had changed sides."""

    straight: Estimate | None
    mirrored: Estimate | None
    annotators: Mapping[str, Estimate]


class GoldAccuracy(Record):
    """The share of votes on gold pairs that chose what is right, a tie being a choice; `every` over all annotators."""

    every: Estimate | None
    annotators: Mapping[str, Estimate]


def agreements(votes: Sequence[Vote], *, seed: int = 0) -> tuple[Agreement, ...]:
    """Agreement over all items, and by attribute and by guideline version where there is more than one."""
    every = polls(votes)
    slices: list[tuple[str, Callable[[Item], str]]] = [
        ("attribute", lambda item: item.pair.attribute),
        ("guideline", lambda item: item.guideline or "none named"),
    ]
    found = [agreement("all", every, seed=seed)]
    for kind, part_of in slices:
        parts = sorted({part_of(item) for item in every})
        for part in parts if len(parts) > 1 else ():
            inside = {item: poll for item, poll in every.items() if part_of(item) == part}
            found.append(agreement(f"{kind}: {part}", inside, seed=seed))
    return tuple(found)


def agreement(name: str, every: Mapping[Item, Poll], *, seed: int = 0) -> Agreement:
    """Agreement on these items; the intervals draw, or are clustered by, items."""
    shared = [poll for poll in every.values() if len(poll) > 1]
    return Agreement(
        name=name,
        items=len(shared),
        annotators=len({annotator for poll in shared for annotator in poll}),
        votes=sum(map(len, shared)),
        alpha=alpha(shared, seed=seed),
        pairwise=_pairwise(shared),
        decided=_pairwise([_without_ties(poll) for poll in shared]),
    )


def alpha(shared: Sequence[Poll], *, seed: int = 0) -> Estimate | None:
    """Krippendorff's alpha for nominal data with its bootstrap interval over items; None where all ever chose the same.

    Source: K. Krippendorff 2019, Content Analysis, 4th edition, section 12.3.3. Percentiles of whole items drawn again; draws
    in which all chose the same have no alpha and are left out.
    """
    counts = np.array([[Counter(poll.values())[choice] for choice in CHOICES] for poll in shared if len(poll) > 1])
    found = _alpha(counts)
    if found is None:
        return None
    draw = np.random.default_rng(derive(seed, "alpha"))
    drawn = (_alpha(counts[draw.integers(0, len(counts), len(counts))]) for _ in range(RESAMPLES))
    low, high = np.quantile([value for value in drawn if value is not None] or [found], [0.025, 0.975])
    return Estimate(mean=found, low=min(float(low), found), high=max(float(high), found), n=len(counts))


def _alpha(counts: np.ndarray) -> float | None:
    import krippendorff

    if len(counts) == 0 or np.count_nonzero(counts.sum(axis=0)) < 2:
        return None
    return float(krippendorff.alpha(value_counts=counts, level_of_measurement="nominal"))


def _without_ties(poll: Poll) -> Poll:
    return {annotator: choice for annotator, choice in poll.items() if choice != "tie"}


def _pairwise(shared: Sequence[Poll]) -> Estimate | None:
    same, items = [], []
    for number, poll in enumerate(shared):
        for one, other in combinations(poll.values(), 2):
            same.append(one == other)
            items.append(number)
    return clustered_proportion(same, items) if same else None


class Repeat(NamedTuple):
    """An annotator shown the same two answers again: on the same sides or not, and whether the choice was the first one's."""

    annotator: str
    straight: bool
    same: bool


def repeats_of(votes: Sequence[Vote]) -> list[Repeat]:
    """Every vote on an item on which its annotator had voted before."""
    first: dict[tuple[Item, str], Vote] = {}
    found = []
    for vote in in_order(votes):
        before = first.setdefault((item_of(vote), vote.annotator), vote)
        if before is not vote:
            found.append(Repeat(vote.annotator, vote.left == before.left, choice_of(vote) == choice_of(before)))
    return found


def repeats(votes: Sequence[Vote]) -> Repeats:
    """How often annotators chose as before when shown the same two answers again; clustered by annotator where pooled."""
    again = repeats_of(votes)
    return Repeats(
        straight=_clustered([(one.annotator, one.same) for one in again if one.straight]),
        mirrored=_clustered([(one.annotator, one.same) for one in again if not one.straight]),
        annotators={
            name: _share([one.same for one in again if one.annotator == name])
            for name in sorted({one.annotator for one in again})
        },
    )


def gold_accuracy(votes: Sequence[Vote], gold: Mapping[Pair, Choice]) -> GoldAccuracy:
    """How often what is known to be right was chosen; `gold` names the better answer by number, the lower one left."""
    found = {name: right for name, own in by_annotator(votes).items() if (right := right_on_gold(own, gold))}
    every = [(name, one) for name, right in found.items() for one in right]
    return GoldAccuracy(every=_clustered(every), annotators={name: _share(right) for name, right in found.items()})


def right_on_gold(votes: Sequence[Vote], gold: Mapping[Pair, Choice]) -> list[bool]:
    """Of each vote on a gold pair, in order, whether it chose what is right."""
    return [choice_of(vote) == gold[pair_of(vote)] for vote in in_order(votes) if pair_of(vote) in gold]


def _share(values: Sequence[bool]) -> Estimate:
    return proportion(sum(values), len(values))


def _clustered(values: Sequence[tuple[str, bool]]) -> Estimate | None:
    """A share clustered by the names beside the values."""
    return clustered_proportion([value for _, value in values], [name for name, _ in values]) if values else None
