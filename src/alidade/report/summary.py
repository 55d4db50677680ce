"""`summary.json`: the numbers of the report for machines.

::

    <model>          one per evaluated model: {<measure>: {mean, low, high, n}, ..., "greedy": {<measure>: {...}}}
    reward_model     {"annotated" | "gold" | "held_out": {"accuracy": {mean, low, high, n}, "length_only": {...},
                      "above_length_only", "n"}, "calibration": [bin], "expected_calibration_error", "temperature",
                      "slices": {<kind>: {<part>: {mean, low, high, n}}}, "length_correlation"}
    paired           [{measure, before, after, n, lost, gained, difference: {mean, low, high, n}, p, p_adjusted}]
    frontier         {across, up, models: [{name, trained_from, way, <measure>: {mean, low, high, n}}]}, where at least three
                     models have both measures: `across` and `up` name them, `trained_from` is an evaluated model or null
    ways             {models: {<way>: <model>}, paired: [as above]}, where a recipe names ways: every two of them on the
                     measures that the page sets side by side, a family of its own; `before` and `after` name models
    wins             {"<after> over <before>": {<measure>: {mean, low, high, n}}}, where a run has no gold judge
    overoptimisation, values  as their stages wrote them, where a run has some
    training         {<stage>: the last row of its metrics}
    name, seed, seconds, stage_seconds, peak_rss_mb, pilot, environment
    stages           [{name, use, kind, key, digest, seconds, reused}]

`seconds` is the wall time of the last run alone, `stage_seconds` what all stages took to make, reused ones included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from alidade.pipeline import Run
from alidade.records import Estimate
from alidade.report import frontier
from alidade.report.changes import Change
from alidade.report.collect import Evidence, is_estimate
from alidade.report.ways import Ways
from alidade.stats import CalibrationBin, expected_calibration_error

_STAGE_FIELDS = ("name", "use", "kind", "key", "digest", "seconds", "reused")
_BIN_FIELDS = ("low", "high", "predicted", "observed", "n")
_TAKEN = frozenset(
    {
        "reward_model",
        "paired",
        "frontier",
        "ways",
        "wins",
        "overoptimisation",
        "values",
        "training",
        "name",
        "seed",
        "seconds",
        "stage_seconds",
        "peak_rss_mb",
        "pilot",
    }
    | {"environment", "stages"}
)


def summary_of(evidence: Evidence) -> dict[str, Any]:
    """The contents of `summary.json`."""
    run = evidence.run
    models = {
        f"{column.name}_model" if column.name in _TAKEN else column.name: {
            **_dumped(column.measures),
            "greedy": _dumped(column.greedy),
        }
        for column in evidence.columns
    }
    return {
        **models,
        "reward_model": reward_summary(evidence.reward),
        "paired": _paired(evidence.changes),
        **({"frontier": found} if (found := frontier.as_json(evidence)) else {}),
        **({"ways": _ways(evidence.ways)} if evidence.ways.columns else {}),
        "wins": {pair: _dumped(found) for pair, found in evidence.wins.items()},
        **({"overoptimisation": evidence.overoptimisation} if evidence.overoptimisation else {}),
        **({"values": list(evidence.values)} if evidence.values else {}),
        "training": {curve.stage.name: dict(curve.rows[-1]) for curve in evidence.curves},
        "name": run.name,
        "seed": run.seed,
        "seconds": run.seconds,
        "stage_seconds": round(sum(stage.seconds for stage in run.stages), 3),
        "peak_rss_mb": run.peak_rss_mb,
        "pilot": _base_digest(run),
        "environment": dict(run.environment),
        "stages": [stage.model_dump(include=set(_STAGE_FIELDS)) for stage in run.stages],
    }


def reward_summary(found: Mapping[str, Any]) -> dict[str, Any]:
    """The reward model's checks, each with its lead over the length-only baseline, and its calibration error."""
    said: dict[str, Any] = {}
    for name, value in found.items():
        lead = _lead(value)
        said[name] = value if lead is None else {**value, "above_length_only": lead}
    bins = calibration(found.get("calibration") or [])
    return said | ({"expected_calibration_error": round(expected_calibration_error(bins), 6)} if bins else {})


def calibration(rows: Sequence[Mapping[str, Any]]) -> list[CalibrationBin]:
    """Calibration bins from their JSON form.

    Where every pair was counted both ways round, so that each bin has a mirror image, only the upper half is kept: the
    lower one says the same again and would double n.
    """
    bins = [CalibrationBin(**{name: row[name] for name in _BIN_FIELDS}) for row in rows]
    upper = [one for one in bins if one.low >= 0.5 - 1e-9]
    lower = [one for one in reversed(bins) if one.high <= 0.5 + 1e-9]
    mirrored = len(upper) + len(lower) == len(bins) and [one.n for one in upper] == [one.n for one in lower]
    if mirrored and all(
        abs(high.predicted + low.predicted - 1) < 1e-6 and abs(high.observed + low.observed - 1) < 1e-6
        for high, low in zip(upper, lower, strict=True)
    ):
        return upper
    return bins


def _lead(value: Any) -> float | None:
    if not isinstance(value, dict):
        return None
    if not (is_estimate(value.get("accuracy")) and is_estimate(value.get("length_only"))):
        return None
    return round(value["accuracy"]["mean"] - value["length_only"]["mean"], 6)


def _ways(ways: Ways) -> dict[str, Any]:
    return {
        "models": {way: column.name for way, column in ways.columns.items()},
        "paired": _paired(ways.changes),
    }


def _paired(changes: Sequence[Change]) -> list[dict[str, Any]]:
    return [
        {"before": change.before, "after": change.after, **asdict(test), "difference": test.difference.model_dump()}
        for change in changes
        for test in change.tests
    ]


def _base_digest(run: Run) -> str:
    """The digest of the model the run began with."""
    models = [stage for stage in run.stages if stage.kind == "model"]
    return next((stage.digest for stage in models if stage.use == "pilot"), models[0].digest if models else "")


def _dumped(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    return {name: one.model_dump() for name, one in estimates.items()}
