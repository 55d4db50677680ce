"""What a reward model would prefer if one group alone had voted: whom each learns from, how often they part, and what each likes.

Groups are what annotators said of themselves, none of fewer than `LEAST_PEOPLE`. Every model learns from as many votes, so that size is
not what differs. What chance alone makes is seen by dealing the groups out again among the same people: their models part because
people and votes are drawn, and for no other reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import log2, sqrt
from random import Random
from statistics import fmean, stdev

from alidade.errors import DataError
from alidade.preferences.contrasts import is_formatted
from alidade.preferences.groups import LEAST_PEOPLE, Groups, members
from alidade.preferences.slices import OPENING, refuses
from alidade.records import Candidates, Estimate, Record, Vote
from alidade.seeds import generator
from alidade.stats import clustered_proportion, holm, mean_estimate

EVERYONE = "everyone"
EXAMPLES = 5
FLATTERY = re.compile(
    r"\b(?:(?:great|good|excellent|wonderful) question|happy to help|of course|good luck|you(?:'re| are) (?:so )?right|enjoy)\b"
)


def flatters(text: str) -> bool:
    """Whether an answer uses a phrase that pleases; a rule of thumb in English."""
    ends = f"{text[:OPENING]} {text[-OPENING:]}".lower().replace("\u2019", "'")
    return FLATTERY.search(ends) is not None


TRAITS: Mapping[str, Callable[[str], float]] = {
    "length": lambda text: log2(max(len(text), 1)),
    "format": is_formatted,
    "refusal": refuses,
    "flattery": flatters,
}


@dataclass(frozen=True)
class Electorate:
    """People, and the votes of theirs that a reward model learns from."""

    people: int
    votes: list[Vote]


@dataclass(frozen=True)
class Electorates:
    """The groups by name, everyone, and the groups as dealt out again; all with as many votes."""

    groups: Mapping[str, Electorate]
    everyone: Electorate
    deals: Sequence[Mapping[str, Electorate]]


class Pair(Record):
    """Two held-out answers to one prompt."""

    prompt_id: str
    asked: str
    left: str
    right: str


class Likes(Record):
    """How often a model prefers, of two answers that differ in a trait, the one with more of it; clustered by prompt."""

    name: str
    people: int
    likes: Mapping[str, Estimate]


class Split(Record):
    """A pair on which two models part: which answer each prefers, and by how much less surely (in spreads of its scores)."""

    pair: Pair
    one_prefers_left: bool
    by: float


class Gap(Record):
    """How much oftener the first of two models prefers the answer with more of a trait: points of pairs, clustered by prompt.

    `p` says how likely so large a gap is between models of people dealt out at random, `p_adjusted` with all tests of the question.
    """

    trait: str
    gap: Estimate
    p: float
    p_adjusted: float = 1.0


class Parting(Record):
    """How often the models of two groups prefer the same answer, and how often as many people at random do.

    `agree` is clustered by prompt; `by_chance` is the mean of the deals, from the least to the most of them. `p` says how likely so little
    agreement is in another deal, `p_adjusted` with all tests of the question.
    """

    one: str
    other: str
    agree: Estimate
    by_chance: Estimate
    p: float
    p_adjusted: float = 1.0
    gaps: tuple[Gap, ...]
    examples: tuple[Split, ...]


class Values(Record):
    """What was found on one question; `votes` is what each model learned from.

    `likes_by_chance` is the mean, least and most of all dealt groups' models: intervals over prompts do not know that a model learned
    from other votes would like other things.
    """

    question: str
    votes: int
    pairs: int
    prompts: int
    models: tuple[Likes, ...]
    likes_by_chance: Mapping[str, Estimate]
    partings: tuple[Parting, ...]


def electorates(votes: Sequence[Vote], groups: Groups, question: str, *, deals: int, seed: int) -> Electorates:
    """Whom each model learns from; votes are drawn so that all have as many.

    Raises:
        DataError: when fewer than two groups are large enough.
    """
    inside = members((vote.annotator for vote in votes), groups, question)
    if len(inside) < 2:
        raise DataError(
            f"fewer than two groups have {LEAST_PEOPLE} people who voted, by {question!r}",
            hint="groups.json says what annotators said of themselves: {ANNOTATOR: {QUESTION: GROUP}}",
        )
    names = sorted(name for people in inside.values() for name in people)
    dealt = [_dealt(inside, generator(seed, "deal", str(number))) for number in range(deals)]
    by_name: dict[str, list[Vote]] = {name: [] for name in names}
    for vote in votes:
        if vote.annotator in by_name:
            by_name[vote.annotator].append(vote)
    size = min(sum(len(by_name[name]) for name in people) for one in (inside, *dealt) for people in one.values())

    def elected(people: Sequence[str], *label: str) -> Electorate:
        every = [vote for name in sorted(people) for vote in by_name[name]]
        return Electorate(len(people), generator(seed, "votes", *label).sample(every, size))

    return Electorates(
        groups={group: elected(people, "group", group) for group, people in inside.items()},
        everyone=elected(names, EVERYONE),
        deals=[
            {group: elected(people, "deal", str(number), group) for group, people in one.items()}
            for number, one in enumerate(dealt)
        ],
    )


def _dealt(inside: Mapping[str, Sequence[str]], draw: Random) -> dict[str, Sequence[str]]:
    """The people in a drawn order, cut into groups of the sizes that there are.

    The order mixes the groups evenly, so that no deal has much of the difference that it is held against.
    """
    mixed = [
        ((place + draw.random()) / len(people), name)
        for people in inside.values()
        for place, name in enumerate(draw.sample(people, len(people)))
    ]
    left = iter([name for _, name in sorted(mixed)])
    return {group: [next(left) for _ in people] for group, people in inside.items()}


def pairs_of(rows: Sequence[Candidates]) -> list[Pair]:
    """Every two different answers to a prompt, those with an error left out."""
    return [
        Pair(prompt_id=row.prompt.id, asked=row.prompt.conversation.last_user_text, left=left, right=right)
        for row in rows
        for left, right in combinations(dict.fromkeys(answer.text for answer in row.answers if not answer.error), 2)
    ]


@dataclass(frozen=True)
class Leads:
    """How far each pair's left answer is ahead, by the model of each group, of everyone, and of each group of each deal."""

    groups: Mapping[str, Sequence[float]]
    everyone: Sequence[float]
    deals: Sequence[Mapping[str, Sequence[float]]]


def values(question: str, found: Electorates, pairs: Sequence[Pair], leads: Leads) -> Values:
    """How often the models of any two groups part, beside chance, and what each likes."""
    prompts = [pair.prompt_id for pair in pairs]
    partings = _corrected([_parting(pairs, leads, *both) for both in combinations(leads.groups, 2)])
    models = {**leads.groups, EVERYONE: leads.everyone}
    people = {**{group: one.people for group, one in found.groups.items()}, EVERYONE: found.everyone.people}
    return Values(
        question=question,
        votes=len(found.everyone.votes),
        pairs=len(pairs),
        prompts=len(set(prompts)),
        models=tuple(Likes(name=name, people=people[name], likes=likes(pairs, own)) for name, own in models.items()),
        likes_by_chance=_range([likes(pairs, ahead) for deal in leads.deals for ahead in deal.values()]),
        partings=partings,
    )


def _parting(pairs: Sequence[Pair], leads: Leads, one: str, other: str) -> Parting:
    agree = _same(leads.groups, one, other)
    dealt = [fmean(_same(deal, one, other)) for deal in leads.deals]
    return Parting(
        one=one,
        other=other,
        agree=clustered_proportion(agree, [pair.prompt_id for pair in pairs]),
        by_chance=Estimate(mean=fmean(dealt), low=min(dealt), high=max(dealt), n=len(dealt)),
        p=as_low_by_chance(fmean(agree), dealt),
        gaps=tuple(gap for trait in TRAITS if (gap := _gap(pairs, leads, (one, other), trait)) is not None),
        examples=_examples(pairs, leads.groups[one], leads.groups[other]),
    )


def _same(leads: Mapping[str, Sequence[float]], one: str, other: str) -> list[bool]:
    return [(first > 0) == (second > 0) for first, second in zip(leads[one], leads[other], strict=True)]


def _gap(pairs: Sequence[Pair], leads: Leads, names: tuple[str, str], trait: str) -> Gap | None:
    told = [place for place, pair in enumerate(pairs) if TRAITS[trait](pair.left) != TRAITS[trait](pair.right)]
    if not told:
        return None

    def gaps(of: Mapping[str, Sequence[float]]) -> list[float]:
        one, other = (_prefers_more(pairs, of[name], trait) for name in names)
        return [float(one[place]) - float(other[place]) for place in told]

    found, dealt = gaps(leads.groups), [fmean(gaps(deal)) for deal in leads.deals]
    gap = mean_estimate(found, [pairs[place].prompt_id for place in told])
    return Gap(trait=trait, gap=gap, p=as_far_by_chance(gap.mean, dealt))


def _prefers_more(pairs: Sequence[Pair], leads: Sequence[float], trait: str) -> list[bool]:
    of = TRAITS[trait]
    return [(of(pair.left) > of(pair.right)) == (ahead > 0) for pair, ahead in zip(pairs, leads, strict=True)]


def as_low_by_chance(found: float, dealt: Sequence[float]) -> float:
    """How likely one more value from where `dealt` came from is as low as `found`.

    Source: W. Q. Meeker, G. J. Hahn, L. A. Escobar 2017, Statistical Intervals, 2nd edition, section 4.7: of normal values, (found - mean)
        / (s sqrt(1 + 1/n)) has Student's t of n - 1 degrees of freedom.
    """
    spread = stdev(dealt) * sqrt(1 + 1 / len(dealt))
    return _student_share((found - fmean(dealt)) / spread, len(dealt) - 1) if spread else float(found >= fmean(dealt))


def as_far_by_chance(found: float, dealt: Sequence[float]) -> float:
    """How likely one more value from where `dealt` came from is as far from 0, their mean: over their root mean square it is t of n."""
    spread = sqrt(fmean(one * one for one in dealt))
    return 2 * _student_share(-abs(found) / spread, len(dealt)) if spread else float(found == 0)


def _student_share(value: float, degrees: int) -> float:
    from scipy.special import stdtr

    return float(stdtr(degrees, value))


def _corrected(partings: Sequence[Parting]) -> tuple[Parting, ...]:
    """All tests of the question are one family."""
    family = iter(holm([p for one in partings for p in (one.p, *(gap.p for gap in one.gaps))]))
    return tuple(
        one.model_copy(
            update={
                "p_adjusted": next(family),
                "gaps": tuple(gap.model_copy(update={"p_adjusted": next(family)}) for gap in one.gaps),
            }
        )
        for one in partings
    )


def likes(pairs: Sequence[Pair], leads: Sequence[float]) -> dict[str, Estimate]:
    """How often the answer with more of a trait is preferred, of pairs that differ in it."""
    found = {}
    for trait, of in TRAITS.items():
        more = _prefers_more(pairs, leads, trait)
        told = [place for place, pair in enumerate(pairs) if of(pair.left) != of(pair.right)]
        if told:
            found[trait] = clustered_proportion(
                [more[place] for place in told], [pairs[place].prompt_id for place in told]
            )
    return found


def _range(found: Sequence[Mapping[str, Estimate]]) -> dict[str, Estimate]:
    """By trait: the mean of several models, and the least and the most of them."""
    means = {trait: [one[trait].mean for one in found] for trait in found[0]}
    return {
        trait: Estimate(mean=fmean(each), low=min(each), high=max(each), n=len(each)) for trait, each in means.items()
    }


def _examples(pairs: Sequence[Pair], one: Sequence[float], other: Sequence[float]) -> tuple[Split, ...]:
    """The pairs on which two models part most surely, one of each prompt."""
    spread = fmean(map(abs, one)) or 1.0, fmean(map(abs, other)) or 1.0
    apart = [
        (min(abs(first) / spread[0], abs(second) / spread[1]), place)
        for place, (first, second) in enumerate(zip(one, other, strict=True))
        if first * second < 0
    ]
    chosen: dict[str, Split] = {}
    for by, place in sorted(apart, key=lambda found: (-found[0], found[1])):
        pair = pairs[place]
        chosen.setdefault(pair.prompt_id, Split(pair=pair, one_prefers_left=one[place] > 0, by=by))
    return tuple(list(chosen.values())[:EXAMPLES])
