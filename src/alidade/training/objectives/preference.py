"""Learning from comparisons without a reward model: what DPO, IPO, SimPO and ORPO share.

An answer's log-probability under the frozen reference never changes, so it is computed once, before the first step, by the
network that is about to be trained: the reference is where the policy starts, and no second copy of it is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from alidade.models.local import LocalModel
from alidade.records import Comparison, Ranking
from alidade.training.calibration import Judged, pair_report
from alidade.training.diagnose import check_start, displacement
from alidade.training.fit import Fit, Loss, TrainingResult, TrainingRun
from alidade.training.judgements import (
    AnswerGroup,
    JudgedBatch,
    collate_groups,
    group_counts,
    group_rows,
    noise_corrected,
)
from alidade.training.lm import hidden_states, prepare, token_scores
from alidade.training.optimise import AdamW, Part
from alidade.training.packing import Packed, pack_trees, split_by_budget
from alidade.training.settings import PreferenceConfig
from alidade.training.sources import ShuffledRows, Shuffling, refuse_loss


@dataclass(frozen=True)
class ScoredAnswers:
    """Per answer: its log-probability under policy and reference (nats, all its tokens together), and its tokens."""

    log_probs: Float[Tensor, " answers"]
    reference: Float[Tensor, " answers"]
    tokens: Int[Tensor, " answers"]

    @property
    def log_ratios(self) -> Float[Tensor, " answers"]:
        """How much likelier each answer is than under the reference, in nats."""
        return self.log_probs - self.reference

    @property
    def mean_log_probs(self) -> Float[Tensor, " answers"]:
        """Nats per token."""
        return self.log_probs / self.tokens


class PreferenceLoss(Protocol):
    """One way of learning from comparisons. `rewards` are the scores it implies: the better answer has the higher one."""

    uses_reference: bool

    def rewards(self, answers: ScoredAnswers) -> Float[Tensor, " answers"]:
        """The implied score of each answer."""
        ...

    def loss(self, answers: ScoredAnswers, batch: JudgedBatch) -> Float[Tensor, ""]:
        """The loss summed over the batch's judgements."""
        ...


@dataclass
class ReferencedGroup:
    """A group and the reference's log-probability of each of its answers (0 where no reference is used)."""

    group: AnswerGroup
    reference: list[float]


@dataclass(frozen=True)
class PreferenceBatch:
    """A judged batch and the reference's log-probabilities."""

    judged: JudgedBatch
    reference: Float[Tensor, " answers"]


def answer_log_probs(module: nn.Module, packed: Packed) -> Float[Tensor, " answers"]:
    """The log-probability of each packed answer, stop token included."""
    states = hidden_states(module, packed)[packed.predictors]
    log_probs = token_scores(module, states, packed.targets).log_probs
    lengths = torch.tensor(packed.lengths, device=log_probs.device)
    owner = torch.repeat_interleave(torch.arange(len(lengths), device=log_probs.device), lengths)
    return torch.zeros(len(lengths), dtype=log_probs.dtype, device=log_probs.device).index_add(0, owner, log_probs)


class PreferenceObjective:
    """Mean loss per judgement, and how the implied rewards and the likelihoods move."""

    def __init__(self, loss: PreferenceLoss, sft_weight: float) -> None:
        self._loss, self._sft_weight = loss, sft_weight

    def weight(self, batch: PreferenceBatch) -> float:
        """Judgements (comparisons and rankings)."""
        return float(batch.judged.judgements)

    def loss(self, model: nn.Module, batch: PreferenceBatch) -> Loss:
        """Summed loss of the judgements."""
        packed = batch.judged.packed
        log_probs = answer_log_probs(model, packed)
        answers = ScoredAnswers(log_probs, batch.reference, torch.tensor(packed.lengths, device=log_probs.device))
        total = self._loss.loss(answers, batch.judged)
        if self._sft_weight:
            total = total + self._sft_weight * _chosen_nll(answers, batch.judged)
        with torch.no_grad():
            return Loss(total, _movements(answers, self._loss.rewards(answers), batch.judged))


def _chosen_nll(answers: ScoredAnswers, judged: JudgedBatch) -> Tensor:
    """Per pair the mean loss per token of the answer that is better, by its label probability."""
    pairs, means = judged.pairs, answers.mean_log_probs
    left, right = means[pairs.left], means[pairs.right]
    return -(pairs.weights * (pairs.label_probs * left + (1 - pairs.label_probs) * right)).sum()


def _movements(answers: ScoredAnswers, rewards: Tensor, judged: JudgedBatch) -> dict[str, Tensor]:
    pairs = judged.pairs
    side = torch.sign(pairs.label_probs - 0.5)
    gap = rewards[pairs.left] - rewards[pairs.right]
    right = torch.where(gap * side > 0, 1.0, torch.where(gap * side < 0, 0.0, 0.5))
    better = torch.where(side >= 0, pairs.left, pairs.right)
    worse = torch.where(side >= 0, pairs.right, pairs.left)
    per_pair = {
        "accuracy": right,
        "margin": gap * side,
        "chosen_shift": answers.log_ratios[better],
        "rejected_shift": answers.log_ratios[worse],
    }
    return {name: (pairs.weights * values).sum() for name, values in per_pair.items()}


@torch.no_grad()
def score_groups(module: nn.Module, groups: Sequence[AnswerGroup], tokens_at_once: int) -> list[list[float]]:
    """The log-probability of every answer of every group, in the order given."""
    device = next(module.parameters()).device
    scores: list[list[float]] = []
    for chosen in split_by_budget([group.tree.token_count for group in groups], tokens_at_once):
        some = [groups[place] for place in chosen]
        flat = iter(answer_log_probs(module, pack_trees([group.tree for group in some]).to(device)).tolist())
        scores += [[next(flat) for _ in group.answers] for group in some]
    return scores


def collate_referenced(
    rows: Sequence[ReferencedGroup], device: torch.device, dtype: torch.dtype = torch.float32
) -> PreferenceBatch:
    """Groups as one packed row beside the reference's log-probabilities."""
    judged = collate_groups([row.group for row in rows], device, dtype)
    reference = [value for row in rows for value in row.reference]
    return PreferenceBatch(judged, torch.tensor(reference, dtype=dtype, device=device))


def train_preferences(
    model: LocalModel,
    rows: tuple[Sequence[Comparison | Ranking], Sequence[Comparison | Ranking]],
    loss: PreferenceLoss,
    cfg: PreferenceConfig,
    run: TrainingRun,
) -> TrainingResult:
    """Train `model` in place on the first of `rows`, the second being held out.

    The result's `summary` has a `heldout` report of the implied rewards (accuracy, calibration), their `leads` by the number
    of the held-out comparison, and `symptoms` in words.

    Raises:
        DataError: when more rows are lost than the limits allow.
        TrainingStopped: when the policy does not start equal to its reference, or a loss is not finite.
    """
    module = prepare(model.module)
    device = next(module.parameters()).device
    (groups, heldout), counts = _grouped(model, rows, cfg)
    train, unseen = (_referenced(module, part, loss, cfg.batching.tokens_at_once) for part in (groups, heldout))
    source = ShuffledRows(
        train,
        lambda row: row.group.tree.token_count,
        lambda chosen: collate_referenced(chosen, device),
        Shuffling(cfg.batching, run.seed, "preferences"),
    )
    objective = PreferenceObjective(loss, cfg.sft_weight)
    fit = Fit(module, objective, source, AdamW([Part("policy", module)], cfg.optimiser), run)
    for _ in fit.over("preferences", "step", [type(loss).__name__, cfg.model_dump(), counts]):
        pass
    leads = list(_leads(module, unseen, loss, cfg.batching.tokens_at_once))
    judged = [lead for _, lead in leads]
    summary = {
        "heldout": pair_report(judged, longer_from=judged),
        "leads": {row: lead.gap for row, lead in leads},
        "symptoms": displacement(fit.history),
    }
    return TrainingResult(fit.history, counts, summary)


def _grouped(
    model: LocalModel, rows: tuple[Sequence[Comparison | Ranking], ...], cfg: PreferenceConfig
) -> tuple[list[list[AnswerGroup]], dict[str, Any]]:
    longest = cfg.limits.longest(model.context_length)
    parts, counts = [], []
    for part in rows:
        groups, dropped = group_rows(model.renderer, part, longest, noise_corrected(cfg.flips, cfg.noise))
        if not parts:
            refuse_loss(len(part), dropped, cfg.limits.allowed_loss, "comparisons")
        parts.append(groups)
        counts.append(group_counts(len(part), groups, dropped))
    return parts, counts[0] | {"heldout": counts[1]}


def _referenced(
    module: nn.Module, groups: Sequence[AnswerGroup], loss: PreferenceLoss, tokens_at_once: int
) -> list[ReferencedGroup]:
    if not loss.uses_reference:
        return [ReferencedGroup(group, [0.0] * len(group.answers)) for group in groups]
    scored = score_groups(module, groups, tokens_at_once)
    if scored:
        alone = score_groups(module, groups[:1], tokens_at_once)[0]
        check_start(alone, scored[0], [len(answer) for answer in groups[0].answers], next(module.parameters()).dtype)
    return [ReferencedGroup(group, row) for group, row in zip(groups, scored, strict=True)]


def _leads(
    module: nn.Module, rows: Sequence[ReferencedGroup], loss: PreferenceLoss, tokens_at_once: int
) -> Iterator[tuple[int, Judged]]:
    """How far the implied reward of each pair's left answer leads, with the number of the row that judged it."""
    for row, log_probs in zip(rows, score_groups(module, [row.group for row in rows], tokens_at_once), strict=True):
        lengths = [len(answer) for answer in row.group.answers]
        answers = ScoredAnswers(*(torch.tensor(values) for values in (log_probs, row.reference, lengths)))
        rewards = loss.rewards(answers).tolist()
        for pair in row.group.pairs:
            longer = lengths[pair.left] - lengths[pair.right]
            yield pair.row, Judged(rewards[pair.left] - rewards[pair.right], longer, pair.label_prob)
