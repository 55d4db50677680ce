"""`python -m benchmarks.training`: measure ours and the peer in turns, and write the results.

First every setting runs once, which says what each is fast and lean at; then ours and the peer's default and fastest run `--repeats`
times, one after the other and round by round, so that a slow minute of the machine meets both sides. A setting that is very slow here
(the peer's bf16 on a processor without it) is not run again: its n is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.training import gradients
from benchmarks.training.process import MARK
from benchmarks.training.results import fastest, machine, speed, summary, table
from benchmarks.training.tasks import DEFAULT, Options, Task, tasks
from benchmarks.training.workload import SHAPES, prepare

ROOT = Path(__file__).parents[2]
NAMES = ("sft", "reward", "dpo", "generation", "grpo", "ppo")
# Pages that are freed stay mapped: on a CPU the first touch of a page costs more than its use.
TUNED = {
    "MALLOC_MMAP_THRESHOLD_": "17179869184",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "MALLOC_ARENA_MAX": "1",
}


SLOW = 4  # times the time for one measurement
LIMIT = 1800  # seconds after which a measurement is given up


def _sides(task: Task) -> list[tuple[str, Mapping[str, Options]]]:
    return [("ours", task.ours), ("peer", task.peer)]


def _worth_a_look(task: Task, emulated: bool) -> Task:
    """The task without the peer's bf16 where the processor has none; its default only if `emulated` bf16 is asked for."""
    if machine()["bf16_in_hardware"]:
        return task
    kept = {name: options for name, options in task.peer.items() if "bf" not in name}
    if not emulated:
        kept.pop(DEFAULT, None)
    return replace(task, peer=kept)


class Bench:
    """Both sides' workers on one workload."""

    def __init__(self, workload: Path, peer: Path, allocator: str, seconds: float) -> None:
        self._workload, self._seconds = workload, seconds
        settings = TUNED if allocator == "tuned" else {}
        self._env = {
            **os.environ,
            **settings,
            "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
            "ALIDADE_PEER_PPO": str(peer / "ppo"),
        }
        self._python = {"ours": sys.executable, "peer": str(peer / "bin" / "python")}

    def measure(self, side: str, task: str, settings: Mapping[str, Any]) -> dict[str, float] | None:
        """One measurement in a process of its own; None when it fails or takes too long."""
        command = [
            self._python[side],
            "-m",
            f"benchmarks.training.{side}",
            task,
            str(self._workload),
            json.dumps(settings),
        ]
        try:
            done = subprocess.run(
                command, check=False, env=self._env, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT
            )
        except subprocess.TimeoutExpired:
            print(f"    over {LIMIT} s", flush=True)
            return None
        found = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
        if found:
            return json.loads(found[-1].removeprefix(MARK))
        print("    failed: " + " / ".join(done.stderr.splitlines()[-2:]), flush=True)
        return None

    def compare(self, task: Task, repeats: int) -> dict[str, Any]:
        """A scan of all settings, then the repeats, each of a size that fits the time for one measurement."""
        scan: dict[str, dict[str, Any]] = {
            side: {name: self._noted(side, task, name, self._size(side, task, name)) for name in settings}
            for side, settings in _sides(task)
        }
        working = {name: [run] for name, run in scan["peer"].items() if run}
        if not working or not all(scan["ours"].values()):
            sys.exit(f"error: {task.name}: a setting of ours, or every setting of the peer, failed; see above")
        chosen = list(dict.fromkeys([*(name for name in working if name == DEFAULT), fastest(working)]))
        runs: dict[str, dict[str, list[Any]]] = {"ours": {"speed": []}, "peer": {name: [] for name in chosen}}
        slow = [name for name in chosen if self._too_slow(task, name, scan["peer"][name])]
        runs["peer"] |= {name: [scan["peer"][name]] for name in slow}
        for _ in range(repeats):
            for side, settings in runs.items():
                for name, found in settings.items():
                    if name in slow:
                        continue
                    found.append(self._noted(side, task, name, self._size(side, task, name, scan[side][name])))
        return {**summary(task, runs["ours"]["speed"], runs["peer"], scan), "scan": scan}

    def _size(self, side: str, task: Task, name: str, scanned: Mapping[str, float] | None = None) -> int:
        """The least for the scan; then as much as fits the time for one measurement, at the speed seen in the scan."""
        least, most = task.sizes
        if dict(_sides(task))[side][name].get("whole"):
            return most
        return least if scanned is None else self._fitting(task, scanned)

    def _too_slow(self, task: Task, name: str, scanned: Mapping[str, float]) -> bool:
        return not task.peer[name].get("whole") and scanned["seconds"] > SLOW * self._seconds

    def _fitting(self, task: Task, scanned: Mapping[str, float]) -> int:
        least, most = task.sizes
        return max(least, min(most, int(scanned["size"] * self._seconds / scanned["seconds"])))

    def _noted(self, side: str, task: Task, name: str, size: int) -> dict[str, float] | None:
        run = self.measure(side, task.name, {**dict(_sides(task))[side][name], "size": size})
        if run is not None:
            shown = f"{speed(run):8.0f} tok/s {run['rss_mb']:6.0f} MB, {run['seconds']:.0f} s"
            print(f"  {task.name:10s} {side} {name:24s} {shown}", flush=True)
            return {**run, "size": size}
        return None

    def gradients(self) -> dict[str, Any]:
        """Loss and gradient of both sides on the same rows."""
        found = {}
        with tempfile.TemporaryDirectory() as folder:
            for task in gradients.TASKS:
                files = {side: Path(folder) / f"{task}-{side}.safetensors" for side in ("ours", "peer")}
                losses = {
                    side: self.measure(side, "gradients", {"task": task, "out": str(path)})
                    for side, path in files.items()
                }
                gap = gradients.compare(files["ours"], files["peer"])
                found[task] = {f"loss_{side}": run and run["loss"] for side, run in losses.items()} | gap
                print(f"  gradient of {task}: {found[task]}", flush=True)
        return found


def arguments() -> argparse.Namespace:
    """What is asked for on the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.training", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--repeats", type=int, default=5, help="runs of each setting after the scan")
    parser.add_argument("--rows", type=int, default=800, help="most rows of one measurement")
    parser.add_argument("--rounds", type=int, default=5, help="most rounds of sampling")
    parser.add_argument("--iterations", type=int, default=8, help="most iterations of reinforcement")
    parser.add_argument("--shape", choices=sorted(SHAPES), default="tiny")
    parser.add_argument("--allocator", choices=("tuned", "system"), default="tuned")
    parser.add_argument("--seconds", type=float, default=60, help="about how long one measurement takes")
    parser.add_argument(
        "--emulated", action="store_true", help="the peer's bf16 default also where the processor has none: hours"
    )
    parser.add_argument("--peer", type=Path, default=ROOT / ".venv-peer", help="the peer's virtual environment")
    parser.add_argument(
        "--work", type=Path, default=ROOT / "runs" / "benchmarks", help="where models and rows are kept"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "training.json")
    parser.add_argument("--json", action="store_true", help="print the results as JSON, too")
    return parser.parse_args()


def _kind(shape: str, allocator: str) -> str:
    """Under which name results are kept: what was measured under other conditions stays beside them."""
    more = [] if machine()["bf16_in_hardware"] else ["no bf16"]
    return ", ".join([shape, *more, *(["system allocator"] if allocator == "system" else [])])


def main() -> None:
    """Measure, and add what was measured to the results; each task is written as soon as it is done."""
    given = arguments()
    if not (given.peer / "bin" / "python").exists():
        sys.exit(
            f"error: there is no virtual environment of the peer at {given.peer}\nhint: `make bench-training` makes it"
        )
    bench = Bench(prepare(given.work, given.shape, max(given.rows, 64)), given.peer, given.allocator, given.seconds)
    results = json.loads(given.out.read_text(encoding="utf-8")) if given.out.exists() else {}
    part = results.setdefault(_kind(given.shape, given.allocator), {"tasks": {}})
    if set(given.only) & set(gradients.TASKS):
        part["gradients"] = bench.gradients()
    for task in tasks(given.rows, given.rounds, given.iterations):
        if task.name in given.only:
            entry = bench.compare(_worth_a_look(task, given.emulated), given.repeats)
            measured = {"date": time.strftime("%Y-%m-%d"), "rows": given.rows, "machine": machine()}
            part["tasks"][task.name] = {**entry, **measured}
            given.out.parent.mkdir(parents=True, exist_ok=True)
            given.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    shown = {name: part["tasks"][name] for name in NAMES if name in part["tasks"]}
    print(table(shown))
    if given.json:
        print(json.dumps({name: {k: v for k, v in entry.items() if k != "runs"} for name, entry in shown.items()}))


if __name__ == "__main__":
    main()
