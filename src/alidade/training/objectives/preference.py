"""Learning from comparisons without a reward model: what DPO, IPO, SimPO and ORPO share, and KTO in part.

An answer's log-probability under the frozen reference never changes, so it is computed once, before the first step, by the
network that is about to be trained: the reference is where the policy starts, and no second copy of it is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from alidade.models.local import LocalModel
from alidade.records import Comparison, Ranking
from alidade.training.calibration import Judged, pair_report
from alidade.training.diagnose import check_modes, check_start
from alidade.training.fit import Fit, Loss, TrainingResult, TrainingRun
from alidade.training.judgements import (
    AnswerGroup,
    JudgedBatch,
    Pair,
    collate_groups,
    group_parts,
)
from alidade.training.lm import each_answer, token_scores
from alidade.training.optimise import AdamW, Part
from alidade.training.packing import Packed, Tree
from alidade.training.preflight import Checked, ends, shares
from alidade.training.room import with_room
from alidade.training.settings import PreferenceConfig
from alidade.training.sources import ShuffledRows, Shuffling
from alidade.training.symptoms import symptoms
from alidade.training.trunk import hidden_states, prepare


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
    """One way of learning from comparisons. `rewards` are the scores it implies: the better answer has the higher one.

    Without `uses_reference` the reference's log-probabilities are 0.
    """

    uses_reference: ClassVar[bool]

    @property
    def cfg(self) -> PreferenceConfig:
        """Its settings."""
        ...

    def rewards(self, answers: ScoredAnswers) -> Float[Tensor, " answers"]:
        """The implied score of each answer."""
        ...

    def loss(self, answers: ScoredAnswers, batch: JudgedBatch) -> Float[Tensor, ""]:
        """The loss summed over the batch's judgements."""
        ...


@dataclass(frozen=True)
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
    states = hidden_states(module, packed, packed.predictors)
    log_probs = token_scores(module, states, packed.targets).log_probs
    return torch.stack([answer.sum() for answer in log_probs.split(packed.lengths)])


class PreferenceObjective:
    """Mean loss per judgement, and how the implied rewards and the likelihoods move."""

    def __init__(self, loss: PreferenceLoss) -> None:
        self._loss = loss

    def weight(self, batch: PreferenceBatch) -> float:
        """Judgements (comparisons and rankings)."""
        return float(batch.judged.judgements)

    def loss(self, model: nn.Module, batch: PreferenceBatch) -> Loss:
        """Summed loss of the judgements."""
        packed = batch.judged.packed
        log_probs = answer_log_probs(model, packed)
        answers = ScoredAnswers(log_probs, batch.reference, torch.tensor(packed.lengths, device=log_probs.device))
        total = self._loss.loss(answers, batch.judged)
        if self._loss.cfg.sft_weight:
            total = total + self._loss.cfg.sft_weight * _chosen_nll(answers, batch.judged)
        with torch.no_grad():
            return Loss(total, _movements(answers, self._loss, batch.judged))


def _chosen_nll(answers: ScoredAnswers, judged: JudgedBatch) -> Tensor:
    """Per pair the mean loss per token of the better answer, by the label as it is: flips undone would unlearn answers."""
    pairs, means = judged.pairs, answers.mean_log_probs
    left, right = means[pairs.left], means[pairs.right]
    return -(pairs.weights * (pairs.label_probs * left + (1 - pairs.label_probs) * right)).sum()


def _movements(answers: ScoredAnswers, loss: PreferenceLoss, judged: JudgedBatch) -> dict[str, Tensor]:
    pairs, rewards = judged.pairs, loss.rewards(answers)
    side = torch.sign(pairs.label_probs - 0.5)
    lead = (rewards[pairs.left] - rewards[pairs.right]) * side
    per_pair = {"accuracy": (torch.sign(lead) + 1) / 2, "margin": lead}
    if loss.uses_reference:
        per_pair["chosen_shift"] = answers.log_ratios[torch.where(side >= 0, pairs.left, pairs.right)]
        per_pair["rejected_shift"] = answers.log_ratios[torch.where(side >= 0, pairs.right, pairs.left)]
    return {name: (pairs.weights * values).sum() for name, values in per_pair.items()}


def tree_log_probs(module: nn.Module, trees: Sequence[Tree], tokens_at_once: int) -> list[list[float]]:
    """The log-probability of every answer of every tree, in the order given."""
    return each_answer(module, trees, partial(answer_log_probs, module), tokens_at_once)


def score_groups(module: nn.Module, groups: Sequence[AnswerGroup], tokens_at_once: int) -> list[list[float]]:
    """The log-probability of every answer of every group, in the order given."""
    return tree_log_probs(module, [group.tree for group in groups], tokens_at_once)


def reference_log_probs(
    module: nn.Module, trees: Sequence[Tree], tokens_at_once: int
) -> tuple[list[list[float]], list[Checked]]:
    """`tree_log_probs` before the first step, and the check that they do not depend on what is packed beside an answer.

    Raises:
        TrainingStopped: when they do.
    """
    scored = tree_log_probs(module, trees, tokens_at_once)
    if not scored:
        return [], []
    beside_others = min(1, len(trees) - 1)
    tree = trees[beside_others]
    alone = tree_log_probs(module, [tree], tokens_at_once)[0]
    lengths = [len(answer) for answer in tree.answers]
    return scored, [check_start(alone, scored[beside_others], lengths, next(module.parameters()).dtype)]


def collate_referenced(
    rows: Sequence[ReferencedGroup], device: torch.device, dtype: torch.dtype = torch.float32
) -> PreferenceBatch:
    """Groups as one packed row beside the reference's log-probabilities."""
    judged = collate_groups([row.group for row in rows], device, dtype)
    reference = [value for row in rows for value in row.reference]
    return PreferenceBatch(judged, torch.tensor(reference, dtype=dtype, device=device))


def train_preferences(
    model: LocalModel,
    rows: Sequence[Comparison | Ranking],
    heldout: Sequence[Comparison | Ranking],
    loss: PreferenceLoss,
    run: TrainingRun,
) -> TrainingResult:
    """Train `model` in place by `loss`, with its settings.

    The result's `summary` has a `heldout` report of the implied rewards (accuracy, calibration), their `leads` by the number
    of the held-out judgement (one for each pair in it), and `symptoms` in words.

    Raises:
        DataError: when more rows are lost than the limits allow, or rankings come with a share of flipped labels.
        TrainingStopped: when an answer's score depends on what is packed beside it, or a loss is not finite.
    """
    module = prepare(model.module, loss.cfg.batching.checkpointing)
    cfg = with_room(loss.cfg, module)
    device = next(module.parameters()).device
    grouped = group_parts(model.renderer, model.context_length, (rows, heldout), cfg)
    preflight = [
        *ends([answer for group in grouped.train for answer in group.answers], model.renderer.stop_ids),
        *check_modes(module, collate_groups(grouped.train[:1], device).packed),
        *shares(grouped.counts),
    ]
    (train, checks), (test, _) = (_referenced(module, part, loss, cfg) for part in (grouped.train, grouped.heldout))
    source = ShuffledRows(
        train,
        lambda row: row.group.tree.token_count,
        lambda chosen: collate_referenced(chosen, device),
        Shuffling(cfg.batching, run.seed, "preferences"),
    )
    fit = Fit(module, PreferenceObjective(loss), source, AdamW([Part("policy", module)], cfg.optimiser), run)
    for _ in fit.over("preferences", "step", [repr(loss), grouped.counts]):
        pass
    leads = list(_leads(module, test, loss, cfg))
    learned_from = [Judged(0.0, _longer(row.group, pair), pair.label_prob) for row in train for pair in row.group.pairs]
    summary = {
        "heldout": pair_report([lead for _, lead in leads], longer_from=learned_from),
        "leads": _by_row(leads),
        "symptoms": symptoms(fit.history),
    }
    return TrainingResult(fit.history, grouped.counts, summary, preflight + checks)


def _referenced(
    module: nn.Module, groups: Sequence[AnswerGroup], loss: PreferenceLoss, cfg: PreferenceConfig
) -> tuple[list[ReferencedGroup], list[Checked]]:
    if not loss.uses_reference:
        return [ReferencedGroup(group, [0.0] * len(group.answers)) for group in groups], []
    scored, checks = reference_log_probs(module, [group.tree for group in groups], cfg.batching.tokens_at_once)
    return [ReferencedGroup(group, row) for group, row in zip(groups, scored, strict=True)], checks


def _by_row(leads: Sequence[tuple[int, Judged]]) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    for row, lead in leads:
        found.setdefault(row, []).append(lead.gap)
    return found


def _longer(group: AnswerGroup, pair: Pair) -> int:
    return len(group.answers[pair.left]) - len(group.answers[pair.right])


def _leads(
    module: nn.Module, rows: Sequence[ReferencedGroup], loss: PreferenceLoss, cfg: PreferenceConfig
) -> Iterator[tuple[int, Judged]]:
    """How far the implied reward of each pair's left answer leads, with the number of the row that judged it."""
    scored = score_groups(module, [row.group for row in rows], cfg.batching.tokens_at_once)
    for row, log_probs in zip(rows, scored, strict=True):
        lengths = [len(answer) for answer in row.group.answers]
        answers = ScoredAnswers(*(torch.tensor(values) for values in (log_probs, row.reference, lengths)))
        rewards = loss.rewards(answers).tolist()
        for pair in row.group.pairs:
            yield pair.row, Judged(rewards[pair.left] - rewards[pair.right], _longer(row.group, pair), pair.label_prob)
