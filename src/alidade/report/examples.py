"""The same prompt before and after: which prompts are shown, and what every model said to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from alidade.report.collect import Column, Values
from alidade.report.words import GROUP_WORDS, Badge, badges, shortened

# How many prompts of each kind a dozen holds, (kind, about something no training stage saw) to count.
QUOTAS: Mapping[tuple[str, bool], int] = {
    ("wish", False): 2,
    ("topic", False): 2,
    ("fact", False): 2,
    ("twin", False): 2,
    ("unanswerable", False): 1,
    ("claim", False): 1,
    ("wish", True): 1,
    ("topic", True): 1,
}
DOZEN = 12


@dataclass(frozen=True)
class Answer:
    """What one model said; `others` are answers of the same model asked in another way."""

    model: str
    text: str
    badges: Sequence[Badge]
    frame: str
    others: Sequence[Answer] = field(default_factory=tuple)


@dataclass(frozen=True)
class Example:
    """One prompt and every model's answer."""

    prompt: str
    kind: str
    answers: Sequence[Answer]


def examples(columns: Sequence[Column]) -> list[Example]:
    """A dozen prompts that every model answered: the first of each kind in the evaluation's own random order."""
    answers = [_answers(column) for column in columns if column.rows]
    asked = [column for column in columns if column.rows]
    if not asked:
        return []
    shared = [row for prompt, row in answers[0].items() if all(prompt in one for one in answers)]
    heads = _first_of_each_model(asked)
    found = []
    for row in _dozen(shared):
        said = [_answer(asked, answers, place, str(row["prompt_id"])) for place in heads]
        found.append(Example(shortened(str(row.get("prompt", ""))), _kind(row), said))
    return found


def _answers(column: Column) -> dict[str, Values]:
    sampled = [row for row in column.rows if row.get("mode", "sampled") == "sampled"]
    return {str(row["prompt_id"]): row for row in sampled or column.rows}


def _first_of_each_model(columns: Sequence[Column]) -> list[int]:
    """The place of the first column of each model: further ones ask the same weights in another way."""
    digests = [column.model or column.name for column in columns]
    return [place for place, digest in enumerate(digests) if digest not in digests[:place]]


def _answer(columns: Sequence[Column], answers: Sequence[Mapping[str, Values]], place: int, prompt: str) -> Answer:
    column, row = columns[place], answers[place][prompt]
    others = [
        _answer_of(columns[other], answers[other][prompt])
        for other in range(place + 1, len(columns))
        if column.model and columns[other].model == column.model
    ]
    return _answer_of(column, row, others)


def _answer_of(column: Column, row: Values, others: Sequence[Answer] = ()) -> Answer:
    return Answer(column.name, shortened(str(row.get("answer", ""))), badges(row), column.frame, others)


def _dozen(rows: Sequence[Values]) -> list[Values]:
    """Rows by quota, kinds in turn, no item twice; without kinds simply the first."""
    if not any("measure_group" in row for row in rows):
        return list(rows[:DOZEN])
    kinds = [list(_first(rows, kind, count)) for kind, count in QUOTAS.items()]
    return [row for turn in zip_longest(*kinds) for row in turn if row is not None]


def _first(rows: Sequence[Values], kind: tuple[str, bool], count: int) -> Iterator[Values]:
    seen: set[str] = set()
    for row in rows:
        item = str(row.get("item", row["prompt_id"]))
        if (row.get("measure_group"), bool(row.get("new"))) == kind and item not in seen and len(seen) < count:
            seen.add(item)
            yield row


def _kind(row: Values) -> str:
    kind = str(row.get("measure_group", ""))
    said = GROUP_WORDS.get(kind, kind)
    return f"{said}, never trained on" if row.get("new") else said
