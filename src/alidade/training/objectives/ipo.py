"""Identity preference optimisation: a squared loss that does not reward ever larger gaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from alidade.training.judgements import JudgedBatch
from alidade.training.objectives.preference import ScoredAnswers
from alidade.training.settings import IpoConfig


@dataclass(frozen=True)
class IpoLoss:
    """The squared distance of the gap in log-ratios from 1 / (2 beta); a ranking counts as the mean of its pairs.

    Source: Azar et al. 2023, arXiv 2310.12036, equation 17.
    Differs: log-ratios are means over tokens unless `per_token` is false, as the public implementations have come to do.
    """

    cfg: IpoConfig
    uses_reference: ClassVar[bool] = True

    def rewards(self, answers: ScoredAnswers) -> Float[Tensor, " answers"]:
        """Beta x log-ratio, per token or per answer."""
        return self.cfg.beta * (answers.log_ratios / answers.tokens if self.cfg.per_token else answers.log_ratios)

    def loss(self, answers: ScoredAnswers, batch: JudgedBatch) -> Float[Tensor, ""]:
        """Summed squared distances."""
        pairs, ratios = batch.pairs, self.rewards(answers) / self.cfg.beta
        gap, aim = ratios[pairs.left] - ratios[pairs.right], 1 / (2 * self.cfg.beta)
        per_pair = pairs.learned_probs * (gap - aim) ** 2 + (1 - pairs.learned_probs) * (gap + aim) ** 2
        return (pairs.weights * per_pair).sum()
