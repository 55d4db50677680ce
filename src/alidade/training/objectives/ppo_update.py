"""The PPO update: its settings, its micro-batches and their loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from alidade.training.experience import Experience, Networks
from alidade.training.fit import Loss
from alidade.training.lm import TokenScores, token_nll, token_scores
from alidade.training.losses import KL_ESTIMATORS, clipped_policy_loss, clipped_value_loss, kl_k3
from alidade.training.packing import Packed
from alidade.training.settings import Estimator, Updating
from alidade.training.trunk import hidden_states


@dataclass(frozen=True)
class AnswerBatch:
    """Packed answers, what the update needs of each answer token, and the penalty for KL that is a term of the loss."""

    packed: Packed
    drawn: Experience
    beta: float = 0.0


@dataclass(frozen=True)
class MixBatch:
    """Packed supervised rows; `token_weight` makes their sum coefficient x mean x the step's weight."""

    packed: Packed
    token_weight: float


@dataclass(frozen=True)
class PpoObjective:
    """Mean clipped policy loss per answer token, less a bonus for entropy; the loss of a value network, a KL term, mixed-in rows.

    `estimator` is that of a KL that is a term of the loss.
    """

    networks: Networks
    updating: Updating
    temperature: float
    estimator: Estimator = "k3"

    def weight(self, batch: AnswerBatch | MixBatch) -> float:
        """Answer tokens; mixed-in rows bring their weight with them."""
        return float(len(batch.packed.targets)) if isinstance(batch, AnswerBatch) else 0.0

    def loss(self, model: nn.Module, batch: AnswerBatch | MixBatch) -> Loss:
        """Summed loss of a micro-batch."""
        return self._answer_loss(batch) if isinstance(batch, AnswerBatch) else self._mix_loss(batch)

    def log_probs(self, packed: Packed) -> Float[Tensor, " targets"]:
        """The policy's log-probabilities of the answer tokens, with gradient."""
        return self._scores(packed).log_probs

    def _scores(self, packed: Packed) -> TokenScores:
        states = hidden_states(self.networks.policy.module, packed, packed.predictors)
        return token_scores(self.networks.policy.module, states, packed.targets, self.temperature)

    def _answer_loss(self, batch: AnswerBatch) -> Loss:
        scored, drawn, how = self._scores(batch.packed), batch.drawn, self.updating
        log_probs = scored.log_probs
        policy, clipped = clipped_policy_loss(log_probs, drawn.log_probs, drawn.advantages, how.clip)
        total = policy.sum()
        sums = {"policy_loss": policy, "clip_fraction": clipped}
        if self.networks.value is not None:
            values = self.networks.values(batch.packed)
            value = clipped_value_loss(values, drawn.values, drawn.returns, how.value_clip)
            total = total + how.value_weight * value.sum()
            sums["value_loss"] = value
        if batch.beta:
            total = total + batch.beta * KL_ESTIMATORS[self.estimator](log_probs, drawn.reference).sum()
        if how.entropy:
            total = total - how.entropy * scored.entropy.sum()
        with torch.no_grad():
            sums["update_kl"] = kl_k3(drawn.log_probs, log_probs)
        return Loss(total, {name: part.detach().sum() for name, part in sums.items()})

    def _mix_loss(self, batch: MixBatch) -> Loss:
        packed = batch.packed
        states = hidden_states(self.networks.policy.module, packed, packed.predictors)
        weights = torch.full((len(states),), batch.token_weight, device=states.device)
        total = token_nll(self.networks.policy.module, states, packed.targets, weights)
        return Loss(total, {"mix_loss": total.detach()})
