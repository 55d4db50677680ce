"""The table of formats, and from one file to another.

To add a format, add one line to `FORMATS`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from alidade.errors import DataError, UsageError
from alidade.preferences.formats import read_judgements
from alidade.preferences.interchange.bundle import Preferences, Written
from alidade.preferences.interchange.icai import icai, read_icai
from alidade.preferences.interchange.oasst import oasst
from alidade.preferences.interchange.summaries import read_summaries, summaries
from alidade.preferences.interchange.transcripts import hh
from alidade.preferences.interchange.trl import trl
from alidade.preferences.interchange.ultrafeedback import ultrafeedback
from alidade.preferences.interchange.vote_tables import crowd_kit, potato, read_crowd_kit, read_potato, read_vote_lists
from alidade.preferences.tables import DELIMITERS, Row, delimited_rows, rows_of
from alidade.records import Comparison, Ranking
from alidade.registry import did_you_mean
from alidade.store.rows import write_json, write_rows, write_text

Reader = Callable[[Iterable[Row]], Preferences]


@dataclass(frozen=True)
class Interchange:
    """One format: `write` makes rows of records, None where it is only read; `columns` know a file of it.

    `read` is for files of votes, `reader` the name by which comparisons and rankings are read otherwise.
    """

    name: str
    write: Callable[[Preferences], Written] | None
    columns: tuple[str, ...] = ()
    read: Reader | None = None
    reader: str = "auto"


FORMATS: dict[str, Interchange] = {
    known.name: known
    for known in (
        Interchange("trl", trl),
        Interchange("hh", hh, reader="hh"),
        Interchange("oasst", oasst, reader="oasst-tree"),
        Interchange("ultrafeedback", ultrafeedback, reader="ultrafeedback-aspects"),
        Interchange("summaries", summaries, ("info", "summaries", "choice", "worker"), read_summaries),
        Interchange("icai", icai, ("metadata", "annotators", "comparisons"), read_icai),
        Interchange("crowd-kit", crowd_kit, ("worker", "left", "right", "label"), read_crowd_kit),
        Interchange("crowd", None, ("prompt", "response_left", "response_right", "votes"), read_vote_lists),
        Interchange("potato", potato, ("instance_id", "user_id"), read_potato),
    )
}


def read_preferences(path: Path | str, fmt: str = "auto", *, allow_dropped: float = 0.0) -> Preferences:
    """The records of a file in any format of the table, or any that comparisons and rankings are read from.

    Raises:
        DataError: naming file, line and a hint, when the file or too many of its rows cannot be used.
        UsageError: when there is no such format.
    """
    path = Path(path)
    rows = delimited_rows(path) if path.suffix in DELIMITERS else rows_of(path)
    first = next(rows, None)
    known = _format_of(first, fmt)
    if known is not None and known.read is not None and first is not None:
        return _read(known.name, known.read, chain((first,), rows))
    loaded = read_judgements(path, known.reader if known else fmt, allow_dropped=allow_dropped)
    return Preferences(
        comparisons=tuple(row for row in loaded.rows if isinstance(row, Comparison)),
        rankings=tuple(row for row in loaded.rows if isinstance(row, Ranking)),
    )


def _read(name: str, read: Reader, rows: Iterator[Row]) -> Preferences:
    """What `read` makes of rows; a cell that is missing or of another shape is an error at its row."""
    where = ""

    def followed() -> Iterator[Row]:
        nonlocal where
        for row in rows:
            where = row.where
            yield row

    try:
        return read(followed())
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        said = f"the row does not fit the format {name!r}: {type(error).__name__} {error}"
        raise DataError(said, where=where, hint="compare the row with its neighbours, or name the format") from error


def write_preferences(path: Path | str, given: Preferences, to: str) -> Written:
    """Write records in a format, as JSON lines; `crowd-kit` also as CSV or TSV, `icai` as one document in a `.json` file.

    Raises:
        DataError: when the format has no place for any of the records.
        UsageError: when there is no such format, or it is no table.
    """
    path, write = Path(path), _writer(to)
    if path.suffix in DELIMITERS and to != "crowd-kit":
        raise UsageError(f"the format {to!r} is written as JSON lines", hint="end the file's name in .jsonl")
    written = write(given)
    if not written.rows:
        hint = f"left out: {dict(written.refused)}" if written.refused else "the file holds no comparisons"
        raise DataError(f"nothing of this can be said in the format {to!r}", where=str(path), hint=hint)
    if path.suffix in DELIMITERS:
        write_text(path, _delimited(written.rows, DELIMITERS[path.suffix]))
    elif to == "icai" and path.suffix == ".json":
        write_json(path, written.rows[0])
    else:
        write_rows(path, written.rows)
    return written


def convert(path: Path | str, out: Path | str, to: str, *, fmt: str = "auto", allow_dropped: float = 0.0) -> Written:
    """Read one file and write another in the format `to`.

    Raises:
        DataError: when the file cannot be read, or nothing of it can be said in the format.
        UsageError: when there is no such format.
    """
    _writer(to)
    return write_preferences(out, read_preferences(path, fmt, allow_dropped=allow_dropped), to)


def _writer(name: str) -> Callable[[Preferences], Written]:
    writers = {known.name: known.write for known in FORMATS.values() if known.write is not None}
    if name not in writers:
        raise UsageError(f"there is no format {name!r} to write", hint=did_you_mean(name, writers))
    return writers[name]


def _format_of(first: Row | None, fmt: str) -> Interchange | None:
    """The format asked for, or the one with votes whose columns the first row has."""
    if fmt != "auto":
        return FORMATS.get(fmt)
    found = set(first.values) if first else set()
    if {"id", "responses"} <= found:  # an item, before Potato's annotations
        return FORMATS["potato"]
    return next((known for known in FORMATS.values() if known.columns and found.issuperset(known.columns)), None)


def _delimited(rows: list[dict[str, Any]], mark: str) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), delimiter=mark)
    table.writeheader()
    table.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
