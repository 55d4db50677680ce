"""The ways side by side: evaluated models that a recipe names as different ways from the same start.

::

    report: {ways: {people: rlhf, principles: principled, both: both}}   # the way to the stage that makes its model

The last one is the headline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from alidade.pipeline import Run
from alidade.report import figures
from alidade.report.changes import Change, changes_between
from alidade.report.columns import Column

SIDE_BY_SIDE = ("refusal", "harmless", "over_refusal", "helpful", "facts", "honest", "sycophancy", "new_refusal")


@dataclass(frozen=True)
class Ways:
    """Each way's column, the paired tests between them, and what the recipe names that is not here."""

    columns: Mapping[str, Column] = field(default_factory=dict[str, Column])
    changes: Sequence[Change] = ()
    notes: Sequence[str] = ()

    def name_of(self, column: Column) -> str:
        """What the recipe calls the way that ends in a column, or nothing."""
        return next((way for way, one in self.columns.items() if one is column), "")


def ways_of(run: Run, columns: Sequence[Column]) -> Ways:
    """The ways that a run's recipe names; one without an evaluated model becomes a note."""
    asked = _asked(run)
    found = {way: column for way, stage in asked.items() if (column := _column(stage, columns)) is not None}
    notes = [
        f"`report.ways` names `{stage}` for `{way}`, which is no evaluated model of this run"
        for way, stage in asked.items()
        if way not in found
    ]
    return Ways(found, changes_between([*found.values()], SIDE_BY_SIDE), notes)


def headline_of(columns: Sequence[Column], ways: Ways) -> Column | None:
    """The column that the page shows big: the last way, or the last model."""
    return next(iter([*ways.columns.values()][-1:] or columns[-1:]), None)


def marks_of(columns: Sequence[Column], ways: Ways) -> list[str]:
    """The symbol of each column: the ways in the accent, or the last model where there are none."""
    count, named = len(columns), [*ways.columns][::-1]
    if not named:
        return [figures.mark_of(place, count) for place in range(count)]
    found = [ways.name_of(column) for column in columns]
    return [
        figures.way_mark(named.index(way)) if way else figures.mark_of(place, count + 1)
        for place, way in enumerate(found)
    ]


def _asked(run: Run) -> dict[str, str]:
    report = run.recipe.get("report")
    ways: Any = cast("Mapping[str, Any]", report).get("ways") if isinstance(report, Mapping) else None
    named = cast("Mapping[Any, Any]", ways) if isinstance(ways, Mapping) else {}
    return {str(way): str(stage) for way, stage in named.items()}


def _column(stage: str, columns: Sequence[Column]) -> Column | None:
    """The evaluation of a stage's model: of several the one that has its name, else the last."""
    made = [one for one in columns if stage in (one.origin, one.name)]
    return next((one for one in [*reversed(made)] if one.name == stage), made[-1] if made else None)
