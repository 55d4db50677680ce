"""A user's file as rows: JSON lines, a JSON list or parquet, packed or not, each row knowing where it stands.

`rows_of` is the only function others need. It knows no column and no format of preferences.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alidade.errors import DataError
from alidade.store.rows import each_row, read_json

SUFFIXES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz", ".json", ".parquet")
KINDS_HINT = f"files that can be read end in {', '.join(SUFFIXES)}"
DELIMITERS = {".csv": ",", ".tsv": "\t"}


@dataclass(frozen=True)
class Row:
    """One row of a file: `number` counts from 1 (lines of a text file), `where` names it in messages."""

    number: int
    where: str
    values: Mapping[str, Any]


def rows_of(path: Path, *, allow_nan: bool = False) -> Iterator[Row]:
    """The rows of a file, in order; blank lines are skipped. NaN in JSON lines is refused, unless it is allowed.

    Raises:
        DataError: when the file does not exist, is of an unknown kind, is damaged, or a row is not a JSON object.
    """
    _check_file(path)
    yield from _parquet_rows(path) if path.suffix == ".parquet" else _json_rows(path, allow_nan)


def delimited_rows(path: Path) -> Iterator[Row]:
    """The rows of a CSV or TSV file with a line of names; every cell is text.

    Raises:
        DataError: when the file cannot be read or a row has more cells than there are names.
    """
    csv.field_size_limit(1 << 30)  # an answer may be longer than the 128 KiB of csv's default
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            for number, values in enumerate(csv.DictReader(file, delimiter=DELIMITERS[path.suffix]), start=1):
                where = f"{path}: row {number}"
                if None in values:
                    raise DataError("more cells than columns", where=where, hint="quote cells that hold the delimiter")
                yield Row(number, where, values)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot be read: {error}", where=str(path), hint="give a CSV or TSV file in UTF-8") from error


def stem_of(path: Path) -> str:
    """The file's name without its endings: `a/b.jsonl.gz` is `b`."""
    return path.name.removesuffix(".gz").rsplit(".", 1)[0]


def _check_file(path: Path) -> None:
    if not path.exists():
        raise DataError("the file does not exist", where=str(path), hint="give the path of a file that does")
    if not path.is_file():
        raise DataError("this is a folder, not a file", where=str(path), hint=KINDS_HINT)
    if not path.name.endswith(SUFFIXES):
        raise DataError(
            f"cannot read a file of kind {path.suffix or 'without ending'!r}", where=str(path), hint=KINDS_HINT
        )


def _json_rows(path: Path, allow_nan: bool) -> Iterator[Row]:
    if path.suffix == ".json" and _first_byte(path) == b"[":
        for number, value in enumerate(read_json(path), start=1):
            where = f"{path}: item {number}"
            yield Row(number, where, _object(value, where))
        return
    if path.suffix == ".json" and _is_one_document(path):
        yield Row(1, str(path), _object(read_json(path), str(path)))
        return
    for number, value in each_row(path, allow_nan=allow_nan):
        where = f"{path}:{number}"
        yield Row(number, where, _object(value, where))


def _is_one_document(path: Path) -> bool:
    """Whether an object goes on below its first line: not JSON lines."""
    with path.open("rb") as file:
        first = next((line for line in file if line.strip()), b"")
    try:
        json.loads(first)
    except ValueError:
        return first.lstrip().startswith(b"{")
    return False


def _first_byte(path: Path) -> bytes:
    with path.open("rb") as file:
        while (byte := file.read(1)).isspace():
            pass
    return byte


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        kind = type(value).__name__
        raise DataError(f"the row is a {kind}, not an object with columns", where=where, hint="write rows as objects")
    return value


def _parquet_rows(path: Path) -> Iterator[Row]:
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches():
                for values in batch.to_pylist():
                    number += 1
                    yield Row(number, f"{path}: row {number}", values)
    except pyarrow.ArrowException as error:
        raise DataError(
            f"not a readable parquet file: {error}", where=str(path), hint="write the file again"
        ) from error
