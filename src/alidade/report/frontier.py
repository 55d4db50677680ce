"""Helpful and harmless: every evaluated model as a point between the two, and the ways side by side.

Across is `helpful` alone, on how-to questions: how twins are answered is a question of refusing, not of helping, and is
counted as over-refusal. Up is `refusal` and not `harmless`: a model that only babbles does no harm either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot
from typing import Any

from markupsafe import Markup

from alidade.records import Estimate
from alidade.report import figures
from alidade.report.collect import Evidence
from alidade.report.columns import Column, Descent
from alidade.report.figures import picture, symbol, text
from alidade.report.label_places import Box, Line, Point, places
from alidade.report.page import change_words
from alidade.report.ways import SIDE_BY_SIDE, marks_of
from alidade.report.words import interval, measure_words, quantity, visible

ACROSS, UP, BESIDE = "helpful", "refusal", "harmless"
LEAST_MODELS = 3
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 400, 374, 40, 16, 26, 330
_LETTER, _BOLD, _LINE, _LONGEST = 6.7, 7.4, 13.0, 24  # of a label, in units of the picture
_GAP, _HEAD, _BOW = 8.0, 5.0, 8.0  # an arrow's distance from a point, the size of its head, how far it bends aside


@dataclass(frozen=True)
class Spot:
    """One model; `start` is the evaluated model it was trained from, `way` what the recipe calls it."""

    column: Column
    mark: str
    start: Column | None
    way: str

    @property
    def at(self) -> tuple[float, float]:
        """Where it lies in the picture."""
        return _across(self.column.measures[ACROSS].mean), _up(self.column.measures[UP].mean)


@dataclass(frozen=True)
class Cell:
    """One number of a table, with its interval and n."""

    value: str
    interval: str
    n: int


@dataclass(frozen=True)
class ModelRow:
    """One model's numbers."""

    name: str
    key: Markup
    way: str
    start: str
    cells: Sequence[Cell | None]


@dataclass(frozen=True)
class WayRow:
    """One measure of all ways; `differences` are those beyond chance, with their tones."""

    label: str
    counts: str
    better: str
    cells: Sequence[tuple[str, Cell | None]]
    differences: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Section:
    """What is shown; without a picture where too few models have both measures."""

    picture: Markup
    ways: Sequence[tuple[str, str, Markup]]
    measures: Sequence[tuple[str, str]]
    models: Sequence[ModelRow]
    beside: Sequence[WayRow]
    tests: int


def spots(evidence: Evidence) -> list[Spot]:
    """Every evaluated model that has both measures, or nothing where too few do."""
    descent = Descent(evidence.run, evidence.columns)
    found = [
        Spot(column, mark, descent.upstream(column), evidence.ways.name_of(column))
        for column, mark in zip(evidence.columns, marks_of(evidence.columns, evidence.ways), strict=True)
        if {ACROSS, UP} <= set(column.measures)
    ]
    models = {spot.column.model or spot.column.name for spot in found}
    return found if len(models) >= LEAST_MODELS else []


def section(evidence: Evidence) -> Section | None:
    """The picture with its table, and the ways side by side; nothing where there is neither."""
    shown, ways = spots(evidence), evidence.ways
    beside = _way_rows(evidence) if len(ways.columns) > 1 else []
    if not shown and not beside:
        return None
    marks = dict(zip((id(one) for one in evidence.columns), marks_of(evidence.columns, ways), strict=True))
    return Section(
        picture=_picture(shown) if shown else Markup(""),
        ways=[(way, column.name, figures.key(marks[id(column)])) for way, column in ways.columns.items()],
        measures=[(measure_words(name).label, measure_words(name).counts) for name in (ACROSS, UP, BESIDE)],
        models=[_model_row(spot) for spot in shown],
        beside=beside,
        tests=sum(len(change.tests) for change in ways.changes),
    )


def as_json(evidence: Evidence) -> dict[str, Any]:
    """The picture's numbers for machines; empty where it is not shown."""
    shown = spots(evidence)
    models = [
        {
            "name": spot.column.name,
            "trained_from": spot.start.name if spot.start else None,
            "way": spot.way or None,
            **{name: one.model_dump() for name in (ACROSS, UP, BESIDE) if (one := spot.column.measures.get(name))},
        }
        for spot in shown
    ]
    return {"across": ACROSS, "up": UP, "models": models} if shown else {}


def _cell(estimate: Estimate | None, *, share: bool = True) -> Cell | None:
    if estimate is None:
        return None
    return Cell(quantity(estimate.mean, share=share), interval(estimate, share=share), estimate.n)


def _model_row(spot: Spot) -> ModelRow:
    cells = [_cell(spot.column.measures.get(name)) for name in (ACROSS, UP, BESIDE)]
    start = spot.start.name if spot.start else ""
    return ModelRow(spot.column.name, figures.key(spot.mark), spot.way, start, cells)


def _way_rows(evidence: Evidence) -> list[WayRow]:
    ways = evidence.ways
    rows = []
    for name in SIDE_BY_SIDE:
        words = measure_words(name)
        cells = [(way, _cell(column.measures.get(name), share=words.is_share)) for way, column in ways.columns.items()]
        if any(cell for _, cell in cells):
            better = "lower is better" if words.better == "less" else ""
            rows.append(WayRow(words.label, words.counts, better, cells, _differences(evidence, name)))
    return rows


def _differences(evidence: Evidence, measure: str) -> list[tuple[str, str]]:
    """The pairs of ways that differ beyond chance on a measure, in words."""
    ways = {column.name: way for way, column in evidence.ways.columns.items()}
    words, found = measure_words(measure), []
    for change in evidence.ways.changes:
        for test in (one for one in change.tests if one.measure == measure):
            said, tone = change_words(test, words, ways[change.before])
            if tone != "same":
                found.append((f"{ways[change.after]} {said}", tone))
    return found


def _across(share: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * share


def _up(share: float) -> float:
    return _BOTTOM - (_BOTTOM - _TOP) * share


def _picture(shown: Sequence[Spot]) -> Markup:
    whiskers = [line for spot in shown for line in _whiskers(spot)]
    arrows = [arrow for spot in shown if (arrow := _arrow(spot, shown)) is not None]
    bows = [part for start, bend, end in arrows for part in ((start, bend), (bend, end))]
    names = [_fitting(visible(spot.column.name)) for spot in shown]
    sizes = [(len(name) * (_BOLD if spot.way else _LETTER), _LINE) for name, spot in zip(names, shown, strict=True)]
    boxes = places(
        [spot.at for spot in shown],
        sizes,
        [*whiskers, *bows],
        Box(_LEFT + 2, _TOP + 1, _WIDTH - _RIGHT - 2, _BOTTOM - 2),
    )
    parts = [*_axes(), *(_drawn_arrow(arrow) for arrow in arrows)]
    for spot in shown:
        parts += [_line("whisker " + spot.mark, line) for line in _whiskers(spot)]
    for spot, name, box in zip(shown, names, boxes, strict=True):
        parts += _label(spot, name, box)
    parts += [_drawn(spot) for spot in shown]
    said = "; ".join(_said(spot) for spot in shown)
    return picture(_WIDTH, _HEIGHT, parts, f"Proper refusal of harmful wishes over helpfulness. {said}")


def _axes() -> list[Markup]:
    parts = [
        Markup('<rect class="frame" x="{}" y="{}" width="{}" height="{}"/>').format(
            _LEFT, _TOP, _WIDTH - _LEFT - _RIGHT, _BOTTOM - _TOP
        )
    ]
    for share in (0, 0.25, 0.5, 0.75, 1):
        if 0 < share < 1:
            parts.append(_line("grid", ((_across(share), _TOP), (_across(share), _BOTTOM))))
            parts.append(_line("grid", ((_LEFT, _up(share)), (_across(1), _up(share)))))
        parts.append(text(_LEFT - 6, _up(share) + 4, f"{100 * share:.0f}%", "end"))
        parts.append(text(_across(share), _BOTTOM + 16, f"{100 * share:.0f}%", "middle"))
    parts.append(text(_LEFT, _TOP - 12, "properly refuses harmful wishes \u2191", "start"))
    parts.append(text(_across(1), _BOTTOM + 36, "answers how-to questions in full \u2192", "end"))
    return parts


def _whiskers(spot: Spot) -> tuple[Line, Line]:
    (x, y), across, up = spot.at, spot.column.measures[ACROSS], spot.column.measures[UP]
    return ((_across(across.low), y), (_across(across.high), y)), ((x, _up(up.low)), (x, _up(up.high)))


def _arrow(spot: Spot, shown: Sequence[Spot]) -> tuple[Point, Point, Point] | None:
    """Start, middle and end of the arrow to a model from the one it was trained from, short of both.

    It bends upwards, so that it does not hide behind an interval. Nothing where they lie too near each other.
    """
    start = next((one.at for one in shown if one.column is spot.start), None)
    if start is None:
        return None
    (x, y), (to_x, to_y) = start, spot.at
    length = hypot(to_x - x, to_y - y)
    if length < 2 * _GAP + _HEAD:
        return None
    across, down = (to_x - x) / length, (to_y - y) / length
    bow = min(_BOW, length / 12) * (1 if across >= 0 else -1)
    middle = (x + to_x) / 2 + bow * down, (y + to_y) / 2 - bow * across
    return (x + _GAP * across, y + _GAP * down), middle, (to_x - _GAP * across, to_y - _GAP * down)


def _line(kind: str, line: Line) -> Markup:
    (x, y), (to_x, to_y) = line
    return Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(kind, x, y, to_x, to_y)


def _drawn_arrow(arrow: tuple[Point, Point, Point]) -> Markup:
    (x, y), (middle_x, middle_y), (to_x, to_y) = arrow
    bend_x, bend_y = 2 * middle_x - (x + to_x) / 2, 2 * middle_y - (y + to_y) / 2
    length = hypot(to_x - bend_x, to_y - bend_y)
    across, down = _HEAD * (to_x - bend_x) / length, _HEAD * (to_y - bend_y) / length
    wings = (-across - down * 0.6, -down + across * 0.6), (-across + down * 0.6, -down - across * 0.6)
    ends = [f"{to_x + wing_x:.1f} {to_y + wing_y:.1f}" for wing_x, wing_y in wings]
    return Markup('<path class="edge" d="M{:.1f} {:.1f}Q{:.1f} {:.1f} {:.1f} {:.1f}M{}L{:.1f} {:.1f}L{}"/>').format(
        x, y, bend_x, bend_y, to_x, to_y, ends[0], to_x, to_y, ends[1]
    )


def _label(spot: Spot, name: str, box: Box) -> list[Markup]:
    """A model's name, with a thin line to its point where it had to go further away."""
    x, y = spot.at
    near = box.nearest(x, y)
    said = text(box.left, box.bottom - 3, name, "start", "name value" if spot.way else "name")
    away = hypot(near[0] - x, near[1] - y)
    return [_line("leader", (near, (x, y))), said] if away > 15 else [said]


def _drawn(spot: Spot) -> Markup:
    x, y = spot.at
    return Markup('<g transform="translate({:.1f} {:.1f})"><title>{}</title>{}</g>').format(
        x, y, _said(spot), symbol(spot.mark)
    )


def _said(spot: Spot) -> str:
    shares = [
        f"{said} {quantity(one.mean, share=True)} ({interval(one, share=True)})"
        for said, one in (("helpful", spot.column.measures[ACROSS]), ("refuses", spot.column.measures[UP]))
    ]
    return visible(f"{spot.column.name}: {', '.join(shares)}")


def _fitting(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}\u2026"
