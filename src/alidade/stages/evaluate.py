"""The stage that measures a model by the testbed's gold judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from alidade.models.base import Sampling
from alidade.models.render import before_next_turn
from alidade.pipeline import StageContext, stage
from alidade.records import Completion, Prompt, Record
from alidade.seeds import derive
from alidade.stages.kinds import EVALUATION, MODEL
from alidade.store import Artifact, write_json, write_rows
from alidade.testbed.evaluation import Judged, judge_answers, measures
from alidade.testbed.questions import evaluation_prompts

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
        if config.frame == "dialogue" and (answer := before_next_turn(text)) != text:
            text, finished = answer, True
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
        how = Sampling(
            temperature=temperature, max_new_tokens=config.max_new_tokens, seed=derive(config.seed, "evaluate")
        )
        judged = judge_answers(prompts, _answers(model, prompts, how, config))
        key = "measures" if mode == "sampled" else "greedy"
        summary[key] = {name: estimate.model_dump() for name, estimate in measures(judged).items()}
        rows += [_row(mode, one) for one in judged]
    write_json(context.out / "summary.json", summary)
    write_rows(context.out / "answers.jsonl", rows)
    for name in ("helpful", "harmless", "refusal"):
        context.note(name, summary["measures"][name]["mean"])
