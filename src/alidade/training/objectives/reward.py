"""Reward models, learned from comparisons and rankings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import fmean, pstdev
from typing import Any

import torch
from torch import nn

from alidade.training.calibration import Judged, pair_report
from alidade.training.choices import Judgement, Reading, tie_share
from alidade.training.diagnose import check_alone, check_dropout
from alidade.training.fit import Fit, Loss, TrainingResult, TrainingRun
from alidade.training.heads import Heads, HeadWeights
from alidade.training.judgements import (
    AnswerGroup,
    Grouped,
    JudgedBatch,
    collate_groups,
    group_parts,
)
from alidade.training.length import LengthLead, fit_length
from alidade.training.lm import each_answer, head_scores
from alidade.training.losses import choice_loss
from alidade.training.optimise import AdamW, Part
from alidade.training.preflight import ends, shares
from alidade.training.reward_model import RewardModel
from alidade.training.room import with_room
from alidade.training.settings import RewardConfig
from alidade.training.sources import ShuffledRows, Shuffling
from alidade.training.symptoms import symptoms
from alidade.training.trunk import hidden_states, prepare

FEWEST_TIES = 1e-3


class TieStrength(nn.Module):
    """Davidson's nu, as its log: given, or learned from where it is likeliest among equals, at odds of nu / 2."""

    def __init__(self, strength: float | None, tied: float) -> None:
        super().__init__()
        share = min(max(tied, FEWEST_TIES), 1 - FEWEST_TIES)
        start = strength or 2 * share / (1 - share)
        self.log = nn.Parameter(torch.tensor(math.log(start)), requires_grad=strength is None)


class RewardObjective:
    """Mean negative log-likelihood per judgement: soft Bradley-Terry for comparisons, Plackett-Luce for rankings.

    The likelihood knows only differences of scores; `centring` times the squared sum of a pair's scores keeps them near 0.
    With `length`, scores are what length does not explain; with `tie`, a tie is an outcome.

    Source: Eisenstein et al. 2023, arXiv 2312.09244 (centring).
    """

    def __init__(
        self, centring: float = 0.0, *, length: LengthLead | None = None, tie: TieStrength | None = None
    ) -> None:
        self._centring, self._length, self._tie = centring, length, tie

    def weight(self, batch: JudgedBatch) -> float:
        """Judgements (comparisons and rankings)."""
        return float(batch.judgements)

    def loss(self, model: nn.Module, batch: JudgedBatch) -> Loss:
        """Summed loss of the judgements."""
        scores = head_scores(model, hidden_states(model, batch.packed, batch.packed.ends))
        compared = scores if self._length is None else scores + self._length.of(batch.packed.lengths, scores)
        total = choice_loss(compared, batch.choices, None if self._tie is None else self._tie.log)
        if self._centring:
            pairs = batch.pairs
            total = total + self._centring * (pairs.heads * (scores[pairs.left] + scores[pairs.right]) ** 2).sum()
        return Loss(total)


def train_reward(
    reward: RewardModel,
    rows: Sequence[Judgement],
    heldout: Sequence[Judgement],
    cfg: RewardConfig,
    run: TrainingRun,
) -> tuple[RewardModel, TrainingResult]:
    """Train a reward model in place; the returned one is normalised on the training answers.

    Its heads should be those of `heads_for(rows, cfg.heads)`. The result's `summary` has `mean` and `std` of the training
    answers' scores, and `train` and `heldout` reports: accuracy, that of preferring by length alone, calibration bins, and
    the temperature that would calibrate the scores; and what was fitted of length and ties.

    Raises:
        DataError: when more rows are lost than the limits allow, rankings come with a share of flipped labels, or all
            judgements are ties.
        TrainingStopped: when a loss is not finite.
    """
    module = prepare(reward.module, cfg.batching.checkpointing)
    cfg = with_room(cfg, module)
    device = next(module.parameters()).device
    tie = TieStrength(cfg.tie_strength, tie_share(rows)).to(device) if cfg.ties == "davidson" else None
    weights = HeadWeights(reward.heads, cfg.heads, len(rows), run.seed)
    reading = Reading(margin=cfg.margin_scale, ties=tie is not None, weights=weights)
    grouped = group_parts(reward.renderer, reward.context_length, (rows, heldout), cfg, reading)
    length = fit_length(grouped.train, tie and tie.log) if cfg.length_bias == "removed" else None
    source = ShuffledRows(
        grouped.train,
        lambda group: group.tree.token_count,
        lambda chosen: collate_groups(chosen, device),
        Shuffling(cfg.batching, run.seed, "reward"),
    )
    preflight = [
        *ends([answer for group in grouped.train for answer in group.answers], reward.renderer.stop_ids),
        check_alone(reward, [group.tree for group in grouped.train[:2]]),
        check_dropout(module),
        *shares(grouped.counts),
    ]
    parts = [Part("reward", module), *([] if tie is None else [Part("ties", tie, cfg.tie_learning_rate)])]
    objective = RewardObjective(cfg.centring, length=length, tie=tie)
    fit = Fit(module, objective, source, AdamW(parts, cfg.optimiser), run)
    for _ in fit.over("reward model", "step", [cfg.model_dump(), grouped.counts]):
        pass
    trained, summary = _measured(reward, grouped, cfg.batching.tokens_at_once)
    summary |= _fitted(length, tie) | {"symptoms": _hidden_by(length) + symptoms(fit.history)}
    return trained, TrainingResult(fit.history, grouped.counts, summary, preflight)


def _fitted(length: LengthLead | None, tie: TieStrength | None) -> dict[str, Any]:
    """What was fitted beside the network."""
    found: dict[str, Any] = {} if length is None else {"length": vars(length)}
    return found if tie is None else found | {"tie_strength": math.exp(float(tie.log.detach()))}


def _hidden_by(length: LengthLead | None) -> list[str]:
    if length is None or not length.explains_all:
        return []
    return ["length alone explains all judgements: with length_bias: removed nothing is left to learn"]


def _measured(reward: RewardModel, grouped: Grouped, tokens_at_once: int) -> tuple[RewardModel, dict[str, Any]]:
    parts = (grouped.train, grouped.heldout)
    raw = [each_answer(reward.module, [group.tree for group in part], reward.rows, tokens_at_once) for part in parts]
    heads = _centred(reward.heads, [row for rows in raw[0] for row in rows])
    scores = [[heads.combined(torch.tensor(rows, dtype=torch.float64)).tolist() for rows in part] for part in raw]
    flat = [score for row in scores[0] for score in row]
    train, heldout = (list(_judged(part, score)) for part, score in zip(parts, scores, strict=True))
    summary = {
        "mean": fmean(flat),
        "std": max(pstdev(flat), 1e-6),
        "train": pair_report(train, longer_from=train),
        "heldout": pair_report(heldout, longer_from=train),
    }
    trained = replace(reward, heads=heads, temperature=summary["heldout"].get("temperature"))
    return trained.normalised(summary["mean"], summary["std"]), summary


def _centred(heads: Heads, raw: Sequence[Sequence[float]]) -> Heads:
    """Of one row the normalisation says all; of several each has a zero of its own."""
    if heads.count == 1:
        return heads
    return heads.model_copy(update={"centres": tuple(fmean(column) for column in zip(*raw, strict=True))})


def _judged(groups: Sequence[AnswerGroup], scores: Sequence[Sequence[float]]) -> Iterator[Judged]:
    for group, row in zip(groups, scores, strict=True):
        for pair in group.pairs:
            longer = len(group.answers[pair.left]) - len(group.answers[pair.right])
            yield Judged(row[pair.left] - row[pair.right], longer, pair.label_prob)
