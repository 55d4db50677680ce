"""The objective of language models: predict the marked tokens. Pretraining marks all of them, fine-tuning the answers'."""

from __future__ import annotations

import torch
from torch import nn

from alidade.training.fit import Loss
from alidade.training.lm import token_nll
from alidade.training.packing import Packed
from alidade.training.trunk import hidden_states


class NextTokenObjective:
    """Mean negative log-likelihood, in nats, per target token."""

    def weight(self, batch: Packed) -> float:
        """Target tokens."""
        return float(len(batch.targets))

    def loss(self, model: nn.Module, batch: Packed) -> Loss:
        """Summed loss of the target tokens."""
        states = hidden_states(model, batch, batch.predictors)
        return Loss(token_nll(model, states, batch.targets, torch.ones(len(states), device=states.device)))
