"""Stages that measure: a model by the testbed's gold judge, and a reward model against gold."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Literal

from pydantic import Field

from alidade.models.base import Sampling
from alidade.pipeline import StageContext, stage
from alidade.records import Candidates, Completion, Prompt, Record
from alidade.seeds import derive
from alidade.stages.kinds import ANSWERS, EVALUATION, MODEL, REWARD_MODEL
from alidade.store import Artifact, read_rows, write_json, write_rows
from alidade.testbed.annotators import gold_utilities
from alidade.testbed.evaluation import Judged, judge_answers, measures
from alidade.testbed.judge import gold_judge
from alidade.testbed.questions import evaluation_prompts

NEXT_TURN = re.compile(r"\n(User|Assistant):")
SHOWN_PER_GROUP = 3


class EvaluateConfig(Record):
    """How a model is asked, and how often."""

    per_group: int = Field(default=200, ge=1, description="prompts of each kind")
    frame: Literal["dialogue", "bare"] = Field(
        default="dialogue", description="ask in the model's chat form, or give it the bare question to continue"
    )
    max_new_tokens: int = Field(default=80, ge=1, description="longest answer, in tokens")
    seed: int = Field(default=0, description="which prompts are drawn; the same for every model that is to be compared")


def _answers(model: Any, prompts: Sequence[Prompt], how: Sampling, config: EvaluateConfig) -> list[Completion]:
    """The model's answers; in the dialogue frame an answer ends where the model starts somebody's next turn."""
    renderer = model.renderer
    if config.frame == "bare":
        ids = [renderer.bare(prompt.conversation.last_user_text) for prompt in prompts]
    else:
        ids = [renderer.prompt(prompt.conversation) for prompt in prompts]
    said = []
    for one in model.sample(ids, how):
        text, finished = renderer.decode(one.tokens), one.finished
        if config.frame == "dialogue" and (turn := NEXT_TURN.search(text)):
            text, finished = text[: turn.start()].strip(), True
        said.append(Completion(text=text, finished=finished, token_count=len(one.tokens)))
    return said


def _row(mode: str, judged: Judged) -> dict[str, Any]:
    about = judged.prompt.about
    return {
        "measure_group": about["kind"],
        "new": about["new"] == "true",
        "mode": mode,
        "prompt_id": judged.prompt.id,
        "item": about["item"],
        "prompt": judged.prompt.conversation.last_user_text,
        "answer": judged.completion.text,
        "finished": judged.completion.finished,
        "tokens": judged.completion.token_count,
        "verdict": judged.gold.measures,
    }


@stage("testbed-evaluate", version=1, reads={"model": MODEL}, writes=EVALUATION, config=EvaluateConfig)
def testbed_evaluate(config: EvaluateConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """The gold judge's measures of a model on held-out wordings and new items, sampled at temperature 1 and greedy."""
    from alidade.models.local import load

    model = load(inputs["model"].path)
    prompts = evaluation_prompts(config.per_group, config.seed)
    summary: dict[str, Any] = {"frame": config.frame}
    rows = []
    for mode, temperature in (("sampled", 1.0), ("greedy", 0.0)):
        how = Sampling(temperature=temperature, max_new_tokens=config.max_new_tokens, seed=derive(config.seed, "evaluate"))
        judged = judge_answers(prompts, _answers(model, prompts, how, config))
        key = "measures" if mode == "sampled" else "greedy"
        summary[key] = {name: estimate.model_dump() for name, estimate in measures(judged).items()}
        rows += [_row(mode, one) for one in judged]
    write_json(context.out / "summary.json", summary)
    write_rows(context.out / "answers.jsonl", rows)
    for name in ("helpful", "harmless", "refusal"):
        context.note(name, summary["measures"][name]["mean"])


class CheckRewardConfig(Record):
    """Which pairs count as different."""

    least_gap: float = Field(default=0.5, gt=0, description="gold utilities at least this far apart make a gold-different pair")


@stage(
    "testbed-check-reward", version=1, reads={"reward": REWARD_MODEL, "answers": ANSWERS}, writes=EVALUATION, config=CheckRewardConfig
)
def testbed_check_reward(config: CheckRewardConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """How often the reward model puts the better of two held-out answers first, where the gold judge sees a difference."""
    from alidade.stats import clustered_proportion
    from alidade.training import open_reward_model, score_answers

    reward, judge = open_reward_model(inputs["reward"].path), gold_judge()
    rows = read_rows(inputs["answers"].path / "heldout.jsonl", Candidates)
    scores = score_answers(reward, [(row.prompt.conversation, answer) for row in rows for answer in row.answers])
    by_row = iter(scores)
    right, longer, clusters = [], [], []
    for row in rows:
        utilities, values = gold_utilities(row, judge), [next(by_row) for _ in row.answers]
        lengths = [answer.token_count for answer in row.answers]
        for left, right_ in combinations(range(len(utilities)), 2):
            gap = utilities[left] - utilities[right_]
            if abs(gap) >= config.least_gap:
                right.append((values[left] - values[right_]) * gap > 0)
                longer.append((lengths[left] - lengths[right_]) * gap > 0)
                clusters.append(row.prompt.id)
    gold = {
        "accuracy": clustered_proportion(right, clusters).model_dump(),
        "length_only": clustered_proportion(longer, clusters).model_dump(),
        "n": len(right),
    }
    write_json(context.out / "summary.json", {"gold": gold})
    context.note("accuracy_on_gold", gold["accuracy"]["mean"])
