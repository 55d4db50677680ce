"""Direct preference optimisation: the reward model that a policy implies, fitted by the reward model's own loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from alidade.training.judgements import JudgedBatch
from alidade.training.losses import choice_loss
from alidade.training.objectives.preference import ScoredAnswers
from alidade.training.settings import DpoConfig


@dataclass(frozen=True)
class DpoLoss:
    """Bradley-Terry for comparisons and Plackett-Luce for rankings, on rewards beta x log-ratio to the reference.

    Source: Rafailov et al. 2023, arXiv 2305.18290, equation 7; rankings: its appendix A.3.
    """

    cfg: DpoConfig
    uses_reference: ClassVar[bool] = True

    def rewards(self, answers: ScoredAnswers) -> Float[Tensor, " answers"]:
        """Beta x log-ratio."""
        return self.cfg.beta * answers.log_ratios

    def loss(self, answers: ScoredAnswers, batch: JudgedBatch) -> Float[Tensor, ""]:
        """Summed negative log-likelihood of the judgements."""
        return choice_loss(self.rewards(answers), batch.choices)
