"""Which of the rows that share an id with the one asked for have to do with it: those about the same conversation.

Two stages that draw prompts number them alike, so an id alone may be a stranger's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from alidade.pipeline import RowFound
    from alidade.store import Manifest

_ITSELF = 3
_FIELDS = ("conversation", "prompt")


def related(rows: Sequence[RowFound], manifests: Sequence[Manifest], stage: str = "") -> list[RowFound]:
    """The rows in the lineage of the asked ones; with `stage`, of those that lie in an artifact of that stage.

    A row is a stranger's when it is about another conversation, or says of none and lies below strangers alone.
    """
    asked = [row for row in rows if row.nearness == _ITSELF] or list(rows)
    if stage:
        asked = [row for row in asked if row.manifest.name == stage]
    talks = {talk for row in asked if (talk := _talk(row.row)) is not None}
    if not talks:
        return [row for row in rows if not stage or row in asked]
    same = {row.manifest.digest for row in rows if _talk(row.row) in talks}
    others = {row.manifest.digest for row in rows if _talk(row.row) is not None} - same
    above = _above(manifests)
    return [
        row
        for row in rows
        if (talk := _talk(row.row)) in talks
        or (talk is None and (above(row.manifest.digest) & same or not above(row.manifest.digest) & others))
    ]


def conversations(rows: Sequence[RowFound]) -> dict[str, list[str]]:
    """The stages in which the asked id stands for itself, by the conversation it stands for."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row.nearness == _ITSELF and (talk := _talk(row.row)) is not None:
            stages = found.setdefault(talk, [])
            if row.manifest.name not in stages:
                stages.append(row.manifest.name)
    return found


def _talk(row: Any) -> str | None:
    """The conversation that a row is about, as text to compare by; None where it holds none."""
    if not isinstance(row, dict):
        return None
    fields = cast("dict[str, Any]", row)
    if "messages" in fields:
        return json.dumps(fields["messages"], sort_keys=True)
    inner = [fields[name] for name in (*_FIELDS, "comparison") if isinstance(fields.get(name), dict)]
    return next((talk for one in inner if (talk := _talk(one)) is not None), None)


def _above(manifests: Sequence[Manifest]) -> Callable[[str], set[str]]:
    inputs: Mapping[str, set[str]] = {
        one.digest: {record.digest for record in one.inputs.values()} for one in manifests
    }

    def above(digest: str) -> set[str]:
        found: set[str] = set()
        waiting = [digest]
        while waiting:
            more = inputs.get(waiting.pop(), set()) - found
            found |= more
            waiting += more
        return found

    return above
