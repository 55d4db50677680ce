"""From single measurements to medians, ranges and ratios, and to a table."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch.utils.benchmark import Timer

from benchmarks.training.tasks import DEFAULT, Task

VERDICTS = {True: "holds", False: "missed", None: "not measured"}
Runs = Sequence[Mapping[str, float]]


def speed(run: Mapping[str, float]) -> float:
    """Tokens a second."""
    return run["tokens"] / run["seconds"]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and range."""
    return {
        "median": round(median(values), 4),
        "low": round(min(values), 4),
        "high": round(max(values), 4),
        "n": len(values),
    }


def ratio(ours: Runs, peer: Runs) -> dict[str, float]:
    """How many times as fast ours is, of runs that stood next to each other in time.

    Where the peer has fewer runs, each is held against the median of ours: none of ours is picked.
    """
    if len(peer) < len(ours):
        usual = median(map(speed, ours))
        return spread([usual / speed(other) for other in peer])
    return spread([speed(one) / speed(other) for one, other in zip(ours, peer, strict=True)])


def fastest(runs: Mapping[str, Runs]) -> str:
    """The peer's setting with the highest median speed."""
    return max(runs, key=lambda name: median(map(speed, runs[name])))


def leanest(runs: Mapping[str, Runs]) -> str:
    """The peer's setting with the lowest median of peak memory."""
    return min(runs, key=lambda name: median(run["rss_mb"] for run in runs[name]))


def summary(task: Task, ours: Runs, peer: Mapping[str, Runs], scan: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """One task's entry: speeds in tokens a second, memory in MB, ratios with their ranges, and whether the goals hold.

    Speeds are those of the repeats; the least memory of either side is that of its one run in the scan. Where the peer's
    default did not run, what is said of it is None.
    """
    default, best = peer.get(DEFAULT), fastest(peer)
    working = {name: [run] for name, run in scan["peer"].items() if run}
    lean, frugal = leanest(working), scan["ours"].get("memory")
    entry: dict[str, Any] = {
        "peer": task.peer_module,
        "ours": spread([speed(run) for run in ours]),
        "peer_default": default and spread([speed(run) for run in default]),
        "peer_best": spread([speed(run) for run in peer[best]]),
        "peer_best_setting": best,
        "ratio_default": default and ratio(ours, default),
        "ratio_best": ratio(ours, peer[best]),
        "rss_ours": _memory(ours),
        "rss_peer_best_speed": _memory(peer[best]),
        "rss_peer_best_memory": _memory(working[lean]),
        "peer_best_memory_setting": lean,
    }
    if frugal:
        entry["rss_ours_best_memory"] = _memory([frugal])
        entry["ours_at_best_memory"] = spread([speed(frugal)])
    entry["goals"] = {name: {"goal": goal, "holds": _holds(entry[name], goal)} for name, goal in task.goals.items()}
    entry["runs"] = {"ours": list(ours), "peer": dict(peer)}
    return entry


def _holds(found: Mapping[str, float] | None, goal: float) -> bool | None:
    return None if found is None else found["median"] >= goal


def _memory(runs: Runs) -> dict[str, float]:
    return spread([run["rss_mb"] for run in runs])


def machine() -> dict[str, Any]:
    """The machine, and the matrix-product rate that bounds everything on it."""
    sides = (torch.rand(1024, 1024), torch.rand(1024, 1024))
    seconds = min(Timer("a @ b", globals={"a": sides[0], "b": sides[1]}).timeit(20).times)
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8") if platform.system() == "Linux" else ""
    return {
        "processor": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "bf16_in_hardware": "avx512_bf16" in flags or "amx_bf16" in flags,
        "fp32_gflops": round(2 * 1024**3 / seconds / 1e9, 1),
        "torch": torch.__version__,
    }


def table(entries: Mapping[str, Mapping[str, Any]]) -> str:
    """The results as Markdown."""
    head = [
        *("task", "ours tok/s", "peer default", "peer best", "ratio default", "ratio best", "goal"),
        *("memory ours, MB", "peer, fastest", "peer, leanest"),
    ]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, entry in entries.items():
        goals = ", ".join(f"{goal['goal']:g}x {VERDICTS[goal['holds']]}" for goal in entry["goals"].values())
        lean = f" ({entry['rss_ours_best_memory']['median']:.0f})" if "rss_ours_best_memory" in entry else ""
        cells = [
            name,
            _range(entry["ours"], 0),
            _range(entry["peer_default"], 0),
            f"{_range(entry['peer_best'], 0)} ({entry['peer_best_setting']})",
            _range(entry["ratio_default"], 2),
            _range(entry["ratio_best"], 2),
            goals,
            f"{entry['rss_ours']['median']:.0f}{lean}",
            f"{entry['rss_peer_best_speed']['median']:.0f}",
            f"{entry['rss_peer_best_memory']['median']:.0f} ({entry['peer_best_memory_setting']})",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _range(found: Mapping[str, float] | None, digits: int) -> str:
    if found is None:
        return "not measured"
    return f"{found['median']:.{digits}f} ({found['low']:.{digits}f}-{found['high']:.{digits}f})"
