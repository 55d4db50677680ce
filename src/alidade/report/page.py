"""What the page shows, as plain values in reading order: the template only lays them out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from alidade.evals import PairedTest
from alidade.records import Estimate
from alidade.report import figures
from alidade.report.changes import are_in_line
from alidade.report.collect import Curve, Evidence, is_estimate
from alidade.report.columns import Column
from alidade.report.ways import headline_of, marks_of
from alidade.report.words import (
    CURVES,
    GROUPS,
    HEADLINES,
    LOSSES,
    NAMED_CURVES,
    MeasureWords,
    interval,
    measure_words,
    p_value,
    quantity,
    signed,
)

CERTAIN = 0.05
_REWARD_CHECKS = (
    ("annotated", "Held-out comparisons, as annotated", "reward model"),
    ("held_out", "Held-out comparisons, by people", "reward model"),
    ("gold", "Held-out pairs that the gold judge tells apart", "reward model"),
    ("implied", "Held-out comparisons, by the reward that the policy implies", "implied reward"),
    ("desirable", "Held-out answers judged one by one, by the reward that the policy implies", "implied reward"),
)
PAIRS = "share of pairs put in the right order"
_COUNTED = {"desirable": "share of answers that are a gain if and only if they are desirable"}
_REWARD_RULES = (
    ("accuracy", "", "last"),
    ("length_only", "by length alone", "hollow"),
    ("majority", "majority", "diamond"),
)
_VOTERS = (
    (
        "skill",
        MeasureWords("Skill", "how often the better of two answers a typical gap apart is picked; 50% is a coin"),
    ),
    ("attention", MeasureWords("Attention", "share of votes given with care")),
    (
        "side_bias",
        MeasureWords("Side bias", "how much oftener than half the left of two equals is picked", "", is_share=False),
    ),
)
_MOST_VOTERS = 12
_THAN = {"better": "than", "worse": "than"}


@dataclass(frozen=True)
class Lane:
    """One estimate on a strip.

    `change` says in words how it differs from the lane before or the model it names, `tone` how to take it.
    """

    name: str
    key: Markup
    strip: Markup
    value: str
    interval: str
    n: int
    change: str = ""
    tone: str = ""
    is_headline: bool = False


@dataclass(frozen=True)
class Panel:
    """A measure, or a check, with its lanes."""

    label: str
    counts: str
    better: str
    lanes: Sequence[Lane]
    ticks: tuple[str, ...] = ()

    @property
    def headline(self) -> Lane:
        """The lane that is shown big."""
        return next((lane for lane in self.lanes if lane.is_headline), self.lanes[-1])


@dataclass(frozen=True)
class Group:
    """Panels under one heading."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Plot:
    """A small curve."""

    label: str
    unit: str
    picture: Markup


@dataclass(frozen=True)
class CurveSet:
    """The curves of one stage of reinforcement learning, or the losses of all other training."""

    title: str
    about: str
    plots: Sequence[Plot]


def headline(evidence: Evidence) -> list[Panel]:
    """The three or four measures a person asks for first, for every model."""
    names = [name for name in HEADLINES if _everywhere(evidence.columns, name)]
    last = headline_of(evidence.columns, evidence.ways)
    rest = [name for name in (last.measures if last else ()) if name not in names]
    return [_panel(evidence, name) for name in (names or rest)[:4]]


def groups(evidence: Evidence, *, greedy: bool = False) -> list[Group]:
    """Every measure of every model, in groups; `greedy` shows the likeliest answers and has no paired tests."""
    every = list(dict.fromkeys(name for column in evidence.columns for name in _measures(column, greedy)))
    taken = {name for _, names in GROUPS for name in names}
    wanted = [*GROUPS, ("Also measured", [name for name in every if name not in taken])]
    found = [(title, [name for name in names if name in every]) for title, names in wanted]
    filled = [(title, names) for title, names in found if names]
    return [
        Group(title if len(filled) > 1 else "", [_panel(evidence, name, greedy=greedy) for name in names])
        for title, names in filled
    ]


def wins(evidence: Evidence) -> list[Panel]:
    """Answers of two models weighed by the reward model."""
    names = list(dict.fromkeys(name for found in evidence.wins.values() for name in found))
    return [
        estimates_panel(
            measure_words(name),
            [(pair, "last", found[name]) for pair, found in evidence.wins.items() if name in found],
        )
        for name in names
    ]


def reward_checks(reward: Mapping[str, Any]) -> list[Panel]:
    """The reward model's accuracy beside rules that read no words."""
    panels = []
    for name, label, checked in _REWARD_CHECKS:
        check = reward.get(name)
        found = [
            (said or checked, mark, Estimate.model_validate(check[rule]))
            for rule, said, mark in _REWARD_RULES
            if isinstance(check, dict) and is_estimate(check.get(rule))
        ]
        if found:
            panels.append(estimates_panel(MeasureWords(label, _COUNTED.get(name, PAIRS)), found))
    return panels


def reward_slices(reward: Mapping[str, Any]) -> list[Panel]:
    """The reward model's accuracy on held-out comparisons by kind of pair."""
    found = reward.get("slices") or {}
    return [
        estimates_panel(
            MeasureWords(f"By {kind}"), [(part, "last", Estimate.model_validate(one)) for part, one in parts.items()]
        )
        for kind, parts in found.items()
    ]


def voters(evidence: Evidence) -> list[Group]:
    """Who voted, as the annotators were fitted: those who voted most, and one line for how many there are."""
    found = []
    for stage, fitted in evidence.voters.items():
        everyone = sorted(fitted["annotators"], key=lambda one: -one["skill"]["n"])
        shown = sorted(everyone[:_MOST_VOTERS], key=lambda one: one["annotator"])
        rest = f", the {len(shown)} who voted most" if len(shown) < len(everyone) else ""
        panels = [
            estimates_panel(words, [(one["annotator"], "last", Estimate.model_validate(one[name])) for one in shown])
            for name, words in _VOTERS
        ]
        found.append(Group(f"{stage}: {len(everyone)} annotators{rest}", panels))
    return found


def curve_sets(evidence: Evidence) -> list[CurveSet]:
    """The curves of reinforcement learning, stage by stage, and after them the losses of all other training."""
    sets = [_reinforcement(one) for one in evidence.curves if one.is_reinforcement]
    losses = [plot for one in evidence.curves if not one.is_reinforcement for plot in _losses(one)]
    return [one for one in (*sets, CurveSet("Supervised training", "", losses)) if one.plots]


def lost_rows(counts: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    """What each stage saw and what it dropped, truncated or masked, by reason."""
    rows = []
    for stage, found in counts.items():
        for part, values in parts(found):
            cells = {sort: _reasons(values, sort) for sort in ("dropped", "truncated", "masked")}
            seen = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in _seen(values))
            rows.append({"stage": stage, "part": part, "seen": seen, **cells})
    return rows


def estimates_panel(
    words: MeasureWords,
    found: Sequence[tuple[str, str, Estimate]],
    tests: Mapping[str, tuple[str, PairedTest]] | None = None,
) -> Panel:
    """Named estimates of one measure, each with its mark, on one axis.

    A test says how a lane differs from the model named with it, or from the one before where no name is.
    """
    share = words.is_share
    axis = figures.axis_of([estimate for _, _, estimate in found], share=share)
    lanes = []
    for name, mark, estimate in found:
        other, test = (tests or {}).get(name, ("", None))
        change, tone = change_words(test, words, other)
        lanes.append(
            Lane(
                name=name,
                key=figures.key(mark),
                strip=figures.lane(estimate, axis, mark),
                value=quantity(estimate.mean, share=share),
                interval=interval(estimate, share=share),
                n=estimate.n,
                change=change,
                tone=tone,
                is_headline=mark == "last",
            )
        )
    better = "lower is better" if words.better == "less" else ""
    ticks = tuple(quantity(value, share=share) for value in (axis.low, (axis.low + axis.high) / 2, axis.high))
    return Panel(words.label, words.counts, better, lanes, ticks)


def _everywhere(columns: Sequence[Column], name: str) -> bool:
    return bool(columns) and all(name in column.measures for column in columns)


def _measures(column: Column, greedy: bool) -> Mapping[str, Estimate]:
    return column.greedy if greedy else column.measures


def _panel(evidence: Evidence, name: str, *, greedy: bool = False) -> Panel:
    marks = marks_of(evidence.columns, evidence.ways)
    found = [
        (column.name, mark, _measures(column, greedy)[name])
        for column, mark in zip(evidence.columns, marks, strict=True)
        if name in _measures(column, greedy)
    ]
    in_line = are_in_line(evidence.changes, evidence.columns)
    tests = {
        change.after: ("" if in_line else change.before, test)
        for change in evidence.changes
        for test in change.tests
        if test.measure == name and not greedy
    }
    words = measure_words(name, [estimate for _, _, estimate in found])
    return estimates_panel(words, found, tests)


def change_words(test: PairedTest | None, words: MeasureWords, other: str = "") -> tuple[str, str]:
    """A paired test in words, with the `other` model if it is to be named, and whether it is better, worse, or not clear."""
    if test is None:
        return "", ""
    certain = test.p_adjusted < CERTAIN
    rising = test.gained > test.lost
    taken = "other" if not words.better else "better" if rising == (words.better == "more") else "worse"
    tone = taken if certain else "same"
    said = {"better": "better", "worse": "worse", "other": "changed", "same": "no clear change"}[tone]
    difference = test.difference
    span = f"{signed(difference.low, share=True)} to {signed(difference.high, share=True)}"
    named = f" {_THAN.get(tone, 'from')} {other}" if other else ""
    return f"{said}{named}: {signed(difference.mean, share=True)} ({span}), {p_value(test.p_adjusted)}", tone


def _reinforcement(one: Curve) -> CurveSet:
    per_row = f"; each point is the mean over {one.answers_per_row:,} answers" if one.answers_per_row else ""
    plots = [
        Plot(label, unit, figures.curve(figures.thinned(values), label, len(values)))
        for names, label, unit in (*CURVES, *_named(one))
        if (values := _series(one, names))
    ]
    return CurveSet(one.stage.name, f"{len(one.rows):,} iterations{per_row}", plots)


def _named(one: Curve) -> list[tuple[tuple[str, ...], str, str]]:
    """The curves of rewards and multipliers that the recipe gave a name."""
    columns = one.rows[0] if one.rows else {}
    return [
        ((column,), f"{label} `{column.removeprefix(prefix)}`", unit)
        for prefix, label, unit in NAMED_CURVES
        for column in columns
        if column.startswith(prefix)
    ]


def _losses(one: Curve) -> list[Plot]:
    return [
        Plot(
            one.stage.name, f"{unit}, {len(values):,} steps", figures.curve(figures.thinned(values), unit, len(values))
        )
        for names, unit in LOSSES
        if (values := _series(one, names))
    ]


def _series(one: Curve, names: Sequence[str]) -> list[float]:
    """The first series of these names that every row has, or nothing."""
    for name in names:
        if all(_is_number(row.get(name)) for row in one.rows):
            return [float(row[name]) for row in one.rows]
    return []


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_SORTS = ("dropped", "truncated", "masked", "masked_tokens")
_NOT_PARTS = (*_SORTS, "files")


def parts(found: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """A stage's counts, and those of parts it counts apart (held-out rows, rows mixed in)."""
    if any(not isinstance(value, dict) for value in found.values()) or set(found) & set(_SORTS):
        yield above, found
    for name, value in found.items():
        if isinstance(value, dict) and name not in _NOT_PARTS:
            yield from parts(value, f"{above} {name}".strip())


def _seen(values: Mapping[str, Any]) -> list[tuple[str, int]]:
    return [
        (name, count)
        for name, count in values.items()
        if isinstance(count, int) and not isinstance(count, bool) and name not in _SORTS
    ]


def _reasons(values: Mapping[str, Any], sort: str) -> str:
    said = []
    for name in (sort, f"{sort}_tokens"):
        value = values.get(name)
        if isinstance(value, dict):
            counted = [(reason, count) for reason, count in value.items() if isinstance(count, int)]
            said += [f"{count:,} ({reason})" for reason, count in counted if count] or ["0"]
        elif isinstance(value, int):
            said.append(f"{value:,}" + (" tokens" if name.endswith("_tokens") else ""))
    return ", ".join(said) or "\u2013"
