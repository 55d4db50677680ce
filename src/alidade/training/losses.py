"""The mathematics, as functions of tensors: no model, no batch, no mask guessed from ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import logsigmoid

LOG_RATIO_BOUND = 20.0


def masked_mean(values: Float[Tensor, "*shape"], mask: Bool[Tensor, "*shape"]) -> Float[Tensor, ""]:
    """Mean of `values` where `mask` is true."""
    return (values * mask).sum() / mask.sum()


def whiten(
    values: Float[Tensor, "*shape"], mask: Bool[Tensor, "*shape"], *, shift_mean: bool = True
) -> Float[Tensor, "*shape"]:
    """`values` with unit population variance over the mask; mean zero, or unchanged without `shift_mean`; 0 outside."""
    mean = masked_mean(values, mask)
    variance = masked_mean((values - mean) ** 2, mask)
    white = (values - mean) * torch.rsqrt(variance + 1e-8)
    return (white if shift_mean else white + mean) * mask


def bradley_terry(
    left: Float[Tensor, " pairs"], right: Float[Tensor, " pairs"], label_prob: Float[Tensor, " pairs"]
) -> Float[Tensor, " pairs"]:
    """Cross-entropy of P(left better) = sigmoid(left - right) against `label_prob` in [0, 1]."""
    gap = left - right
    return -(label_prob * logsigmoid(gap) + (1 - label_prob) * logsigmoid(-gap))


@dataclass(frozen=True)
class Choices:
    """Which answers compete: loss = sum_t weight * logsumexp(competing scores + offsets) - sum_a credit * score.

    `sets` holds numbers of competitors, filled up with -1: answers, and from the number of answers on `pools`, which are
    tied answers that compete as one. A comparison is the set {left, right} with credit label_prob for left and the rest
    for right; a ranking is one set per choice made on the way down. `ties` is the credit of the log of the tie strength.
    """

    sets: Int[Tensor, "terms width"]
    weights: Float[Tensor, "terms heads"]
    credits: Float[Tensor, "answers heads"]
    offsets: Float[Tensor, "terms width"] | None = None
    pools: Int[Tensor, "pools size"] | None = None
    ties: float = 0.0


def choice_loss(
    scores: Float[Tensor, "answers *heads"], choices: Choices, log_tie: Float[Tensor, ""] | None = None
) -> Float[Tensor, ""]:
    """Summed negative log-likelihood of the choices: Bradley-Terry for pairs, Plackett-Luce for rankings.

    Scores are those of one head, or of several, each with weights of its own. `log_tie` is needed where answers can tie.
    """
    by_head = scores if scores.ndim == 2 else scores[:, None]
    pooled = by_head if choices.pools is None else torch.cat([by_head, _pooled(by_head, choices.pools, log_tie)])
    competing = pooled[choices.sets.clamp(min=0)]
    if choices.offsets is not None:
        competing = competing + choices.offsets[..., None].to(scores.dtype)
    competing = competing.masked_fill((choices.sets < 0)[..., None], -torch.inf)
    total = (choices.weights.to(scores.dtype) * torch.logsumexp(competing, dim=1)).sum() - (
        choices.credits.to(scores.dtype) * by_head
    ).sum()
    return total if log_tie is None else total - choices.ties * log_tie


def _pooled(scores: Tensor, pools: Tensor, log_tie: Tensor | None) -> Tensor:
    """The score of n tied answers as one: their mean, plus n - 1 times the log of the tie strength."""
    assert log_tie is not None
    inside = pools >= 0
    sizes = inside.sum(dim=1)
    members = scores[pools.clamp(min=0)] * inside[..., None]
    return members.sum(dim=1) / sizes[:, None] + ((sizes - 1) * log_tie)[:, None]


def ranking_terms(ranks: Sequence[int]) -> list[tuple[tuple[int, ...], float]]:
    """The (set, weight) terms of a ranking, 0 the best rank; equal ranks are ties, at most 8 of one rank.

    A tie is an order nobody knows: the log-likelihood is averaged over all orders of the tied answers, so two tied
    answers are a comparison with label probability 1/2. A subset of s of m tied answers comes last in 1/C(m, s).

    Source: Plackett (1975), Luce (1959).
    """
    terms: list[tuple[tuple[int, ...], float]] = []
    for rank in sorted(set(ranks)):
        tied = [place for place, other in enumerate(ranks) if other == rank]
        worse = tuple(place for place, other in enumerate(ranks) if other > rank)
        if len(tied) > 8:
            raise ValueError(f"{len(tied)} answers share one rank; at most 8 can")
        for size in range(1, len(tied) + 1):
            terms += [((*chosen, *worse), 1 / comb(len(tied), size)) for chosen in combinations(tied, size)]
    return terms


def plackett_luce(scores: Float[Tensor, " answers"], ranks: Sequence[int]) -> Float[Tensor, ""]:
    """Negative log-likelihood of one ranking, 0 the best rank; equal ranks are ties."""
    terms = ranking_terms(ranks)
    width = len(ranks)
    sets = torch.tensor([[*chosen, *(-1,) * (width - len(chosen))] for chosen, _ in terms], device=scores.device)
    weights = scores.new_tensor([[weight] for _, weight in terms])
    return choice_loss(scores, Choices(sets, weights, scores.new_ones(width, 1)))


def gae(
    rewards: Float[Tensor, "answers length"],
    values: Float[Tensor, "answers length"],
    mask: Bool[Tensor, "answers length"],
    gamma: float,
    lam: float,
) -> Float[Tensor, "answers length"]:
    """Generalised advantages; an answer ends at its last masked-in token, after which there is nothing to come.

    Source: Schulman et al. 2015, arXiv 1506.02438, equation 16.
    """
    advantages = torch.zeros_like(rewards)
    later_value = later_advantage = rewards.new_zeros(len(rewards))
    for place in reversed(range(rewards.shape[1])):
        here = mask[:, place]
        surprise = rewards[:, place] + gamma * later_value - values[:, place]
        advantage = (surprise + gamma * lam * later_advantage) * here
        advantages[:, place] = advantage
        later_value = torch.where(here, values[:, place], torch.zeros_like(later_value))
        later_advantage = advantage
    return advantages


def group_advantages(scores: Float[Tensor, "groups size"]) -> Float[Tensor, "groups size"]:
    """Each answer against its group: less the group's mean, over its standard deviation (unbiased); 0 where all are equal.

    Source: Shao et al. 2024, arXiv 2402.03300, section 4.1.2.
    """
    centred = scores - scores.mean(dim=1, keepdim=True)
    return centred / (scores.std(dim=1, keepdim=True) + 1e-4)


def leave_one_out_advantages(rewards: Float[Tensor, "groups size"]) -> Float[Tensor, "groups size"]:
    """Each answer against the mean of the others in its group.

    Source: Ahmadian et al. 2024, arXiv 2402.14740 (and Kool et al. 2019).
    """
    size = rewards.shape[1]
    return (rewards - rewards.mean(dim=1, keepdim=True)) * (size / (size - 1))


def clipped_policy_loss(
    log_probs: Float[Tensor, " tokens"],
    old_log_probs: Float[Tensor, " tokens"],
    advantages: Float[Tensor, " tokens"],
    clip: float,
) -> tuple[Float[Tensor, " tokens"], Bool[Tensor, " tokens"]]:
    """PPO's pessimistic surrogate per token, and where the clipped branch won."""
    ratio = (log_probs - old_log_probs).clamp(-LOG_RATIO_BOUND, LOG_RATIO_BOUND).exp()
    free = -advantages * ratio
    clipped = -advantages * ratio.clamp(1 - clip, 1 + clip)
    return torch.maximum(free, clipped), clipped > free


def clipped_value_loss(
    values: Float[Tensor, " tokens"],
    old_values: Float[Tensor, " tokens"],
    returns: Float[Tensor, " tokens"],
    clip: float,
) -> Float[Tensor, " tokens"]:
    """Half the larger squared error of the value and of the value kept within `clip` of its old self."""
    near = old_values + (values - old_values).clamp(-clip, clip)
    return 0.5 * torch.maximum((values - returns) ** 2, (near - returns) ** 2)


def kl_k1(log_probs: Float[Tensor, "*shape"], other: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """KL(p || other) estimated at samples of p: unbiased, may be negative."""
    return log_probs - other


def kl_k2(log_probs: Float[Tensor, "*shape"], other: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Half the squared log-ratio: biased, low variance, and the one whose gradient is KL's."""
    return 0.5 * (log_probs - other) ** 2


def kl_k3(log_probs: Float[Tensor, "*shape"], other: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Unbiased and never negative.

    Source: Schulman, Approximating KL Divergence (2020).
    """
    gap = (other - log_probs).clamp(-LOG_RATIO_BOUND, LOG_RATIO_BOUND)
    return torch.expm1(gap) - gap


KL_ESTIMATORS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"k1": kl_k1, "k2": kl_k2, "k3": kl_k3}
