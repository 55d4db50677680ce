"""What a batch of answers is worth: log-probabilities, rewards per token, advantages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from alidade.models.local import LocalModel
from alidade.training.lm import answer_scores, token_scores
from alidade.training.losses import (
    KL_ESTIMATORS,
    gae,
    group_advantages,
    kl_k1,
    kl_k3,
    leave_one_out_advantages,
    whiten,
)
from alidade.training.packing import Packed
from alidade.training.reward_model import RewardModel
from alidade.training.rewards import Scorer
from alidade.training.rollouts import Answers, Pack, signs
from alidade.training.settings import MAIN_REWARD, KlControl, PpoConfig, RewardShape
from alidade.training.trunk import hidden_states

KL_ERROR_BOUND = 0.2


@dataclass(frozen=True)
class Networks:
    """What a batch of answers is appraised by.

    Without a reference network, the reference is the policy, adapters off; without a value network, values are 0. A reward
    is a model's, or what a function makes of prompts and answers; `more` are those beside the main one, by name.
    """

    policy: LocalModel
    reference: nn.Module | None
    reward: RewardModel | Scorer
    value: nn.Module | None
    more: Mapping[str, RewardModel | Scorer] = field(default_factory=dict)

    @property
    def rewards(self) -> dict[str, RewardModel | Scorer]:
        """Every reward by its name."""
        return {MAIN_REWARD: self.reward, **self.more}

    @property
    def reward_models(self) -> dict[str, RewardModel]:
        """The rewards that are models."""
        return {name: reward for name, reward in self.rewards.items() if isinstance(reward, RewardModel)}

    def values(self, packed: Packed) -> Float[Tensor, " targets"]:
        """The value, in normalised score, of every state that predicts an answer token."""
        return self.values_to_the_end(packed)[0]

    def values_to_the_end(self, packed: Packed) -> tuple[Float[Tensor, " targets"], Float[Tensor, " answers"]]:
        """`values`, and the value of the state after each answer's last token."""
        if self.value is None:
            device = packed.targets.device
            return torch.zeros(len(packed.targets), device=device), torch.zeros(len(packed.ends), device=device)
        states = hidden_states(self.value, packed, torch.cat([packed.predictors, packed.ends]))
        values = self._value(states)
        return values[: len(packed.targets)], values[len(packed.targets) :]

    def _value(self, states: Tensor) -> Tensor:
        assert self.value is not None
        raw = answer_scores(self.value, states)
        return self.reward.normalised_value(raw) if isinstance(self.reward, RewardModel) else raw


@dataclass(frozen=True)
class Appraisal:
    """All answers' tokens end to end: log-probabilities (nats), entropy, values; and each answer's normalised score.

    `by_model` has the scores of every reward model; `cut_values` the value of the state after each answer's last token.
    """

    log_probs: Float[Tensor, " tokens"]
    reference: Float[Tensor, " tokens"]
    entropy: Float[Tensor, " tokens"]
    values: Float[Tensor, " tokens"]
    scores: Float[Tensor, " answers"]
    by_model: Mapping[str, Float[Tensor, " answers"]] = field(default_factory=dict)
    cut_values: Float[Tensor, " answers"] | None = None


@dataclass(frozen=True)
class Experience:
    """What the update needs of each answer token, all answers end to end; log-probabilities are those at drawing time."""

    log_probs: Float[Tensor, " tokens"]
    reference: Float[Tensor, " tokens"]
    values: Float[Tensor, " tokens"]
    advantages: Float[Tensor, " tokens"]
    returns: Float[Tensor, " tokens"]

    def at(self, places: Int[Tensor, " chosen"]) -> Experience:
        """The tokens at `places`."""
        return Experience(**{name: column[places] for name, column in vars(self).items()})


@torch.no_grad()
def appraise(networks: Networks, answers: Answers, packs: Sequence[Pack], temperature: float) -> Appraisal:
    """One pass of policy, reference, value and reward model over packed answers; scores are 0 without a reward model.

    The packs are those of the first epoch's minibatches: the update then repeats the very same arithmetic, and
    its first ratio is 1.
    """
    device = packs[0].where.device
    dtype = torch.promote_types(next(networks.policy.module.parameters()).dtype, torch.float32)
    tokens = [torch.zeros(answers.starts[-1], device=device, dtype=dtype) for _ in range(4)]
    whole = [torch.zeros(len(answers.tokens), device=device, dtype=dtype) for _ in range(2 + len(networks.more))]
    cut_values, by_model = whole[0], dict(zip(networks.reward_models, whole[1:], strict=False))
    for pack in packs:
        packed = pack.packed
        states = hidden_states(networks.policy.module, packed, packed.predictors)
        scored = token_scores(networks.policy.module, states, packed.targets, temperature)
        reference = _reference_log_probs(networks, packed, temperature)
        expected, at_cuts = networks.values_to_the_end(packed)
        for column, part in zip(tokens, (scored.log_probs, reference, scored.entropy, expected), strict=True):
            column[pack.where] = part.to(dtype)
        cut_values[pack.chosen] = at_cuts.to(dtype)
        for name, model in networks.reward_models.items():
            by_model[name][pack.chosen] = model.scores(packed).to(dtype)
    scores = by_model.get(MAIN_REWARD, torch.zeros_like(cut_values))
    log_probs, reference_log_probs, entropy, values = tokens
    return Appraisal(log_probs, reference_log_probs, entropy, values, scores, by_model, cut_values)


def _reference_log_probs(networks: Networks, packed: Packed, temperature: float) -> Tensor:
    if networks.reference is not None:
        states = hidden_states(networks.reference, packed, packed.predictors)
        return token_scores(networks.reference, states, packed.targets, temperature).log_probs
    adapted: Any = networks.policy.module
    with adapted.disable_adapter():
        states = hidden_states(adapted, packed, packed.predictors)
        return token_scores(adapted, states, packed.targets, temperature).log_probs


def final_scores(scores: Float[Tensor, " answers"], finished: Sequence[bool], shape: RewardShape) -> Tensor:
    """Scores, but for answers without stop token: those are worth what `shape` says, less the penalty for a missing end."""
    if shape.truncated == "bootstrap":
        cut = torch.zeros_like(scores)
    elif shape.truncated == "mask" or shape.unfinished_score is None:
        cut = scores
    else:
        cut = torch.full_like(scores, shape.unfinished_score)
    return torch.where(torch.tensor(finished, device=scores.device), scores, cut - shape.missing_end_penalty)


def learned_from(answers: Answers, shape: RewardShape) -> list[int]:
    """The answers that the update sees: all, or with `mask` those that ended by themselves."""
    return [place for place, finished in enumerate(answers.finished) if finished or shape.truncated != "mask"]


def build_experience(answers: Answers, appraised: Appraisal, beta: float, cfg: PpoConfig) -> Experience:
    """Rewards per token, advantages and returns.

    The score lands on the last token of the answer, the stop token where there is one. With a value network, or with the
    batch as baseline, every token has its own advantage, made white over all tokens that are learned from; a group's baseline
    gives all tokens of an answer the same one. A penalty for KL is part of the rewards unless it is a term of the loss.

    Source: PPO as in Ziegler et al. 2019, arXiv 1909.08593; GRPO Shao et al. 2024, arXiv 2402.03300; RLOO Ahmadian et al.
    2024, arXiv 2402.14740; REINFORCE++ Hu 2025, arXiv 2501.03262.
    Differs: all of them share PPO's clipped ratio per token and one mean over all answer tokens of a step, where GRPO
    averages within each answer first and RLOO takes one unclipped step on whole answers.
    """
    lengths = [len(tokens) for tokens in answers.tokens]
    mask = padded(torch.ones_like(appraised.log_probs), lengths).bool()
    grid = _token_rewards(answers, appraised, beta, cfg)
    values = padded(appraised.values, lengths)
    if cfg.baseline in ("group", "leave-one-out"):
        whole = grid.sum(dim=1).reshape(-1, cfg.drawing.answers_per_prompt)
        against = group_advantages if cfg.baseline == "group" else leave_one_out_advantages
        advantages = against(whole).reshape(-1, 1).expand_as(grid)
    else:
        lam = cfg.shape.lam if cfg.baseline == "critic" else 1.0
        advantages = gae(grid, values, mask, cfg.shape.gamma, lam)
    returns = advantages + values
    if cfg.baseline in ("critic", "batch"):
        learned = torch.zeros_like(mask)
        learned[learned_from(answers, cfg.shape)] = True
        advantages = whiten(advantages, mask & learned)
    return Experience(appraised.log_probs, appraised.reference, appraised.values, advantages[mask], returns[mask])


def _token_rewards(
    answers: Answers, appraised: Appraisal, beta: float, cfg: PpoConfig
) -> Float[Tensor, "answers longest"]:
    in_reward = beta if cfg.kl.placement == "reward" else 0.0
    estimate = KL_ESTIMATORS[cfg.kl.estimator_used if in_reward else "k1"]
    rewards = -in_reward * estimate(appraised.log_probs, appraised.reference)
    lengths = torch.tensor([len(tokens) for tokens in answers.tokens], device=rewards.device)
    last = torch.tensor(answers.starts[1:], device=rewards.device) - 1
    rewards[last] += final_scores(appraised.scores, answers.finished, cfg.shape)
    grid = padded(rewards, lengths.tolist())
    if cfg.shape.whiten:
        mask = padded(torch.ones_like(rewards), lengths.tolist()).bool()
        grid = whiten(grid, mask, shift_mean=False)
    if cfg.shape.truncated == "bootstrap":
        # What the value network expects at the cut stands for all that would have come; it is no reward, so it is not whitened.
        assert appraised.cut_values is not None
        cut = ~torch.tensor(answers.finished, device=rewards.device)
        grid[torch.arange(len(grid)), lengths - 1] += cfg.shape.gamma * appraised.cut_values * cut
    return grid


def padded(flat: Float[Tensor, " tokens"], lengths: Sequence[int]) -> Float[Tensor, "answers longest"]:
    """Answers laid end to end as rows filled up with 0."""
    return pad_sequence(list(flat.split(list(lengths))), batch_first=True)


def next_beta(beta: float, kl: float, answers: int, control: KlControl) -> float:
    """The penalty for the next batch, after one of `answers` answers at `kl` nats each.

    Source: Ziegler et al. 2019, arXiv 1909.08593, section 2.2.
    """
    if control.target is None:
        return beta
    error = max(-KL_ERROR_BOUND, min(KL_ERROR_BOUND, kl / control.target - 1))
    return beta * (1 + error * answers / control.horizon)


def measure(answers: Answers, appraised: Appraisal, experience: Experience, cfg: PpoConfig) -> dict[str, float]:
    """The curves' values of one batch of answers; KL and length are per answer, entropy per token."""
    count = len(answers.tokens)
    worth = final_scores(appraised.scores, answers.finished, cfg.shape)
    row = {
        "proxy_reward": float(worth.mean()),
        "score": float(appraised.scores.mean()),
        "kl": float(kl_k1(appraised.log_probs, appraised.reference).sum()) / count,
        "kl_k3": float(kl_k3(appraised.log_probs, appraised.reference).sum()) / count,
        "length": answers.starts[-1] / count,
        "unfinished": answers.finished.count(False) / count,
        "entropy": float(appraised.entropy.mean()),
        "engine_gap": engine_gap(answers, appraised.log_probs),
    }
    row |= signs(answers, worth.tolist())
    if cfg.baseline in ("group", "leave-one-out"):
        groups = worth.reshape(-1, cfg.drawing.answers_per_prompt)
        row["tied_groups"] = float((groups == groups[:, :1]).all(dim=1).float().mean())
    if cfg.shape.truncated == "mask":
        cut = [len(tokens) for tokens, finished in zip(answers.tokens, answers.finished, strict=True) if not finished]
        row |= {"masked_answers": len(cut), "masked_tokens": sum(cut)}
    if cfg.baseline == "critic":
        surprise = experience.returns - experience.values
        spread = experience.returns.var(correction=0).clamp(min=1e-8)
        row["value_explained"] = float(1 - surprise.var(correction=0) / spread)
    return row


def engine_gap(answers: Answers, log_probs: Float[Tensor, " tokens"]) -> float:
    """Mean absolute difference, in nats per token, between the sampling engine's log-probabilities and the update's."""
    engine = torch.tensor([value for row in answers.engine_log_probs for value in row], device=log_probs.device)
    return float((engine - log_probs).abs().mean())
