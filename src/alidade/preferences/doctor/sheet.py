"""A file as the checks see it: each row with what could be read of it, however wrong it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from alidade.errors import DataError
from alidade.preferences.columns import BadRow
from alidade.preferences.comparisons import Pair
from alidade.preferences.demonstrations import DEMONSTRATIONS, Answered
from alidade.preferences.formats import choose_format
from alidade.preferences.layout import Format
from alidade.preferences.prompts import PROMPTS
from alidade.preferences.rankings import PAIRED
from alidade.preferences.tables import DELIMITERS, Row, delimited_rows, rows_of
from alidade.records import Comparison, Conversation, Demonstration

UNKNOWN = "unknown"
KINDS: tuple[tuple[Format[Any], ...], ...] = (PAIRED, DEMONSTRATIONS, PROMPTS)


class Sides(NamedTuple):
    """Two answers and the probability that the left one is better."""

    left: str
    right: str
    label_prob: float


@dataclass(frozen=True)
class Case:
    """A row: its line, its cells, the prompt, answers and pairs read from it, and why it could not be read.

    `is_label` says that what is wrong is the label.
    """

    line: int
    cells: Mapping[str, Any]
    prompt: Conversation | None = None
    answers: tuple[str, ...] = ()
    pairs: tuple[Sides, ...] = ()
    problem: str = ""
    is_label: bool = False

    @property
    def asked(self) -> str:
        """The prompt's turns but the system's, as one text."""
        messages = self.prompt.messages if self.prompt else ()
        return "\n\n".join(message.text for message in messages if message.role != "system")


@dataclass(frozen=True)
class Sheet:
    """A file: its rows, the format it was read as, and another file that it must not share prompts with."""

    cases: tuple[Case, ...]
    format: str
    against: tuple[Case, ...] = field(default=())


def open_sheet(path: Path, against: Path | None = None) -> Sheet:
    """A file and the one it is held against.

    Raises:
        DataError: when a file does not exist, is empty, or is no table of rows.
    """
    cases, name = _read(path)
    return Sheet(cases, name, _read(against)[0] if against else ())


def _read(path: Path) -> tuple[tuple[Case, ...], str]:
    rows = delimited_rows(path) if path.suffix in DELIMITERS else rows_of(path, allow_nan=True)
    first = next(rows, None)
    if first is None:
        raise DataError("the file is empty", where=str(path), hint="a file needs at least one row")
    given, chosen = list(chain((first,), rows)), _format_of(first)
    cases = tuple(_case(row, chosen) for row in given)
    if chosen is None or (chosen not in PAIRED and all(case.problem for case in cases)):
        # Columns that happen to have the names of a format.
        return tuple(Case(row.number, row.values) for row in given), UNKNOWN
    return cases, chosen.name


def _format_of(first: Row) -> Format[Any] | None:
    for formats in KINDS:
        try:
            return choose_format(formats, "auto", first)
        except DataError:
            continue
    return None


def _case(row: Row, chosen: Format[Any] | None) -> Case:
    try:
        return _of_items(row, list(chosen.read(row.values)) if chosen else [])
    except BadRow as problem:
        return Case(row.number, row.values, problem=problem.reason, is_label=problem.fatal)
    except KeyError as error:
        return Case(row.number, row.values, problem=f"no column {error}")
    except (TypeError, ValueError, IndexError):
        return Case(row.number, row.values, problem="cells of another shape than the format's")


def _of_items(row: Row, items: Sequence[Any]) -> Case:
    pairs = [item for item in items if isinstance(item, Pair | Comparison)]
    texts = list(_texts(items))
    prompt = items[0].prompt if items else None
    sides = tuple(
        Sides(pair.left, pair.right, pair.label_prob)
        for pair in pairs
        if isinstance(pair.left, str) and isinstance(pair.right, str)
    )
    answers = tuple(dict.fromkeys(text for text in texts if isinstance(text, str)))
    problem = ""
    if not all(isinstance(text, str) for text in texts):
        problem = "an answer is not text"
    elif not all(text.strip() for text in texts):
        problem = "empty answer"
    return Case(row.number, row.values, prompt, answers, sides, problem)


def _texts(items: Sequence[Any]) -> Iterator[Any]:
    for item in items:
        if isinstance(item, Pair | Comparison):
            yield from (item.left, item.right)
        elif isinstance(item, Answered | Demonstration):
            yield item.answer
