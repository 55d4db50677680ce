"""The table of formats, and which of them a file is of."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from alidade.constitution.document import text_of
from alidade.constitution.importers.imported import Given, Imported
from alidade.errors import DataError
from alidade.registry import Registry

AUTO = "auto"
Importer = Callable[[Given], Imported]
_HERE = "alidade.constitution.importers"

FORMATS: Registry[Importer] = Registry(
    "alidade.constitution_formats",
    {
        "cai": f"{_HERE}.published:read_published",
        "hf": f"{_HERE}.chats:read_chats",
        "rbr": f"{_HERE}.propositions:read_propositions",
        "markdown": f"{_HERE}.headings:read_headings",
        "statements": f"{_HERE}.statements:read_statements",
        "icai": f"{_HERE}.learned:read_learned",
        "traits": f"{_HERE}.traits:read_traits",
        "lines": f"{_HERE}.lines:read_lines",
    },
    noun="format",
)
_JSON = ((("CritiqueRevisionInstructions", "RLMadisonInstructions"), "cai"), (("constitutions",), "hf"))
_JSON_BEGINS = re.compile(r"""\s*(\{|\[\s*["{\[\]])""")  # a line may begin with a word in brackets
_HEADING = re.compile(r"^#{1,6} +\S", re.MULTILINE)


def import_constitution(path: Path, fmt: str = AUTO, *, name: str | None = None, title: str | None = None) -> Imported:
    """A constitution from a file of another format, which its content tells where `fmt` is `auto`.

    Raises:
        DataError: naming the place and a hint, when the file is malformed or of no known format.
        UsageError: when there is no such format.
    """
    given = Given(
        text=text_of(path), file=str(path), stem=path.name.partition(".")[0] or "imported", id=name, title=title
    )
    return FORMATS.get(format_of(given) if fmt == AUTO else fmt)(given)


def format_of(given: Given) -> str:
    """The format of a file, by its content first and its suffix where that leaves a choice.

    Raises:
        DataError: when it is empty, a constitution of ours already, or JSON of no known kind.
    """
    text, suffix = given.text, Path(given.file).suffix.lower()
    if not text.strip():
        raise DataError("the file is empty", where=given.file, hint="give a file of principles")
    if suffix == ".json" or _JSON_BEGINS.match(text):
        return _of_json(given.json())
    if re.search(r"^simple_propositions:", text, re.MULTILINE):
        return "rbr"
    if re.search(r"^principles:", text, re.MULTILINE) and re.search(r"^version:", text, re.MULTILINE):
        hint = f"alidade constitution lint {given.file}"
        raise DataError("this is a constitution of ours already", where=given.file, hint=hint)
    if suffix in {".csv", ".tsv"}:
        return "statements"
    return "markdown" if suffix in {".md", ".markdown"} or _HEADING.search(text) else "lines"


def _of_json(value: Any) -> str:
    rows = cast("list[Any]", value) if isinstance(value, list) else []
    if any(isinstance(row, dict) and "trait" in row for row in rows):
        return "traits"
    keys: set[str] = set(cast("dict[str, Any]", value)) if isinstance(value, dict) else set()
    return next((name for fields, name in _JSON if keys & set(fields)), "icai")
