"""Runs of the recipe `constitution` and of its variants in one folder, so that what they share is made once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alidade.pipeline import load_recipe, read_run
from alidade.stages import load_all
from alidade.store import Store, read_json

FLATTERING = Path(__file__).with_name("flattering.yaml")
RECIPE = Path(__file__).parents[2] / "recipes" / "constitution.yaml"
# Of each variant: what it sets, and which stages it ends with; all where none is named.
VARIANTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "whole": ((), ()),
    "revise_only": (("revised.revision.critique=false",), ("evaluate_sl",)),
    "planted": ((f"constitution.document={FLATTERING}",), ("evaluate_sl", "check_preference_model", "evaluate_rl")),
    "unread": ((), ("revised",)),
}


def run(out: Path, seed: int, variant: str, *sets: str) -> None:
    """Make a variant; what an earlier one made is reused. After it, `folder` speaks of this one."""
    chosen, ends = VARIANTS[variant]
    command = [sys.executable, "-m", "alidade.cli", "run", str(RECIPE), "--out", str(out), "--seed", str(seed)]
    command += [part for one in (*chosen, *sets) for part in ("--set", one)]
    command += [part for one in upstream(ends) for part in ("--only", one)]
    subprocess.run(command, check=True)


def upstream(ends: Sequence[str]) -> list[str]:
    """The stages that lead to these, and these."""
    load_all()
    stages, found, left = load_recipe(RECIPE).stages, dict[str, None](), list(ends)
    while left:
        name = left.pop()
        found[name] = None
        left += [one for one in stages[name].inputs.values() if one not in found]
    return list(found)


def folder(out: Path, stage: str) -> Path:
    """Where what a stage of the last run made lies."""
    found = next(one for one in read_run(out).stages if one.name == stage)
    return Store(out / "store").artifact(found.digest, found.kind).path


def measures(out: Path, stage: str, names: Sequence[str]) -> dict[str, Any]:
    """Measures of an evaluation, with interval and n."""
    found = read_json(folder(out, stage) / "summary.json")["measures"]
    return {name: found[name] for name in names}


def change(out: Path, before: str, after: str, name: str) -> dict[str, float]:
    """How much a measure moved from one evaluation to another of the same size, with the interval of two independent shares."""
    old, new = (measures(out, stage, [name])[name] for stage in (before, after))
    mean = new["mean"] - old["mean"]
    # Newcombe's interval of a difference from the intervals of its parts.
    low = mean - ((new["mean"] - new["low"]) ** 2 + (old["high"] - old["mean"]) ** 2) ** 0.5
    high = mean + ((new["high"] - new["mean"]) ** 2 + (old["mean"] - old["low"]) ** 2) ** 0.5
    return {"mean": round(mean, 4), "low": round(low, 4), "high": round(high, 4), "n": new["n"]}
