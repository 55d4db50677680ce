"""Files of rankings: several answers to a prompt, with ranks, with scores, or best first.

To read another layout, add one line to `RANKINGS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from alidade.preferences.columns import ROLES, BadRow, answer_after, conversation_id, text_of
from alidade.preferences.comparisons import COMPARISONS, Pair
from alidade.preferences.layout import Cells, Format, PromptOf, joined, one
from alidade.records import Attribute, Comparison, Conversation, Message, Ranking

TEN_FOR_ONE = "an overall_score of 10 contradicts its ratings"
# UltraFeedback's aspects and the attribute each is about.
ASPECTS: Mapping[str, Attribute] = {
    "instruction_following": "helpful",
    "honesty": "honest",
    "truthfulness": "honest",
    "helpfulness": "helpful",
}


@dataclass(frozen=True)
class Ranked:
    """Answers as a file has them, and the place of each: 0 the best, equal places tied."""

    prompt: Conversation
    answers: Sequence[Any]
    ranks: tuple[int, ...]
    attribute: Any = "overall"
    id: str = ""
    annotator: str = ""
    guideline: str = ""


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

    Raises:
        BadRow: when an overall score is needed and contradicts the ratings beside it.
    """

    def read(cells: Cells) -> Iterator[Ranked]:
        given: list[Mapping[str, Any]] = list(cells["completions"])
        fine = all(one.get("fine-grained_score") is not None for one in given)
        if not fine and any(ten_for_one(one) is not None for one in given):
            raise BadRow(TEN_FOR_ONE, detail="OpenBMB/UltraFeedback#8: scores of 1 were written as 10")
        scores = [one.get("fine-grained_score" if fine else "overall_score") for one in given]
        places = places_of(scores, "score", most_first=True)
        yield Ranked(prompt(cells), [one.get("response") for one in given], places)

    return read


def ratings_of(completion: Mapping[str, Any]) -> dict[str, float]:
    """UltraFeedback's ratings of a completion by aspect, 1 to 5; what is no number (N/A) is left out."""
    found: dict[str, float] = {}
    for aspect, said in (completion.get("annotations") or {}).items():
        rating = said.get("Rating") if isinstance(said, Mapping) else None
        try:
            found[aspect] = float(str(rating))
        except ValueError:
            continue
    return {aspect: rating for aspect, rating in found.items() if math.isfinite(rating)}


def ten_for_one(completion: Mapping[str, Any]) -> float | None:
    """The mean rating (1 to 5) of a completion whose overall score of 10 it contradicts, else None.

    A score of 1 was written as 10. Up to a mean of 2 the score is surely wrong; up to 4 its authors had it given again.

    Source: OpenBMB/UltraFeedback#8 and `src/data_annotation/fix_overall_score_issue.py` there.
    """
    ratings = ratings_of(completion)
    if completion.get("overall_score") != 10 or not ratings:
        return None
    mean = sum(ratings.values()) / len(ratings)
    return mean if mean <= 4 else None


def by_aspect(prompt: PromptOf) -> Callable[[Cells], Iterator[Ranked]]:
    """Rows of completions with ratings: a ranking by the score over all, where there is one, and one by each aspect.

    The aspect is the ranking's `guideline`; an aspect in which not every completion has a rating gives none.
    """
    overall = rated(prompt)

    def read(cells: Cells) -> Iterator[Ranked]:
        given: list[Mapping[str, Any]] = list(cells["completions"])
        if any("fine-grained_score" in one or "overall_score" in one for one in given):
            yield from overall(cells)
        answers, ratings = [one.get("response") for one in given], [ratings_of(one) for one in given]
        for aspect, attribute in ASPECTS.items():
            if all(aspect in one for one in ratings):
                places = places_of([one[aspect] for one in ratings], "rating", most_first=True)
                yield Ranked(prompt(cells), answers, places, attribute, guideline=aspect)

    return read


def message_tree(cells: Cells) -> Iterator[Ranked]:
    """OpenAssistant's message trees: every turn of the user with two ranked replies or more; a deleted reply is none.

    Source: LAION-AI/Open-Assistant, `oasst-data/oasst_data/schemas.py`.
    """
    yield from _below(cells["prompt"], ())


def _below(node: Mapping[str, Any], before: tuple[Message, ...]) -> Iterator[Ranked]:
    said = (*before, Message(role=ROLES[node["role"]], text=text_of(node["text"], "turn")))
    replies = [reply for reply in node.get("replies") or () if not reply.get("deleted")]
    ranked = [reply for reply in replies if reply.get("rank") is not None]
    if len(ranked) > 1 and said[-1].role == "user":
        prompt = Conversation(messages=said)
        name = str(node["message_id"])
        events = [one for one in (node.get("events") or {}).get("ranking") or () if not one.get("not_rankable")]
        yield Ranked(
            prompt,
            [reply["text"] for reply in ranked],
            places_of([reply["rank"] for reply in ranked], "rank", most_first=False),
            id=name if "/" in name else f"{conversation_id(prompt)}/{name}",
            annotator=str(events[0].get("user_id") or "") if len(events) == 1 else "",
        )
    for reply in replies:
        yield from _below(reply, said)


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
    Format(
        "ultrafeedback-aspects", ("instruction", "completions"), by_aspect(joined("instruction", "input")), named=True
    ),
    Format("oasst-tree", ("message_tree_id", "prompt"), message_tree, may=("tree_state",)),
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
