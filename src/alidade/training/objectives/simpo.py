"""Simple preference optimisation: the reward is the answer's own mean log-probability; there is no reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from alidade.training.judgements import JudgedBatch
from alidade.training.objectives.preference import ScoredAnswers
from alidade.training.settings import SimpoConfig


@dataclass(frozen=True)
class SimpoLoss:
    """Bradley-Terry with a margin, on rewards beta x nats per token; a ranking counts as the mean of its pairs.

    Source: Meng et al. 2024, arXiv 2405.14734, equation 6.
    """

    cfg: SimpoConfig
    uses_reference: ClassVar[bool] = False

    def rewards(self, answers: ScoredAnswers) -> Float[Tensor, " answers"]:
        """Beta x mean log-probability per token."""
        return self.cfg.beta * answers.mean_log_probs

    def loss(self, answers: ScoredAnswers, batch: JudgedBatch) -> Float[Tensor, ""]:
        """Summed negative log-likelihood of the judgements."""
        pairs, rewards = batch.pairs, self.rewards(answers)
        gap = rewards[pairs.left] - rewards[pairs.right]
        left, right = logsigmoid(gap - self.cfg.margin), logsigmoid(-gap - self.cfg.margin)
        return -(pairs.weights * (pairs.learned_probs * left + (1 - pairs.learned_probs) * right)).sum()
