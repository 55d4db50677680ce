"""Stages that train: supervised fine-tuning, the reward model, and reinforcement learning against it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from alidade.pipeline import StageContext, stage
from alidade.records import Comparison, Demonstration, Prompt, Record
from alidade.stages.kinds import COMPARISONS, DEMONSTRATIONS, MODEL, PROMPTS, REWARD_MODEL
from alidade.store import Artifact, read_rows, write_json, write_rows
from alidade.training.settings import Batching, LoraConfig, PpoConfig, RewardConfig, SftConfig

if TYPE_CHECKING:
    from alidade.models.local import LocalModel
    from alidade.training.experience import Networks
    from alidade.training.fit import TrainingResult, TrainingRun


def training_run(context: StageContext) -> TrainingRun:
    """What a training needs to know of the stage around it."""
    from alidade.training.fit import TrainingRun

    return TrainingRun(seed=context.seed, scratch=context.scratch, progress=context.progress)


def write_history(out: Path, result: TrainingResult) -> None:
    """One row per step, and what was seen, dropped, truncated and masked."""
    write_rows(out / "metrics.jsonl", result.history)
    write_json(out / "counts.json", result.counts)


class SftStage(Record):
    """Supervised fine-tuning of all weights, or of low-rank adapters that are merged at the end."""

    method: Literal["full", "lora"] = Field(default="full", description="what is trained")
    lora: LoraConfig = LoraConfig()
    training: SftConfig = SftConfig()


@stage("sft", version=1, reads={"model": MODEL, "demonstrations": DEMONSTRATIONS}, writes=MODEL, config=SftStage)
def sft(config: SftStage, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """The model, fine-tuned on demonstrations; loss on the answers only."""
    from alidade.models.local import load, save_model
    from alidade.training.lora import merge_lora
    from alidade.training.objectives.sft import train_sft

    model = trainable(load(inputs["model"].path), config.method, config.lora)
    rows = read_rows(inputs["demonstrations"].path / "rows.jsonl", Demonstration)
    result = train_sft(model, rows, config.training, training_run(context))
    save_model(merge_lora(model.module), model.tokenizer, context.out)
    write_history(context.out, result)
    context.note("loss", round(result.history[-1]["loss"], 4))


class RewardStage(Record):
    """A reward model on a copy of the given model's trunk."""

    method: Literal["full", "lora"] = Field(default="full", description="what is trained")
    lora: LoraConfig = LoraConfig()
    training: RewardConfig = RewardConfig(batching=Batching(epochs=2, rows=16))


@stage("reward", version=1, reads={"model": MODEL, "comparisons": COMPARISONS}, writes=REWARD_MODEL, config=RewardStage)
def reward(config: RewardStage, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """A reward model that learns from comparisons, measured on held-out ones against the length-only baseline."""
    from alidade.models.local import load
    from alidade.stages.reward_check import accuracies
    from alidade.training.lora import add_lora, merge_lora
    from alidade.training.objectives.reward import train_reward
    from alidade.training.reward_model import new_reward_model, save_reward_model

    fresh = new_reward_model(load(inputs["model"].path), context.seed)
    fresh = replace(fresh, module=add_lora(fresh.module, config.lora)) if config.method == "lora" else fresh
    files = inputs["comparisons"].path
    rows, heldout = (read_rows(files / name, Comparison) for name in ("rows.jsonl", "heldout.jsonl"))
    trained, result = train_reward(fresh, rows, heldout, config.training, training_run(context))
    trained = replace(trained, module=merge_lora(trained.module))
    save_reward_model(trained, context.out)
    write_history(context.out, result)
    annotated = accuracies(trained, rows, heldout)
    report = result.summary["heldout"]
    calibration = {"calibration": report["bins"], "temperature": report["temperature"]} if annotated else {}
    write_json(context.out / "evaluation.json", {"annotated": annotated} | calibration)
    if annotated:
        context.note("accuracy_on_annotated", annotated["accuracy"]["mean"])


class PpoStage(Record):
    """PPO of all weights, or of low-rank adapters for policy and value on frozen weights."""

    method: Literal["full", "lora"] = Field(default="full", description="what is trained")
    lora: LoraConfig = LoraConfig()
    training: PpoConfig = PpoConfig()


@stage(
    "ppo",
    version=1,
    reads={"policy": MODEL, "reward": REWARD_MODEL, "prompts": PROMPTS, "demonstrations": DEMONSTRATIONS.if_given()},
    writes=MODEL,
    config=PpoStage,
)
def ppo(config: PpoStage, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """The policy, optimised against the reward model and kept near where it started; demonstrations may be mixed in."""
    from alidade.models.local import save_model
    from alidade.stages.reward_check import gold_utility
    from alidade.training.lora import merge_lora
    from alidade.training.objectives.ppo import train_ppo

    networks = _networks(config, inputs)
    prompts = read_rows(inputs["prompts"].path / "rows.jsonl", Prompt)
    mixed = read_rows(inputs["demonstrations"].path / "rows.jsonl", Demonstration) if "demonstrations" in inputs else ()
    gold = gold_utility if all("item" in prompt.about for prompt in prompts) else None
    result = train_ppo(networks, prompts, config.training, training_run(context), gold=gold, mixed=mixed)
    save_model(merge_lora(networks.policy.module), networks.policy.tokenizer, context.out)
    write_history(context.out, result)
    for symptom in result.summary["symptoms"]:
        context.warn(str(symptom))
    for name in ("proxy_reward", "kl"):
        context.note(name, round(result.history[-1][name], 3))


def _networks(config: PpoStage, inputs: Mapping[str, Artifact]) -> Networks:
    from alidade.models.local import load
    from alidade.training.experience import Networks
    from alidade.training.lora import add_lora
    from alidade.training.objectives.ppo import value_from_reward
    from alidade.training.reward_model import load_reward_model

    policy, scorer = load(inputs["policy"].path), load_reward_model(inputs["reward"].path)
    value = value_from_reward(scorer)
    if config.method == "lora":
        adapted = trainable(policy, "lora", config.lora)
        return Networks(adapted, None, scorer, add_lora(value, config.lora))
    return Networks(policy, copy.deepcopy(policy.module), scorer, value)


def trainable(model: LocalModel, method: str, lora: LoraConfig) -> LocalModel:
    """`model` itself, or the model with fresh adapters as its only trainable weights."""
    from alidade.training.lora import add_lora

    return replace(model, module=add_lora(model.module, lora)) if method == "lora" else model
