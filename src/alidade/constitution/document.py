"""A constitution as a file: read with the line of every fault, written as YAML that a person likes to read.

Equal constitutions are written as equal bytes, and what is written reads back equal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from alidade.constitution.principles import Constitution
from alidade.errors import DataError
from alidade.registry import did_you_mean
from alidade.store import explain_invalid
from alidade.store.rows import write_text
from alidade.yaml_source import Source, read_source

_CONTENT = Path(__file__).with_name("content")
SHIPPED = "alidade"
NAMES = tuple(sorted(path.stem for path in _CONTENT.glob("*.yaml")))  # of the constitutions that come with alidade
_FIRST = "a constitution has at least `id:`, `title:`, `version:` and `principles:`"
_HINTS = {
    "version": "a version is three numbers, such as 1.0.0",
    "id": "an id is of small letters and digits, with `-` or `.` between: be-honest",
    "tier": "a tier is named by its id",
    "hazards": "hazards are MLCommons codes, S1 to S14",
    "polarity": "polarity is `encourage` or `avoid`",
    "kind": "kind is `behaviour`, `trait` or `process`",
    "requests": "a principle that is critiqued is revised too",
    "weight": "a weight is a number from 0 up; 1 is usual",
    "hard": "`hard` is true or false",
}
_LIKE_NUMBER = re.compile(r"(?!\d+\.\d+\.\d+$)[-+.\d][-+.\d_eE]*")
# What a block of YAML shows as it is: no breaks but `\n`, no tabs, no blanks that an editor would cut.
_PLAIN_LINES = re.compile(r"(?! )[^\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]+")
_TRAILING = re.compile(r" +(\n|$)")
_WIDTH = 110
_LONG = 60


@dataclass(frozen=True)
class Document:
    """A constitution, and where in its file each value stands."""

    constitution: Constitution
    source: Source

    def where(self, *place: str | int) -> str:
        """`file:line` of a value, or of the nearest that is written."""
        return self.source.where(*place).partition(" (")[0]

    def principle(self, place: int, *field: str) -> str:
        """`file:line` of a principle, or of one of its fields."""
        return self.where("principles", place, *field)


def read_constitution(path: Path | str) -> Constitution:
    """The constitution in a YAML file.

    Raises:
        DataError: with file:line and a hint, for a file that cannot be read and a field that cannot be.
    """
    return open_document(path).constitution


def open_document(path: Path | str) -> Document:
    """The constitution in a YAML file, with the line of every value.

    Raises:
        DataError: with file:line and a hint, for a file that cannot be read and a field that cannot be.
    """
    return parse_document(text_of(Path(path)), str(path))


def parse_document(text: str, file: str) -> Document:
    """The constitution in a YAML text; `file` is what errors call it.

    Raises:
        DataError: with file:line and a hint, for text that is no constitution.
    """
    source = read_source(text, file, noun="constitution", hint=_FIRST, error=DataError)
    try:
        return Document(Constitution.model_validate(source.tree), source)
    except ValidationError as error:
        raise _fault(error, source) from error


def shipped() -> Constitution:
    """The constitution that comes with alidade."""
    return open_document(shipped_path()).constitution


def shipped_path(name: str = SHIPPED) -> Path:
    """The file of a constitution that comes with alidade: one of `NAMES`."""
    return _CONTENT / f"{name}.yaml"


def find_document(name: str | Path) -> Document:
    """The document of a name (one of `NAMES`) or a path.

    Raises:
        DataError: when there is neither, or the file holds no constitution.
    """
    if str(name) in NAMES:
        return open_document(shipped_path(str(name)))
    path = Path(name)
    if not path.exists() and path.name == str(name) and not path.suffix:
        raise DataError(f"no constitution is called `{name}`", hint=did_you_mean(str(name), NAMES) + "; or give a file")
    return open_document(path)


def find_constitution(name_or_path: str | Path) -> Constitution:
    """The constitution of a name (one of `NAMES`) or in a file.

    Raises:
        DataError: when there is neither, or the file holds no constitution.
    """
    return find_document(name_or_path).constitution


def write_constitution(constitution: Constitution, path: Path) -> None:
    """Write a constitution as YAML, whole or not at all.

    Raises:
        DataError: when the folder is not there.
    """
    if not path.parent.is_dir():
        raise DataError("there is no such folder", where=str(path.parent), hint="make it first")
    write_text(path, as_yaml(constitution))


def as_yaml(constitution: Constitution) -> str:
    """The YAML of a constitution: fields in the order of the record, defaults left out, long text in blocks."""
    tree = constitution.model_dump(mode="json", exclude_defaults=True)
    text = yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH, default_flow_style=False)
    return re.sub(r"\n(?=(- |preamble:|tiers:|principles:|changelog:))", _gap, text)


def text_of(path: Path) -> str:
    """The text of a file.

    Raises:
        DataError: when there is none, or it is no text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(
            "there is no such file", where=str(path), hint="paths are relative to the folder you are in"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError("not UTF-8 text", where=str(path), hint="save the file as UTF-8") from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=str(path)) from error


def _gap(match: re.Match[str]) -> str:
    """A blank line between the parts of the document, none before the first item of a list."""
    before = match.string[: match.start()].rpartition("\n")[2]
    return "\n" if before in {"tiers:", "principles:", "changelog:"} else "\n\n"


class _Dumper(yaml.SafeDumper):
    """YAML as `yaml_source` reads it: what it would take for a number is quoted."""


def _text_node(dumper: _Dumper, text: str) -> yaml.Node:
    represent = cast(Any, dumper).represent_scalar
    is_plain = _PLAIN_LINES.fullmatch(text) and not _TRAILING.search(text) and not text.startswith("\n")
    if not is_plain or text.endswith("\n\n") or _LIKE_NUMBER.fullmatch(text):
        style = '"'  # a blank line kept at the end would grow by those we put between the parts
    elif "\n" in text:
        style = "|"
    else:
        style = ">" if len(text) > _LONG and "  " not in text else None
    return cast(yaml.Node, represent("tag:yaml.org,2002:str", text, style=style))


cast(Any, _Dumper).add_representer(str, _text_node)


def _fault(error: ValidationError, source: Source) -> DataError:
    found = error.errors()
    first = next(
        (one for one in found if one["type"] == "extra_forbidden"), found[0]
    )  # a misspelt field lacks its right name too
    place = first["loc"] or _place_of_name(source.tree)
    where = source.where(*place)
    if first["type"] == "extra_forbidden":
        *above, field = place
        known = _record_at(above).model_fields
        return DataError(f"unknown field `{field}`", where=where, hint=did_you_mean(str(field), known))
    if first["type"] == "string_type" and isinstance(first.get("input"), bool | int | float) and "version" not in place:
        return DataError(
            explain_invalid(error), where=where, hint="text that looks like a number or a truth needs quotes"
        )
    named = [part for part in place if isinstance(part, str)]
    hint = next((_HINTS[part] for part in reversed(named) if part in _HINTS), None) or _described(place)
    return DataError(explain_invalid(error), where=where, hint=hint)


def _place_of_name(tree: Mapping[str, Any]) -> tuple[str | int, ...]:
    """Where the second of two equal ids stands, or a tier that is not there: what the whole record complains of."""
    for noun in ("tiers", "principles"):
        seen: set[str] = set()
        for place, one in enumerate(tree.get(noun) or ()):
            if one["id"] in seen:
                return noun, place, "id"
            seen.add(one["id"])
    known = {one["id"] for one in tree.get("tiers") or ()}
    for place, one in enumerate(tree["principles"]):
        if one.get("tier") is not None and one["tier"] not in known:
            return "principles", place, "tier"
    return ()


def _record_at(place: list[str | int]) -> type[BaseModel]:
    """The record that holds the fields at a place of the document."""
    record: type[BaseModel] = Constitution
    for part in place:
        if isinstance(part, str):
            record = _record_in(record.model_fields[part].annotation) or record
    return record


def _record_in(annotation: Any) -> type[BaseModel] | None:
    """The record that a field holds: itself, or one of many."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = get_args(annotation)[:1] if get_origin(annotation) is Annotated else get_args(annotation)
    return next((found for one in inner if (found := _record_in(one)) is not None), None)


def _described(place: tuple[str | int, ...]) -> str | None:
    """What the record says about the field at a place, as a hint."""
    *above, field = place or ("",)
    about = _record_at(above).model_fields.get(str(field))
    return f"`{field}` is: {about.description}" if about is not None and about.description else None
