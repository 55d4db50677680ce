"""Odds-ratio preference optimisation: fine-tuning on the better answer, with a penalty on the odds of the worse one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from alidade.training.judgements import JudgedBatch
from alidade.training.losses import bradley_terry
from alidade.training.objectives.preference import ScoredAnswers
from alidade.training.settings import OrpoConfig

LARGEST_LOG_PROB = -1e-6  # the odds of a certain answer are infinite


@dataclass(frozen=True)
class OrpoLoss:
    """Bradley-Terry on log-odds of the mean token probability; the fine-tuning term is the objective's `sft_weight`.

    Source: Hong et al. 2024, arXiv 2403.07691, equations 5 to 7.
    Differs: the fine-tuning term is a mean over answers of their mean per token, not over all tokens of a batch.
    """

    cfg: OrpoConfig
    uses_reference: ClassVar[bool] = False

    def rewards(self, answers: ScoredAnswers) -> Float[Tensor, " answers"]:
        """Log-odds of the geometric mean of the token probabilities."""
        mean = answers.mean_log_probs.clamp(max=LARGEST_LOG_PROB)
        return mean - torch.log(-torch.expm1(mean))

    def loss(self, answers: ScoredAnswers, batch: JudgedBatch) -> Float[Tensor, ""]:
        """Summed odds-ratio terms."""
        pairs, odds = batch.pairs, self.rewards(answers)
        terms = bradley_terry(odds[pairs.left], odds[pairs.right], pairs.learned_probs)
        return self.cfg.weight * (pairs.weights * terms).sum()
