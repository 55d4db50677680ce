"""Stages in which a policy learns from its own answers: PPO, GRPO, RLOO and REINFORCE++."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from alidade.errors import UsageError
from alidade.hub import refuse_missing
from alidade.pipeline import ANY_NAME, StageContext, Upstream, stage
from alidade.preferences import prompt_key
from alidade.records import Demonstration, Prompt
from alidade.seeds import derive
from alidade.stages.kinds import DEMONSTRATIONS, MODEL, PROMPTS, REWARD_MODEL
from alidade.stages.training import (
    TrainingStage,
    check_method,
    opened,
    trainable,
    training_run,
    write_history,
    write_model,
)
from alidade.store import Artifact, read_rows, write_json, write_rows
from alidade.training.reward_settings import RewardSource
from alidade.training.settings import (
    MAIN_REWARD,
    NOTHING_WATCHED,
    WATCH,
    GrpoConfig,
    Keeping,
    PpoConfig,
    ReinforceConfig,
    RlooConfig,
)

if TYPE_CHECKING:
    from alidade.models.local import LocalModel
    from alidade.training.experience import Networks
    from alidade.training.fit import TrainingResult
    from alidade.training.reward_model import RewardModel
    from alidade.training.rewards import Scorer
    from alidade.training.watching import Asked

READS = {
    "policy": MODEL,
    "reward": REWARD_MODEL.if_given(),
    "prompts": PROMPTS,
    "demonstrations": DEMONSTRATIONS.if_given(),
    "watched": PROMPTS.if_given(),
    ANY_NAME: REWARD_MODEL.if_given(),
}
NO_REWARDS = {"policy", "prompts", "demonstrations", "watched"}


class ReinforcementStage(TrainingStage):
    """Answers are scored by reward models, which are inputs, and by rewards that are not learned here, which have settings.

    Each has a name; the main one is `reward`.
    """

    verify: str = Field(
        default="", description="a reward that is computed, by name, in place of a reward model: final-number, ..."
    )
    rewards: dict[str, RewardSource] = Field(
        default_factory=dict,
        description="rewards by name that are no input: computed (verify), from a server (http), from a model (judge)",
    )
    training: PpoConfig = PpoConfig()

    @property
    def sources(self) -> dict[str, RewardSource]:
        """Every reward that is no input, by name."""
        return ({MAIN_REWARD: RewardSource(verify=self.verify)} if self.verify else {}) | self.rewards


class PpoStage(ReinforcementStage):
    """PPO, with a value network that starts as the reward model."""


class GrpoStage(ReinforcementStage):
    """GRPO: answers to one prompt are held against each other."""

    training: GrpoConfig = GrpoConfig()  # pyright: ignore[reportIncompatibleVariableOverride] a frozen field may be narrower


class RlooStage(ReinforcementStage):
    """RLOO: each answer to a prompt is held against the mean of the others."""

    training: RlooConfig = RlooConfig()  # pyright: ignore[reportIncompatibleVariableOverride] a frozen field may be narrower


class ReinforceStage(ReinforcementStage):
    """REINFORCE++: answers are held against the whole batch."""

    training: ReinforceConfig = ReinforceConfig()  # pyright: ignore[reportIncompatibleVariableOverride] a frozen field may be narrower


def _check_source(source: RewardSource) -> None:
    from alidade.training.rewards import REWARDS

    if source.verify:
        REWARDS.get(source.verify)
    if source.judge is not None:
        refuse_missing(source.judge.model)


def check_reward(config: ReinforcementStage, inputs: Mapping[str, Upstream]) -> None:
    """Each reward is scored by one thing, known and asked for, and one of them is the main one.

    Raises:
        UsageError: when nothing, or two things, would score, a function is unknown, a reward has no purpose, or a policy is
            to be chosen on prompts that are not given.
        ModelError: when a judge cannot be found.
    """
    from alidade.training.rewards import REWARDS

    models = set(inputs) - NO_REWARDS
    names = ", ".join(REWARDS.names())
    hint = f"give either the input `reward`, a reward model, or `verify`, one of {names}"
    for name in sorted(NO_REWARDS & set(config.rewards)):
        raise UsageError(
            f"a reward cannot be called `{name}`", hint="an input has that name; choose another under `rewards`"
        )
    if config.verify and MAIN_REWARD in config.rewards:
        raise UsageError(
            "two things would score the answers", hint="empty `verify` (verify='') or remove `rewards.reward`"
        )
    for name in sorted(models & set(config.sources)):
        raise UsageError(
            f"two things would score the answers as `{name}`", hint=f"{hint}; every reward has a name of its own"
        )
    if MAIN_REWARD not in models | set(config.sources):
        raise UsageError("nothing scores the answers", hint=hint)
    for source in config.sources.values():
        _check_source(source)
    config.training.check_rewards(models | set(config.sources))
    if config.training.keep.chooses and "watched" not in inputs:
        raise UsageError(NOTHING_WATCHED, hint=WATCH)
    check_method(config, inputs)


@stage("ppo", version=5, reads=READS, writes=MODEL, config=PpoStage, check=check_reward)
def ppo(config: PpoStage, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """The policy, optimised against the reward model and kept near where it started; demonstrations may be mixed in."""
    reinforce(config, inputs, context)


@stage("grpo", version=3, reads=READS, writes=MODEL, config=GrpoStage, check=check_reward)
def grpo(config: GrpoStage, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """The policy, optimised against the reward model without a value network, each answer held against its group."""
    reinforce(config, inputs, context)


@stage("rloo", version=3, reads=READS, writes=MODEL, config=RlooStage, check=check_reward)
def rloo(config: RlooStage, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """The policy, optimised against the reward model without a value network, each answer held against the others."""
    reinforce(config, inputs, context)


@stage("reinforce++", version=3, reads=READS, writes=MODEL, config=ReinforceStage, check=check_reward)
def reinforce_plus_plus(config: ReinforceStage, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """The policy, optimised against the reward model without a value network, each token held against the whole batch."""
    reinforce(config, inputs, context)


def reinforce(config: ReinforcementStage, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """Train the policy; write it and its curves, and warn of what they look like."""
    from alidade.training.objectives.ppo import train_ppo
    from alidade.training.rewards import REWARDS, check_prompts

    asked = _asked(inputs)
    for source in config.sources.values():
        if source.verify:
            check_prompts(REWARDS.get(source.verify), asked.everything)
    networks = _networks(config, inputs, context.seed)
    mixed = read_rows(inputs["demonstrations"].path / "rows.jsonl", Demonstration) if "demonstrations" in inputs else ()
    result = train_ppo(networks, asked, config.training, training_run(context), gold=_gold(asked), mixed=mixed)
    write_model(networks.policy, config, inputs["policy"], context.out)
    write_history(context, result)
    _write_watched(result, config.training.keep, context)
    for name in ("proxy_reward", "kl"):
        context.note(name, round(result.history[-1][name], 3))


def _gold(asked: Asked) -> Scorer | None:
    """The testbed's judge, where it knows every prompt."""
    from alidade.stages.reward_check import gold_utility

    return gold_utility if all("item" in prompt.about for prompt in asked.everything) else None


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


def _write_watched(result: TrainingResult, keep: Keeping, context: StageContext) -> None:
    """The measurements on watched prompts, a row per iteration and prompt, and which policy was best and which is kept."""
    if "watched" not in result.summary:
        return
    best, rows = result.summary["best"], result.summary["watched"]
    kept = best if keep.policy == "best" else rows[-1]["iteration"]
    write_rows(context.out / "watched.jsonl", rows)
    write_json(context.out / "kept.json", {"best_iteration": best, "kept_iteration": kept})
    context.note("best_iteration", best)


def _networks(config: ReinforcementStage, inputs: Mapping[str, Artifact], seed: int) -> Networks:
    """Policy, reference, rewards and value network; the value starts as the main reward's model, or else from the policy.

    With adapters, a network stands on another's frozen weights wherever it was trained from them.
    """
    from alidade.training.experience import Networks
    from alidade.training.lora import adapted
    from alidade.training.objectives.ppo import value_from_reward
    from alidade.training.reward_model import RewardModel, new_reward_model
    from alidade.training.reward_sources import open_reward

    adapts = config.method == "lora"
    policy = opened(inputs["policy"], config)
    models = {name: _reward_model(policy, inputs, name, adapts) for name in inputs if name not in NO_REWARDS}
    more = {**models, **{name: open_reward(source) for name, source in config.sources.items()}}
    reward = more.pop(MAIN_REWARD)
    value = None
    if config.training.baseline == "critic":
        known = isinstance(reward, RewardModel)
        value = value_from_reward(reward) if known else new_reward_model(policy, seed, shared=adapts).module
    if not adapts:
        return Networks(policy, copy.deepcopy(policy.module), reward, value, more)
    value = None if value is None else adapted(value, config.lora, derive(seed, "value"))
    return Networks(trainable(policy, config, seed), None, reward, value, more)


def _reward_model(policy: LocalModel, inputs: Mapping[str, Artifact], name: str, adapts: bool) -> RewardModel:
    """The reward model as adapters on the policy's weights if it was trained as such, else on frozen weights of its own."""
    from alidade.models.adapters import base_digest
    from alidade.models.attention import unwrapped
    from alidade.training.reward_model import ADAPTER, load_reward_model, load_reward_on

    folder = inputs[name].path
    if adapts and base_digest(folder / ADAPTER) == inputs["policy"].digest:
        return load_reward_on(policy, folder)
    reward = load_reward_model(folder)
    unwrapped(reward.module).base_model.requires_grad_(not adapts)
    return reward
