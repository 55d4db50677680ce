"""Stages in which a policy learns from its own answers: PPO, GRPO, RLOO and REINFORCE++."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from alidade.errors import UsageError
from alidade.pipeline import StageContext, Upstream, stage
from alidade.records import Demonstration, Prompt
from alidade.seeds import derive
from alidade.stages.kinds import DEMONSTRATIONS, MODEL, PROMPTS, REWARD_MODEL
from alidade.stages.training import (
    TrainingStage,
    check_method,
    opened,
    trainable,
    training_run,
    warn_of,
    write_history,
    write_model,
)
from alidade.store import Artifact, read_rows
from alidade.training.settings import GrpoConfig, PpoConfig, ReinforceConfig, RlooConfig

if TYPE_CHECKING:
    from alidade.models.local import LocalModel
    from alidade.training.experience import Networks
    from alidade.training.reward_model import RewardModel

READS = {
    "policy": MODEL,
    "reward": REWARD_MODEL.if_given(),
    "prompts": PROMPTS,
    "demonstrations": DEMONSTRATIONS.if_given(),
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
    check_method(config, inputs)


@stage("ppo", version=3, reads=READS, writes=MODEL, config=PpoStage, check=check_reward)
def ppo(config: PpoStage, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """The policy, optimised against the reward model and kept near where it started; demonstrations may be mixed in."""
    reinforce(config, config.training, inputs, context)


@stage("grpo", version=2, reads=READS, writes=MODEL, config=GrpoStage, check=check_reward)
def grpo(config: GrpoStage, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """The policy, optimised against the reward model without a value network, each answer held against its group."""
    reinforce(config, config.training, inputs, context)


@stage("rloo", version=2, reads=READS, writes=MODEL, config=RlooStage, check=check_reward)
def rloo(config: RlooStage, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """The policy, optimised against the reward model without a value network, each answer held against the others."""
    reinforce(config, config.training, inputs, context)


@stage("reinforce++", version=2, reads=READS, writes=MODEL, config=ReinforceStage, check=check_reward)
def reinforce_plus_plus(config: ReinforceStage, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """The policy, optimised against the reward model without a value network, each token held against the whole batch."""
    reinforce(config, config.training, inputs, context)


def reinforce(
    config: ReinforcementStage, training: PpoConfig, inputs: Mapping[str, Artifact], context: StageContext
) -> None:
    """Train the policy; write it and its curves, and warn of what they look like."""
    from alidade.stages.reward_check import gold_utility
    from alidade.training.objectives.ppo import train_ppo
    from alidade.training.rewards import REWARDS, check_prompts

    prompts = read_rows(inputs["prompts"].path / "rows.jsonl", Prompt)
    if config.verify:
        check_prompts(REWARDS.get(config.verify), prompts)
    networks = _networks(config, training, inputs, context.seed)
    mixed = read_rows(inputs["demonstrations"].path / "rows.jsonl", Demonstration) if "demonstrations" in inputs else ()
    gold = gold_utility if all("item" in prompt.about for prompt in prompts) else None
    result = train_ppo(networks, prompts, training, training_run(context), gold=gold, mixed=mixed)
    write_model(networks.policy, config, inputs["policy"], context.out)
    write_history(context.out, result)
    warn_of(context, result)
    for name in ("proxy_reward", "kl"):
        context.note(name, round(result.history[-1][name], 3))


def _networks(config: ReinforcementStage, training: PpoConfig, inputs: Mapping[str, Artifact], seed: int) -> Networks:
    """Policy, reference, reward model and value network; the value starts as the reward model, or else from the policy.

    With adapters, a network stands on another's frozen weights wherever it was trained from them.
    """
    from alidade.training.experience import Networks
    from alidade.training.lora import adapted
    from alidade.training.objectives.ppo import value_from_reward
    from alidade.training.reward_model import new_reward_model
    from alidade.training.rewards import REWARDS, score_by

    adapts = config.method == "lora"
    policy = opened(inputs["policy"], config)
    model = _reward_model(policy, inputs, adapts=adapts) if "reward" in inputs else None
    reward = model or score_by(REWARDS.get(config.verify))
    value = None
    if training.baseline == "critic":
        value = value_from_reward(model) if model else new_reward_model(policy, seed, shared=adapts).module
    if not adapts:
        return Networks(policy, copy.deepcopy(policy.module), reward, value)
    value = None if value is None else adapted(value, config.lora, derive(seed, "value"))
    return Networks(trainable(policy, config, seed), None, reward, value)


def _reward_model(policy: LocalModel, inputs: Mapping[str, Artifact], *, adapts: bool) -> RewardModel:
    """The reward model as adapters on the policy's weights if it was trained as such, else on frozen weights of its own."""
    from alidade.models.adapters import base_digest
    from alidade.models.attention import unwrapped
    from alidade.training.reward_model import ADAPTER, load_reward_model, load_reward_on

    folder = inputs["reward"].path
    if adapts and base_digest(folder / ADAPTER) == inputs["policy"].digest:
        return load_reward_on(policy, folder)
    reward = load_reward_model(folder)
    unwrapped(reward.module).base_model.requires_grad_(not adapts)
    return reward
