"""Statements that people voted on, as a table: one column of text, with or without a header, and counts of who agreed.

The column names are those of Polis and its kin; a statement that asks to choose is a comparison request too.

Source: the collective constitution of Anthropic and the Collective Intelligence Project 2023.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter

from alidade.constitution.importers.imported import Given, Imported, choosing, counted, short_title
from alidade.constitution.principles import Principle
from alidade.errors import DataError

TEXT = ("statement", "commentbody", "comment", "principle", "text", "rule")
AGREE = ("agree", "agrees", "agreed", "votesfor", "for")
DISAGREE = ("disagree", "disagrees", "disagreed", "votesagainst", "against")
MODERATED = ("moderated",)
MODERATED_OUT = "statement moderated out"
EMPTY = "empty row"


def read_statements(given: Given) -> Imported:
    """A principle for each statement; with counts its weight is the share that agreed, one vote added on either side.

    Raises:
        DataError: with file:line, for a table without a column of text, or a count that is none.
    """
    rows = _rows(given)
    header = [_plain(name) for name in rows[0][1]] if rows else []
    text = _column(header, TEXT)
    if text is None and len(header) > 1:
        hint = "name the column of texts `statement`"
        raise DataError("no column of statements", where=f"{given.file}:1", hint=hint)
    counts = _column(header, AGREE), _column(header, DISAGREE)
    moderated = _column(header, MODERATED)
    left = Counter[str]()
    principles: list[Principle] = []
    for line, row in rows if text is None else rows[1:]:
        where = f"{given.file}:{line}"
        said = _cell(row, text or 0)
        if not said or _cell(row, moderated) == "-1":
            left[MODERATED_OUT if said else EMPTY] += 1
            continue
        principles.append(_principle(said, len(principles), _votes(row, counts, where)))
    used = {text, moderated, *counts} if text is not None else {0}
    left.update(f"column {name}" for place, name in enumerate(header) if place not in used)
    return Imported(constitution=given.constitution(given.stem, principles), format="statements", left=dict(left))


def _principle(text: str, place: int, votes: tuple[int, int] | None) -> Principle:
    weight, rationale = counted(*votes) if votes else (1.0, "")
    name, title = f"statement{place + 1}", short_title(text)
    return Principle(id=name, title=title, text=text, rationale=rationale, weight=weight, requests=choosing(text))


def _rows(given: Given) -> list[tuple[int, list[str]]]:
    delimiter = "\t" if given.file.endswith(".tsv") else ","
    reader = csv.reader(io.StringIO(given.text, newline=""), delimiter=delimiter, strict=True)
    found: list[tuple[int, list[str]]] = []
    line = 1
    try:
        for row in reader:
            if row:
                found.append((line, row))
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"not a table: {error}", where=f"{given.file}:{line}", hint="quote a cell with commas"
        ) from error
    return found


def _votes(row: list[str], columns: tuple[int | None, int | None], where: str) -> tuple[int, int] | None:
    if columns[0] is None or columns[1] is None:
        return None
    cells = [_cell(row, column) for column in columns]
    if not all(re.fullmatch(r"\d+(\.0+)?", cell) for cell in cells):
        raise DataError(
            f"no counts: {cells[0]!r}, {cells[1]!r}", where=where, hint="agree and disagree are whole numbers"
        )
    return int(float(cells[0])), int(float(cells[1]))


def _column(header: list[str], names: tuple[str, ...]) -> int | None:
    return next((header.index(name) for name in names if name in header), None)


def _cell(row: list[str], column: int | None) -> str:
    return row[column].strip() if column is not None and column < len(row) else ""


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())
