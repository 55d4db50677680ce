"""How good a reward model is: on held-out comparisons and, in the testbed, against gold; each beside rules that read no words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

from pydantic import Field

from alidade.pipeline import StageContext, stage
from alidade.preferences import slices
from alidade.preferences.baselines import accuracy, beside_baselines, decided
from alidade.records import Candidates, Comparison, Prompt, Record
from alidade.stages.kinds import ANSWERS, EVALUATION, REWARD_MODEL
from alidade.store import Artifact, read_rows, write_json
from alidade.testbed.annotators import gold_utilities
from alidade.testbed.judge import gold_judge
from alidade.testbed.questions import question_of

if TYPE_CHECKING:
    from alidade.training.reward_model import RewardModel


def accuracies(reward: RewardModel, train: Sequence[Comparison], heldout: Sequence[Comparison]) -> dict[str, Any]:
    """`agreement` of a reward model with held-out comparisons."""
    return agreement(train, heldout, leads_of(reward, heldout))


def checked(reward: RewardModel, train: Sequence[Comparison], heldout: Sequence[Comparison]) -> dict[str, Any]:
    """`agreement` of a reward model with held-out comparisons, in all and by kind of pair."""
    leads = leads_of(reward, heldout)
    found: dict[str, Any] = {"annotated": agreement(train, heldout, leads)}
    by_kind = {
        kind: {part: estimate.model_dump() for part, estimate in parts.items()}
        for kind, parts in slices(train, heldout, leads).items()
    }
    if own := _by_own_head(reward, heldout):
        by_kind["attribute, by its own head"] = own
    return found | ({"slices": by_kind} if by_kind else {})


def _by_own_head(reward: RewardModel, heldout: Sequence[Comparison]) -> dict[str, Any]:
    """Each attribute's head on the held-out comparisons about that attribute; nothing for a model of one."""
    from alidade.training.reward_model import score_attributes

    names = reward.heads.attributes
    if len(names) == 1:
        return {}
    found: dict[str, Any] = {}
    for name in names:
        rows = [row for row in heldout if row.attribute == name]
        scores = score_attributes(reward, [(row.prompt, answer) for row in rows for answer in (row.left, row.right)])
        leads = [left[name] - right[name] for left, right in zip(scores[::2], scores[1::2], strict=True)]
        if (estimate := accuracy(rows, leads)) is not None:
            found[name] = estimate.model_dump()
    return found


def leads_of(reward: RewardModel, rows: Sequence[Comparison]) -> list[float]:
    """How far each left answer is ahead, in normalised score."""
    from alidade.training.reward_model import score_answers

    scores = score_answers(reward, [(row.prompt, answer) for row in rows for answer in (row.left, row.right)])
    return [left - right for left, right in zip(scores[::2], scores[1::2], strict=True)]


def agreement(train: Sequence[Comparison], heldout: Sequence[Comparison], leads: Sequence[float]) -> dict[str, Any]:
    """`beside_baselines` as JSON, and how many held-out comparisons have a preference; empty when there are none."""
    found = {name: estimate.model_dump() for name, estimate in beside_baselines(train, heldout, leads).items()}
    return found | {"n": len(decided(heldout))} if found else {}


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
    version=2,
    reads={"reward": REWARD_MODEL, "answers": ANSWERS},
    writes=EVALUATION,
    config=CheckRewardConfig,
)
def testbed_check_reward(config: CheckRewardConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """How often the reward model puts the better of two held-out answers first, where the gold judge sees a difference."""
    from alidade.training.reward_model import load_reward_model

    train, heldout = (
        [
            pair
            for row in read_rows(inputs["answers"].path / name, Candidates)
            for pair in _gold_pairs(row, config.least_gap)
        ]
        for name in ("rows.jsonl", "heldout.jsonl")
    )
    gold = accuracies(load_reward_model(inputs["reward"].path), train, heldout)
    write_json(context.out / "summary.json", {"gold": gold})
    if gold:
        context.note("accuracy_on_gold", gold["accuracy"]["mean"])


def _gold_pairs(row: Candidates, least_gap: float) -> Iterator[Comparison]:
    utilities = gold_utilities(row, gold_judge())
    for left, right in combinations(range(len(utilities)), 2):
        gap = utilities[left] - utilities[right]
        texts = row.answers[left].text, row.answers[right].text
        if abs(gap) >= least_gap and texts[0] != texts[1]:
            yield Comparison(
                id=f"{row.prompt.id}/{left}-{right}",
                prompt=row.prompt.conversation,
                left=texts[0],
                right=texts[1],
                label_prob=float(gap > 0),
                source="testbed",
            )
