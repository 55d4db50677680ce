"""How good a reward model is: on held-out comparisons, and in the testbed against gold, each beside the length-only baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from pydantic import Field

from alidade.pipeline import StageContext, stage
from alidade.records import Candidates, Comparison, Prompt, Record
from alidade.stages.kinds import ANSWERS, EVALUATION, REWARD_MODEL
from alidade.stats import clustered_proportion
from alidade.store import Artifact, read_rows, write_json
from alidade.testbed.annotators import gold_utilities
from alidade.testbed.judge import gold_judge
from alidade.testbed.questions import question_of
from alidade.training.reward_model import RewardModel, load_reward_model, score_answers


@dataclass(frozen=True)
class Pair:
    """Two answers of one prompt: the lead of the better one in score and in tokens."""

    prompt: str
    score_lead: float
    length_lead: float


def accuracies(pairs: Sequence[Pair]) -> dict[str, Any]:
    """How often the better answer scores higher, and how often the better of the two rules by length alone is right.

    Pairs of one prompt count as a cluster; equal scores or lengths count as wrong.
    """
    prompts = [pair.prompt for pair in pairs]
    by_score = clustered_proportion([pair.score_lead > 0 for pair in pairs], prompts)
    longer, shorter = (
        clustered_proportion([sign * pair.length_lead > 0 for pair in pairs], prompts) for sign in (1, -1)
    )
    best = longer if longer.mean >= shorter.mean else shorter
    return {"accuracy": by_score.model_dump(), "length_only": best.model_dump(), "n": len(pairs)}


def reward_evaluation(reward: RewardModel, heldout: Sequence[Comparison], report: Mapping[str, Any]) -> dict[str, Any]:
    """Accuracy on held-out comparisons that have a preference, with intervals, and calibration from `report`."""
    decided = [row for row in heldout if row.label_prob != 0.5]
    if not decided:
        return {"heldout": len(heldout)}
    texts = [(row.prompt, answer) for row in decided for answer in (row.chosen, row.rejected)]
    scores, lengths = score_answers(reward, texts), [len(reward.renderer.answer(*text)) for text in texts]
    pairs = [
        Pair(row.prompt.model_dump_json(), scores[2 * i] - scores[2 * i + 1], lengths[2 * i] - lengths[2 * i + 1])
        for i, row in enumerate(decided)
    ]
    return {"annotated": accuracies(pairs), "calibration": report["bins"], "temperature": report["temperature"]}


def gold_utility(prompts: list[Prompt], texts: list[str], finished: list[bool]) -> list[float]:
    """The gold judge's utility of each answer, for the record of a training."""
    judge = gold_judge()
    return [
        judge.judge(question_of(prompt), text, finished=done).utility
        for prompt, text, done in zip(prompts, texts, finished, strict=True)
    ]


class CheckRewardConfig(Record):
    """Which pairs count as different."""

    least_gap: float = Field(
        default=0.5, gt=0, description="gold utilities at least this far apart make a gold-different pair"
    )


@stage(
    "testbed-check-reward",
    version=1,
    reads={"reward": REWARD_MODEL, "answers": ANSWERS},
    writes=EVALUATION,
    config=CheckRewardConfig,
)
def testbed_check_reward(config: CheckRewardConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """How often the reward model puts the better of two held-out answers first, where the gold judge sees a difference."""
    rows = read_rows(inputs["answers"].path / "heldout.jsonl", Candidates)
    reward = load_reward_model(inputs["reward"].path)
    scores = iter(
        score_answers(reward, [(row.prompt.conversation, answer.text) for row in rows for answer in row.answers])
    )
    pairs = [pair for row in rows for pair in _gold_pairs(row, [next(scores) for _ in row.answers], config.least_gap)]
    gold = accuracies(pairs)
    write_json(context.out / "summary.json", {"gold": gold})
    context.note("accuracy_on_gold", gold["accuracy"]["mean"])


def _gold_pairs(row: Candidates, scores: Sequence[float], least_gap: float) -> list[Pair]:
    utilities, lengths = gold_utilities(row, gold_judge()), [answer.token_count for answer in row.answers]
    pairs = []
    for left, right in combinations(range(len(scores)), 2):
        better, worse = (left, right) if utilities[left] > utilities[right] else (right, left)
        if utilities[better] - utilities[worse] >= least_gap:
            pairs.append(Pair(row.prompt.id, scores[better] - scores[worse], lengths[better] - lengths[worse]))
    return pairs
