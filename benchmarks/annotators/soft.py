"""What the model's labels are worth to a reward model: trained on them and on plain majorities of the same votes, in the written world.

Two of twelve annotators vote on every pair of a prompt's answers. A majority keeps the pairs on which both picked the same side; the model
labels all of them, ties too. The reward model is a linear head on the fine-tuned pilot's states, trained to the end, in a second and
without chance. Both are measured on the same held-out pairs by the gold judge.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import expit

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
from alidade.training.lm import each_answer
from alidade.training.packing import Packed, Tree
from alidade.training.trunk import hidden_states, prepare
from benchmarks.annotators.calibration import after_gold

ROOT = Path(__file__).parents[2]
WORK = ROOT / "runs" / "benchmarks" / "annotators"
MADE = ("base", "demonstrations", "sft", "prompts", "answers")
SIZES = ("prompts.rows=500", "prompts.heldout=300")
PROMPTS = 300
ANNOTATORS, VOTES = 12, 2
LEAST_GAP = 0.5  # of gold utilities that make a pair to be measured on
SPAMMERS = {"clean": 0, "spam": ANNOTATORS // 3}
DECAY = 30.0  # half the square of the head's weights that counts as much as one nat


class World(NamedTuple):
    """Answers to prompts to learn from and to be measured on, and the states of the model that gave them, by prompt and text."""

    rows: list[Candidates]
    held_out: list[Candidates]
    states: Mapping[tuple[str, str], np.ndarray]


def world() -> World:
    """The tour's own first stages, made once."""
    load_all()
    recipe, store = load_recipe(ROOT / "recipes" / "tour.yaml", SIZES), Store(WORK / "store")
    made = {one.name: store.artifact(one.digest, one.kind).path for one in run(recipe, store, only=MADE).stages}
    rows, held_out = (read_rows(made["answers"] / f"{name}.jsonl", Candidates) for name in ("rows", "heldout"))
    kept = WORK / f"states-{made['answers'].name}-{made['sft'].name}.npy"
    if not kept.exists():
        np.save(kept, states(made["sft"], [*rows, *held_out]))
    keys = [(row.prompt.id, answer.text) for row in (*rows, *held_out) for answer in row.answers]
    return World(rows, held_out, dict(zip(keys, np.load(kept), strict=True)))


def states(folder: Path, rows: Sequence[Candidates]) -> np.ndarray:
    """The model's last state at each answer's end, each number with mean 0 and spread 1."""
    model = load(folder)
    module = prepare(model.module)
    trees = [
        Tree(model.renderer.prompt(chat), [model.renderer.answer(chat, answer.text) for answer in row.answers])
        for row in rows
        for chat in [row.prompt.conversation]
    ]

    def measure(packed: Packed) -> torch.Tensor:
        return hidden_states(module, packed, packed.ends).float()

    found = np.array([state for tree in each_answer(module, trees, measure) for state in tree])
    return (found - found.mean(axis=0)) / found.std(axis=0)


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


def trained(found: World, comparisons: Sequence[Comparison]) -> np.ndarray:
    """A head with the least cross-entropy on the labels and a little decay."""
    gaps = np.stack(
        [found.states[_prompt_of(row), row.left] - found.states[_prompt_of(row), row.right] for row in comparisons]
    )
    label = np.array([row.label_prob for row in comparisons])

    def loss(head: np.ndarray) -> tuple[float, np.ndarray]:
        lead = gaps @ head
        value = np.logaddexp(0, lead).sum() - label @ lead + DECAY * head @ head / 2
        return float(value), gaps.T @ (expit(lead) - label) + DECAY * head

    return minimize(loss, np.zeros(gaps.shape[1]), jac=True, method="L-BFGS-B").x


def _prompt_of(row: Comparison) -> str:
    return row.id.rpartition("/")[0]


def accuracy(found: World, head: np.ndarray) -> float:
    """How often the better of two held-out answers has the higher score, where the gold judge sees a difference."""
    hits = []
    for row in found.held_out:
        worth = gold_utilities(row, gold_judge())
        score = [found.states[row.prompt.id, answer.text] @ head for answer in row.answers]
        for left, right in combinations(range(len(worth)), 2):
            if abs(worth[left] - worth[right]) >= LEAST_GAP:
                hits.append((score[left] > score[right]) == (worth[left] > worth[right]))
    return float(np.mean(hits))


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
            "majority": accuracy(found, trained(found, majority(rows, votes))),
            "soft": accuracy(found, trained(found, tally(rows, votes, ties="keep", labels=labels).comparisons)),
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
        plain, soft = ([100 * row[way] for row in every] for way in ("majority", "soft"))
        gain = paired_difference(plain, soft)
        results[f"soft_gain_{setting}"] = {name: round(value, 2) for name, value in gain.model_dump().items()}
        results[f"soft_ece_{setting}"] = round(float(np.mean([row["ece"] for row in every])), 4)
    return results
