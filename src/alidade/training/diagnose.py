"""Checks of networks before the first update: each says what it measured, and stops a training that would go wrong."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from alidade.errors import TrainingStopped
from alidade.training.lm import token_scores
from alidade.training.packing import Packed, Tree
from alidade.training.preflight import Checked
from alidade.training.reward_model import RewardModel, score_trees
from alidade.training.trunk import hidden_states

ROUNDING = 1e-5
PACKING_ROUNDING = {False: 1e-3, True: 0.2}  # nats over the root of the tokens, in full and in half precision


def check_reference(log_probs: Float[Tensor, " tokens"], reference: Float[Tensor, " tokens"]) -> Checked:
    """Before the first update the policy is the reference: their log-probabilities are equal to rounding.

    Raises:
        TrainingStopped: when they are not.
    """
    gap = float((log_probs - reference).abs().max())
    if not gap <= ROUNDING:
        raise TrainingStopped(
            f"policy and reference differ by {gap:.3g} nats at a token before the first update: KL is not 0",
            where="PPO pre-flight",
            hint="load both from one folder with one dtype, or set must_start_equal: false",
        )
    return Checked("reference", gap, ROUNDING)


def check_ratio(first: Float[Tensor, " tokens"], old: Float[Tensor, " tokens"]) -> Checked:
    """The update's own forward pass repeats the old log-probabilities, so the first ratio is 1.

    Raises:
        TrainingStopped: when it does not.
    """
    gap = float((first - old).abs().max())
    if not gap <= ROUNDING:
        raise TrainingStopped(
            f"the update's log-probabilities differ from the old ones by up to {gap:.3g} nats before any update",
            where="pre-flight",
            hint="something in the network is random or depends on training mode: look for dropout and noise layers",
        )
    return Checked("ratio", gap, ROUNDING)


def check_modes(module: nn.Module, packed: Packed) -> list[Checked]:
    """Log-probabilities are the same with and without gradient, and no dropout is at work.

    Raises:
        TrainingStopped: when they are not the same.
    """

    def log_probs() -> Tensor:
        return token_scores(module, hidden_states(module, packed, packed.predictors), packed.targets).log_probs.detach()

    with torch.no_grad():
        without = log_probs()
    return [check_ratio(log_probs(), without), check_dropout(module)]


def check_dropout(module: nn.Module) -> Checked:
    """How many layers of dropout are at work."""
    layers = (part for part in module.modules() if isinstance(part, nn.modules.dropout._DropoutNd))
    return Checked("dropout", float(sum(layer.training and layer.p > 0 for layer in layers)), 0.0)


def check_engine(gap: float, allowed: float) -> Checked:
    """The sampling engine draws from the distribution that is trained.

    Raises:
        TrainingStopped: when its log-probabilities are off by more than `allowed` nats a token on average.
    """
    if not gap <= allowed:
        raise TrainingStopped(
            f"the sampling engine's log-probabilities are off by {gap:.3g} nats a token (allowed {allowed:g})",
            where="PPO pre-flight",
            hint="answers are not drawn from what is trained: temperature, a logits warper, or the cache",
        )
    return Checked("engine", gap, allowed)


def check_scores(scores: Float[Tensor, " answers"], reward: str = "") -> None:
    """Every answer has a finite score from the reward of that name.

    Raises:
        TrainingStopped: when one has not; its place in the batch is named.
    """
    wrong = (~torch.isfinite(scores)).nonzero()[:, 0].tolist()
    if wrong:
        raise TrainingStopped(
            f"{len(wrong)} of {len(scores)} answers have a score that is no number",
            where=f"answer {wrong[0]} of the batch" + (f", reward `{reward}`" if reward else ""),
            hint="look at the reward model or the reward function: it must score every answer, empty ones included",
        )


def check_start(again: Sequence[float], first: Sequence[float], tokens: Sequence[int], dtype: torch.dtype) -> Checked:
    """Before the first step an answer's log-probability does not depend on what is packed beside it.

    Raises:
        TrainingStopped: when it does, by more than rounding explains; its errors grow with the root of the tokens.
    """
    allowed = PACKING_ROUNDING[dtype.itemsize <= 2]
    gap = max(abs(one - other) / count**0.5 for one, other, count in zip(again, first, tokens, strict=True))
    if not gap <= allowed:
        raise TrainingStopped(
            f"an answer scored twice differs by {gap:.3g} nats (over the root of its tokens) before any update",
            where="preference pre-flight",
            hint="something in the network is random or looks beyond its own answer: dropout, noise, or its attention",
        )
    return Checked("answer alone", gap, allowed)


def check_alone(reward: RewardModel, trees: Sequence[Tree]) -> Checked:
    """A reward model's scores of the last tree's answers do not depend on the trees beside it.

    Raises:
        TrainingStopped: when they do, by more than rounding explains.
    """
    allowed = PACKING_ROUNDING[next(reward.module.parameters()).dtype.itemsize <= 2]
    (alone,), (*_, beside) = score_trees(reward, trees[-1:]), score_trees(reward, trees)
    gap = max(abs(one - other) for one, other in zip(alone, beside, strict=True))
    if not gap <= allowed:
        raise TrainingStopped(
            f"an answer scored alone and in its batch differs by {gap:.3g}",
            where="reward pre-flight",
            hint="the reward model is random or looks beyond the answer: dropout, noise, or its attention",
        )
    return Checked("score alone", gap, allowed)
