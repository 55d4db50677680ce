"""Stages that train from files: supervised fine-tuning and the reward model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from pydantic import Field, model_validator

from alidade.models.quantised import refuse_without_bitsandbytes
from alidade.pipeline import StageContext, Upstream, stage
from alidade.records import Demonstration, Record
from alidade.stages.judged import as_comparisons, read_judged
from alidade.stages.kinds import COMPARISONS, DEMONSTRATIONS, MODEL, REWARD_MODEL
from alidade.stages.reward_check import checked
from alidade.store import Artifact, read_rows, write_json, write_rows
from alidade.training.settings import Batching, LoraConfig, RewardConfig, SftConfig

if TYPE_CHECKING:
    from alidade.models.local import LocalModel
    from alidade.training.fit import TrainingResult, TrainingRun
    from alidade.training.reward_model import RewardModel

Network = TypeVar("Network", "LocalModel", "RewardModel")


def training_run(context: StageContext) -> TrainingRun:
    """What a training needs to know of the stage around it."""
    from alidade.training.fit import TrainingRun

    return TrainingRun(seed=context.seed, scratch=context.scratch, progress=context.progress)


def write_history(context: StageContext, result: TrainingResult) -> None:
    """One row per step; what was seen, dropped, truncated and masked; and what was looked at before the first step.

    The stage warns of what the curves show.
    """
    from alidade.training.preflight import FILE_NAME, as_json

    write_rows(context.out / "metrics.jsonl", result.history)
    write_json(context.out / "counts.json", result.counts)
    if result.preflight:
        write_json(context.out / FILE_NAME, as_json(result.preflight))
    for symptom in result.summary.get("symptoms", ()):
        context.warn(str(symptom))


class Trained(Record):
    """All weights are trained, or low-rank adapters on frozen ones."""

    method: Literal["full", "lora"] = Field(default="full", description="what is trained")
    lora: LoraConfig = LoraConfig()

    @model_validator(mode="after")
    def _rounded_weights_are_frozen(self) -> Self:
        if self.method == "full" and self.lora.quantised != "no":
            raise ValueError("weights of 4 bits cannot be trained: quantised needs method `lora`")
        return self


class TrainingStage(Trained):
    """What is trained is kept; adapters are merged at the end."""

    keep_adapter: bool = Field(
        default=False, description="adapters are also kept unmerged, as peft reads them, in the folder `adapter`"
    )


def check_method(config: Trained, inputs: Mapping[str, Upstream]) -> None:
    """What the method needs is installed.

    Raises:
        MissingExtra: when 4-bit weights are asked for without bitsandbytes.
    """
    if config.lora.quantised != "no":
        refuse_without_bitsandbytes()


class SftStage(TrainingStage):
    """Supervised fine-tuning of all weights, or of low-rank adapters that are merged at the end."""

    training: SftConfig = SftConfig()


@stage(
    "sft",
    version=2,
    reads={"model": MODEL, "demonstrations": DEMONSTRATIONS},
    writes=MODEL,
    config=SftStage,
    check=check_method,
)
def sft(config: SftStage, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """The model, fine-tuned on demonstrations; loss on the answers only."""
    from alidade.training.objectives.sft import train_sft

    model = trainable(opened(inputs["model"], config), config, context.seed)
    rows = read_rows(inputs["demonstrations"].path / "rows.jsonl", Demonstration)
    result = train_sft(model, rows, config.training, training_run(context))
    write_model(model, config, inputs["model"], context.out)
    write_history(context, result)
    context.note("loss", round(result.history[-1]["loss"], 4))


class RewardStage(TrainingStage):
    """A reward model on a copy of the given model's trunk."""

    training: RewardConfig = RewardConfig(batching=Batching(epochs=2, rows=16))
    keep_adapter: bool = Field(
        default=True, description="adapters are also kept unmerged, so that PPO with adapters can stand on one base"
    )


@stage(
    "reward",
    version=3,
    reads={"model": MODEL, "comparisons": COMPARISONS},
    writes=REWARD_MODEL,
    config=RewardStage,
    check=check_method,
)
def reward(config: RewardStage, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """A reward model that learns from comparisons and rankings, measured on held-out ones against the length-only baseline."""
    from alidade.training.heads import heads_for
    from alidade.training.objectives.reward import train_reward
    from alidade.training.reward_model import new_reward_model, save_reward_model

    rows, heldout = read_judged(inputs["comparisons"].path)
    heads = heads_for(rows, config.training.heads)
    fresh = new_reward_model(opened(inputs["model"], config), context.seed, heads, shared=True)
    fresh = trainable(fresh, config, context.seed)
    trained, result = train_reward(fresh, rows, heldout, config.training, training_run(context))
    trained = merged(trained, config, inputs["model"], context.out)
    save_reward_model(trained, context.out)
    write_history(context, result)
    evaluation = checked(trained, as_comparisons(rows), as_comparisons(heldout))
    evaluation |= evaluated(result.summary)
    write_json(context.out / "evaluation.json", evaluation)
    if evaluation["annotated"]:
        context.note("accuracy_on_annotated", evaluation["annotated"]["accuracy"]["mean"])


def evaluated(summary: Mapping[str, Any]) -> dict[str, Any]:
    """What a training found out about its reward model beside its accuracy; what it fitted also without held-out rows."""
    report = summary["heldout"]
    found: dict[str, Any] = {}
    if report["decided"]:
        found = {"calibration": report["bins"], "temperature": report["temperature"]}
        found["length_correlation"] = report["length_correlation"]
    return found | {name: summary[name] for name in ("length", "tie_strength") if name in summary}


def opened(model: Artifact, config: Trained) -> LocalModel:
    """The model in an artifact, its weights rounded to 4 bits where that is asked for."""
    from alidade.models.local import load

    return load(model.path, quantised=config.lora.quantised)


def trainable(network: Network, config: Trained, seed: int) -> Network:
    """`network` itself, or with fresh adapters as its only trainable weights."""
    from alidade.training.lora import add_lora

    return replace(network, module=add_lora(network.module, config.lora, seed)) if config.method == "lora" else network


def write_model(model: LocalModel, config: TrainingStage, base: Artifact, out: Path) -> None:
    """Write a trained model as a plain folder, and its adapters beside it where they are to be kept."""
    from alidade.models.local import save_model

    save_model(merged(model, config, base, out).module, model.tokenizer, out)


def merged(network: Network, config: TrainingStage, base: Artifact, out: Path) -> Network:
    """A trained network as plain weights; its adapters are written to `out` where they are to be kept.

    Adapters trained on rounded weights are kept in any case, and added to the weights as they were before rounding.
    """
    from alidade.models.adapters import put_on, save_adapter
    from alidade.models.local import load
    from alidade.training.lora import merge_lora
    from alidade.training.reward_model import ADAPTER, RewardModel, new_reward_model

    if config.method == "full":
        return network
    rounded = config.lora.quantised != "no"
    if config.keep_adapter or rounded:
        save_adapter(network.module, out / ADAPTER, base.digest)
    module = network.module
    if rounded:
        exact = load(base.path)
        plain = new_reward_model(exact, 0, network.heads, shared=True) if isinstance(network, RewardModel) else exact
        module = put_on(plain.module, out / ADAPTER)
    return replace(network, module=merge_lora(module))
