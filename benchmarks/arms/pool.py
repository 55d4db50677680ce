"""Pairs of the testbed's answers with their gold gaps, the simulated annotators' votes on them, and what a model sees in an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from alidade.models.local import load
from alidade.pipeline import resolve
from alidade.records import Candidates, Comparison
from alidade.seeds import generator
from alidade.store import Store, read_rows
from alidade.testbed.annotators import POOL, choose, felt_utility, gold_utilities
from alidade.testbed.judge import gold_judge
from alidade.training.lm import each_answer
from alidade.training.packing import Tree
from alidade.training.reward_model import new_reward_model
from alidade.training.trunk import hidden_states

Array = np.ndarray
LEAST_GAP = 0.5  # of gold utility, for a pair to have a better answer, as in the stage `testbed-check-reward`
WINS = {"left": 1.0, "right": 0.0, "tie": 0.5}


@dataclass(frozen=True)
class Pairs:
    """Pairs of different answers: places of `left` and `right` among all answers, prompts, and by how much the left is better."""

    left: Array
    right: Array
    prompt: Array
    gap: Array

    def __len__(self) -> int:
        return len(self.left)

    def at(self, places: Array) -> Pairs:
        """Some of them."""
        return Pairs(self.left[places], self.right[places], self.prompt[places], self.gap[places])


@dataclass(frozen=True)
class Pool:
    """All answers to the prompts, those held out behind the others, what they are worth to gold, and pairs of both."""

    rows: list[Candidates]
    worth: list[float]
    train: Pairs
    heldout: Pairs

    @property
    def texts(self) -> list[tuple[int, str]]:
        """Of each answer, its prompt's place and its text."""
        return [(place, answer.text) for place, row in enumerate(self.rows) for answer in row.answers]


def read_pool(run: Path) -> Pool:
    """The answers that a run sampled."""
    store = Store(run / "store")
    folder = store.artifact(resolve(store, "answers").digest, "answers").path
    train, heldout = (read_rows(folder / name, Candidates) for name in ("rows.jsonl", "heldout.jsonl"))
    rows, judge = [*train, *heldout], gold_judge()
    worth = [value for row in rows for value in gold_utilities(row, judge)]
    first = sum(len(row.answers) for row in train)
    every = _pairs(rows, worth)
    is_held = every.left >= first
    decided = np.abs(every.gap) >= LEAST_GAP
    return Pool(rows, worth, every.at(np.flatnonzero(~is_held)), every.at(np.flatnonzero(is_held & decided)))


def _pairs(rows: Sequence[Candidates], worth: Sequence[float]) -> Pairs:
    found, start = [], 0
    for prompt, row in enumerate(rows):
        for left, right in combinations(range(len(row.answers)), 2):
            if row.answers[left].text != row.answers[right].text:
                gap = worth[start + left] - worth[start + right]
                found.append((start + left, start + right, prompt, gap))
        start += len(row.answers)
    left, right, prompt, gap = zip(*found, strict=True)
    return Pairs(np.array(left), np.array(right), np.array(prompt), np.array(gap))


def votes(pool: Pool, pairs: Pairs, count: int, seed: int) -> Array:
    """Of each pair `count` votes of different people [pairs, count]: 1 for the left answer, 0 for the right, 1/2 a tie.

    A pair's votes do not depend on which others are asked about.
    """
    texts, found = pool.texts, np.empty((len(pairs), count))
    for place, (left, right) in enumerate(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)):
        rng = generator(seed, "vote", left, right)
        for vote, annotator in enumerate(rng.sample(POOL, count)):
            felt = [felt_utility(annotator, pool.worth[answer], texts[answer][1]) for answer in (left, right)]
            found[place, vote] = WINS[choose(annotator, felt[0] - felt[1], rng)]
    return found


def comparisons(pool: Pool, pairs: Pairs, label: Array) -> list[Comparison]:
    """Pairs with their labels, for a reward model to learn from."""
    texts = pool.texts
    return [
        Comparison(
            id=f"{left}-{right}",
            prompt=pool.rows[prompt].prompt.conversation,
            left=texts[left][1],
            right=texts[right][1],
            label_prob=share,
            source="testbed",
        )
        for left, right, prompt, share in zip(
            pairs.left.tolist(), pairs.right.tolist(), pairs.prompt.tolist(), label.tolist(), strict=True
        )
    ]


def model_folder(run: Path) -> Path:
    """The fine-tuned model that gave the answers."""
    store = Store(run / "store")
    return store.artifact(resolve(store, "sft").digest, "model").path


def seen_in_answers(run: Path, pool: Pool) -> Array:
    """The fine-tuned model's last hidden state at the end of each answer: mean 0 and spread 1 in each dimension."""
    reward = new_reward_model(load(model_folder(run)), 0)
    chats = [pool.rows[place].prompt.conversation for place, _ in pool.texts]
    trees = [
        Tree(reward.renderer.prompt(chat), [reward.renderer.answer(chat, text)])
        for chat, (_, text) in zip(chats, pool.texts, strict=True)
    ]
    found = each_answer(reward.module, trees, lambda packed: hidden_states(reward.module, packed, packed.ends))
    states = np.array([row[0] for row in found])
    return (states - states.mean(axis=0)) / (states.std(axis=0) + 1e-6)
