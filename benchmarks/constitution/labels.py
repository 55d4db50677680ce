"""Labels by principles: soft against hard ones for a preference model, and whether a planted principle is found."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from alidade.constitution.ablation import ablate
from alidade.constitution.conflicts import conflict_map
from alidade.constitution.coverage import coverage
from alidade.constitution.document import find_constitution
from alidade.constitution.prefer import Feedback, Pair, PreferenceSettings, Preferred
from alidade.constitution.wording import REVIEWS
from alidade.models.base import Sampling
from alidade.models.continuing import ContinuingModel
from alidade.models.local import load
from alidade.records import Candidates, Comparison
from alidade.stats import paired_difference
from alidade.store import read_rows
from alidade.testbed.judge import gold_judge
from alidade.testbed.questions import evaluation_prompts, question_of
from alidade.training.fit import TrainingRun
from alidade.training.heads import heads_for
from alidade.training.objectives.reward import train_reward
from alidade.training.reward_model import RewardModel, new_reward_model, score_answers
from alidade.training.settings import Batching, OptimiserConfig, RewardConfig
from benchmarks.constitution.runs import folder

LEAST_GAP = 0.5  # of gold utility, for a pair to have a better answer, as in the stage `testbed-check-reward`
PER_KIND = 150  # prompts of each kind that preference models are tried on
# As in the recipe.
TRAINING = RewardConfig(batching=Batching(rows=8, epochs=1), optimiser=OptimiserConfig(learning_rate=4e-4))
THINKING = PreferenceSettings(thoughts=True, thought_tokens=56, temperature=0.3, shots=0, clamp=(0.02, 0.98))


def hard(rows: Sequence[Comparison]) -> list[Comparison]:
    """The same comparisons, each label the likelier side; an even one is no comparison."""
    return [row.model_copy(update={"label_prob": float(row.label_prob > 0.5)}) for row in rows if row.label_prob != 0.5]


def gold_pairs(rows: Iterable[Candidates]) -> list[tuple[Candidates, int, int, float]]:
    """Pairs of answers that differ to gold, with by how much the first is better."""
    judge, found = gold_judge(), []
    for row in rows:
        worth = [judge.judge(question_of(row.prompt), one.text, finished=one.finished).utility for one in row.answers]
        for left in range(len(worth)):
            for right in range(left + 1, len(worth)):
                if abs(worth[left] - worth[right]) >= LEAST_GAP:
                    found.append((row, left, right, worth[left] - worth[right]))
    return found


def accuracy(reward: RewardModel, pairs: Sequence[tuple[Candidates, int, int, float]]) -> float:
    """The share of the pairs whose better answer gets the higher reward."""
    asked = [(row.prompt.conversation, row.answers[side].text) for row, *sides, _ in pairs for side in sides]
    scores = np.array(score_answers(reward, asked)).reshape(-1, 2)
    return float(np.mean((scores[:, 0] > scores[:, 1]) == (np.array([gap for *_, gap in pairs]) > 0)))


def fresh_answers(out: Path, seed: int) -> list[Candidates]:
    """Two answers of the fine-tuned model to each of `PER_KIND` prompts a kind, in wordings that no stage has asked in."""
    prompts = [prompt for prompt in evaluation_prompts(PER_KIND, seed) if prompt.about["new"] == "false"]
    model, talks = load(folder(out, "sl")), [prompt.conversation for prompt in prompts]
    drawn = [model.reply(talks, Sampling(max_new_tokens=80, seed=seed + number)) for number in range(2)]
    return [
        Candidates(prompt=prompt, answers=tuple(answers))
        for prompt, *answers in zip(prompts, *drawn, strict=True)
        if all(answer.text for answer in answers)
    ]


def soft_and_hard(out: Path, answers: Sequence[Candidates], seed: int) -> dict[str, float]:
    """Gold accuracy on `answers` of a preference model by each sort of label, the same otherwise."""
    pairs = gold_pairs(answers)
    rows = read_rows(folder(out, "labels") / "rows.jsonl", Comparison)
    found = {"pairs": float(len(pairs))}
    for name, labelled in (("soft", rows), ("hard", hard(rows))):
        model = load(folder(out, "sl"))
        fresh = new_reward_model(model, seed, heads_for(labelled, TRAINING.heads), shared=True)
        reward, _ = train_reward(fresh, labelled, [], TRAINING, TrainingRun(seed=seed))
        found[name] = accuracy(reward, pairs)
    return found


def soft_minus_hard(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean difference over seeds, in points."""
    soft, hard_ = ([100 * row[name] for row in rows] for name in ("soft", "hard"))
    return paired_difference(hard_, soft).model_dump()


def judged_by_all(out: Path, document: Path | str, count: int, seed: int) -> tuple[list[Preferred], dict[str, float]]:
    """`count` pairs of the compared answers, every principle asked of each, and gold's labels of them."""
    constitution = find_constitution(document)
    pool = gold_pairs(read_rows(folder(out, "compared") / "rows.jsonl", Candidates))
    random.Random(seed).shuffle(pool)
    pairs, gold = [], {}
    for number, (row, left, right, gap) in enumerate(islice(pool, count)):
        name = f"pair-{number}"
        pairs.append(
            Pair(
                id=name,
                prompt=row.prompt.conversation,
                left=row.answers[left].text,
                right=row.answers[right].text,
            )
        )
        gold[name] = float(gap > 0)
    settings = THINKING.model_copy(update={"principles_per_pair": len(constitution.judges)})
    judge = Feedback(ContinuingModel(load(folder(out, "base"))), constitution, REVIEWS, settings)
    return judge.compare(pairs, seed), gold


def planted_rank(out: Path, document: Path, planted: str, count: int, seed: int) -> dict[str, Any]:
    """At which place the planted principle comes: whose removal helps most by gold, moves labels most, and whom others oppose."""
    rows, gold = judged_by_all(out, document, count, seed)
    constitution = find_constitution(document)
    dropped = ablate(rows, gold, constitution)
    opposed = conflict_map(rows, constitution).principles
    by_ablation = [one.principle for one in dropped]
    by_moved = [one.principle for one in ablate(rows, None, constitution)]
    by_conflict = [one.principle for one in sorted(opposed, key=lambda one: -one.opposed.mean)]
    return {
        "ablation": by_ablation.index(planted) + 1,
        "ablation_without_gold": by_moved.index(planted) + 1,
        "conflicts": by_conflict.index(planted) + 1,
        "of": len(by_ablation),
        "pairs": len(rows),
        "gain_without_it": next(
            one.agreement.gain.model_dump() for one in dropped if one.principle == planted and one.agreement
        ),
        "coverage": [one.model_dump(mode="json") for one in coverage(rows) if one.principle == planted],
        "opposed": next(one.opposed.model_dump() for one in opposed if one.principle == planted),
        "opposed_next": max(one.opposed.mean for one in opposed if one.principle != planted),
    }
