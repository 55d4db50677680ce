"""`python -m benchmarks.annotators.whole RUN`: as `soft`, for the reward model as the tour trains it, all its weights; minutes a seed.

RUN is a run of the tour: its fine-tuned model and its answers. What is finished is kept, and not made again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from alidade.models.local import load
from alidade.preferences import tally
from alidade.preferences.belief import believe
from alidade.records import Comparison
from alidade.seeds import generator
from alidade.stats import paired_difference
from alidade.training.fit import TrainingRun
from alidade.training.heads import heads_for
from alidade.training.objectives.reward import train_reward
from alidade.training.reward_model import new_reward_model
from benchmarks.annotators.soft import SPAMMERS, WORK, cast, majority
from benchmarks.arms.pool import Pool, model_folder, read_pool
from benchmarks.arms.scorers import TRAINING, gaps

RESULTS = Path(__file__).parents[1] / "results" / "annotators.json"
PROMPTS = 1000


def accuracy(run: Path, pool: Pool, rows: Sequence[Comparison], seed: int) -> float:
    """On the held-out pairs that gold tells apart, of a reward model that learned from `rows`."""
    fresh = new_reward_model(load(model_folder(run)), seed, heads_for(rows, TRAINING.heads), shared=True)
    reward, _ = train_reward(fresh, list(rows), [], TRAINING, TrainingRun(seed=seed))
    return float(np.mean((gaps(reward, pool, pool.heldout) > 0) == (pool.heldout.gap > 0)))


def both_ways(run: Path, pool: Pool, setting: str, seed: int) -> dict[str, float]:
    """Of a majority's labels, and of the model's on all pairs, from the same votes."""
    prompts = sorted(set(pool.train.prompt.tolist()))
    rows = [pool.rows[place] for place in generator(seed, "prompts").sample(prompts, PROMPTS)]
    votes = cast(rows, SPAMMERS[setting], seed)
    soft = tally(rows, votes, ties="keep", labels=believe(votes).labels).comparisons
    plain = majority(rows, votes)
    return {"majority": accuracy(run, pool, plain, seed), "soft": accuracy(run, pool, soft, seed)}


def main() -> None:
    """Measure seed by seed, then write the mean gain with its interval beside the other results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    given = parser.parse_args()
    kept = WORK / "whole.json"
    found = json.loads(kept.read_text()) if kept.exists() else {}
    pool = read_pool(given.run)
    WORK.mkdir(parents=True, exist_ok=True)
    for seed in range(given.seeds):
        for setting in SPAMMERS:
            if f"{setting} {seed}" not in found:
                found[f"{setting} {seed}"] = both_ways(given.run, pool, setting, seed)
                kept.write_text(json.dumps(found, indent=1))
                print(setting, seed, found[f"{setting} {seed}"], flush=True)
    results = json.loads(RESULTS.read_text())
    for setting in SPAMMERS:
        every = [found[f"{setting} {seed}"] for seed in range(given.seeds)]
        plain, soft = ([100 * row[way] for row in every] for way in ("majority", "soft"))
        gain = paired_difference(plain, soft).model_dump()
        results[f"soft_gain_{setting}_whole"] = {name: round(value, 2) for name, value in gain.items()}
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
