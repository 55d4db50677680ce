"""Kahneman-Tversky optimisation: answers judged one by one, each a gain or a loss against a reference point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from alidade.models.local import LocalModel
from alidade.records import Feedback
from alidade.seeds import generator
from alidade.training.diagnose import check_modes
from alidade.training.feedback import (
    FeedbackBatch,
    FeedbackGroup,
    ReferencedFeedback,
    collate_feedback,
    group_feedback,
    imbalance,
)
from alidade.training.fit import Fit, Loss, StepReport, TrainingResult, TrainingRun
from alidade.training.objectives.preference import answer_log_probs, reference_log_probs, tree_log_probs
from alidade.training.optimise import AdamW, Part
from alidade.training.packing import Tree, pack_trees
from alidade.training.preflight import Checked, ends, shares
from alidade.training.room import with_room
from alidade.training.settings import KtoConfig
from alidade.training.sources import ShuffledRows, Shuffling
from alidade.training.symptoms import symptoms
from alidade.training.trunk import prepare


class KtoObjective:
    """Mean loss per label: weight x (1 - sigmoid(beta x lead)), the lead being that of the log-ratio over the reference point.

    Of an undesirable answer the lead counts the other way round; an answer desirable with probability p counts as both.

    Source: Ethayarajh et al. 2024, arXiv 2402.01306, equations 7 and 8.
    Differs: labels may be soft. See `AgainstStrays` for the reference point.
    """

    def __init__(self, cfg: KtoConfig) -> None:
        self._cfg = cfg

    def weight(self, batch: FeedbackBatch) -> float:
        """Labels."""
        return float(len(batch.judged))

    def loss(self, model: nn.Module, batch: FeedbackBatch) -> Loss:
        """Summed loss of the labels."""
        cfg, learned = self._cfg, batch.learned_probs
        log_ratios = (answer_log_probs(model, batch.packed) - batch.reference)[batch.judged]
        lead = cfg.beta * (log_ratios - batch.reference_point)
        desirable = cfg.desirable_weight * torch.sigmoid(-lead)
        undesirable = cfg.undesirable_weight * torch.sigmoid(lead)
        total = (learned * desirable + (1 - learned) * undesirable).sum()
        with torch.no_grad():
            return Loss(total, _movements(log_ratios, batch))


def _movements(log_ratios: Tensor, batch: FeedbackBatch) -> dict[str, Tensor | float]:
    """Sums over labels; those of one kind only where there are any, to be divided by their number (`_per_kind`)."""
    likely = batch.label_probs
    right = torch.sign(log_ratios - batch.reference_point) * torch.sign(likely - 0.5)
    sums: dict[str, Tensor | float] = {
        "accuracy": ((right + 1) / 2).sum(),
        "desirable": likely.sum(),
        "reference_point": batch.reference_point * len(likely),
    }
    for name, share in (("desirable_shift", likely), ("undesirable_shift", 1 - likely)):
        if share.any():
            sums[name] = (share * log_ratios).sum()
    return sums


def _per_kind(values: Mapping[str, float]) -> dict[str, float]:
    """The mean log-ratio of desirable and of undesirable answers, where a step has any."""
    shares = {"desirable_shift": values["desirable"], "undesirable_shift": 1 - values["desirable"]}
    return {name: values[name] / share for name, share in shares.items() if name in values}


class AgainstStrays:
    """Steps of feedback whose batches know the step's reference point: the mean log-ratio of all its strays, at least 0.

    It is measured by the network as it is before the step's first forward pass, without gradient. So it is the same
    however the step is cut into micro-batches, and there is no running estimate to keep: where this source stands is where
    its rows stand.

    Source: Ethayarajh et al. 2024, arXiv 2402.01306, the estimate of z0.
    Differs: the mean is over the step, not the micro-batch; and strays are drawn once from all rows, not from the others of
    the batch, so the reference scores them once. An answer that is judged twice has one stray.
    """

    def __init__(self, module: nn.Module, rows: ShuffledRows[ReferencedFeedback]) -> None:
        self._module, self._rows = module, rows

    @property
    def position(self) -> tuple[int, int]:
        """Steps done and in all."""
        return self._rows.position

    def __iter__(self) -> Iterator[list[FeedbackBatch]]:
        for batches in self._rows:
            point = reference_point(self._module, batches)
            yield [replace(batch, reference_point=point) for batch in batches]

    def observe(self, report: StepReport) -> None:
        """One more step is done."""
        self._rows.observe(report)

    def state_dict(self) -> dict[str, Any]:
        """Where the rows stand."""
        return self._rows.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._rows.load_state_dict(state)


@torch.no_grad()
def reference_point(module: nn.Module, batches: Sequence[FeedbackBatch]) -> float:
    """The mean log-ratio of the strays of `batches` in nats an answer, at least 0; 0 where there are none."""
    gains = [
        (answer_log_probs(module, batch.strays) - batch.stray_reference).double()
        for batch in batches
        if batch.strays is not None
    ]
    return max(0.0, float(torch.cat(gains).mean())) if gains else 0.0


def train_kto(
    model: LocalModel, rows: Sequence[Feedback], heldout: Sequence[Feedback], cfg: KtoConfig, run: TrainingRun
) -> TrainingResult:
    """Train `model` in place on feedback; the model as given is the reference.

    The result's `summary` has the `shifts` (log-ratios in nats) of held-out answers by the number of their row, the
    `reference_point` of their strays, and `symptoms` in words.

    Raises:
        DataError: when more rows are lost than the limits allow, all labels say the same, or there is only one prompt.
        TrainingStopped: when an answer's score depends on what is packed beside it, or a loss is not finite.
    """
    module = prepare(model.module, cfg.batching.checkpointing)
    cfg = with_room(cfg, module)
    device = next(module.parameters()).device
    chance = generator(run.seed, "feedback", "strays")
    grouped = group_feedback(model.renderer, model.context_length, (rows, heldout), cfg, chance)
    budget = cfg.batching.tokens_at_once
    (train, checks), (test, _) = (_referenced(module, part, budget) for part in (grouped.train, grouped.heldout))
    preflight = [
        *ends([answer for group in grouped.train for answer in group.answers], model.renderer.stop_ids),
        *check_modes(module, pack_trees([grouped.train[0].tree]).to(device)),
        *shares(grouped.counts),
        *checks,
    ]
    shuffled = ShuffledRows(
        train,
        lambda row: row.group.token_count,
        lambda chosen: collate_feedback(chosen, device),
        Shuffling(cfg.batching, run.seed, "feedback"),
    )
    source = AgainstStrays(module, shuffled)
    fit = Fit(module, KtoObjective(cfg), source, AdamW([Part("policy", module)], cfg.optimiser), run)
    for report in fit.over("feedback", "step", ["kto", cfg.model_dump(), grouped.counts]):
        report.note(**_per_kind(report.values))
    counts = grouped.counts
    found = imbalance(counts["desirable"], counts["labels"], cfg) + symptoms(fit.history)
    return TrainingResult(fit.history, counts, _heldout(module, test, budget) | {"symptoms": found}, preflight)


def _everything(group: FeedbackGroup) -> Tree:
    return Tree(group.prompt, [*group.answers, *group.strays])


def _referenced(
    module: nn.Module, groups: Sequence[FeedbackGroup], tokens_at_once: int
) -> tuple[list[ReferencedFeedback], list[Checked]]:
    scored, checks = reference_log_probs(module, [_everything(group) for group in groups], tokens_at_once)
    rows = [
        ReferencedFeedback(group, row[: len(group.answers)], row[len(group.answers) :])
        for group, row in zip(groups, scored, strict=True)
    ]
    return rows, checks


def _heldout(module: nn.Module, rows: Sequence[ReferencedFeedback], tokens_at_once: int) -> dict[str, Any]:
    shifts: dict[int, float] = {}
    gains: list[float] = []
    scored = tree_log_probs(module, [_everything(row.group) for row in rows], tokens_at_once)
    for row, log_probs in zip(rows, scored, strict=True):
        gained = [now - before for now, before in zip(log_probs, [*row.reference, *row.stray_reference], strict=True)]
        shifts |= {label.row: gained[label.answer] for label in row.group.labels}
        gains += gained[len(row.group.answers) :]
    return {"shifts": shifts, "reference_point": max(0.0, sum(gains) / len(gains)) if gains else 0.0}
