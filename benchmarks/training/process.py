"""What both sides of a measurement share: arguments in, one line of JSON out. Standard library only."""

from __future__ import annotations

import argparse
import json
import resource
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

MARK = "MEASURED "
Measure = Callable[[Path, Mapping[str, Any]], Mapping[str, Any]]


def run(tasks: Mapping[str, Measure]) -> None:
    """Measure one task, named on the command line, and print what was found with the peak memory of the process in MB."""
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=sorted(tasks))
    parser.add_argument("workload", type=Path)
    parser.add_argument("settings", type=json.loads)
    given = parser.parse_args()
    found = tasks[given.task](given.workload, given.settings)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(MARK + json.dumps({**found, "rss_mb": round(peak)}), flush=True)


def read_lines(path: Path, count: int | None = None) -> list[Any]:
    """The first `count` rows of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[:count]]


def tokens_of(workload: Path, name: str, count: int) -> int:
    """Tokens of the first `count` rows of a file: real ones, without padding; a pair's prompt counts twice."""
    return sum(json.loads((workload / "tokens.json").read_text(encoding="utf-8"))[name][:count])
