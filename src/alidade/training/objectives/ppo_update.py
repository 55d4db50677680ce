"""The PPO update: its settings, its micro-batches and their loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from alidade.training.experience import Networks
from alidade.training.fit import Loss
from alidade.training.lm import hidden_states, token_nll, token_scores
from alidade.training.losses import clipped_policy_loss, clipped_value_loss, kl_k3
from alidade.training.packing import Packed
from alidade.training.settings import Updating


@dataclass(frozen=True)
class AnswerBatch:
    """Packed answers, and per answer token what the update needs."""

    packed: Packed
    log_probs: Float[Tensor, " targets"]
    values: Float[Tensor, " targets"]
    advantages: Float[Tensor, " targets"]
    returns: Float[Tensor, " targets"]


@dataclass(frozen=True)
class MixBatch:
    """Packed supervised rows; `token_weight` makes their sum coefficient x mean x the step's weight."""

    packed: Packed
    token_weight: float


@dataclass(frozen=True)
class PpoObjective:
    """Mean clipped policy loss per answer token, the value loss, and the loss of mixed-in rows."""

    networks: Networks
    updating: Updating
    temperature: float

    def weight(self, batch: AnswerBatch | MixBatch) -> float:
        """Answer tokens; mixed-in rows bring their weight with them."""
        return float(len(batch.packed.targets)) if isinstance(batch, AnswerBatch) else 0.0

    def loss(self, model: nn.Module, batch: AnswerBatch | MixBatch) -> Loss:
        """Summed loss of a micro-batch."""
        return self._answer_loss(batch) if isinstance(batch, AnswerBatch) else self._mix_loss(batch)

    def log_probs(self, packed: Packed) -> Float[Tensor, " targets"]:
        """The policy's log-probabilities of the answer tokens, with gradient."""
        states = hidden_states(self.networks.policy.module, packed)[packed.predictors]
        return token_scores(self.networks.policy.module, states, packed.targets, self.temperature).log_probs

    def _answer_loss(self, batch: AnswerBatch) -> Loss:
        log_probs = self.log_probs(batch.packed)
        policy, clipped = clipped_policy_loss(log_probs, batch.log_probs, batch.advantages, self.updating.clip)
        values = self.networks.values(batch.packed)
        value = clipped_value_loss(values, batch.values, batch.returns, self.updating.value_clip)
        total = policy.sum() + self.updating.value_weight * value.sum()
        with torch.no_grad():
            moved = kl_k3(batch.log_probs, log_probs)
        sums = {"policy_loss": policy, "value_loss": value, "clip_fraction": clipped, "update_kl": moved}
        return Loss(total, {name: part.detach().sum() for name, part in sums.items()})

    def _mix_loss(self, batch: MixBatch) -> Loss:
        packed = batch.packed
        states = hidden_states(self.networks.policy.module, packed)[packed.predictors]
        weights = torch.full((len(states),), batch.token_weight, device=states.device)
        total = token_nll(self.networks.policy.module, states, packed.targets, weights)
        return Loss(total, {"mix_loss": total.detach()})
