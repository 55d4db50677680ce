"""What a run left behind: evaluations as columns, the reward model's checks, training curves, counts of lost rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from alidade.pipeline import Run, StageRun, read_run
from alidade.records import Estimate
from alidade.report.changes import Change, lineage_changes
from alidade.report.columns import Column, Values
from alidade.report.ways import Ways, ways_of
from alidade.store import Manifest, Store, read_json
from alidade.store.rows import each_row

_PREFIXES = ("evaluate_", "evaluate-", "evaluation_", "evaluation-")
KL_NAMES = ("kl", "kl_nats_per_answer")


@dataclass(frozen=True)
class Curve:
    """What a training stage recorded, a row per step or iteration."""

    stage: StageRun
    rows: Sequence[Values]
    answers_per_row: int | None = None

    @property
    def is_reinforcement(self) -> bool:
        """Whether the rows speak of a policy and its reference."""
        return any(name in self.rows[0] for name in KL_NAMES)


@dataclass(frozen=True)
class Evidence:
    """All of it."""

    run: Run
    columns: Sequence[Column]
    changes: Sequence[Change]
    wins: Mapping[str, Mapping[str, Estimate]]
    reward: Mapping[str, Any]
    curves: Sequence[Curve]
    counts: Mapping[str, Values]
    manifests: Mapping[str, Manifest]
    overoptimisation: Values = field(default_factory=dict[str, Any])
    voters: Mapping[str, Values] = field(default_factory=dict[str, Values])
    values: Sequence[Values] = ()
    ways: Ways = field(default_factory=Ways)


def collect(run_folder: Path) -> Evidence:
    """Read a run's record and the artifacts it names; what is not there is left out.

    Raises:
        UsageError: when the folder holds no finished run.
    """
    run, store = read_run(run_folder), Store(run_folder / "store")
    manifests = {
        stage.name: found for stage in run.stages if (found := store.find(stage.key)) and found.digest == stage.digest
    }
    present = {stage.name: store.root / "data" / stage.digest for stage in run.stages if stage.name in manifests}
    summaries = {
        stage.name: _object(present[stage.name] / "summary.json")
        for stage in run.stages
        if stage.kind == "evaluation" and stage.name in present
    }
    columns = [column for name, summary in summaries.items() for column in _columns(run, name, summary, present[name])]
    return Evidence(
        run=run,
        columns=columns,
        changes=lineage_changes(run, columns),
        wins=_wins(summaries),
        reward=_reward(run, present, summaries),
        curves=[curve for stage in run.stages if (curve := _curve(stage, present, manifests)) is not None],
        counts={name: found for name, folder in present.items() if (found := _object(folder / "counts.json"))},
        manifests=manifests,
        overoptimisation=next(
            (found["overoptimisation"] for found in summaries.values() if "overoptimisation" in found), {}
        ),
        voters={
            stage.name: found
            for stage in run.stages
            if stage.kind == "comparisons"
            and stage.name in present
            and (found := _object(present[stage.name] / "annotators.json"))
        },
        values=[found["values"] for found in summaries.values() if "values" in found],
        ways=ways_of(run, columns),
    )


def _object(path: Path) -> dict[str, Any]:
    """The JSON object in a file, or an empty one."""
    if not path.is_file():
        return {}
    value = read_json(path)
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _rows(path: Path) -> list[Values]:
    return [row for _, row in each_row(path) if isinstance(row, dict)] if path.is_file() else []


def _columns(run: Run, name: str, summary: Values, folder: Path) -> Iterator[Column]:
    """The models one evaluation speaks of: one, or several by the name of the input they came in by."""
    stage = next(stage for stage in run.stages if stage.name == name)
    digests = {one.name: one.digest for one in run.stages}
    rows = _rows(folder / "answers.jsonl")
    if "measures" in summary:
        origin = stage.inputs.get("model", "")
        measures, greedy = _estimates(summary["measures"]), _estimates(summary.get("greedy"))
        column = _column_name(name, origin)
        frame = str(summary.get("frame", ""))
        yield Column(column, digests.get(origin, ""), stage.digest, measures, greedy, rows, frame, origin)
    for role, measured in (summary.get("models") or {}).items():
        origin = stage.inputs.get(role, role)
        own = [row for row in rows if row.get("model") == role]
        yield Column(origin, digests.get(origin, ""), stage.digest, _estimates(measured), {}, own, origin=origin)


def _column_name(stage: str, origin: str) -> str:
    for prefix in _PREFIXES:
        if stage.startswith(prefix):
            return stage.removeprefix(prefix)
    return origin or stage


def _estimates(value: Any) -> dict[str, Estimate]:
    if not isinstance(value, dict):
        return {}
    fields = cast("dict[str, Any]", value)
    return {name: Estimate.model_validate(one) for name, one in fields.items() if is_estimate(one)}


def is_estimate(value: Any) -> bool:
    """Whether a JSON value is a measured number with interval and n."""
    return isinstance(value, dict) and set(cast("dict[str, Any]", value)) == {"mean", "low", "high", "n"}


def _wins(summaries: Mapping[str, Values]) -> dict[str, dict[str, Estimate]]:
    """Answers of two models weighed by the reward model, where an evaluation did so."""
    return {
        pair: _estimates(found)
        for summary in summaries.values()
        for pair, found in (summary.get("against") or {}).items()
    }


def _reward(run: Run, present: Mapping[str, Path], summaries: Mapping[str, Values]) -> dict[str, Any]:
    """The reward model's accuracy by what it was checked on and its calibration, and that of a policy's implied reward.

    Of several stages of one kind the last one counts.
    """
    found: dict[str, Any] = {}
    for stage in run.stages:
        evaluation = _object(present[stage.name] / "evaluation.json") if stage.name in present else {}
        if stage.kind == "reward-model":
            found |= evaluation
        else:
            found |= {name: evaluation[name] for name in ("implied", "desirable") if evaluation.get(name)}
    for summary in summaries.values():
        found |= {name: summary[name] for name in ("annotated", "gold") if name in summary}
        if "reward_model" in summary:
            checked = dict(summary["reward_model"])
            calibration = {name: checked.pop(name) for name in ("calibration", "temperature") if name in checked}
            found |= {"held_out": checked} | calibration
    return found


def _curve(stage: StageRun, present: Mapping[str, Path], manifests: Mapping[str, Manifest]) -> Curve | None:
    if stage.name not in present:
        return None
    rows = _rows(present[stage.name] / "metrics.jsonl")
    return Curve(stage, rows, _answers_per_row(manifests[stage.name].config)) if rows else None


def _answers_per_row(config: Values) -> int | None:
    """How many answers one iteration of PPO draws, where the config says so."""
    try:
        drawing = config["training"]["drawing"]
        return int(drawing["prompts"]) * int(drawing["answers_per_prompt"])
    except (KeyError, TypeError, ValueError):
        return None
