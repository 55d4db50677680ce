"""The record of a run: what was made, what was reused, and in which surroundings."""

from __future__ import annotations

import os
import platform
import resource
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from alidade.errors import StoreError, UsageError
from alidade.records import Record
from alidade.store import explain_invalid, read_json

_PACKAGES = ("alidade", "torch", "transformers", "tokenizers", "peft")


class StageRun(Record):
    """What happened to one stage.

    `seconds` is how long it took to make: in this run or, when it was reused, in the one that made it.
    """

    name: str
    use: str
    key: str
    digest: str
    kind: str
    seconds: float
    reused: bool
    because: str = ""
    inputs: Mapping[str, str] = Field(default_factory=dict, description="input name to the stage it comes from")
    notes: Mapping[str, Any] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class Run(Record):
    """The record of one run: `run.json` in its folder."""

    name: str
    command: str
    seed: int
    stages: tuple[StageRun, ...]
    seconds: float = Field(description="wall time of this run alone")
    peak_rss_mb: float = Field(description="most memory this process held, in MiB")
    environment: Mapping[str, str]
    recipe: Mapping[str, Any] = Field(description="the recipe with every default filled in")


def read_run(folder: Path) -> Run:
    """The record of the run in a folder.

    Raises:
        UsageError: when the folder holds none.
    """
    path = Path(folder) / "run.json"
    if not path.exists():
        raise UsageError("no finished run here", where=str(folder), hint=f"alidade align --out {folder}")
    try:
        return Run.model_validate(read_json(path))
    except ValidationError as error:
        raise StoreError(
            f"the record of the run cannot be read: {explain_invalid(error)}",
            where=str(path),
            hint="run the same command again; it writes a new one",
        ) from error


def environment() -> dict[str, str]:
    """The software a result depends on, read without importing it."""
    found = {"python": platform.python_version(), "platform": platform.platform(), "threads": str(thread_count())}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def thread_count() -> int:
    """The processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak_rss_mb() -> float:
    """The most memory this process has held, in MiB."""
    units = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / units, 1)
