"""Stages that train from files: supervised fine-tuning and the reward model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from alidade.pipeline import StageContext, stage
from alidade.records import Demonstration, Record
from alidade.stages.judged import as_comparisons, read_judged
from alidade.stages.kinds import COMPARISONS, DEMONSTRATIONS, MODEL, REWARD_MODEL
from alidade.stages.reward_check import checked
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
    """One row per step, and what was seen, dropped, truncated and masked."""
    write_rows(out / "metrics.jsonl", result.history)
    write_json(out / "counts.json", result.counts)


class TrainingStage(Record):
    """All weights are trained, or low-rank adapters on frozen ones that are merged at the end."""

    method: Literal["full", "lora"] = Field(default="full", description="what is trained")
    lora: LoraConfig = LoraConfig()


class SftStage(TrainingStage):
    """Supervised fine-tuning of all weights, or of low-rank adapters that are merged at the end."""

    training: SftConfig = SftConfig()


@stage("sft", version=1, reads={"model": MODEL, "demonstrations": DEMONSTRATIONS}, writes=MODEL, config=SftStage)
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
    context.note("loss", round(result.history[-1]["loss"], 4))


class RewardStage(TrainingStage):
    """A reward model on a copy of the given model's trunk."""

    training: RewardConfig = RewardConfig(batching=Batching(epochs=2, rows=16))


@stage("reward", version=2, reads={"model": MODEL, "comparisons": COMPARISONS}, writes=REWARD_MODEL, config=RewardStage)
def reward(config: RewardStage, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """A reward model that learns from comparisons and rankings, measured on held-out ones against the length-only baseline."""
    from alidade.models.local import load
    from alidade.training.heads import heads_for
    from alidade.training.lora import add_lora, merge_lora
    from alidade.training.objectives.reward import train_reward
    from alidade.training.reward_model import new_reward_model, save_reward_model

    rows, heldout = read_judged(inputs["comparisons"].path)
    heads = heads_for(rows, config.training.heads)
    fresh = new_reward_model(load(inputs["model"].path), context.seed, heads)
    fresh = replace(fresh, module=add_lora(fresh.module, config.lora)) if config.method == "lora" else fresh
    trained, result = train_reward(fresh, rows, heldout, config.training, training_run(context))
    trained = replace(trained, module=merge_lora(trained.module))
    save_reward_model(trained, context.out)
    write_history(context.out, result)
    for symptom in result.summary.get("symptoms", ()):
        context.warn(symptom)
    evaluation = checked(trained, as_comparisons(rows), as_comparisons(heldout))
    evaluation |= evaluated(result.summary) if evaluation["annotated"] else {}
    write_json(context.out / "evaluation.json", evaluation)
    if evaluation["annotated"]:
        context.note("accuracy_on_annotated", evaluation["annotated"]["accuracy"]["mean"])


def evaluated(summary: Mapping[str, Any]) -> dict[str, Any]:
    """What a training found out about its reward model beside its accuracy."""
    report = summary["heldout"]
    found = {"calibration": report["bins"], "temperature": report["temperature"]}
    found["length_correlation"] = report["length_correlation"]
    return found | {name: summary[name] for name in ("length", "tie_strength") if name in summary}


def trainable(model: LocalModel, config: TrainingStage) -> LocalModel:
    """`model` itself, or the model with fresh adapters as its only trainable weights."""
    from alidade.training.lora import add_lora

    return replace(model, module=add_lora(model.module, config.lora)) if config.method == "lora" else model
