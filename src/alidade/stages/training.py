"""Stages that train from files: supervised fine-tuning and the reward model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from alidade.pipeline import StageContext, stage
from alidade.records import Comparison, Demonstration, Record
from alidade.stages.kinds import COMPARISONS, DEMONSTRATIONS, MODEL, REWARD_MODEL
from alidade.store import Artifact, read_rows, write_json, write_rows
from alidade.training.settings import Batching, LoraConfig, RewardConfig, SftConfig

if TYPE_CHECKING:
    from alidade.models.local import LocalModel
    from alidade.training.fit import TrainingResult, TrainingRun


def training_run(context: StageContext) -> TrainingRun:
    """What a training needs to know of the stage around it."""
    from alidade.training.fit import TrainingRun

    return TrainingRun(seed=context.seed, scratch=context.scratch, progress=context.progress)


def write_history(out: Path, result: TrainingResult) -> None:
    """One row per step; what was seen, dropped, truncated and masked; and what was looked at before the first step."""
    from alidade.training.preflight import FILE_NAME, as_json

    write_rows(out / "metrics.jsonl", result.history)
    write_json(out / "counts.json", result.counts)
    if result.preflight:
        write_json(out / FILE_NAME, as_json(result.preflight))


def warn_of(context: StageContext, result: TrainingResult) -> None:
    """Warn of what the curves of a training show."""
    for symptom in result.summary["symptoms"]:
        context.warn(str(symptom))


class TrainingStage(Record):
    """All weights are trained, or low-rank adapters on frozen ones that are merged at the end."""

    method: Literal["full", "lora"] = Field(default="full", description="what is trained")
    lora: LoraConfig = LoraConfig()


class SftStage(TrainingStage):
    """Supervised fine-tuning of all weights, or of low-rank adapters that are merged at the end."""

    training: SftConfig = SftConfig()


@stage("sft", version=2, reads={"model": MODEL, "demonstrations": DEMONSTRATIONS}, writes=MODEL, config=SftStage)
def sft(config: SftStage, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """The model, fine-tuned on demonstrations; loss on the answers only."""
    from alidade.models.local import load, save_model
    from alidade.training.lora import merge_lora
    from alidade.training.objectives.sft import train_sft

    model = trainable(load(inputs["model"].path), config)
    rows = read_rows(inputs["demonstrations"].path / "rows.jsonl", Demonstration)
    result = train_sft(model, rows, config.training, training_run(context))
    save_model(merge_lora(model.module), model.tokenizer, context.out)
    write_history(context.out, result)
    warn_of(context, result)
    context.note("loss", round(result.history[-1]["loss"], 4))


class RewardStage(TrainingStage):
    """A reward model on a copy of the given model's trunk."""

    training: RewardConfig = RewardConfig(batching=Batching(epochs=2, rows=16))


@stage("reward", version=2, reads={"model": MODEL, "comparisons": COMPARISONS}, writes=REWARD_MODEL, config=RewardStage)
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
    warn_of(context, result)
    annotated = accuracies(trained, rows, heldout)
    report = result.summary["heldout"]
    calibration = {"calibration": report["bins"], "temperature": report["temperature"]} if annotated else {}
    write_json(context.out / "evaluation.json", {"annotated": annotated} | calibration)
    if annotated:
        context.note("accuracy_on_annotated", annotated["accuracy"]["mean"])


def trainable(model: LocalModel, config: TrainingStage) -> LocalModel:
    """`model` itself, or the model with fresh adapters as its only trainable weights."""
    from alidade.training.lora import add_lora

    return replace(model, module=add_lora(model.module, config.lora)) if config.method == "lora" else model
