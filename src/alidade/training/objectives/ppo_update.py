"""The PPO update: its settings, its micro-batches and their loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from alidade.records import Record
from alidade.training.experience import KlControl, Networks, RewardShape
from alidade.training.fit import Loss
from alidade.training.lm import hidden_states, token_nll, token_scores
from alidade.training.losses import clipped_policy_loss, clipped_value_loss, kl_k3
from alidade.training.optimise import OptimiserConfig
from alidade.training.packing import Packed


class Drawing(Record):
    """How answers are drawn in one iteration."""

    prompts: int = Field(default=128, gt=0, description="prompts of one iteration")
    answers_per_prompt: int = Field(default=1, gt=0)
    max_new_tokens: int = Field(default=80, gt=0, description="longest answer, in tokens")
    temperature: float = Field(default=1.0, gt=0, description="of drawing, of the reference and of the update alike")
    engine_gap: float = Field(
        default=0.05, gt=0, description="nats a token the engine may be off on average at the start"
    )


class Updating(Record):
    """How one iteration's answers are learned from."""

    epochs: int = Field(default=2, gt=0)
    minibatches: int = Field(default=2, gt=0, description="optimiser steps of one epoch")
    clip: float = Field(default=0.2, gt=0, description="how far a ratio may move from 1")
    value_clip: float = Field(default=0.2, gt=0, description="how far a value may move from its old self")
    value_weight: float = Field(default=0.1, gt=0)
    value_learning_rate: float = Field(default=5e-4, gt=0, description="peak step size of the value network")
    target_kl: float | None = Field(
        default=0.1, gt=0, description="nats a token from the old policy that end an iteration early"
    )
    tokens_at_once: int = Field(default=4096, gt=0, description="tokens of one forward pass")


class Mix(Record):
    """Supervised rows mixed into every minibatch (PPO-ptx)."""

    weight: float = Field(default=0.0, ge=0, description="coefficient of the rows' mean loss per token")
    rows: int = Field(default=16, gt=0, description="rows of one minibatch")


class PpoConfig(Record):
    """How a policy is trained by PPO."""

    iterations: int = Field(default=16, gt=0)
    drawing: Drawing = Drawing()
    updating: Updating = Updating()
    kl: KlControl = KlControl()
    shape: RewardShape = RewardShape()
    mix: Mix = Mix()
    allowed_loss: float = Field(default=0.01, ge=0, le=1, description="share of prompts that may be too long")
    must_start_equal: bool = Field(default=True, description="stop unless policy and reference start equal")
    optimiser: OptimiserConfig = OptimiserConfig(learning_rate=1.5e-4, eps=1e-5, schedule="linear")


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
