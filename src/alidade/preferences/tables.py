"""A user's file as rows: JSON lines, a JSON list or parquet, packed or not, each row knowing where it stands.

`rows_of` is the only function others need. It knows no column and no format of preferences.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from alidade.errors import DataError

SUFFIXES = (".jsonl", ".ndjson", ".json", ".jsonl.gz", ".ndjson.gz", ".json.gz", ".parquet")
KINDS_HINT = f"files that can be read end in {', '.join(SUFFIXES)}"


@dataclass(frozen=True)
class Row:
    """One row of a file: `number` counts from 1 (lines of a text file), `where` names it in messages."""

    number: int
    where: str
    values: Mapping[str, Any]


def rows_of(path: Path) -> Iterator[Row]:
    """The rows of a file, in order; blank lines are skipped.

    Raises:
        DataError: when the file does not exist, is of an unknown kind, is damaged, or a row is not a JSON object.
    """
    _check_file(path)
    read: Callable[[Path], Iterator[Row]] = _parquet_rows if path.suffix == ".parquet" else _json_rows
    try:
        yield from read(path)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"the packed file is damaged: {error}", where=str(path), hint="fetch the file again") from error


def stem_of(path: Path) -> str:
    """The file's name without its endings: `a/b.jsonl.gz` is `b`."""
    return path.name.removesuffix(".gz").rsplit(".", 1)[0]


def _check_file(path: Path) -> None:
    if not path.exists():
        raise DataError("the file does not exist", where=str(path), hint="give the path of a file that does")
    if not path.is_file():
        raise DataError("this is a folder, not a file", where=str(path), hint=KINDS_HINT)
    if not path.name.endswith(SUFFIXES):
        raise DataError(f"cannot read a file of kind {path.suffix or 'without ending'!r}", where=str(path), hint=KINDS_HINT)


def _json_rows(path: Path) -> Iterator[Row]:
    with _open(path) as file:
        is_list = ".json" in path.suffixes and _first_byte(file) == b"["
        yield from _list_rows(file, path) if is_list else _line_rows(file, path)


def _open(path: Path) -> BinaryIO:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # pyright: ignore[reportReturnType]


def _first_byte(file: BinaryIO) -> bytes:
    while (byte := file.read(1)).isspace():
        pass
    file.seek(0)
    return byte


def _line_rows(file: BinaryIO, path: Path) -> Iterator[Row]:
    for number, line in enumerate(file, start=1):
        if line.strip():
            where = f"{path}:{number}"
            yield Row(number, where, _object(_parse(line, where), where))


def _list_rows(file: BinaryIO, path: Path) -> Iterator[Row]:
    for number, value in enumerate(_parse(file.read(), str(path)), start=1):
        where = f"{path}: item {number}"
        yield Row(number, where, _object(value, where))


def _parse(data: bytes, where: str) -> Any:
    try:
        return json.loads(data.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if error.lineno > 1 else ""
        raise DataError(
            f"not JSON: {error.msg} ({line}column {error.colno})",
            where=where,
            hint="each line of a .jsonl file is one JSON object: mend or remove it",
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 text: {error.reason}", where=where, hint="save the file as UTF-8") from error
    except RecursionError as error:
        raise DataError("the JSON is nested too deeply", where=where, hint="mend or remove it") from error


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
        raise DataError(f"not a readable parquet file: {error}", where=str(path), hint="write the file again") from error
