"""Reward models to choose pairs with and to be measured: a linear head on frozen states, and the reward model itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from alidade.models.local import load
from alidade.training.fit import TrainingRun
from alidade.training.heads import heads_for
from alidade.training.objectives.reward import train_reward
from alidade.training.reward_model import RewardModel, new_reward_model, score_answers
from alidade.training.settings import Batching, OptimiserConfig, RewardConfig
from benchmarks.arms.pool import Array, Pairs, Pool, comparisons, model_folder

PRIOR_SPREAD = 0.1  # of each weight of a linear head, whose inputs have a spread of 1
MEMBERS = 8
# Those of the tour.
TRAINING = RewardConfig(batching=Batching(rows=4, epochs=1), optimiser=OptimiserConfig(learning_rate=4e-4))


def linear(states: Array, pairs: Pairs, label: Array) -> Array:
    """The weights of a linear reward model (Bradley-Terry) on answers' states: the most probable under a normal prior."""
    apart = states[pairs.left] - states[pairs.right]

    def loss(weights: Array) -> tuple[float, Array]:
        gap = apart @ weights
        value = np.logaddexp(0, gap).sum() - label @ gap + weights @ weights / PRIOR_SPREAD**2 / 2
        return float(value), apart.T @ (expit(gap) - label) + weights / PRIOR_SPREAD**2

    return minimize(loss, np.zeros(states.shape[1]), jac=True, method="L-BFGS-B").x


def linear_ensemble(states: Array, pairs: Pairs, label: Array, rng: np.random.Generator) -> Array:
    """Linear reward models on pairs drawn again with replacement: weights [dimensions, members]."""
    draws = (rng.integers(0, len(pairs), len(pairs)) for _ in range(MEMBERS))
    return np.stack([linear(states, pairs.at(draw), label[draw]) for draw in draws], axis=1)


def trained(run: Path, pool: Pool, pairs: Pairs, label: Array, seed: int) -> RewardModel:
    """A reward model on the fine-tuned model's trunk, all of it trained."""
    rows = comparisons(pool, pairs, label)
    fresh = new_reward_model(load(model_folder(run)), seed, heads_for(rows, TRAINING.heads), shared=True)
    return train_reward(fresh, rows, [], TRAINING, TrainingRun(seed=seed))[0]


def gaps(reward: RewardModel, pool: Pool, pairs: Pairs) -> Array:
    """By how much a reward model puts each left answer ahead; answers in several pairs are scored once."""
    texts = pool.texts
    answers = np.unique(np.concatenate([pairs.left, pairs.right]))
    asked = [(pool.rows[texts[answer][0]].prompt.conversation, texts[answer][1]) for answer in answers.tolist()]
    scores = np.zeros(len(texts))
    scores[answers] = score_answers(reward, asked)
    return scores[pairs.left] - scores[pairs.right]
