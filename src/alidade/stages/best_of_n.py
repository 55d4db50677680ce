"""The stage that picks, of many answers to each prompt, the one a reward model likes best, and asks the gold judge what it is worth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import pstdev
from typing import TYPE_CHECKING, Any, Self

from pydantic import model_validator

from alidade.errors import DataError
from alidade.evals.best_of_n import best_of_n, kl_bound, powers_of_two
from alidade.pipeline import StageContext, stage
from alidade.records import Candidates, Record
from alidade.stages.kinds import ANSWERS, EVALUATION, REWARD_MODEL
from alidade.stats import mean_estimate
from alidade.store import Artifact, read_json, read_rows, write_json, write_rows
from alidade.testbed.annotators import gold_utilities
from alidade.testbed.judge import gold_judge
from alidade.training.settings import RewardShape

if TYPE_CHECKING:
    from alidade.training.reward_model import RewardModel

SETS = {"choosing": "rows.jsonl", "reporting": "heldout.jsonl"}


class BestOfNConfig(Record):
    """From a score to the reward that is compared: as in reinforcement, so that both optimise the same thing.

    What says how tokens are credited (`whiten`, `gamma`, `lam`) changes no answer's reward.
    """

    shape: RewardShape = RewardShape()

    @model_validator(mode="after")
    def _nothing_is_trained(self) -> Self:
        if self.shape.normalise:
            raise ValueError("`normalise` goes by the scores of a training so far; best-of-n trains nothing")
        if self.shape.truncated != "penalise":
            raise ValueError(
                f"truncated `{self.shape.truncated}` needs a training: the best of n is chosen among all answers, so one that "
                "was cut is worth `unfinished_score`, or its own score where that is null"
            )
        return self


@stage(
    "testbed-best-of-n",
    version=1,
    reads={"reward": REWARD_MODEL, "answers": ANSWERS},
    writes=EVALUATION,
    config=BestOfNConfig,
)
def testbed_best_of_n(config: BestOfNConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """What the best of n answers by a reward model is worth to it and to the gold judge, for n up to all that were drawn."""
    from alidade.training.reward_model import load_reward_model

    reward = load_reward_model(inputs["reward"].path)
    rows, drawn = [], {"gold": list[float](), "proxy_reward": list[float]()}
    for name, file in SETS.items():
        candidates = read_rows(inputs["answers"].path / file, Candidates)
        proxies = _proxies(reward, candidates, config.shape)
        golds = [gold_utilities(row, gold_judge()) for row in candidates]
        rows += [{"set": name, **row} for row in _rows(candidates, proxies, golds)]
        if name == "reporting":
            drawn = {
                "gold": [one for row in golds for one in row],
                "proxy_reward": [one for row in proxies for one in row],
            }
    curve = _curve([row for row in rows if row["set"] == "reporting"])
    learned = inputs["reward"].path / "counts.json"
    write_rows(context.out / "rows.jsonl", rows)
    write_json(
        context.out / "summary.json",
        {
            "best_of_n": curve,
            "spread": {name: pstdev(values) for name, values in drawn.items()},
            "comparisons": read_json(learned)["rows"] if learned.exists() else None,
        },
    )
    context.note(f"gold, best of {curve[-1]['n']}", round(curve[-1]["gold"]["mean"], 3))


def _proxies(reward: RewardModel, candidates: Sequence[Candidates], shape: RewardShape) -> list[list[float]]:
    """The reward of each candidate answer, clipped, an unfinished one at its fixed score."""
    import torch

    from alidade.training.experience import final_scores
    from alidade.training.packing import Tree
    from alidade.training.reward_model import score_trees

    trees = [
        Tree(
            reward.renderer.prompt(row.prompt.conversation),
            [reward.renderer.answer(row.prompt.conversation, answer.text) for answer in row.answers],
        )
        for row in candidates
    ]
    scores = [torch.tensor(row).clamp(-shape.score_clip, shape.score_clip) for row in score_trees(reward, trees)]
    return [
        final_scores(row, [answer.finished for answer in one.answers], shape).tolist()
        for row, one in zip(scores, candidates, strict=True)
    ]


def _rows(
    candidates: Sequence[Candidates], proxies: Sequence[Sequence[float]], golds: Sequence[Sequence[float]]
) -> Iterator[dict[str, Any]]:
    for row, proxy, gold in zip(candidates, proxies, golds, strict=True):
        for n in powers_of_two(len(proxy)):
            yield {
                "prompt_id": row.prompt.id,
                "n": n,
                "gold": best_of_n(proxy, gold, n),
                "proxy_reward": best_of_n(proxy, proxy, n),
            }


def _curve(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Proxy and gold for each n with intervals over prompts; KL is an upper bound.

    Raises:
        DataError: when no prompt is held out.
    """
    if not rows:
        raise DataError(
            "no answers to report on", hint="raise `heldout` of the prompts that the answers were drawn for"
        )
    counts = sorted({row["n"] for row in rows})
    return [
        {
            "n": n,
            "kl": kl_bound(n),
            **{
                name: mean_estimate([row[name] for row in rows if row["n"] == n]).model_dump()
                for name in ("gold", "proxy_reward")
            },
        }
        for n in counts
    ]
