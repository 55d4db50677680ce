"""Stages in which a policy learns from its own answers: PPO, GRPO, RLOO and REINFORCE++."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from alidade.errors import UsageError
from alidade.pipeline import StageContext, Upstream, stage
from alidade.preferences import prompt_key
from alidade.records import Demonstration, Prompt
from alidade.stages.kinds import DEMONSTRATIONS, MODEL, PROMPTS, REWARD_MODEL
from alidade.stages.training import TrainingStage, trainable, training_run, write_history
from alidade.store import Artifact, read_rows, write_json, write_rows
from alidade.training.settings import GrpoConfig, PpoConfig, ReinforceConfig, RlooConfig

if TYPE_CHECKING:
    from alidade.training.experience import Networks
    from alidade.training.fit import TrainingResult
    from alidade.training.watching import Asked

READS = {
    "policy": MODEL,
    "reward": REWARD_MODEL.if_given(),
    "prompts": PROMPTS,
    "demonstrations": DEMONSTRATIONS.if_given(),
    "watched": PROMPTS.if_given(),
}


class ReinforcementStage(TrainingStage):
    """Answers are scored by a reward model, or by a function."""

    verify: str = Field(
        default="", description="a reward that is computed, by name, in place of a reward model: final-number, ..."
    )


class PpoStage(ReinforcementStage):
    """PPO, with a value network that starts as the reward model."""

    training: PpoConfig = PpoConfig()


class GrpoStage(ReinforcementStage):
    """GRPO: answers to one prompt are held against each other."""

    training: GrpoConfig = GrpoConfig()


class RlooStage(ReinforcementStage):
    """RLOO: each answer to a prompt is held against the mean of the others."""

    training: RlooConfig = RlooConfig()


class ReinforceStage(ReinforcementStage):
    """REINFORCE++: answers are held against the whole batch."""

    training: ReinforceConfig = ReinforceConfig()


def check_reward(config: ReinforcementStage, inputs: Mapping[str, Upstream]) -> None:
    """Answers are scored by one thing: a reward model, or a known function.

    Raises:
        UsageError: when nothing, or two things, would score, or the function is unknown.
    """
    from alidade.training.rewards import REWARDS

    if ("reward" in inputs) == bool(config.verify):
        what = "nothing scores the answers" if not config.verify else "two things would score the answers"
        names = ", ".join(REWARDS.names())
        raise UsageError(what, hint=f"give either the input `reward`, a reward model, or `verify`, one of {names}")
    if config.verify:
        REWARDS.get(config.verify)


@stage("ppo", version=2, reads=READS, writes=MODEL, config=PpoStage, check=check_reward)
def ppo(config: PpoStage, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """The policy, optimised against the reward model and kept near where it started; demonstrations may be mixed in."""
    reinforce(config, config.training, inputs, context)


@stage("grpo", version=1, reads=READS, writes=MODEL, config=GrpoStage, check=check_reward)
def grpo(config: GrpoStage, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """The policy, optimised against the reward model without a value network, each answer held against its group."""
    reinforce(config, config.training, inputs, context)


@stage("rloo", version=1, reads=READS, writes=MODEL, config=RlooStage, check=check_reward)
def rloo(config: RlooStage, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """The policy, optimised against the reward model without a value network, each answer held against the others."""
    reinforce(config, config.training, inputs, context)


@stage("reinforce++", version=1, reads=READS, writes=MODEL, config=ReinforceStage, check=check_reward)
def reinforce_plus_plus(config: ReinforceStage, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """The policy, optimised against the reward model without a value network, each token held against the whole batch."""
    reinforce(config, config.training, inputs, context)


def reinforce(
    config: ReinforcementStage, training: PpoConfig, inputs: Mapping[str, Artifact], context: StageContext
) -> None:
    """Train the policy; write it and its curves, and warn of what they look like."""
    from alidade.models.local import save_model
    from alidade.stages.reward_check import gold_utility
    from alidade.training.lora import merge_lora
    from alidade.training.objectives.ppo import train_ppo
    from alidade.training.rewards import REWARDS, check_prompts

    asked = _asked(inputs)
    if config.verify:
        check_prompts(REWARDS.get(config.verify), [*asked.trained, *(prompt for _, prompt in asked.watched)])
    networks = _networks(config, training, inputs, context.seed)
    mixed = read_rows(inputs["demonstrations"].path / "rows.jsonl", Demonstration) if "demonstrations" in inputs else ()
    gold = gold_utility if all("item" in prompt.about for prompt in asked.trained) else None
    result = train_ppo(networks, asked, training, training_run(context), gold=gold, mixed=mixed)
    save_model(merge_lora(networks.policy.module), networks.policy.tokenizer, context.out)
    write_history(context.out, result)
    _write_watched(result, training, context)
    for symptom in result.summary["symptoms"]:
        context.warn(str(symptom))
    for name in ("proxy_reward", "kl"):
        context.note(name, round(result.history[-1][name], 3))


def _asked(inputs: Mapping[str, Artifact]) -> Asked:
    """The prompts to train on and, from `watched`, those to choose a policy on (its rows) and to report on (its held-out rows)."""
    from alidade.training.watching import Asked

    trained = read_rows(inputs["prompts"].path / "rows.jsonl", Prompt)
    if "watched" not in inputs:
        return Asked(trained)
    choosing, reporting = (
        read_rows(path, Prompt) if (path := inputs["watched"].path / name).exists() else []
        for name in ("rows.jsonl", "heldout.jsonl")
    )
    known = {prompt_key(prompt.conversation) for prompt in trained}
    shared = sum(prompt_key(prompt.conversation) in known for prompt in [*choosing, *reporting])
    if shared:
        raise UsageError(
            f"{shared} watched prompts are also trained on",
            where="input `watched`",
            hint="a policy must be chosen on other prompts; `testbed-prompts` stays apart from its input `apart`",
        )
    return Asked(trained, choosing, reporting)


def _write_watched(result: TrainingResult, training: PpoConfig, context: StageContext) -> None:
    """The measurements on watched prompts, a row per iteration and prompt, and which policy was best and which is kept."""
    if "watched" not in result.summary:
        return
    best, rows = result.summary["best"], result.summary["watched"]
    kept = best if training.keep.policy == "best" else rows[-1]["iteration"]
    write_rows(context.out / "watched.jsonl", rows)
    write_json(context.out / "kept.json", {"best_iteration": best, "kept_iteration": kept})
    context.note("best_iteration", best)


def _networks(config: ReinforcementStage, training: PpoConfig, inputs: Mapping[str, Artifact], seed: int) -> Networks:
    """Policy, reference, reward model and value network; the value starts as the reward model, or else from the policy."""
    from alidade.models.local import load
    from alidade.training.experience import Networks
    from alidade.training.lora import add_lora
    from alidade.training.objectives.ppo import value_from_reward
    from alidade.training.reward_model import load_reward_model, new_reward_model
    from alidade.training.rewards import REWARDS, score_by

    policy = load(inputs["policy"].path)
    model = load_reward_model(inputs["reward"].path) if "reward" in inputs else None
    reward = model or score_by(REWARDS.get(config.verify))
    value = None
    if training.baseline == "critic":
        value = value_from_reward(model) if model else new_reward_model(policy, seed).module
    if config.method == "lora":
        adapted = trainable(policy, config)
        return Networks(adapted, None, reward, None if value is None else add_lora(value, config.lora))
    return Networks(policy, copy.deepcopy(policy.module), reward, value)
