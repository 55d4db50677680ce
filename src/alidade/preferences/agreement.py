"""How far people agree: with one another, with themselves, and with what is known to be right.

A vote is coded by the answer numbers, so it does not matter who saw which answer on which side, and a tie is an outcome of its
own. People are compared where they judged the same two answers in the same attribute by the same version of the guideline.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np

from alidade.preferences.acts import CHOICES, Item, Poll, choice_of, in_order, item_of, polls
from alidade.preferences.tally import Pair, pair_of
from alidade.records import Choice, Estimate, RankingVote, Record, Vote
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
    counts = [[Counter(poll.values())[choice] for choice in CHOICES] for poll in shared if len(poll) > 1]
    return bootstrap_alpha(np.array(counts).reshape(-1, 1, len(CHOICES)), "nominal", np.arange(len(CHOICES)), seed=seed)


def bootstrap_alpha(
    counts: np.ndarray, level: Literal["nominal", "ordinal"], values: np.ndarray, *, seed: int = 0
) -> Estimate | None:
    """Krippendorff's alpha of how often each of `values` was given, `counts` [items, units of an item, values]; items are drawn again."""
    found = _alpha(counts, level, values)
    if found is None:
        return None
    draw = np.random.default_rng(derive(seed, "alpha"))
    drawn = (_alpha(counts[draw.integers(0, len(counts), len(counts))], level, values) for _ in range(RESAMPLES))
    low, high = np.quantile([value for value in drawn if value is not None] or [found], [0.025, 0.975])
    return Estimate(mean=found, low=min(float(low), found), high=max(float(high), found), n=len(counts))


def _alpha(counts: np.ndarray, level: Literal["nominal", "ordinal"], values: np.ndarray) -> float | None:
    import krippendorff

    units = counts.reshape(-1, len(values))
    if len(units) == 0 or np.count_nonzero(units.sum(axis=0)) < 2:
        return None
    return float(krippendorff.alpha(value_counts=units, value_domain=values, level_of_measurement=level))


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
    prompt_id: str
    straight: bool
    same: bool


def repeats_of(votes: Sequence[Vote]) -> list[Repeat]:
    """Every vote on an item on which its annotator had voted before."""
    first: dict[tuple[Item, str], Vote] = {}
    found = []
    for vote in in_order(votes):
        before = first.setdefault((item_of(vote), vote.annotator), vote)
        if before is not vote:
            same = choice_of(vote) == choice_of(before)
            found.append(Repeat(vote.annotator, vote.prompt_id, vote.left == before.left, same))
    return found


def repeats(votes: Sequence[Vote]) -> Repeats:
    """How often annotators chose as before when shown the same two answers again; clustered by annotator where pooled."""
    again = repeats_of(votes)
    return Repeats(
        straight=_clustered([(one.annotator, one.same) for one in again if one.straight]),
        mirrored=_clustered([(one.annotator, one.same) for one in again if not one.straight]),
        annotators={
            name: by_prompt([(one.prompt_id, one.same) for one in again if one.annotator == name])
            for name in sorted({one.annotator for one in again})
        },
    )


def gold_accuracy(acts: Sequence[Vote | RankingVote], gold: Mapping[Pair, Choice]) -> GoldAccuracy:
    """How often what is known to be right was chosen; `gold` names the better answer by number, the lower one left."""
    found: dict[str, list[tuple[str, bool]]] = {}
    for act in acts:
        right = is_right(act, gold)
        if right is not None:
            found.setdefault(act.annotator, []).append((act.prompt_id, right))
    every = [(name, one) for name, own in found.items() for _, one in own]
    return GoldAccuracy(
        every=_clustered(every), annotators={name: by_prompt(own) for name, own in sorted(found.items())}
    )


def is_right(act: Vote | RankingVote, gold: Mapping[Pair, Choice]) -> bool | None:
    """Whether an act chose what is right: a ranking, in every two answers that gold speaks of; None where it speaks of none."""
    if isinstance(act, Vote):
        pair = pair_of(act)
        return choice_of(act) == gold[pair] if pair in gold else None
    place = dict(zip(act.shown, act.ranks, strict=True))
    known = [
        (_chosen(place[left], place[right]), gold[pair])
        for left, right in combinations(sorted(place), 2)
        if (pair := Pair(act.prompt_id, left, right, act.attribute)) in gold
    ]
    return all(chosen == right for chosen, right in known) if known else None


def _chosen(left: int, right: int) -> Choice:
    """What the places of two answers say."""
    return "tie" if left == right else "left" if left < right else "right"


def right_on_gold(votes: Sequence[Vote], gold: Mapping[Pair, Choice]) -> list[bool]:
    """Of each vote on a gold pair, in order, whether it chose what is right."""
    return [right for vote in in_order(votes) if (right := is_right(vote, gold)) is not None]


def by_prompt(values: Sequence[tuple[str, bool]]) -> Estimate:
    """A share of one annotator's trials, clustered by the prompts beside the values where some have several."""
    prompts, each = [prompt for prompt, _ in values], [value for _, value in values]
    return proportion(sum(each), len(each)) if len(set(prompts)) == len(each) else clustered_proportion(each, prompts)


def _clustered(values: Sequence[tuple[str, bool]]) -> Estimate | None:
    """A share clustered by the names beside the values."""
    return clustered_proportion([value for _, value in values], [name for name, _ in values]) if values else None
