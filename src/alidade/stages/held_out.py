"""The stage that measures models on a user's held-out data, where no gold judge exists.

What can be measured without one: how likely people's answers are, what the reward model thinks of sampled answers (the
very number training pushed, so no proof by itself), whether answers end, how long they are; and how often the reward
model agrees with people on held-out comparisons, beside the rules that read no words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from alidade.errors import DataError
from alidade.models.base import Sampling
from alidade.pipeline import StageContext, stage
from alidade.preferences import beside_baselines, prompt_key, take
from alidade.records import Comparison, Completion, Demonstration, Estimate, Prompt, Record
from alidade.stages.judged import as_comparisons, read_judged
from alidade.stages.kinds import COMPARISONS, DEMONSTRATIONS, EVALUATION, MODEL, PROMPTS, REWARD_MODEL
from alidade.stages.reward_check import leads_of
from alidade.stats import (
    calibration_bins,
    clustered_proportion,
    expected_calibration_error,
    mean_estimate,
    paired_difference,
)
from alidade.store import Artifact, read_rows, write_json, write_rows

MODELS = ("base", "sft", "policy")
NATURAL = {"base": "the base model", "sft": "the fine-tuned model", "policy": "the aligned model"}


class HeldOutConfig(Record):
    """How many held-out rows are used, and how answers are drawn."""

    prompts: int = Field(default=200, ge=1, description="held-out prompts that each model answers")
    demonstrations: int = Field(default=400, ge=1, description="held-out answers whose likelihood is measured")
    temperature: float = Field(default=1.0, ge=0, description="softmax temperature of the sampled answers")
    max_new_tokens: int = Field(default=128, ge=1, description="longest sampled answer, in tokens")
    seed: int = Field(default=0, description="which rows are drawn, and the answers' chance")


@dataclass(frozen=True)
class Answered:
    """What a model said to each prompt, and its normalised reward (none without a reward model).

    An answer that was cut is scored as if it ended there.
    """

    completions: list[Completion]
    rewards: list[float]


@dataclass(frozen=True)
class HeldOut:
    """The held-out rows that are used."""

    demonstrations: list[Demonstration]
    prompts: list[Prompt]
    comparisons: list[Comparison]


def _heldout(inputs: Mapping[str, Artifact], name: str, record: Any) -> list[Any]:
    path = inputs[name].path / "heldout.jsonl" if name in inputs else None
    return read_rows(path, record) if path is not None and path.exists() else []


def _heldout_rows(inputs: Mapping[str, Artifact], config: HeldOutConfig) -> HeldOut:
    rows = HeldOut(
        take(_heldout(inputs, "demonstrations", Demonstration), config.demonstrations, config.seed),
        take(_heldout(inputs, "prompts", Prompt), config.prompts, config.seed),
        as_comparisons(read_judged(inputs["comparisons"].path)[1]) if "comparisons" in inputs else [],
    )
    if not (rows.demonstrations or rows.prompts or rows.comparisons):
        raise DataError("no row is held out, so nothing can be measured", hint="raise heldout_share of the file stages")
    return rows


def _likelihood(model: Any, rows: Sequence[Demonstration]) -> dict[str, Estimate]:
    """Negative log-likelihood of people's answers, in nats per token; `n` counts answers."""
    if not rows:
        return {}
    pairs = [(model.renderer.prompt(row.prompt), model.renderer.answer(row.prompt, row.answer)) for row in rows]
    tokens = model.score(pairs)
    losses = [-value for row in tokens for value in row]
    prompts = [prompt_key(row.prompt) for row, values in zip(rows, tokens, strict=True) for _ in values]
    return {"nll_per_token": mean_estimate(losses, prompts).model_copy(update={"n": len(rows)})}


def _answered(model: Any, reward: Any, prompts: Sequence[Prompt], config: HeldOutConfig) -> Answered:
    from alidade.training.reward_model import score_answers

    how = Sampling(temperature=config.temperature, max_new_tokens=config.max_new_tokens, seed=config.seed)
    drawn = model.sample([model.renderer.prompt(prompt.conversation) for prompt in prompts], how)
    said = [
        Completion(text=model.renderer.decode(one.tokens), finished=one.finished, token_count=len(one.tokens))
        for one in drawn
    ]
    if reward is None:
        return Answered(said, [])
    asked = [(prompt.conversation, one.text) for prompt, one in zip(prompts, said, strict=True)]
    return Answered(said, score_answers(reward, asked))


def _measures(answered: Answered, prompts: Sequence[Prompt]) -> dict[str, Estimate]:
    if not prompts:
        return {}
    keys = [prompt_key(prompt.conversation) for prompt in prompts]
    said = answered.completions
    found = {
        "finished": clustered_proportion([one.finished for one in said], keys),
        "answer_tokens": mean_estimate([one.token_count for one in said], keys),
    }
    return found | ({"reward": mean_estimate(answered.rewards, keys)} if answered.rewards else {})


def _against(before: Answered, after: Answered, prompts: Sequence[Prompt]) -> dict[str, Estimate]:
    """How one model's answers fare against another's to the same prompts, by the reward model; a tie is half a win."""
    keys = [prompt_key(prompt.conversation) for prompt in prompts]
    pairs = list(zip(before.rewards, after.rewards, strict=True))
    wins = [0.5 if first == second else float(second > first) for first, second in pairs]
    return {
        "win_rate_by_reward": mean_estimate(wins, keys),
        "reward_gain": paired_difference(before.rewards, after.rewards, keys),
    }


def _reward_report(reward: Any, train: Sequence[Comparison], heldout: Sequence[Comparison]) -> dict[str, Any]:
    """Agreement of the reward model with people, beside the baselines, and its calibration."""
    # A difference of normalised scores, taken back to the scale on which the Bradley-Terry loss was fitted.
    gaps = [lead * reward.std for lead in leads_of(reward, heldout)]
    # Both ways round: files put the preferred answer first, and so would bins that are read one way only.
    predicted = [_sigmoid(lead) for gap in gaps for lead in (gap, -gap)]
    bins = calibration_bins(predicted, [prob for row in heldout for prob in (row.label_prob, 1 - row.label_prob)])
    return {
        **_dumped(beside_baselines(train, heldout, gaps)),
        "comparisons": len(heldout),
        "calibration_error": expected_calibration_error(bins),
        "calibration": [vars(one) for one in bins],
    }


def _sigmoid(value: float) -> float:
    from math import exp

    return 1 / (1 + exp(-min(max(value, -60.0), 60.0)))


@stage(
    "evaluate-held-out",
    version=3,
    reads={
        **{name: MODEL.if_given() for name in MODELS},
        "reward": REWARD_MODEL.if_given(),
        "demonstrations": DEMONSTRATIONS.if_given(),
        "comparisons": COMPARISONS.if_given(),
        "prompts": PROMPTS.if_given(),
    },
    writes=EVALUATION,
    config=HeldOutConfig,
)
def evaluate_held_out(config: HeldOutConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """Each given model on held-out answers and prompts, and the reward model on held-out comparisons."""
    from alidade.models.local import load
    from alidade.training.reward_model import load_reward_model

    rows = _heldout_rows(inputs, config)
    reward = load_reward_model(inputs["reward"].path) if "reward" in inputs else None
    given = [name for name in MODELS if name in inputs]
    measured: dict[str, dict[str, Estimate]] = {}
    answered: dict[str, Answered] = {}
    with context.progress.track(len(given), "held-out data", "models") as tracker:
        for name in given:
            model = load(inputs[name].path)
            answered[name] = _answered(model, reward, rows.prompts, config)
            measured[name] = _likelihood(model, rows.demonstrations) | _measures(answered[name], rows.prompts)
            tracker.advance(note=NATURAL[name])
    summary: dict[str, Any] = {"models": {name: _dumped(found) for name, found in measured.items()}}
    if reward is not None and rows.prompts:
        summary["against"] = _pairings(answered, rows.prompts)
    if reward is not None and rows.comparisons:
        learned = as_comparisons(read_judged(inputs["comparisons"].path)[0])
        summary["reward_model"] = _reward_report(reward, learned, rows.comparisons)
    _write(summary, answered, rows.prompts, context)


def _pairings(answered: Mapping[str, Answered], prompts: Sequence[Prompt]) -> dict[str, Any]:
    pairs = [("base", "sft"), ("sft", "policy"), ("base", "policy")]
    return {
        f"{after} over {before}": _dumped(_against(answered[before], answered[after], prompts))
        for before, after in pairs
        if before in answered and after in answered
    }


def _dumped(found: Mapping[str, Estimate]) -> dict[str, Any]:
    return {name: estimate.model_dump() for name, estimate in found.items()}


def _write(
    summary: Mapping[str, Any], answered: Mapping[str, Answered], prompts: Sequence[Prompt], context: StageContext
) -> None:
    rows = [
        {
            "model": name,
            "prompt_id": prompt.id,
            "prompt": prompt.conversation.last_user_text,
            "answer": said.text,
            "finished": said.finished,
            "tokens": said.token_count,
            "reward": found.rewards[place] if found.rewards else None,
        }
        for name, found in answered.items()
        for place, (prompt, said) in enumerate(zip(prompts, found.completions, strict=True))
    ]
    write_rows(context.out / "answers.jsonl", rows)
    write_json(context.out / "summary.json", summary)
    if "reward_model" in summary:
        for name in ("accuracy", "length_only", "majority"):
            if name in summary["reward_model"]:
                context.note(f"reward_{name}", round(summary["reward_model"][name]["mean"], 4))
    for name, found in summary.get("against", {}).items():
        context.note(f"win rate, {name}", round(found["win_rate_by_reward"]["mean"], 4))
