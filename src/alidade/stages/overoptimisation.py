"""The stage that gathers what best-of-n and PPO made of several reward models: proxy against gold over the distance gone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from alidade.errors import DataError, UsageError
from alidade.evals.overoptimisation import Point, gains, overoptimisation
from alidade.pipeline import StageContext, Upstream, stage
from alidade.records import Record
from alidade.stages.kinds import EVALUATION, MODEL
from alidade.stats import first_best
from alidade.store import Artifact, read_json, write_json
from alidade.store.rows import each_row

SIZES = ("small", "middle", "large")
Rows = Mapping[int, list[Mapping[str, Any]]]


class OveroptimisationConfig(Record):
    """How n is chosen; PPO's checkpoint is chosen where it is trained (`keep`)."""

    margin: float = Field(
        default=1.0,
        ge=0,
        description="standard errors by which a larger n must lead on the choosing prompts to be taken",
    )


def check_pairs(config: OveroptimisationConfig, inputs: Mapping[str, Upstream]) -> None:
    """Each PPO run is held against best-of-n by the same reward model, and was measured on watched prompts.

    Raises:
        UsageError: when one of the two is missing, or the two optimised different reward models.
    """
    sizes = [size for size in SIZES if f"best_{size}" in inputs or f"ppo_{size}" in inputs]
    if not sizes:
        raise UsageError(
            "there is nothing to gather", hint="give the inputs best_small and ppo_small, and likewise others"
        )
    for size in sizes:
        best, ppo = inputs.get(f"best_{size}"), inputs.get(f"ppo_{size}")
        if best is None or ppo is None:
            raise UsageError(f"`best_{size}` and `ppo_{size}` go together", where=f"inputs of size `{size}`")
        if "watched" not in ppo.inputs:
            raise UsageError("PPO was not measured on its way", where=ppo.name, hint="give it the input `watched`")
        for one, kind in ((best, "testbed-best-of-n"), (ppo, "ppo")):
            if "reward" not in one.inputs:
                raise UsageError(
                    "no reward model was optimised here", where=one.name, hint=f"give a stage `{kind}` with one"
                )
        if best.inputs["reward"].name != ppo.inputs["reward"].name:
            raise UsageError("best-of-n and PPO optimise different reward models", where=f"{best.name} and {ppo.name}")


@stage(
    "overoptimisation",
    version=1,
    reads={
        **{f"best_{size}": EVALUATION.if_given() for size in SIZES},
        **{f"ppo_{size}": MODEL.if_given() for size in SIZES},
    },
    writes=EVALUATION,
    config=OveroptimisationConfig,
    check=check_pairs,
)
def gather(config: OveroptimisationConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """Curves of proxy and gold over KL for best-of-n and PPO, where they peak, how far they fall, and the paper's curves fitted."""
    found = []
    for size in SIZES:
        if f"best_{size}" in inputs:
            best, ppo = inputs[f"best_{size}"].path, inputs[f"ppo_{size}"].path
            found.append({"name": size, **_both(best, ppo, config.margin)})
    write_json(context.out / "summary.json", {"overoptimisation": {"sizes": found}})
    for one in found:
        peak = one["ppo"]["chosen"]
        context.note(f"{one['name']}: KL of PPO at its best", round(peak["kl"], 2))


def _both(best: Path, ppo: Path, margin: float) -> dict[str, Any]:
    """Best-of-n and PPO against one reward model; both start from the model that the answers were drawn from."""
    summary = read_json(best / "summary.json")
    drawn, chosen_on = (_rows(best / "rows.jsonl", "n", name) for name in ("reporting", "choosing"))
    start = {name: {row["prompt_id"]: row[name] for row in drawn[1]} for name in ("gold", "proxy_reward")}
    kls = {row["n"]: row["kl"] for row in summary["best_of_n"]}
    by_n = [Point(n, kls[n], *_gains(rows, start, summary["spread"])) for n, rows in sorted(drawn.items())]
    trained = [
        Point(at, sum(row["kl"] for row in rows) / len(rows), *_gains(rows, start, summary["spread"]))
        for at, rows in sorted(_rows(ppo / "watched.jsonl", "iteration", "reporting").items())
    ]
    counts = sorted(chosen_on)
    n = counts[first_best([[row["gold"] for row in chosen_on[n]] for n in counts], margin)]
    return {
        "comparisons": summary["comparisons"],
        "prompts": len(start["gold"]),
        "best_of_n": overoptimisation(by_n, n, "best_of_n"),
        "ppo": overoptimisation(trained, read_json(ppo / "kept.json")["best_iteration"], "ppo"),
    }


def _gains(
    rows: list[Mapping[str, Any]], start: Mapping[str, Mapping[str, float]], spread: Mapping[str, float]
) -> Iterator[list[float]]:
    """Each prompt's gain of gold, and of the proxy."""
    for name in ("gold", "proxy_reward"):
        try:
            yield gains({row["prompt_id"]: row[name] for row in rows}, start[name], spread[name])
        except (KeyError, ValueError) as error:
            raise DataError(
                f"gains of {name} cannot be told: {error}",
                hint="best-of-n and PPO must be measured on the same prompts: one `watched` for both",
            ) from error


def _rows(path: Path, at: str, chosen: str) -> Rows:
    """The rows of one set of prompts, by n or by iteration."""
    found: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for _, row in each_row(path):
        if isinstance(row, dict) and row["set"] == chosen:
            found[int(row[at])].append(row)
    return found
