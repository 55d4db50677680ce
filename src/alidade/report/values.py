"""Whose values: how often models of different groups' votes prefer the same answer, what each likes, and pairs on which they part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from alidade.preferences.values import TRAITS, Parting, Values
from alidade.report.page import CERTAIN, Panel, estimates_panel
from alidade.report.words import MeasureWords, p_value, quantity, shortened, signed

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
        says=[said for parting in one.partings for said in _says(parting)],
        agreement=[_agreement(parting) for parting in one.partings],
        likes=[panel for trait in TRAITS if (panel := _likes(one, trait)) is not None],
        examples=[example for parting in one.partings for example in _examples(parting)],
    )


def _says(one: Parting) -> Iterator[str]:
    agree, chance = (quantity(found.mean, share=True) for found in (one.agree, one.by_chance))
    said = "less often than chance makes" if one.p_adjusted < CERTAIN else "not seen to be less often than chance makes"
    yield (
        f"The models of {one.one} and {one.other} prefer the same answer on {agree} of pairs, those of the same people dealt out "
        f"at random on {chance}: {said} ({p_value(one.p_adjusted)}, corrected)."
    )
    for gap in one.gaps:
        if gap.p_adjusted < CERTAIN:
            more, less = (one.one, one.other) if gap.gap.mean > 0 else (one.other, one.one)
            points = f"{signed(abs(gap.gap.mean), share=True)} points of pairs"
            yield f"{LIKES[gap.trait][0]} is preferred oftener by {more} than by {less}: {points} ({p_value(gap.p_adjusted)}, corrected)."


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
