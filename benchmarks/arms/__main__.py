"""`python -m benchmarks.arms RUN`: measure what chosen pairs, and more votes a pair, do for a reward model in the testbed.

RUN needs the stages `sft` and `answers` of the tour; the answers' held-out prompts measure.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import torch
from scipy.stats import t as student

from alidade.preferences.arms import Measure, doubt
from alidade.preferences.budget import Design, outlook
from alidade.preferences.crowd import Crowd, crowd_agreeing
from alidade.testbed.annotators import POOL
from benchmarks.arms.pool import Array, Pairs, Pool, read_pool, seen_in_answers, votes
from benchmarks.arms.scorers import gaps, linear, linear_ensemble, trained

BUDGETS = (300, 600, 1200)
CANDIDATES = 4  # for each pair that is chosen
MEASURES: tuple[Measure, ...] = ("margin", "variance", "information")
VOTES_PER_PAIR = (1, 2, 3, 5)
TRAINED_BUDGET = 600
ROOT = Path(__file__).parents[2]

Row = dict[str, float]


def spread(values: list[float]) -> dict[str, float]:
    """Mean with the 95 % interval of a mean over seeds."""
    half = float(student.ppf(0.975, len(values) - 1)) * stdev(values) / len(values) ** 0.5
    return {"mean": round(fmean(values), 4), "half": round(half, 4), "n": len(values)}


def over_seeds(rows: list[Row], base: str = "random") -> dict[str, dict[str, float]]:
    """Each column's spread, and the spread of its difference from `base`, seed by seed."""
    found = {name: spread([row[name] for row in rows]) for name in rows[0]}
    lifts = {name: [row[name] - row[base] for row in rows] for name in rows[0] if name != base}
    return found | {f"{name} - {base}": spread(values) for name, values in lifts.items()}


def right(pairs: Pairs, gap: Array) -> float:
    """The share of pairs whose better answer is put ahead."""
    return float(np.mean((gap > 0) == (pairs.gap > 0)))


def first_and_rest(pool: Pool, budget: int, seed: int, candidates: int | None) -> tuple[Array, Array]:
    """Pairs of a first third, drawn by chance, and those that the rest is chosen from, in the order of chance."""
    order = np.random.default_rng(seed).permutation(len(pool.train))
    third = budget // 3
    return order[:third], order[third : None if candidates is None else third + candidates * (budget - third)]


def by_arm(pool: Pool, states: Array, budget: int, seed: int, candidates: int | None) -> Row:
    """Accuracy of a linear head with a vote on each of `budget` pairs, the rest chosen by a first third's ensemble."""
    first, rest = first_and_rest(pool, budget, seed, candidates)
    known = pool.train.at(first)
    members = linear_ensemble(states, known, votes(pool, known, 1, seed)[:, 0], np.random.default_rng(seed))
    offered = pool.train.at(rest)
    said = (states[offered.left] - states[offered.right]) @ members
    chosen = {measure: rest[np.argsort(-doubt(said, measure), kind="stable")] for measure in MEASURES} | {
        "random": rest
    }
    found: Row = {}
    for name, order in chosen.items():
        pairs = pool.train.at(np.concatenate([first, order[: budget - len(first)]]))
        label = votes(pool, pairs, 1, seed)[:, 0]
        gap = (states[pool.heldout.left] - states[pool.heldout.right]) @ linear(states, pairs, label)
        found[name] = right(pool.heldout, gap)
        found[f"{name}: ties"] = float(np.mean(label[len(first) :] == 0.5))
    return found


def by_votes(pool: Pool, states: Array, budget: int, seed: int) -> Row:
    """Accuracy of a linear head, and of labels, with more votes on fewer pairs; pairs on which all call a tie are kept."""
    order = np.random.default_rng(seed).permutation(len(pool.train))
    found: Row = {}
    for count in VOTES_PER_PAIR:
        pairs = pool.train.at(order[: budget // count])
        label = votes(pool, pairs, count, seed).mean(axis=1)
        gap = (states[pool.heldout.left] - states[pool.heldout.right]) @ linear(states, pairs, label)
        found[f"{count}"] = right(pool.heldout, gap)
        differ = np.abs(pairs.gap) > 0
        found[f"{count}: labels"] = float(np.mean(((1 + np.sign(label - 0.5) * np.sign(pairs.gap)) / 2)[differ]))
    return found


def by_arm_trained(run: Path, pool: Pool, seed: int) -> Row:
    """As `by_arm`, by margin, of a reward model that is trained whole."""
    first, rest = first_and_rest(pool, TRAINED_BUDGET, seed, CANDIDATES)
    known, offered = pool.train.at(first), pool.train.at(rest)
    scorer = trained(run, pool, known, votes(pool, known, 1, seed)[:, 0], seed)
    doubted = rest[np.argsort(-doubt(gaps(scorer, pool, offered)[:, None], "margin"), kind="stable")]
    found: Row = {}
    for name, order in {"random": rest, "margin": doubted}.items():
        pairs = pool.train.at(np.concatenate([first, order[: TRAINED_BUDGET - len(first)]]))
        learned = trained(run, pool, pairs, votes(pool, pairs, 1, seed)[:, 0], seed)
        found[name] = right(pool.heldout, gaps(learned, pool, pool.heldout))
    return found


def crowd_in(pool: Pool) -> tuple[Crowd, float]:
    """The simulated annotators as the planner sees them, and how often two of them agree where neither calls a tie."""
    pairs = pool.train.at(np.random.default_rng(0).permutation(len(pool.train))[:3000])
    two = votes(pool, pairs, 2, 0)
    decided = two[(two != 0.5).all(axis=1)]
    agreement = float(np.mean(decided[:, 0] == decided[:, 1]))
    return crowd_agreeing(len(POOL), agreement=agreement, ties=float(np.mean(two == 0.5))), agreement


def planned(crowd: Crowd, budget: int) -> dict[str, Row]:
    """What the planner says of as many votes a pair."""
    found = {}
    for count in VOTES_PER_PAIR:
        design = Design(votes_per_item=count, overlap_share=0, gold_share=0, repeat_share=0)
        said = outlook(budget, crowd, design)
        found[str(count)] = {"labels_right": round(said.labels_right, 4), "teaches_like": round(said.teaches_like)}
    return found


def seeds_of(what: str, measure: Callable[[int], Row], seeds: int) -> Iterator[Row]:
    """A row for each seed, shown as it comes."""
    for seed in range(seeds):
        row = measure(seed)
        print(what, seed, json.dumps({name: round(value, 4) for name, value in row.items()}), flush=True)
        yield row


def of_linear_heads(run: Path, pool: Pool, seeds: int) -> Mapping[str, object]:
    """All that is measured of a linear head on frozen states."""
    with torch.no_grad():
        states = seen_in_answers(run, pool)
    crowd, agreement = crowd_in(pool)
    found: dict[str, object] = {"crowd": crowd.model_dump() | {"agreement": agreement, "skill": crowd.skill}}
    for budget in BUDGETS:
        for name, candidates in (("few candidates", CANDIDATES), ("all candidates", None)):
            rows = seeds_of(f"{budget}, {name}", lambda seed: by_arm(pool, states, budget, seed, candidates), seeds)  # noqa: B023
            found[f"arms, {budget} votes, {name}"] = over_seeds(list(rows))
        rows = seeds_of(f"{budget}, votes", lambda seed: by_votes(pool, states, budget, seed), seeds)  # noqa: B023
        found[f"votes a pair, {budget} votes"] = over_seeds(list(rows), base="1")
        found[f"planned, {budget} votes"] = planned(crowd, budget)
    return found


def main() -> None:
    """Measure, and add what was measured to the results."""
    parser = argparse.ArgumentParser(prog="benchmarks.arms", description=__doc__)
    parser.add_argument("run", type=Path, help="a run's folder")
    parser.add_argument("--seeds", type=int, default=20, help="seeds of the linear heads; 0 leaves them out")
    parser.add_argument(
        "--trained", type=int, default=5, help="seeds of the reward models trained whole; 0 leaves them out"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "arms.json")
    given = parser.parse_args()
    pool = read_pool(given.run)
    results = json.loads(given.out.read_text(encoding="utf-8")) if given.out.exists() else {}
    if given.seeds:
        results |= of_linear_heads(given.run, pool, given.seeds)
    if given.trained:
        rows = seeds_of("trained", lambda seed: by_arm_trained(given.run, pool, seed), given.trained)
        results[f"trained whole, {TRAINED_BUDGET} votes"] = over_seeds(list(rows))
    given.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
