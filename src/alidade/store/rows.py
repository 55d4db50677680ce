"""JSON and JSONL files: read with the line of every fault, written whole or not at all."""

from __future__ import annotations

import gzip
import json
import os
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from alidade.errors import DataError
from alidade.records import Record

R = TypeVar("R", bound=Record)


def read_rows(path: Path, record: type[R]) -> list[R]:
    """The records of a JSONL file (`.gz` too), in order; blank lines are passed over.

    Raises:
        DataError: with file:line, for a row that is not JSON, holds NaN or is not a valid record.
    """
    return [valid_record(value, record, f"{path}:{line}") for line, value in each_row(path)]


def each_row(path: Path, *, allow_nan: bool = False) -> Iterator[tuple[int, Any]]:
    """(line number from 1, JSON value) of a JSONL file.

    Raises:
        DataError: with file:line, for a row that is not JSON or (unless allowed) holds NaN, and for a file that cannot be read.
    """
    try:
        with _open(path) as file:
            for line, raw in enumerate(file, start=1):
                if raw.strip():
                    yield line, _value(raw, f"{path}:{line}", allow_nan=allow_nan)
    except FileNotFoundError as error:
        raise DataError("no such file", where=str(path), hint="check the path; it is relative to here") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError("not a whole gzip file", where=str(path), hint="fetch or compress the file again") from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", where=str(path)) from error


def write_rows(path: Path, rows: Iterable[Record | dict[str, Any]]) -> int:
    """Write one JSON value a line (`.gz` by the name), atomically; returns the number of rows.

    Raises:
        DataError: for NaN and for what is not JSON.
    """
    count = 0

    def lines() -> Iterator[bytes]:
        nonlocal count
        for count, row in enumerate(rows, start=1):
            yield _line(row, path, count)

    _write(path, lines())
    return count


def read_json(path: Path) -> Any:
    """The value of a JSON file.

    Raises:
        DataError: when the file is absent, is not JSON or holds NaN.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise DataError("no such file", where=str(path), hint="check the path; it is relative to here") from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", where=str(path)) from error
    return _value(raw, str(path))


def write_json(path: Path, value: Any) -> None:
    """Write a JSON value or a record, indented, atomically.

    Raises:
        DataError: for NaN and for what is not JSON.
    """
    plain: Any = value.model_dump(mode="json", by_alias=True) if isinstance(value, BaseModel) else value
    try:
        text = json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DataError(f"not a JSON value: {error}", where=str(path)) from error
    _write(path, [text.encode("utf-8") + b"\n"])


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8, atomically, line ends as they are."""
    _write(path, [text.encode("utf-8")])


def explain_invalid(error: ValidationError) -> str:
    """What pydantic found wrong, in one line a person can act on."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    problem = first["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    problem = problem[:1].lower() + problem[1:]
    given: Any = first.get("input")
    if first["type"] == "extra_forbidden":
        said = f"unknown field `{field}`"
    elif not field:
        said = problem
    elif first["type"] == "missing":
        said = f"field `{field}` is missing"
    elif isinstance(given, (str, int, float)) and len(str(given)) <= 60:
        said = f"`{field}`: {problem}, not {json.dumps(given, ensure_ascii=False)}"
    else:
        said = f"`{field}`: {problem}"
    others = error.error_count() - 1
    return said + (f" (and {others} more)" if others else "")


def valid_record(value: Any, record: type[R], where: str) -> R:
    """The record that a JSON value is.

    Raises:
        DataError: naming the field at fault and `where`.
    """
    try:
        return record.model_validate(value)
    except ValidationError as error:
        fields = ", ".join(f"`{name}`" for name in record.model_fields)
        raise DataError(
            f"not a valid {record.__name__}: {explain_invalid(error)}",
            where=where,
            hint=f"a {record.__name__} has the fields {fields}",
        ) from error


def _open(path: Path) -> Any:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number here")


def _value(raw: bytes, where: str, *, allow_nan: bool = False) -> Any:
    try:
        return json.loads(raw.decode("utf-8-sig"), parse_constant=None if allow_nan else _refuse)
    except UnicodeDecodeError as error:
        raise DataError("not UTF-8 text", where=where, hint="save the file as UTF-8") from error
    except json.JSONDecodeError as error:
        raise DataError(
            f"not JSON: {error.msg.lower()} at column {error.colno}", where=where, hint="every line is one JSON object"
        ) from error
    except ValueError as error:
        raise DataError(str(error), where=where, hint="mend the value or leave the row out") from error
    except RecursionError as error:
        raise DataError("JSON nested too deeply", where=where) from error


def _line(row: Record | dict[str, Any], path: Path, number: int) -> bytes:
    plain = row.model_dump(mode="json") if isinstance(row, Record) else row
    try:
        return json.dumps(plain, ensure_ascii=False, allow_nan=False).encode("utf-8") + b"\n"
    except (TypeError, ValueError) as error:
        raise DataError(f"not a JSON value: {error}", where=f"{path}:{number}") from error


def _write(path: Path, chunks: Iterable[bytes]) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            if path.suffix == ".gz":
                # No time and no file name in the header: equal rows must be equal bytes.
                with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
                    packed.writelines(chunks)
            else:
                file.writelines(chunks)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
