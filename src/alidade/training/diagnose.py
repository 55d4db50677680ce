"""Checks before the first update, and names for what goes wrong later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from alidade.errors import TrainingStopped
from alidade.training.settings import KtoConfig

ROUNDING = 1e-5
ENTROPY_SHARE = 0.2
VALUE_GROWTH = 10.0
NEGATIVE_KL = -0.5
RECENT = 3
TIED = 0.8  # share of groups
DISPLACED = 2.0  # nats an answer
BALANCED = (1.0, 1.5)  # desirable answers to undesirable ones, both weighted
PACKING_ROUNDING = {False: 1e-3, True: 0.2}  # nats over the root of the tokens, in full and in half precision


def check_reference(log_probs: Float[Tensor, " tokens"], reference: Float[Tensor, " tokens"]) -> None:
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


def check_ratio(first: Float[Tensor, " tokens"], old: Float[Tensor, " tokens"]) -> None:
    """The update's own forward pass repeats the old log-probabilities, so the first ratio is 1.

    Raises:
        TrainingStopped: when it does not.
    """
    gap = float((first - old).abs().max())
    if not gap <= ROUNDING:
        raise TrainingStopped(
            f"the update's log-probabilities differ from the old ones by up to {gap:.3g} nats before any update",
            where="PPO pre-flight",
            hint="something in the network is random or depends on training mode: look for dropout and noise layers",
        )


def check_engine(gap: float, allowed: float) -> None:
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


def check_scores(scores: Float[Tensor, " answers"]) -> None:
    """Every answer has a finite score.

    Raises:
        TrainingStopped: when one has not; its place in the batch is named.
    """
    wrong = (~torch.isfinite(scores)).nonzero()[:, 0].tolist()
    if wrong:
        raise TrainingStopped(
            f"{len(wrong)} of {len(scores)} answers have a score that is no number",
            where=f"answer {wrong[0]} of the batch",
            hint="look at the reward model or the reward function: it must score every answer, empty ones included",
        )


def check_start(again: Sequence[float], first: Sequence[float], tokens: Sequence[int], dtype: torch.dtype) -> None:
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


def displacement(curves: Sequence[Mapping[str, float]]) -> list[str]:
    """Whether the chosen answers became less likely while the margin grew, in words.

    Source: Razin et al. 2024, arXiv 2410.08847 (likelihood displacement).
    """
    if len(curves) < 2:
        return []
    recent = curves[-RECENT:]
    fall = sum(row["chosen_shift"] for row in recent) / len(recent) - curves[0]["chosen_shift"]
    if fall > -DISPLACED or curves[-1]["margin"] <= curves[0]["margin"]:
        return []
    return [
        f"likelihood displacement: the chosen answers became {-fall:.1f} nats less likely while the margin grew; "
        "raise beta, lower the learning rate, or set sft_weight"
    ]


def sinking(curves: Sequence[Mapping[str, float]]) -> list[str]:
    """Whether desirable answers became less likely on the way, in words."""
    shifts = [row["desirable_shift"] for row in curves if "desirable_shift" in row]
    if len(shifts) < 2:
        return []
    recent = shifts[-RECENT:]
    fall = sum(recent) / len(recent) - shifts[0]
    if fall > -DISPLACED:
        return []
    return [
        f"likelihood displacement: the desirable answers became {-fall:.1f} nats less likely; raise beta or "
        "desirable_weight, or lower the learning rate"
    ]


def imbalance(desirable: float, answers: float, cfg: KtoConfig) -> list[str]:
    """Whether desirable and undesirable answers, each by number and weight, are out of balance, in words.

    Source: Ethayarajh et al. 2024, arXiv 2402.01306, equation 9: the ratio should be from 1 to 3/2 (4/3 in its first version).
    """
    ratio = cfg.desirable_weight * desirable / (cfg.undesirable_weight * (answers - desirable))
    if BALANCED[0] <= ratio <= BALANCED[1]:
        return []
    aim = cfg.desirable_weight * BALANCED[0 if ratio < BALANCED[0] else 1] / ratio
    return [
        f"{desirable:.4g} of {answers:.4g} answers are desirable, which weighs {ratio:.2g} to 1; Ethayarajh et al. advise "
        f"1 to 1.5: set desirable_weight to {aim:.3g}, unless losses are meant to weigh more"
    ]


def symptoms(curves: Sequence[Mapping[str, float]]) -> list[str]:
    """What the curves of a finished run look like, in words; nothing when they look healthy."""
    if len(curves) < 2:
        return []
    first, last = curves[0], curves[-1]
    recent = curves[-RECENT:]
    found = []
    if max(row["kl"] for row in recent) < NEGATIVE_KL:
        found.append(
            f"KL stays below zero ({last['kl']:.2f} nats an answer): answers are not drawn from the trained policy"
        )
    if last["entropy"] < ENTROPY_SHARE * first["entropy"]:
        found.append(f"entropy fell from {first['entropy']:.2f} to {last['entropy']:.2f} nats a token: raise beta")
    losses = [row["value_loss"] for row in curves if "value_loss" in row]
    if len(losses) > 1 and losses[-1] > VALUE_GROWTH * max(losses[0], 1e-3):
        found.append(f"the value loss grew from {losses[0]:.3g} to {losses[-1]:.3g}: lower the value model's rate")
    if min(row.get("tied_groups", 0.0) for row in recent) > TIED:
        found.append(
            "in most groups all answers score the same, and teach nothing: easier or harder prompts, larger groups"
        )
    if min(row["unfinished"] for row in recent) > 0.5:
        found.append(
            "more than half of the answers never stop: raise max_new_tokens or the penalty for unfinished answers"
        )
    if "gold" in last and last["gold"] < first["gold"] and last["proxy_reward"] > first["proxy_reward"]:
        found.append("the reward rose while the gold reward fell: the reward model is being exploited")
    return found
