"""What every importer gives back, and what they share: names from titles, weights from counts, requests from sentences."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from pydantic import Field, ValidationError

from alidade.constitution.examples import Shots
from alidade.constitution.principles import Change, Constitution, Principle, Requests, Tier
from alidade.errors import DataError
from alidade.records import Record
from alidade.store import explain_invalid

R = TypeVar("R", bound=Record)

_TITLE = 60
_ID = 60
_CHOICE = re.compile(r"(?:please\s+)?(?:choose|select|pick|prefer|compare|which)\b", re.IGNORECASE)


class Imported(Record):
    """A constitution read from another format, the examples beside it, and by field what found no place."""

    constitution: Constitution
    format: str
    shots: Shots = Shots()
    left: dict[str, int] = Field(default={}, description="what the format said that no field holds, counted")


@dataclass(frozen=True)
class Given:
    """What an importer reads: a file's text, its name, and what the constitution shall be called."""

    text: str
    file: str
    stem: str
    id: str | None = None
    title: str | None = None

    def json(self) -> Any:
        """The JSON value of the text.

        Raises:
            DataError: with the line at which it stops being JSON.
        """
        try:
            return json.loads(self.text, object_pairs_hook=self._object)
        except json.JSONDecodeError as error:
            where = f"{self.file}:{error.lineno}"
            raise DataError(f"not JSON: {error.msg.lower()}", where=where, hint="mend the line") from error
        except RecursionError as error:
            raise DataError("nested too deeply", where=self.file, hint="it holds no constitution") from error

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise DataError(f"field `{twice}` comes twice", where=self.file, hint="remove one of the two")
        return found

    def at(self, *place: str | int) -> str:
        """The file and a place in its tree, for errors."""
        return f"{self.file} ({'.'.join(map(str, place))})" if place else self.file

    def constitution(
        self, title: str, principles: Sequence[Principle], tiers: Sequence[Tier] = (), preamble: str = ""
    ) -> Constitution:
        """The first version of a constitution of these principles.

        Raises:
            DataError: when there is no principle, or the id it shall have is none.
        """
        if not principles:
            raise DataError("it holds no principle", where=self.file, hint="--from names another format")
        called = {"id": self.id or slug(self.stem) or "imported", "title": self.title or title, "version": "1.0.0"}
        change = Change(version="1.0.0", text=f"Imported from {self.stem}.")
        try:
            return Constitution(
                **called, changelog=(change,), tiers=tuple(tiers), principles=tuple(principles), preamble=preamble
            )
        except ValidationError as error:
            hint = "an id is of small letters and digits, with `-` or `.` between"
            raise DataError(explain_invalid(error), where=self.file, hint=hint) from error


def slug(text: str) -> str:
    """A name of small letters and digits from a title; empty when it has none."""
    joined = re.sub(r"[^a-z0-9]+", "-", text.lower().replace("'", "").replace("\u2019", "")).strip("-")
    return joined if len(joined) <= _ID else joined[:_ID].rpartition("-")[0] or joined[:_ID]


def unique(name: str, taken: Iterable[str]) -> str:
    """A name that is not taken: itself, or with a number."""
    known, number = set(taken), 2
    found = name
    while found in known:
        found, number = f"{name}-{number}", number + 1
    return found


def short_title(text: str) -> str:
    """The beginning of a text, for a title."""
    return textwrap.shorten(text, _TITLE, placeholder=" ...") if len(text) > _TITLE else " ".join(text.split())


def choosing(text: str) -> Requests:
    """A sentence as a comparison request where it asks to choose; else no request."""
    return Requests(comparison=text) if _CHOICE.match(text) else Requests()


def counted(agree: int, disagree: int) -> tuple[float, str]:
    """A weight from votes, the share that agreed with one vote added on either side, and the votes in words."""
    return round((agree + 1) / (agree + disagree + 2), 4), f"{agree} agreed and {disagree} disagreed."


def fields_of(value: Any, where: str, hint: str) -> Mapping[str, Any]:
    """A JSON object.

    Raises:
        DataError: when it is something else.
    """
    if not isinstance(value, dict):
        raise DataError("this should be an object of fields", where=where, hint=hint)
    return cast("dict[str, Any]", value)


def items_of(value: Any, where: str, hint: str) -> list[Any]:
    """A JSON list.

    Raises:
        DataError: when it is something else.
    """
    if not isinstance(value, list):
        raise DataError("this should be a list", where=where, hint=hint)
    return cast("list[Any]", value)


def words_of(value: Any, where: str) -> str:
    """Text with something in it, as it stands.

    Raises:
        DataError: when it is no text, or empty.
    """
    if not isinstance(value, str) or not value.strip():
        raise DataError("this should be text", where=where, hint="a principle needs words")
    return value


def made(record: type[R], values: Mapping[str, Any], where: str) -> R:
    """A record of values read from a file.

    Raises:
        DataError: when the values are no such record.
    """
    try:
        return record.model_validate(dict(values))
    except ValidationError as error:
        raise DataError(explain_invalid(error), where=where, hint="the fields are not those of the format") from error
