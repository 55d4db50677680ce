"""Files of rankings: several answers to a prompt, with ranks, with scores, or best first.

To read another layout, add one line to `RANKINGS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from alidade.preferences.columns import BadRow, answer_after
from alidade.preferences.comparisons import COMPARISONS, Pair
from alidade.preferences.layout import Cells, Format, PromptOf, joined, one
from alidade.records import Comparison, Conversation, Ranking


@dataclass(frozen=True)
class Ranked:
    """Answers as a file has them, and the place of each: 0 the best, equal places tied."""

    prompt: Conversation
    answers: Sequence[Any]
    ranks: tuple[int, ...]
    attribute: Any = "overall"


def places_of(values: Sequence[Any], what: str, *, most_first: bool) -> tuple[int, ...]:
    """Ranks or scores as places without gaps, 0 the best.

    Raises:
        BadRow: for a value that is no finite number.
    """
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise BadRow(f"a {what} is not a finite number", detail=f"it is {str(value)[:20]!r}", fatal=True)
    order = {value: place for place, value in enumerate(sorted(set(values), reverse=most_first))}
    return tuple(order[value] for value in values)


def listed(column: str, *, most_first: bool) -> Callable[[Cells], Iterator[Ranked]]:
    """Rows of `prompt`, `answers`, and a number for each in `column`: the least, or the most, is the best."""

    def read(cells: Cells) -> Iterator[Ranked]:
        answers, values = cells["answers"], cells[column]
        if not isinstance(answers, Sequence) or not isinstance(values, Sequence) or len(answers) != len(values):
            raise BadRow(f"answers and {column} are not two lists of one length", fatal=True)
        places = places_of(values, column.removesuffix("s"), most_first=most_first)
        yield Ranked(one("prompt")(cells), answers, places, cells.get("attribute") or "overall")

    return read


def rated(prompt: PromptOf) -> Callable[[Cells], Iterator[Ranked]]:
    """Rows of completions with ratings: the mean over aspects, or the overall score where there is none.

    Source: Cui et al. 2023, arXiv 2310.01377 (UltraFeedback).
    """

    def read(cells: Cells) -> Iterator[Ranked]:
        given: list[Mapping[str, Any]] = list(cells["completions"])
        fine = all(one.get("fine-grained_score") is not None for one in given)
        scores = [one.get("fine-grained_score" if fine else "overall_score") for one in given]
        places = places_of(scores, "score", most_first=True)
        yield Ranked(prompt(cells), [one.get("response") for one in given], places)

    return read


def numbered(prompt: PromptOf, answers: str, text: str, rank: str) -> Callable[[Cells], Iterator[Ranked]]:
    """Rows of answers, each an object with its text (or turns) and its rank, the least the best."""

    def read(cells: Cells) -> Iterator[Ranked]:
        asked, given = prompt(cells), cells[answers]
        places = places_of([one[rank] for one in given], rank, most_first=False)
        yield Ranked(asked, [answer_after(asked, None, one[text]) for one in given], places)

    return read


def best_first(prompt: PromptOf, replies: str) -> Callable[[Cells], Iterator[Ranked]]:
    """Rows of replies in order."""
    return lambda cells: iter((Ranked(prompt(cells), cells[replies], tuple(range(len(cells[replies])))),))


RANKINGS: tuple[Format[Ranked], ...] = (
    Format("ranks", ("prompt", "answers", "ranks"), listed("ranks", most_first=False), may=("attribute",)),
    Format("scores", ("prompt", "answers", "scores"), listed("scores", most_first=True), may=("attribute",)),
    Format("ultrafeedback", ("instruction", "completions"), rated(joined("instruction", "input")), may=("input",)),
    Format("ranked", ("context", "completions"), numbered(one("context"), "completions", "completion", "rank")),
    Format("oasst-ranking", ("history", "ranked_replies"), best_first(one("history"), "ranked_replies"), named=True),
)


def as_pairs(read: Callable[[Cells], Iterator[Ranked]]) -> Callable[[Cells], Iterator[Pair | Comparison]]:
    """Every pair of each ranking that `read` finds; equal places are ties."""

    def pairs(cells: Cells) -> Iterator[Pair | Comparison]:
        for row in read(cells):
            for first, second in combinations(range(len(row.answers)), 2):
                gap = row.ranks[second] - row.ranks[first]
                label, tied = (0.5, 1.0) if gap == 0 else (float(gap > 0), 0.0)
                sides = row.answers[first], row.answers[second]
                yield Pair(row.prompt, *sides, label, shown=False, attribute=row.attribute, tie_prob=tied)

    return pairs


# Whatever tells two answers apart, rankings by their pairs.
PAIRED: tuple[Format[Pair | Comparison], ...] = (
    *COMPARISONS,
    *(Format(known.name, known.needs, as_pairs(known.read), known.may, known.named) for known in RANKINGS),
)


def comparisons_in(ranking: Ranking) -> list[Comparison]:
    """Every pair of a ranking, in the order of the answers' numbers; two tied answers are a tie."""
    return [
        Comparison(
            id=f"{ranking.id}.{first}-{second}",
            prompt=ranking.prompt,
            left=ranking.answers[first],
            right=ranking.answers[second],
            label_prob=0.5 if gap == 0 else float(gap > 0),
            annotator=ranking.annotator,
            attribute=ranking.attribute,
            guideline=ranking.guideline,
            source=ranking.source,
            tie_prob=float(gap == 0),
        )
        for first, second in combinations(range(len(ranking.answers)), 2)
        for gap in (ranking.ranks[second] - ranking.ranks[first],)
    ]
