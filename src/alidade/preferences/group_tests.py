"""Whether groups of annotators differ: permutation tests in which the groups are dealt out again among the annotators.

For each question two kinds of test: whether people agree more within groups than between them, and whether a lean (length,
format, refusal) differs between groups. All of one report are one family, corrected by Holm.

Source: B. Phipson, G. K. Smyth 2010, Permutation p-values should never be zero, Stat. Appl. Genet. Mol. Biol. 9:39, for
    p = (1 + draws at least as extreme) / (1 + draws).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from scipy.special import chdtri, chndtr, ndtr, ndtri

from alidade.preferences.acts import Poll, polls
from alidade.preferences.contrasts import TRAITS, Contrast, Trait
from alidade.preferences.groups import Groups, codes_of, members, permuted, questions_of
from alidade.preferences.logistic import PRIOR_SPREAD, Array, fit_coefficients, information, scores_of
from alidade.preferences.sensitivity import LEAST_DIFFERENT, Sensitivity, columns, decided, sensitivity
from alidade.preferences.tally import Pair
from alidade.records import Estimate, Record, Vote
from alidade.seeds import derive
from alidade.stats import clustered_proportion, holm

DRAWS = 2000
LEVEL = 0.05
AGREEMENT_EFFECT = 0.05  # more agreement within than between groups
LEAN_EFFECT = 0.5  # log-odds by which the smallest group differs from the others

What = Literal["agreement"] | Trait


class GroupTest(Record):
    """One test: `p` by permutation, `p_adjusted` for the whole family.

    `smallest` is the number of annotators in the smallest group. `power` is the chance of finding a difference of `effect` at 5 %
    where Holm asks the most: agreement `effect` higher within than between, or the smallest group's log-odds that far off.
    """

    question: str
    what: What
    groups: int
    people: int
    smallest: int
    p: float
    p_adjusted: float
    effect: float
    power: float


class GroupAgreement(Record):
    """The share of pairs of annotators on an item who chose the same: both in one group, and in two; clustered by item."""

    question: str
    within: Estimate
    between: Estimate


class GroupLeans(Record):
    """The leans of one group."""

    question: str
    group: str
    people: int
    sensitivity: Sensitivity | None


class GroupDifferences(Record):
    """Everything that was tested, and the estimates behind it; `withheld` questions have fewer than two groups to show."""

    tests: tuple[GroupTest, ...]
    agreement: tuple[GroupAgreement, ...]
    leans: tuple[GroupLeans, ...]
    withheld: tuple[str, ...]


@dataclass(frozen=True)
class _Found:
    """A test before the size of its family is known."""

    question: str
    what: What
    sizes: Sequence[int]
    p: float
    spread: float  # of the statistic where groups mean nothing
    weight: float = 0.0  # how much information tells the smallest group from the others


def group_differences(
    votes: Sequence[Vote], seen: Mapping[Pair, Contrast], groups: Groups, *, seed: int = 0
) -> GroupDifferences:
    """Test every question on which two groups or more are large enough to be shown."""
    voters = {vote.annotator for vote in votes}
    shown = {question: members(voters, groups, question) for question in questions_of(groups)}
    told = {question: inside for question, inside in shown.items() if len(inside) > 1}
    every, picked = list(polls(votes).values()), decided(votes)
    found: list[_Found] = []
    agreements: list[GroupAgreement] = []
    for question, inside in told.items():
        draw = np.random.default_rng(derive(seed, "groups", question))
        agreed = _agreement(question, every, inside, draw)
        if agreed is not None:
            found.append(agreed[0])
            agreements.append(agreed[1])
        found += _lean_tests(question, picked, seen, inside, draw)
    return GroupDifferences(
        tests=tuple(_corrected(found)),
        agreement=tuple(agreements),
        leans=tuple(one for question, inside in told.items() for one in _leans(question, picked, seen, inside)),
        withheld=tuple(question for question in shown if question not in told),
    )


def _corrected(found: Sequence[_Found]) -> list[GroupTest]:
    adjusted = holm([one.p for one in found])
    return [
        GroupTest(
            question=one.question,
            what=one.what,
            groups=len(one.sizes),
            people=sum(one.sizes),
            smallest=min(one.sizes),
            p=one.p,
            p_adjusted=p_adjusted,
            effect=AGREEMENT_EFFECT if one.what == "agreement" else LEAN_EFFECT,
            power=_power(one, LEVEL / len(found)),
        )
        for one, p_adjusted in zip(found, adjusted, strict=True)
    ]


def _power(one: _Found, level: float) -> float:
    """The chance of a p below `level` at the stated effect: normal for agreement, non-central chi-squared for leans."""
    if one.spread <= 0:
        return 0.0
    if one.what == "agreement":
        return float(ndtr(AGREEMENT_EFFECT / one.spread - ndtri(1 - level / 2)))
    degrees = len(one.sizes) - 1
    return float(1 - chndtr(chdtri(degrees, level), degrees, LEAN_EFFECT**2 * one.weight / one.spread))


def _p_value(found: float, drawn: Array) -> float:
    return float((1 + np.count_nonzero(drawn >= found - 1e-12)) / (1 + len(drawn)))


@dataclass(frozen=True)
class _Meetings:
    """Two annotators on one item, as columns: who they are (in number), on which item, and whether they chose the same."""

    one: Array
    other: Array
    item: Array
    same: Array


def _meetings(every: Sequence[Poll], names: Sequence[str]) -> _Meetings:
    number = {name: place for place, name in enumerate(names)}
    rows = [
        (number[one], number[other], item, float(poll[one] == poll[other]))
        for item, poll in enumerate(every)
        for one, other in combinations([name for name in poll if name in number], 2)
    ]
    one, other, item, same = np.array(rows).reshape(-1, 4).T
    return _Meetings(one.astype(int), other.astype(int), item.astype(int), same)


def _agreement(
    question: str, every: Sequence[Poll], inside: Mapping[str, Sequence[str]], draw: np.random.Generator
) -> tuple[_Found, GroupAgreement] | None:
    """Agreement within groups less that between them; each meeting is taken against the mean of its item."""
    names = sorted(name for people in inside.values() for name in people)
    met, codes = _meetings(every, names), codes_of(names, inside)
    within = codes[met.one] == codes[met.other]
    if not within.any() or within.all():
        return None
    count = np.bincount(met.item)
    centred = met.same - (np.bincount(met.item, weights=met.same) / np.maximum(count, 1))[met.item]

    def lead(dealt: Array) -> float:
        alike = dealt[met.one] == dealt[met.other]
        number = np.count_nonzero(alike)
        if number in (0, len(alike)):
            return 0.0
        return float(centred[alike].sum() / number - centred[~alike].sum() / (len(alike) - number))

    drawn = np.array([lead(permuted(codes, draw)) for _ in range(DRAWS)])
    p = _p_value(abs(lead(codes) - drawn.mean()), np.abs(drawn - drawn.mean()))
    shares = [
        clustered_proportion((met.same[part] > 0).tolist(), met.item[part].tolist()) for part in (within, ~within)
    ]
    sizes = [len(people) for people in inside.values()]
    return (
        _Found(question, "agreement", sizes, p, float(drawn.std())),
        GroupAgreement(question=question, within=shares[0], between=shares[1]),
    )


@dataclass(frozen=True)
class _Contributions:
    """What each annotator adds to a pooled fit: scores [annotators, k] and information [annotators, k, k]."""

    scores: Array
    information: Array

    def between(self, codes: Array, count: int) -> Array:
        """Per coefficient, how far the groups' one-step estimates lie apart: squares weighted by information."""
        deltas, weights = self.steps(codes, count)
        middle = (weights * deltas).sum(axis=0) / weights.sum(axis=0)
        return (weights * (deltas - middle) ** 2).sum(axis=0)

    def steps(self, codes: Array, count: int) -> tuple[Array, Array]:
        """Each group's step away from the pooled coefficients and the information on it, [groups, k] each."""
        who = (codes[None, :] == np.arange(count)[:, None]).astype(float)
        scores = who @ self.scores
        k = scores.shape[1]
        inverse = np.linalg.inv(np.einsum("ga,ajk->gjk", who, self.information) + np.eye(k) / PRIOR_SPREAD**2)
        return np.einsum("gjk,gk->gj", inverse, scores), 1 / np.diagonal(inverse, axis1=1, axis2=2)


def _contributions(
    picked: Sequence[Vote], seen: Mapping[Pair, Contrast], names: Sequence[str]
) -> tuple[_Contributions, list[int]]:
    """Contributions of the annotators named, and which traits vary enough to be told."""
    own = [vote for vote in picked if vote.annotator in set(names)]
    rows, outcome = columns(own, seen)
    traits = [place for place in range(len(TRAITS)) if np.count_nonzero(rows[:, 1 + place]) >= LEAST_DIFFERENT]
    rows = rows[:, [0, *(1 + place for place in traits)]]
    pooled = fit_coefficients(rows, outcome)
    scores = scores_of(pooled, rows, outcome)
    who = np.array([names.index(vote.annotator) for vote in own])
    prior = np.eye(rows.shape[1]) / PRIOR_SPREAD**2
    each = [who == number for number in range(len(names))]
    return _Contributions(
        np.array([scores[mine].sum(axis=0) for mine in each]),
        np.array([information(pooled, rows[mine]) - prior for mine in each]),
    ), traits


def _lean_tests(
    question: str,
    picked: Sequence[Vote],
    seen: Mapping[Pair, Contrast],
    inside: Mapping[str, Sequence[str]],
    draw: np.random.Generator,
) -> list[_Found]:
    names = sorted(name for people in inside.values() for name in people)
    if not any(vote.annotator in set(names) for vote in picked):
        return []
    parts, traits = _contributions(picked, seen, names)
    codes, count = codes_of(names, inside), len(inside)
    drawn = np.array([parts.between(permuted(codes, draw), count) for _ in range(DRAWS)])
    apart, (_, weights) = parts.between(codes, count), parts.steps(codes, count)
    sizes = [len(people) for people in inside.values()]
    smallest = weights[int(np.argmin(sizes))]
    told = smallest * (1 - smallest / weights.sum(axis=0))
    found = []
    for number, place in enumerate(traits, start=1):
        spread = float(drawn[:, number].mean()) / (count - 1)
        p = _p_value(float(apart[number]), drawn[:, number])
        found.append(_Found(question, TRAITS[place], sizes, p, spread, float(told[number])))
    return found


def _leans(
    question: str, picked: Sequence[Vote], seen: Mapping[Pair, Contrast], inside: Mapping[str, Sequence[str]]
) -> list[GroupLeans]:
    return [
        GroupLeans(
            question=question,
            group=group,
            people=len(people),
            sensitivity=sensitivity(group, [vote for vote in picked if vote.annotator in set(people)], seen),
        )
        for group, people in inside.items()
    ]
