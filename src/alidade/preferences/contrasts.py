"""How two answers differ in what can be seen without judging them: length, format, and whether one refuses."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import log2
from typing import Literal, NamedTuple

from alidade.preferences.slices import ITEM, refuses
from alidade.preferences.tally import Pair, known_pair
from alidade.records import Candidates, Vote

Trait = Literal["length", "format", "refusal"]
HEADING = re.compile(r"^#{1,6}\s+\S", re.MULTILINE)
BOLD = re.compile(r"\*\*[^\s*][^*]*\*\*|__[^\s_][^_]*__")


class Contrast(NamedTuple):
    """The answer of the lower number less the other.

    `length` in doublings of characters (1: twice as long), `format` 1 where only the first uses markdown, `refusal` 1 where only
    the first refuses; -1 the other way round.
    """

    length: float
    format: float
    refusal: float


TRAITS: tuple[Trait, ...] = ("length", "format", "refusal")  # the fields of a contrast


def contrasts(candidates: Sequence[Candidates], votes: Sequence[Vote]) -> dict[Pair, Contrast]:
    """How the answers of every pair that was voted on differ.

    Raises:
        DataError: when a vote names a prompt or an answer that does not exist.
    """
    asked = {row.prompt.id: row for row in candidates}
    pairs = dict.fromkeys(known_pair(vote, asked) for vote in votes)
    return {pair: _contrast(asked, pair) for pair in pairs}


def is_formatted(text: str) -> bool:
    """Whether an answer uses markdown: a list of two items or more, a heading, or bold."""
    return len(ITEM.findall(text)) > 1 or HEADING.search(text) is not None or BOLD.search(text) is not None


def _contrast(asked: Mapping[str, Candidates], pair: Pair) -> Contrast:
    answers = asked[pair.prompt_id].answers
    lower, higher = (_seen(answers[number].text) for number in (pair.left, pair.right))
    return Contrast(*(one - other for one, other in zip(lower, higher, strict=True)))


def _seen(text: str) -> tuple[float, float, float]:
    return log2(max(len(text), 1)), float(is_formatted(text)), float(refuses(text))
