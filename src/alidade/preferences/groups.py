"""Whose values the labels are: what each self-declared group alone would have labelled.

Groups are what annotators said of themselves, question by question, and none with fewer than `LEAST_PEOPLE` annotators who voted
is ever named, counted or compared. Nothing here is about one person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from alidade.preferences.acts import choice_of, first_votes
from alidade.preferences.tally import WINS, Pair, pair_of
from alidade.records import Estimate, Record, Vote
from alidade.seeds import derive
from alidade.stats import clustered_proportion, mean_estimate

Groups = Mapping[str, Mapping[str, str]]
Array = np.ndarray
LEAST_PEOPLE = 5
DRAWS = 500


class GroupLabels(Record):
    """The labels one group alone would give beside everyone's, over the pairs that it voted on.

    `flips` is the share of pairs whose better answer would be the other one, of those on which neither label is a draw, and
    `by_chance` the same for as many annotators drawn at random: its mean and the middle 95 % of the draws. `shift` is by how
    much the label moves in the mean.
    """

    question: str
    group: str
    people: int
    votes: int
    pairs: int
    flips: Estimate | None
    by_chance: Estimate | None
    shift: Estimate


def questions_of(groups: Groups) -> list[str]:
    """What annotators were asked about themselves."""
    return sorted({question for answers in groups.values() for question in answers})


def members(
    annotators: Iterable[str], groups: Groups, question: str, *, least: int = LEAST_PEOPLE
) -> dict[str, list[str]]:
    """The annotators of each group that has at least `least` of them."""
    found: dict[str, list[str]] = {}
    for name in sorted(set(annotators)):
        group = groups.get(name, {}).get(question)
        if group is not None:
            found.setdefault(group, []).append(name)
    return {group: names for group, names in sorted(found.items()) if len(names) >= least}


@dataclass(frozen=True)
class _Table:
    """First votes as columns: who, on which pair, and whether for the answer of the lower number (a tie is one half)."""

    names: list[str]
    pairs: list[Pair]
    who: Array
    pair: Array
    win: Array

    def shares(self, group: Array, count: int) -> Array:
        """The label of each of `count` groups for each pair, NaN where it did not vote; `group` [annotators], -1 for none."""
        code = group[self.who]
        inside = code >= 0
        cell = code[inside] * len(self.pairs) + self.pair[inside]
        size = count * len(self.pairs)
        votes = np.bincount(cell, minlength=size)
        wins = np.bincount(cell, weights=self.win[inside], minlength=size)
        with np.errstate(invalid="ignore"):
            return (wins / votes).reshape(count, len(self.pairs))


def _table(votes: Sequence[Vote]) -> _Table:
    first = first_votes(votes)
    names, pairs = sorted({vote.annotator for vote in first}), list(dict.fromkeys(map(pair_of, first)))
    number, place = ({one: at for at, one in enumerate(every)} for every in (names, pairs))
    return _Table(
        names=names,
        pairs=pairs,
        who=np.array([number[vote.annotator] for vote in first]),
        pair=np.array([place[pair_of(vote)] for vote in first]),
        win=np.array([WINS[choice_of(vote)] for vote in first]),
    )


def codes_of(names: Sequence[str], shown: Mapping[str, Sequence[str]]) -> Array:
    """The number of the group that each annotator is in, -1 for none."""
    group = {name: number for number, inside in enumerate(shown.values()) for name in inside}
    return np.array([group.get(name, -1) for name in names])


def permuted(codes: Array, draw: np.random.Generator) -> Array:
    """Groups dealt out again among those who are in one."""
    dealt = codes.copy()
    dealt[codes >= 0] = draw.permutation(codes[codes >= 0])
    return dealt


def group_labels(votes: Sequence[Vote], groups: Groups, question: str, *, seed: int = 0) -> tuple[GroupLabels, ...]:
    """What each group alone would have labelled; nothing where fewer than two groups are large enough."""
    shown = members((vote.annotator for vote in votes), groups, question)
    if len(shown) < 2:
        return ()
    table = _table(votes)
    codes, every = codes_of(table.names, shown), table.shares(np.zeros(len(table.names), dtype=int), 1)[0]
    labels = table.shares(codes, len(shown))
    draw = np.random.default_rng(derive(seed, "group labels", question))
    dealt = [_flip_shares(table.shares(permuted(codes, draw), len(shown)), every) for _ in range(DRAWS)]
    return tuple(
        _group_labels(question, group, names, table, (labels[number], every), np.array([one[number] for one in dealt]))
        for number, (group, names) in enumerate(shown.items())
    )


def _group_labels(
    question: str, group: str, names: Sequence[str], table: _Table, both: tuple[Array, Array], dealt: Array
) -> GroupLabels:
    own, every = both
    voted, opposed = ~np.isnan(own), _opposed(own, every)
    told = ~np.isnan(opposed)
    prompts = np.array([pair.prompt_id for pair in table.pairs], dtype=object)
    flips = clustered_proportion((opposed[told] > 0).tolist(), prompts[told].tolist()) if told.any() else None
    dealt = dealt[~np.isnan(dealt)]
    inside = {number for number, name in enumerate(table.names) if name in set(names)}
    return GroupLabels(
        question=question,
        group=group,
        people=len(names),
        votes=sum(int(one) in inside for one in table.who),
        pairs=int(voted.sum()),
        flips=flips,
        by_chance=_middle(dealt) if len(dealt) else None,
        shift=mean_estimate(np.abs(own - every)[voted].tolist(), prompts[voted].tolist()),
    )


def _opposed(own: Array, every: Array) -> Array:
    """1 where two labels prefer different answers, 0 where they prefer the same, NaN where one is a draw or missing."""
    product = (own - 0.5) * (every - 0.5)
    return np.where(np.isnan(product) | (np.abs(product) < 1e-12), np.nan, product < 0)


def _flip_shares(labels: Array, every: Array) -> Array:
    """Per group: the share of flipped pairs, NaN where there is none to tell."""
    opposed = _opposed(labels, every)
    told = (~np.isnan(opposed)).sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.nansum(opposed, axis=1) / told


def _middle(draws: Array) -> Estimate:
    low, high = np.quantile(draws, [0.025, 0.975])
    mean = float(draws.mean())
    return Estimate(mean=mean, low=min(float(low), mean), high=max(float(high), mean), n=len(draws))
