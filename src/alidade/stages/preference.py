"""Stages that learn from comparisons without a reward model: DPO, IPO, SimPO and ORPO."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from alidade.pipeline import StageContext, stage
from alidade.stages.judged import as_comparisons, read_judged
from alidade.stages.kinds import COMPARISONS, MODEL
from alidade.stages.reward_check import agreement
from alidade.stages.training import (
    TrainingStage,
    check_method,
    opened,
    trainable,
    training_run,
    write_history,
    write_model,
)
from alidade.store import Artifact, write_json
from alidade.training.settings import (
    DpoConfig,
    IpoConfig,
    OrpoConfig,
    SimpoConfig,
)

if TYPE_CHECKING:
    from alidade.training.objectives.preference import PreferenceLoss

READS = {"model": MODEL, "comparisons": COMPARISONS}


class DpoStage(TrainingStage):
    """Direct preference optimisation."""

    training: DpoConfig = DpoConfig()


class IpoStage(TrainingStage):
    """Identity preference optimisation."""

    training: IpoConfig = IpoConfig()


class SimpoStage(TrainingStage):
    """Simple preference optimisation."""

    training: SimpoConfig = SimpoConfig()


class OrpoStage(TrainingStage):
    """Odds-ratio preference optimisation."""

    training: OrpoConfig = OrpoConfig()


@stage("dpo", version=3, reads=READS, writes=MODEL, check=check_method, config=DpoStage)
def dpo(config: DpoStage, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """The model, trained on comparisons by direct preference optimisation; the model as given is the reference."""
    from alidade.training.objectives.dpo import DpoLoss

    prefer(DpoLoss(config.training), config, inputs, context)


@stage("ipo", version=3, reads=READS, writes=MODEL, check=check_method, config=IpoStage)
def ipo(config: IpoStage, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """The model, trained on comparisons by identity preference optimisation; the model as given is the reference."""
    from alidade.training.objectives.ipo import IpoLoss

    prefer(IpoLoss(config.training), config, inputs, context)


@stage("simpo", version=3, reads=READS, writes=MODEL, check=check_method, config=SimpoStage)
def simpo(config: SimpoStage, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """The model, trained on comparisons by simple preference optimisation, without a reference."""
    from alidade.training.objectives.simpo import SimpoLoss

    prefer(SimpoLoss(config.training), config, inputs, context)


@stage("orpo", version=3, reads=READS, writes=MODEL, check=check_method, config=OrpoStage)
def orpo(config: OrpoStage, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """The model, trained on comparisons by odds-ratio preference optimisation, without a reference."""
    from alidade.training.objectives.orpo import OrpoLoss

    prefer(OrpoLoss(config.training), config, inputs, context)


def prefer(
    loss: PreferenceLoss,
    config: TrainingStage,
    inputs: Mapping[str, Artifact],
    context: StageContext,
) -> None:
    """Train the model on the comparisons by `loss`; write it, its history, and how well its rewards predict held-out pairs."""
    from alidade.training.objectives.preference import train_preferences

    model = trainable(opened(inputs["model"], config), config, context.seed)
    rows, heldout = read_judged(inputs["comparisons"].path)
    result = train_preferences(model, rows, heldout, loss, training_run(context))
    write_model(model, config, inputs["model"], context.out)
    write_history(context, result)
    context.note("loss", round(result.history[-1]["loss"], 4))
    leads = result.summary["leads"]
    judged = as_comparisons([row for place, row in enumerate(heldout) if place in leads])
    annotated = agreement(as_comparisons(rows), judged, [lead for place in sorted(leads) for lead in leads[place]])
    write_json(context.out / "evaluation.json", {"implied": annotated})
    if annotated:
        context.note("implied_accuracy", annotated["accuracy"]["mean"])
