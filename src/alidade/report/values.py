"""Whose values: how often models of different groups' votes prefer the same answer, what each likes, and pairs on which they part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from alidade.preferences.values import TRAITS, Parting, Values
from alidade.report.page import Panel, estimates_panel
from alidade.report.words import MeasureWords, shortened, signed

LIKES = {
    "length": ("The longer answer", "in characters"),
    "format": ("The formatted answer", "one uses markdown, the other does not"),
    "refusal": ("The refusal", "one refuses, the other does not"),
    "flattery": ("The flattering answer", "one has a pleasing phrase, the other has none"),
}
LONGEST = 400


@dataclass(frozen=True)
class Example:
    """A pair on which two models part: what was asked, and each answer with the group whose model prefers it."""

    asked: str
    answers: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Section:
    """What was found on one question."""

    question: str
    about: str
    says: Sequence[str]
    agreement: Sequence[Panel]
    likes: Sequence[Panel]
    examples: Sequence[Example]


def sections(found: Sequence[Any]) -> list[Section]:
    """Everything that is shown, question by question."""
    return [_section(Values.model_validate(one)) for one in found]


def _section(one: Values) -> Section:
    people = ", ".join(f"{model.name} ({model.people} people)" for model in one.models)
    return Section(
        question=one.question,
        about=(
            f"Reward models of {people}, each from {one.votes:,} votes, on {one.pairs:,} held-out pairs of answers "
            f"to {one.prompts:,} prompts"
        ),
        says=[_says(parting) for parting in one.partings],
        agreement=[_agreement(parting) for parting in one.partings],
        likes=[panel for trait in TRAITS if (panel := _likes(one, trait)) is not None],
        examples=[example for parting in one.partings if parting.is_found for example in _examples(parting)],
    )


def _says(one: Parting) -> str:
    ends = [signed(-end, share=True) for end in (one.beyond.mean, one.beyond.high, one.beyond.low)]
    more = f"{ends[0]} points of pairs ({ends[1]} to {ends[2]})"
    if one.is_found:
        return (
            f"{one.one} and {one.other} part more than the same people dealt out at random: {more} beyond the mean of "
            f"{one.deals} deals, and more than in each of them."
        )
    return (
        f"{one.one} and {one.other} are not seen to part more than chance makes: {more} beyond the mean of {one.deals} "
        f"deals, of which {one.deals - one.lower} part as much or more."
    )


def _agreement(one: Parting) -> Panel:
    words = MeasureWords(f"{one.one} and {one.other}", "pairs on which both models prefer the same answer", "", True)
    return estimates_panel(words, [("by group", "last", one.agree), ("dealt at random", "hollow", one.by_chance)])


def _likes(one: Values, trait: str) -> Panel | None:
    if trait not in one.likes_by_chance:
        return None
    found = [(model.name, "last", model.likes[trait]) for model in one.models]
    label, counts = LIKES[trait]
    return estimates_panel(
        MeasureWords(label, counts, "", True), [*found, ("dealt at random", "hollow", one.likes_by_chance[trait])]
    )


def _examples(one: Parting) -> list[Example]:
    found = []
    for split in one.examples:
        left, right = (one.one, one.other) if split.one_prefers_left else (one.other, one.one)
        answers = [(left, shortened(split.pair.left, LONGEST)), (right, shortened(split.pair.right, LONGEST))]
        found.append(Example(shortened(split.pair.asked, LONGEST), answers))
    return found
