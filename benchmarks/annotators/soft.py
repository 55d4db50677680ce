"""What the model's labels are worth to a reward model: trained on them and on plain majorities of the same votes, in the written world.

Two of twelve annotators vote on every pair of a prompt's answers. A majority keeps the pairs on which both picked the same side; the model
keeps all of them. Both reward models are measured on the same held-out pairs by the gold judge.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit

from alidade.digest import digest_of
from alidade.models.local import load
from alidade.pipeline import load_recipe, run
from alidade.preferences import tally
from alidade.preferences.belief import believe
from alidade.preferences.tally import Pair
from alidade.records import Candidates, Comparison, Vote
from alidade.seeds import generator
from alidade.stages import load_all
from alidade.stats import paired_difference
from alidade.store import Store, read_rows
from alidade.testbed.annotators import Annotator, choose, gold_utilities
from alidade.testbed.judge import gold_judge
from alidade.training.fit import TrainingRun
from alidade.training.objectives.reward import train_reward
from alidade.training.reward_model import RewardModel, new_reward_model, score_answers
from alidade.training.settings import Batching, OptimiserConfig, RewardConfig
from benchmarks.annotators.calibration import after_gold

ROOT = Path(__file__).parents[2]
WORK = ROOT / "runs" / "benchmarks" / "annotators"
MADE = ("base", "demonstrations", "sft", "prompts", "answers")
SIZES = ("prompts.rows=500", "prompts.heldout=300")
PROMPTS, HELD_OUT = 200, 150
ANNOTATORS, VOTES = 12, 2
TOSS_UP = 0.1  # labels this near to 1/2 are left out, as pairs on which everyone ties are
LEAST_GAP = 0.5  # of gold utilities that make a pair to be measured on
SPAMMERS = {"clean": 0, "spam": ANNOTATORS // 3}
TRAINING = RewardConfig(batching=Batching(rows=2, epochs=1), optimiser=OptimiserConfig(learning_rate=4e-4))


class World(NamedTuple):
    """Where the model lies that answered, and its answers to prompts to learn from and to be measured on."""

    model: Path
    rows: list[Candidates]
    held_out: list[Candidates]


def world() -> World:
    """The tour's own first stages, made once."""
    load_all()
    recipe, store = load_recipe(ROOT / "recipes" / "tour.yaml", SIZES), Store(WORK / "store")
    made = {one.name: store.artifact(one.digest, one.kind).path for one in run(recipe, store, only=MADE).stages}
    rows, held_out = (read_rows(made["answers"] / f"{name}.jsonl", Candidates) for name in ("rows", "heldout"))
    return World(made["sft"], rows, held_out[:HELD_OUT])


def cast(rows: Sequence[Candidates], spammers: int, seed: int) -> list[Vote]:
    """Two votes on every pair of each row's answers, each by an annotator drawn for the pair."""
    pool = [Annotator(name=f"{n}", attention=0.95 * (n >= spammers)) for n in range(ANNOTATORS)]
    votes, rng = [], generator(seed, "soft labels", spammers)
    for row in rows:
        worth = gold_utilities(row, gold_judge())
        for pair in combinations(range(len(worth)), 2):
            for annotator in rng.sample(pool, VOTES):
                left, right = pair if rng.random() < 0.5 else pair[::-1]
                fields = {"id": f"{row.prompt.id}/{left}-{right}/{annotator.name}", "prompt_id": row.prompt.id}
                choice = choose(annotator, worth[left] - worth[right], rng)
                votes.append(
                    Vote(left=left, right=right, choice=choice, annotator=annotator.name, source="testbed", **fields)
                )
    return votes


def majority(rows: Sequence[Candidates], votes: Sequence[Vote]) -> list[Comparison]:
    """The pairs on which all votes are for one side."""
    return [row for row in tally(rows, votes).comparisons if row.label_prob in (0.0, 1.0)]


def told_apart(rows: Sequence[Candidates], votes: Sequence[Vote], labels: Mapping[Pair, float]) -> list[Comparison]:
    """The model's labels, but for toss-ups."""
    return [row for row in tally(rows, votes, labels=labels).comparisons if abs(row.label_prob - 0.5) >= TOSS_UP]


def accuracy(reward: RewardModel, rows: Sequence[Candidates]) -> float:
    """How often the better of two answers has the higher score, where the gold judge sees a difference."""
    asked = [(row.prompt.conversation, answer.text) for row in rows for answer in row.answers]
    scores, hits = iter(score_answers(reward, asked)), []
    for row in rows:
        score, worth = [next(scores) for _ in row.answers], gold_utilities(row, gold_judge())
        for left, right in combinations(range(len(worth)), 2):
            if abs(worth[left] - worth[right]) >= LEAST_GAP:
                hits.append((score[left] > score[right]) == (worth[left] > worth[right]))
    return float(np.mean(hits))


def trained(found: World, comparisons: Sequence[Comparison], seed: int) -> float:
    """The gold accuracy of a reward model that learned from `comparisons`; kept, so that it is trained once."""
    records = [record.model_dump(mode="json") for record in (TRAINING, *comparisons)]
    kept = WORK / "soft" / f"{digest_of([seed, found.model.name, HELD_OUT, *records])}.json"
    if not kept.exists():
        fresh = new_reward_model(load(found.model), seed)
        reward, _ = train_reward(fresh, comparisons, [], TRAINING, TrainingRun(seed=seed))
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(accuracy(reward, found.held_out)), encoding="utf-8")
    return json.loads(kept.read_text(encoding="utf-8"))


def calibration(rows: Sequence[Candidates], labels: Mapping[Pair, float], seed: int) -> float:
    """The error of the labels as chances of a careful vote, after a temperature from a few gold pairs."""
    worth = {row.prompt.id: gold_utilities(row, gold_judge()) for row in rows}
    careful = Annotator(name="careful")
    gaps = np.array([worth[pair.prompt_id][pair.left] - worth[pair.prompt_id][pair.right] for pair in labels])
    chance = np.where(np.abs(gaps) < careful.indifference, 0.5, expit(careful.sharpness * gaps))
    return after_gold(np.array(list(labels.values())), chance, seed)


def rounds(found: World, setting: str, seeds: int) -> Iterator[dict[str, float]]:
    """Both ways, seed by seed."""
    for seed in range(seeds):
        rows = generator(seed, "prompts").sample(found.rows, PROMPTS)
        votes = cast(rows, SPAMMERS[setting], seed)
        labels = believe(votes).labels
        yield {
            "majority": trained(found, majority(rows, votes), seed),
            "soft": trained(found, told_apart(rows, votes, labels), seed),
            "ece": calibration(rows, labels, seed),
        }


def gains(seeds: int) -> dict[str, Any]:
    """In points of gold accuracy, with 95 % intervals over seeds: how far the model's labels are ahead of majorities."""
    found, results = world(), dict[str, Any]()
    for setting in SPAMMERS:
        every = []
        for row in rounds(found, setting, seeds):
            every.append(row)
            print(setting, json.dumps({name: round(value, 4) for name, value in row.items()}), flush=True)
        majority_, soft = ([100 * row[way] for row in every] for way in ("majority", "soft"))
        gain = paired_difference(majority_, soft)
        results[f"soft_gain_{setting}"] = {name: round(value, 2) for name, value in gain.model_dump().items()}
        results[f"soft_ece_{setting}"] = round(float(np.mean([row["ece"] for row in every])), 4)
    return results
