"""A plain list: one principle a line, with or without bullets or numbers, as most published lists are."""

from __future__ import annotations

import re

from alidade.constitution.importers.imported import Given, Imported, choosing, short_title
from alidade.constitution.principles import Principle

_MARK = re.compile(r"^\s*(?:[-*+•]|\d+[.)])\s+")


def read_lines(given: Given) -> Imported:
    """A principle for each line that is not empty; one that asks to choose is a comparison request too.

    Raises:
        DataError: when all lines are empty.
    """
    principles: list[Principle] = []
    for line in given.text.splitlines():
        if text := _MARK.sub("", line).strip():
            name = f"principle{len(principles) + 1}"
            principles.append(Principle(id=name, title=short_title(text), text=text, requests=choosing(text)))
    return Imported(constitution=given.constitution(given.stem, principles), format="lines")
