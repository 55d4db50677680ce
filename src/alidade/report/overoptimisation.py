"""Proxy against gold over the distance a policy has gone: a picture and a sentence for each reward model and method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from typing import Any

from markupsafe import Markup

from alidade.evals.overoptimisation import Method, fitted
from alidade.records import Estimate
from alidade.report.figures import picture, text, ticks
from alidade.report.words import number

Values = Mapping[str, Any]
METHODS: tuple[tuple[Method, str, str], ...] = (("best_of_n", "Best of n", "n = "), ("ppo", "PPO", "iteration "))
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 320, 214, 34, 50, 12, 168
_FIT_STEPS = 40
NEXT_TO_NONE = 1e-3  # nats: rounding, between a policy and itself


@dataclass(frozen=True)
class OptimisationPlot:
    """One method against one reward model."""

    title: str
    picture: Markup
    says: str


@dataclass(frozen=True)
class OptimisationRow:
    """One method: a plot for every reward model, on the same axes."""

    method: str
    plots: Sequence[OptimisationPlot]


@dataclass(frozen=True)
class Frame:
    """The axes that the plots of one row share: d = sqrt(KL) across, gains up."""

    furthest: float
    low: float
    high: float

    def across(self, kl: float) -> float:
        """Where a KL in nats lies."""
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * sqrt(max(kl, 0.0)) / self.furthest

    def up(self, gain: float) -> float:
        """Where a gain lies; what is outside goes to the edge."""
        inside = min(max(gain, self.low), self.high)
        return _BOTTOM - (_BOTTOM - _TOP) * (inside - self.low) / (self.high - self.low)


def rows(found: Values) -> list[OptimisationRow]:
    """Everything that is shown, in reading order."""
    sizes: Sequence[Values] = found.get("sizes") or ()
    return [_row(sizes, method, label, unit) for method, label, unit in METHODS if sizes]


def fits(found: Values) -> list[dict[str, str]]:
    """The paper's curves as fitted, a row per reward model and method."""
    return [
        {
            "name": _named(size),
            "method": label,
            "alpha": number(fit["alpha"]),
            "beta": number(fit["beta"]),
            "r2": number(fit["r2"], 2) if fit["r2"] is not None else "\u2013",
            "peak": number(fit["peak_kl"]) if fit["peak_kl"] is not None else "none",
            "measured": number(size[method]["peak"]["kl"]),
        }
        for method, label, _ in METHODS
        for size in found.get("sizes") or ()
        if (fit := size[method]["fit"]) is not None
    ]


def _named(size: Values) -> str:
    count = size.get("comparisons")
    return f"{count:,} comparisons" if count else str(size["name"])


def _row(sizes: Sequence[Values], method: Method, label: str, unit: str) -> OptimisationRow:
    points = [point for size in sizes for point in size[method]["curve"]]
    gains = [point[name][end] for point in points for name in ("gold", "proxy") for end in ("low", "high")]
    furthest = max(sqrt(max(point["kl"], 0.0)) for point in points) or 1.0
    low, high = min(0.0, *gains), max(0.0, *gains)
    frame = Frame(furthest, low, high if high > low else low + 1.0)
    plots = [
        OptimisationPlot(f"{label}, {_named(size)}", _plot(size[method], method, frame), says(size[method], unit))
        for size in sizes
    ]
    return OptimisationRow(label, plots)


def says(found: Values, unit: str) -> str:
    """What one curve means, in plain words, from its numbers; what may be noise is not called a rise or a fall."""
    chosen, end = found["chosen"], found["end"]
    ahead = _against(chosen["gap"], "more than gold gives", "less than gold gives", "about what gold gives")
    if chosen["at"] == end["at"]:
        return f"{_best(chosen, unit)} The proxy promises {ahead}. No point was further, so a fall could not be seen."
    fall = Estimate.model_validate(found["fall"])
    course = "rises by" if fall.low > 0 else "falls by" if fall.high < 0 else "does not clearly change:"
    change = _signed(fall) if fall.low <= 0 <= fall.high else _against(found["fall"], "", "", "").rstrip()
    last = _against(end["gap"], "more", "less", "about the same")
    return (
        f"{_best(chosen, unit)} To the end, KL {number(end['kl'], 2)}, gold {course} {change}. The proxy promises {ahead} "
        f"at the chosen point, and {last} at the end."
    )


def _best(chosen: Values, unit: str) -> str:
    if chosen["kl"] < NEXT_TO_NONE:
        return "Chosen on other prompts: the start itself; nothing later led clearly."
    gained = _against(chosen["gold"], "above the start", "below the start", "not clearly different from the start")
    return f"Chosen on other prompts: {unit}{chosen['at']}, KL {number(chosen['kl'], 2)} nats. There gold is {gained}."


def _against(value: Any, above: str, below: str, same: str) -> str:
    """A difference without its sign, and on which side it lies; with its sign where it may be noise."""
    one = Estimate.model_validate(value)
    if one.low <= 0 <= one.high:
        return f"{same}, {_signed(one)}" if one.low < 0 < one.high else same
    ends = sorted((abs(one.low), abs(one.high)))
    return (
        f"{number(abs(one.mean), 2)} ({number(ends[0], 2)} to {number(ends[1], 2)}) {above if one.mean > 0 else below}"
    )


def _signed(one: Estimate) -> str:
    return f"{number(one.mean, 2)} ({number(one.low, 2)} to {number(one.high, 2)})"


def _plot(found: Values, method: Method, frame: Frame) -> Markup:
    curve: Sequence[Values] = found["curve"]
    parts = [*_axes(frame)]
    for name, kind in (("proxy", "proxy"), ("gold", "gold")):
        parts.append(_band(curve, name, kind, frame))
    if found["fit"] is not None:
        parts.append(_fit(found["fit"], method, max(point["kl"] for point in curve), frame))
    places = _apart([frame.up(curve[-1][name]["mean"]) for name in ("proxy", "gold")])
    for (name, kind), place in zip((("proxy", "tick"), ("gold", "value")), places, strict=True):
        line = " ".join(f"{frame.across(point['kl']):.1f},{frame.up(point[name]['mean']):.1f}" for point in curve)
        parts.append(Markup('<polyline class="series {}" points="{}"/>').format(name, line))
        parts.append(text(frame.across(curve[-1]["kl"]) + 6, place + 4, name, "start", kind))
    best = found["chosen"]
    x, y = frame.across(best["kl"]), frame.up(best["gold"]["mean"])
    parts.append(Markup('<line class="ideal" x1="{0:.1f}" x2="{0:.1f}" y1="{1:.1f}" y2="{2}"/>').format(x, y, _BOTTOM))
    parts.append(Markup('<circle class="mark last" cx="{:.1f}" cy="{:.1f}" r="4"/>').format(x, y))
    return picture(
        _WIDTH, _HEIGHT, parts, f"Gain of proxy and gold over KL; gold is best at KL {number(best['kl'])} nats"
    )


def _axes(frame: Frame) -> list[Markup]:
    parts = []
    for gain in ticks(frame.low, frame.high):
        y = frame.up(gain)
        kind = "ideal" if gain == 0 else "grid"
        grid = '<line class="{}" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
        parts.append(Markup(grid).format(kind, _LEFT, _WIDTH - _RIGHT, y, y))
        parts.append(text(_LEFT - 6, y + 4, number(gain), "end"))
    for distance in ticks(0.0, frame.furthest):
        parts.append(text(frame.across(distance**2), _BOTTOM + 16, number(distance**2), "middle"))
    parts.append(text((_LEFT + _WIDTH - _RIGHT) / 2, _BOTTOM + 36, "KL in nats, spaced by its square root", "middle"))
    return parts


def _band(curve: Sequence[Values], name: str, kind: str, frame: Frame) -> Markup:
    """Intervals along the curve, piece by piece: a policy may come nearer to the start again."""
    pieces = []
    for one, two in pairwise(curve):
        corners = ((one, "high"), (two, "high"), (two, "low"), (one, "low"))
        points = " ".join(f"{frame.across(at['kl']):.1f},{frame.up(at[name][end]):.1f}" for at, end in corners)
        pieces.append(Markup('<polygon points="{}"/>').format(points))
    return Markup('<g class="band {}">{}</g>').format(kind, Markup("").join(pieces))


def _fit(fit: Values, method: Method, furthest_kl: float, frame: Frame) -> Markup:
    distances = [sqrt(max(furthest_kl, 0.0)) * step / _FIT_STEPS for step in range(_FIT_STEPS + 1)]
    points = " ".join(
        f"{frame.across(d * d):.1f},{frame.up(fitted(d, fit['alpha'], fit['beta'], method)):.1f}" for d in distances
    )
    return Markup('<polyline class="fit" points="{}"/>').format(points)


def _apart(heights: Sequence[float], least: float = 13.0) -> list[float]:
    """Two heights, moved apart so that labels there do not overlap."""
    first, second = heights
    if abs(first - second) >= least:
        return [first, second]
    middle, sign = (first + second) / 2, 1 if first > second else -1
    return [middle + sign * least / 2, middle - sign * least / 2]
