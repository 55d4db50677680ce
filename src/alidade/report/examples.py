"""The same prompt before and after: which prompts are shown, and what every model said to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest

from alidade.pipeline import Run
from alidade.report.columns import Column, Descent, Values
from alidade.report.ways import Ways
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
MOST_ABREAST = 4


@dataclass(frozen=True)
class Answer:
    """What one model said; `others` are answers of the same model asked in another way, and of models folded beneath it."""

    model: str
    text: str
    badges: Sequence[Badge]
    frame: str
    others: Sequence[Answer] = field(default_factory=tuple)
    is_end: bool = False


@dataclass(frozen=True)
class Example:
    """One prompt and every model's answer."""

    prompt: str
    kind: str
    answers: Sequence[Answer]


@dataclass(frozen=True)
class Home:
    """A column that has a place of its own, and those folded beneath it; `is_end` where training ended there."""

    column: Column
    folded: Sequence[Column] = ()
    is_end: bool = False


def homes(run: Run, columns: Sequence[Column], ways: Ways) -> list[Home]:
    """Which columns have a place of their own.

    One for each model, its further frames beneath it. Where a recipe names ways and there are many models: the first
    model, the one the first way was trained from, and the ways; what lies between is beneath the way it led to.
    """
    asked = [column for column in columns if column.rows]
    firsts = [one for place, one in enumerate(asked) if not any(one.is_of(other) for other in asked[:place])]
    ends = [column for column in ways.columns.values() if column.rows] or firsts[-1:]
    descent = Descent(run, asked)
    heads = [one for one in firsts if not any(one.is_of(end) for end in ends)] + ends
    if len(heads) > MOST_ABREAST and ways.columns:
        start = descent.upstream(ends[0])
        before = [one for one in heads if one is firsts[0] or (start is not None and one.is_of(start))]
        heads = [one for one in before if one not in ends] + ends
    elif not ways.columns:
        heads = firsts
    under = [(one, _home_of(one, heads, descent)) for one in asked if not any(one is head for head in heads)]
    return [
        Home(head, [one for one, home in under if home is head], any(head is end for end in ends)) for head in heads
    ]


def _home_of(column: Column, heads: Sequence[Column], descent: Descent) -> Column:
    """Its own model's place, else that of the first model below it, else of the nearest above, else the last."""
    own = [head for head in heads if head.is_of(column)]
    below = [head for head in heads if column.origin in descent.ancestors(head)]
    above = [head for stage in descent.ancestors(column) for head in heads if head.origin == stage]
    return [*own, *below, *above, heads[-1]][0]


def examples(shown: Sequence[Home]) -> list[Example]:
    """A dozen prompts that every model answered: the first of each kind in the evaluation's own random order."""
    if not shown:
        return []
    answers = {id(column): _answers(column) for home in shown for column in (home.column, *home.folded)}
    first = answers[id(shown[0].column)]
    shared = [row for prompt, row in first.items() if all(prompt in one for one in answers.values())]
    found = []
    for row in _dozen(shared):
        said = [_answer(home, answers, str(row["prompt_id"])) for home in shown]
        found.append(Example(shortened(str(row.get("prompt", ""))), _kind(row), said))
    return found


def _answers(column: Column) -> dict[str, Values]:
    sampled = [row for row in column.rows if row.get("mode", "sampled") == "sampled"]
    return {str(row["prompt_id"]): row for row in sampled or column.rows}


def _answer(home: Home, answers: Mapping[int, Mapping[str, Values]], prompt: str) -> Answer:
    head, *others = [
        Answer(
            column.name,
            shortened(str(answers[id(column)][prompt].get("answer", ""))),
            badges(answers[id(column)][prompt]),
            column.frame if column.is_of(home.column) else "",
        )
        for column in (home.column, *home.folded)
    ]
    return replace(head, others=others, is_end=home.is_end)


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
