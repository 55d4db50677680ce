"""Reward models, learned from comparisons and rankings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean, pstdev
from typing import Any

from torch import nn

from alidade.records import Comparison, Ranking
from alidade.training.calibration import Judged, pair_report
from alidade.training.diagnose import check_alone, check_dropout
from alidade.training.fit import Fit, Loss, TrainingResult, TrainingRun
from alidade.training.judgements import (
    AnswerGroup,
    Grouped,
    JudgedBatch,
    collate_groups,
    group_parts,
)
from alidade.training.lm import answer_scores, hidden_states, prepare
from alidade.training.losses import choice_loss
from alidade.training.optimise import AdamW, Part
from alidade.training.preflight import ends, shares
from alidade.training.reward_model import RewardModel, score_trees
from alidade.training.settings import RewardConfig
from alidade.training.sources import ShuffledRows, Shuffling
from alidade.training.symptoms import symptoms


class RewardObjective:
    """Mean negative log-likelihood per judgement: soft Bradley-Terry for comparisons, Plackett-Luce for rankings.

    The likelihood knows only differences of scores; `centring` times the squared sum of a pair's scores keeps them near 0.

    Source: Eisenstein et al. 2023, arXiv 2312.09244 (centring).
    """

    def __init__(self, centring: float = 0.0) -> None:
        self._centring = centring

    def weight(self, batch: JudgedBatch) -> float:
        """Judgements (comparisons and rankings)."""
        return float(batch.judgements)

    def loss(self, model: nn.Module, batch: JudgedBatch) -> Loss:
        """Summed loss of the judgements."""
        scores = answer_scores(model, hidden_states(model, batch.packed)[batch.packed.ends])
        total = choice_loss(scores, batch.choices)
        if self._centring:
            pairs = batch.pairs
            total = total + self._centring * (pairs.weights * (scores[pairs.left] + scores[pairs.right]) ** 2).sum()
        return Loss(total)


def train_reward(
    reward: RewardModel,
    rows: Sequence[Comparison | Ranking],
    heldout: Sequence[Comparison | Ranking],
    cfg: RewardConfig,
    run: TrainingRun,
) -> tuple[RewardModel, TrainingResult]:
    """Train a reward model in place; the returned one is normalised on the training answers.

    The result's `summary` has `mean` and `std` of the training answers' scores, and `train` and `heldout` reports:
    accuracy, that of preferring by length alone, calibration bins, and the temperature that would calibrate the scores.

    Raises:
        DataError: when more rows are lost than the limits allow, or rankings come with a share of flipped labels.
        TrainingStopped: when a loss is not finite.
    """
    module = prepare(reward.module, cfg.batching.checkpointing)
    device = next(module.parameters()).device
    grouped = group_parts(reward.renderer, reward.context_length, (rows, heldout), cfg)
    source = ShuffledRows(
        grouped.train,
        lambda group: group.tree.token_count,
        lambda chosen: collate_groups(chosen, device),
        Shuffling(cfg.batching, run.seed, "reward"),
    )
    preflight = [
        *ends([answer for group in grouped.train for answer in group.answers], reward.renderer.stop_ids),
        check_alone(module, [group.tree for group in grouped.train[:2]]),
        check_dropout(module),
        *shares(grouped.counts),
    ]
    fit = Fit(module, RewardObjective(cfg.centring), source, AdamW([Part("reward", module)], cfg.optimiser), run)
    for _ in fit.over("reward model", "step", [cfg.model_dump(), grouped.counts]):
        pass
    measured, summary = _measured(reward, grouped, cfg.batching.tokens_at_once)
    summary["symptoms"] = symptoms(fit.history)
    return measured, TrainingResult(fit.history, grouped.counts, summary, preflight)


def _measured(reward: RewardModel, grouped: Grouped, tokens_at_once: int) -> tuple[RewardModel, dict[str, Any]]:
    parts = (grouped.train, grouped.heldout)
    scores = [score_trees(reward.module, [group.tree for group in part], tokens_at_once) for part in parts]
    flat = [score for row in scores[0] for score in row]
    normalised = reward.normalised(fmean(flat), max(pstdev(flat), 1e-6))
    train, heldout = (list(_judged(part, score)) for part, score in zip(parts, scores, strict=True))
    summary = {
        "mean": normalised.mean,
        "std": normalised.std,
        "train": pair_report(train, longer_from=train),
        "heldout": pair_report(heldout, longer_from=train),
    }
    return normalised, summary


def _judged(groups: Sequence[AnswerGroup], scores: Sequence[Sequence[float]]) -> Iterator[Judged]:
    for group, row in zip(groups, scores, strict=True):
        for pair in group.pairs:
            longer = len(group.answers[pair.left]) - len(group.answers[pair.right])
            yield Judged(row[pair.left] - row[pair.right], longer, pair.label_prob)
