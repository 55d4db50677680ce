"""`python -m benchmarks.annotators`: measure the annotator model and the peer on planted truth, and write the results."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit
from scipy.stats import spearmanr

from alidade.preferences.annotators import AnnotatorModel, fit_annotators
from benchmarks.annotators import people, soft
from benchmarks.annotators.calibration import after_gold, error
from benchmarks.annotators.simulation import SIDE_BIAS, Planted, apart, left_without_looking, many, published

ROOT = Path(__file__).parents[2]
REPEATS = 5
SPREADS = ((1.5, 10), (1.5, 3), (1.5, 2), (0.5, 10), (0.5, 2), (4.0, 10), (4.0, 2))


def spread(values: list[float]) -> dict[str, float]:
    """Mean and range."""
    return {
        "mean": round(float(np.mean(values)), 4),
        "low": round(min(values), 4),
        "high": round(max(values), 4),
        "n": len(values),
    }


def timed(planted: Planted) -> tuple[AnnotatorModel, float]:
    """A fit, and the least seconds of processor time of a few."""
    seconds = []
    for _ in range(REPEATS):
        before = time.process_time()
        model = fit_annotators(planted.ballots)
        seconds.append(time.process_time() - before)
    return model, min(seconds)


def by_peer(python: Path, planted: Planted) -> dict[str, Any]:
    """The peer's skills and seconds on the same votes."""
    names = ("annotator", "left", "right", "outcome")
    with tempfile.TemporaryDirectory() as folder:
        votes = Path(folder) / "votes.json"
        votes.write_text(json.dumps({name: getattr(planted.ballots, name).tolist() for name in names}), "utf-8")
        command = [str(python), str(Path(__file__).with_name("peer.py")), str(votes)]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def against_truth(model: AnnotatorModel, planted: Planted, seed: int) -> dict[str, float]:
    """How far skill, labels and intervals are right; labels after one temperature from a few gold pairs."""
    left, right = np.triu_indices(len(planted.utility), 1)
    true_gap = planted.utility[left] - planted.utility[right]
    gap, variance = model.gap(left, right)
    label, chance = model.label_prob(left, right), expit(true_gap)
    skill = [one.mean for one in model.skill()]
    return {
        "skill_spearman": float(spearmanr(skill, ~planted.tosses)[0]),
        "utility_spearman": float(spearmanr(model.utility, planted.utility)[0]),
        "gap_coverage": float(np.mean(np.abs(gap - true_gap) < 1.96 * np.sqrt(variance))),
        "ece_raw": error(label, chance),
        "ece": after_gold(label, chance, seed),
    }


def simulated(seeds: int, python: Path) -> dict[str, Any]:
    """The published setting, ours beside the peer, seed by seed in turns."""
    rows: list[Mapping[str, float]] = []
    for seed in range(seeds):
        planted = published(seed)
        model, seconds = timed(planted)
        peer = by_peer(python, planted)
        drawn = fit_annotators(published(seed, left_without_looking, votes=1800).ballots).pool_side_bias()
        row = {
            "seconds": seconds,
            "peer_seconds": peer["seconds"],
            "times_as_fast": peer["seconds"] / seconds,
            **against_truth(model, planted, seed),
            "peer_skill_spearman": float(spearmanr(peer["skill"], ~planted.tosses)[0]),
            "side_bias_error": abs(drawn.mean - SIDE_BIAS),
        }
        rows.append(row)
        print(json.dumps({name: round(value, 3) for name, value in row.items()}), flush=True)
    return {name: spread([row[name] for row in rows]) for name in rows[0]}


def million(votes: int) -> dict[str, Any]:
    """Many votes at once: seconds of the fit with its covariance, and whether skill tells who tosses coins."""
    planted = many(votes, annotators=votes // 2000, pairs=votes // 10)
    before, used = time.perf_counter(), time.process_time()
    model = fit_annotators(planted.ballots)
    seconds, cpu = time.perf_counter() - before, time.process_time() - used
    skill, attention = np.array([one.mean for one in model.skill()]), model.attention
    careful = ~planted.tosses
    return {
        "million_votes_seconds": round(seconds, 1),
        "million_votes_cpu_seconds": round(cpu, 1),
        "votes": votes,
        "skill": {"coins": round(skill[planted.tosses].mean(), 4), "careful": round(skill[careful].mean(), 4)},
        "skills_overlap": bool(skill[planted.tosses].max() >= skill[careful].min()),
        "attention": {
            "coins": round(attention[planted.tosses].mean(), 4),
            "careful": round(attention[careful].mean(), 4),
        },
    }


def planted_spreads() -> dict[str, dict[str, float]]:
    """Labels on pairs that share no answer: their calibration error by planted spread and votes a pair, and the spread that was fitted."""
    found = {}
    for spread, votes in SPREADS:
        planted = apart(spread, votes)
        model, pairs = fit_annotators(planted.ballots), np.arange(0, len(planted.utility), 2)
        label, chance = model.label_prob(pairs, pairs + 1), expit(planted.utility[pairs] - planted.utility[pairs + 1])
        found[f"spread {spread:g}, {votes} votes a pair"] = {
            "ece_raw": round(error(label, chance), 4),
            "ece": round(after_gold(label, chance, 0), 4),
            "fitted": round(model.posterior.spread, 2),
        }
    return found


def arguments() -> argparse.Namespace:
    """What is asked for on the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.annotators", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--votes", type=int, default=1_000_000, help="votes of the large fit; 0 leaves it out")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="votes of real people")
    parser.add_argument("--peer", type=Path, default=ROOT / ".venv-peer-annotators", help="the peer's environment")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "annotators.json")
    return parser.parse_args()


def main() -> None:
    """Measure, and add what was measured to the results."""
    given = arguments()
    python = given.peer / "bin" / "python"
    if not python.exists():
        sys.exit(
            f"error: there is no virtual environment of the peer at {given.peer}\nhint: `make bench-annotators` makes it"
        )
    results = json.loads(given.out.read_text(encoding="utf-8")) if given.out.exists() else {}
    results |= simulated(given.seeds, python)
    results["planted_spreads"] = planted_spreads()
    results |= soft.gains(given.seeds)
    if given.votes:
        results |= million(given.votes)
    if given.data.is_dir():
        results["people"] = {name: people.measured(name, given.data) for name in people.NAMES}
    given.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
