"""The report's figures as inline SVG, drawn by hand: no script, no image, colours from the page's own style sheet.

Text goes in through `Markup.format`, which escapes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10

from markupsafe import Markup

from alidade.records import Estimate
from alidade.report.words import number, visible
from alidade.stats import CalibrationBin, wilson_interval

_MARKS = ("hollow", "diamond", "solid", "square")  # of the models before the last one, in order


@dataclass(frozen=True)
class Axis:
    """What a strip spans."""

    low: float = 0.0
    high: float = 1.0

    def percent(self, value: float) -> str:
        """Where a value lies on the strip, as a length."""
        span = (self.high - self.low) or 1.0
        return f"{100 * (min(max(value, self.low), self.high) - self.low) / span:.2f}%"


def axis_of(estimates: Sequence[Estimate], *, share: bool) -> Axis:
    """From 0 to 1 for shares; otherwise just wide enough for all intervals, with some air."""
    if share or not estimates:
        return Axis()
    low, high = min(one.low for one in estimates), max(one.high for one in estimates)
    air = 0.08 * ((high - low) or abs(high) or 1.0)
    return Axis(low - air, high + air)


def mark_of(place: int, count: int) -> str:
    """The symbol of the model at `place` of `count`: the last one is the accent."""
    return "last" if place == count - 1 else _MARKS[place % len(_MARKS)]


def way_mark(place: int) -> str:
    """The symbol of a way that stands `place` before the last one: all in the accent, the last one a dot."""
    return ("last", "last diamond", "last square")[place % 3]


def symbol(mark: str) -> Markup:
    """A model's symbol around the origin."""
    if mark.endswith("diamond"):
        return Markup('<path class="mark {}" d="M0-5 5 0 0 5-5 0z"/>').format(mark)
    if mark.endswith("square"):
        return Markup('<rect class="mark {}" x="-3.5" y="-3.5" width="7" height="7"/>').format(mark)
    return Markup('<circle class="mark {}" r="{}"/>').format(mark, 4.5 if mark == "last" else 4)


def key(mark: str) -> Markup:
    """A model's symbol, for a legend."""
    return Markup('<svg class="key" width="14" height="14" viewBox="-7 -7 14 14" aria-hidden="true">{}</svg>').format(
        symbol(mark)
    )


def lane(estimate: Estimate, axis: Axis, mark: str) -> Markup:
    """One estimate and its interval on a strip as wide as its place on the page."""
    grid = Markup("").join(
        Markup('<line class="grid" x1="{0}%" x2="{0}%" y1="0" y2="20"/>').format(at) for at in (0, 25, 50, 75, 100)
    )
    return Markup(
        '<svg class="lane" width="100%" height="20" aria-hidden="true">{}'
        '<line class="whisker {}" x1="{}" x2="{}" y1="10" y2="10"/>'
        '<svg x="{}" y="10" overflow="visible">{}</svg></svg>'
    ).format(
        grid, mark, axis.percent(estimate.low), axis.percent(estimate.high), axis.percent(estimate.mean), symbol(mark)
    )


def reliability(bins: Sequence[CalibrationBin]) -> Markup:
    """Predicted against observed with 95 % intervals; the line is a reward model that means what it says."""
    start = 0.5 if bins and bins[0].low >= 0.5 - 1e-9 else 0.0
    left, top, size = 44, 10, 250

    def across(value: float) -> float:
        return round(left + size * (value - start) / (1 - start), 1)

    def up(value: float) -> float:
        return round(top + size * (1 - (value - low) / (1 - low)), 1)

    spans = [wilson_interval(one.observed * one.n, one.n) for one in bins]
    lowest = min((first for first, _ in spans), default=0.0)
    low = max(share for share in (0.0, 0.25, 0.5) if share <= min(lowest, start))
    parts = [_square(left, top, size)]
    for share in (0, 0.25, 0.5, 0.75, 1):
        if share >= low:
            parts.append(text(left - 8, up(share) + 4, f"{100 * share:.0f}%", "end"))
        if share >= start:
            parts.append(text(across(share), top + size + 18, f"{100 * share:.0f}%", "middle"))
    diagonal = '<line class="ideal" x1="{}" y1="{}" x2="{}" y2="{}"/>'
    parts.append(Markup(diagonal).format(across(start), up(max(start, low)), across(1), up(1)))
    most = max((one.n for one in bins), default=1)
    for one, (first, last) in zip(bins, spans, strict=True):
        whisker = '<line class="whisker last" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>'
        parts.append(Markup(whisker).format(across(one.predicted), up(first), up(last)))
        dot = '<circle class="mark last" cx="{}" cy="{}" r="{}"><title>{}</title></circle>'
        radius = round(3 + 4 * (one.n / most) ** 0.5, 1)
        said = f"predicted {one.predicted:.2f}, observed {one.observed:.2f}, n = {one.n}"
        parts.append(Markup(dot).format(across(one.predicted), up(one.observed), radius, said))
    parts.append(text(left + 8, top + 16, "observed", "start"))
    parts.append(text(left + size / 2, top + size + 38, "predicted probability of being better", "middle"))
    return picture(left + size + 16, top + size + 46, parts, "Reliability diagram: predicted and observed preference")


def curve(values: Sequence[float], label: str, rows: int) -> Markup:
    """A series over `rows` steps, with the range on the left and the last value at the end."""
    width, height, left, right, top, bottom = 260, 132, 42, 46, 12, 112
    low, high = _range(values)
    across = [left + (width - left - right) * place / max(len(values) - 1, 1) for place in range(len(values))]
    heights = [bottom - (bottom - top) * (value - low) / ((high - low) or 1) for value in values]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, heights, strict=True))
    parts = []
    for tick in ticks(low, high):
        y = bottom - (bottom - top) * (tick - low) / ((high - low) or 1)
        grid = '<line class="grid" x1="{0}" x2="{1}" y1="{2:.1f}" y2="{2:.1f}"/>'
        parts.append(Markup(grid).format(left, width - right, y))
        parts.append(text(left - 6, y + 4, number(tick), "end"))
    parts.append(Markup('<polyline class="series" points="{}"/>').format(points))
    parts.append(Markup('<circle class="mark last" cx="{:.1f}" cy="{:.1f}" r="3.5"/>').format(across[-1], heights[-1]))
    parts.append(text(across[-1] + 8, heights[-1] + 4, number(values[-1], 2), "start", "value"))
    parts.append(text(left, height - 2, "1", "start"))
    parts.append(text(across[-1], height - 2, f"{rows:,}", "end"))
    said = f"{label}: from {number(values[0])} to {number(values[-1])} in {rows} steps"
    return picture(width, height, parts, said)


def control_chart(path: Sequence[float], threshold: float, alarm: int | None, said: str) -> Markup:
    """A CUSUM over its trials; the dashed line is the threshold, the dot where it was passed."""
    width, height, left, right, top, bottom = 260, 132, 34, 14, 12, 112
    highest = max(threshold, *path) * 1.05

    def across(trial: int) -> float:
        return left + (width - left - right) * (trial - 1) / max(len(path) - 1, 1)

    def up(value: float) -> float:
        return bottom - (bottom - top) * value / highest

    points = " ".join(f"{across(trial):.1f},{up(value):.1f}" for trial, value in enumerate(path, start=1))
    line = '<line class="{}" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
    parts = [Markup(line).format("grid", left, width - right, bottom, bottom)]
    parts.append(Markup(line).format("ideal", left, width - right, up(threshold), up(threshold)))
    parts += [text(left - 6, up(value) + 4, number(value, 2), "end") for value in (0.0, threshold)]
    parts.append(Markup('<polyline class="series" points="{}"/>').format(points))
    if alarm is not None:
        dot = '<circle class="mark last" cx="{:.1f}" cy="{:.1f}" r="3.5"/>'
        parts.append(Markup(dot).format(across(alarm), up(path[alarm - 1])))
    parts += [text(left, height - 2, "1", "start"), text(width - right, height - 2, f"{len(path):,}", "end")]
    return picture(width, height, parts, said)


def thinned(values: Sequence[float], most: int = 120) -> list[float]:
    """At most `most` values: means over equal stretches, the last one whole, so that noise does not hide the course."""
    if len(values) <= most:
        return list(values)
    size = -(-len(values) // most)
    return [sum(part) / len(part) for part in (values[at : at + size] for at in range(0, len(values), size))]


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    if 0 < low < 0.6 * high:
        low = 0.0
    if high == low:
        low, high = low - (abs(low) or 1) * 0.5, high + (abs(high) or 1) * 0.5
    return low, high


def ticks(low: float, high: float) -> list[float]:
    """Two to five round values within a range."""
    rough = (high - low) / 3
    unit = 10.0 ** floor(log10(rough))
    step = next(factor * unit for factor in (1, 2, 5, 10) if factor * unit >= rough)
    first = -(-low // step)
    ticks = [round((first + place) * step, 12) for place in range(6)]
    return [tick for tick in ticks if low - 1e-12 <= tick <= high + 1e-12]


def _square(left: float, top: float, size: float) -> Markup:
    return Markup('<rect class="frame" x="{}" y="{}" width="{}" height="{}"/>').format(left, top, size, size)


def text(x: float, y: float, said: str, anchor: str, kind: str = "tick") -> Markup:
    """A label; `anchor` is where on it (x, y) lies: start, middle or end."""
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        kind, x, y, anchor, visible(said)
    )


def picture(width: float, height: float, parts: Sequence[Markup], said: str) -> Markup:
    """The parts as one figure; `said` is what somebody is told who cannot see it."""
    return Markup('<svg viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}">{}</svg>').format(
        width, height, visible(said), Markup("").join(parts)
    )
