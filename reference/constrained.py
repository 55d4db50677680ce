"""Reinforcement under constraints, as plainly as it can be written (Safe RLHF, Dai et al. 2023, arXiv 2310.12773).

Every answer has a score by each of several rewards. Some have weights; some have a bound that their mean must keep, and a
multiplier that says what breaking it costs. `sign` is 1 where higher scores are wanted and -1 where lower ones are.
"""

from __future__ import annotations

import math

from reference.ppo import advantages


def combined_score(scores, weights, constraints):
    """What one answer is worth. `scores` and `weights` are by name; `constraints` are {name: (multiplier, sign)}."""
    total = sum(weights[name] * scores[name] for name in weights)
    for name, (multiplier, sign) in constraints.items():
        total = total + multiplier * sign * scores[name]
    return total / (1 + sum(multiplier for multiplier, _ in constraints.values()))


def next_multiplier(multiplier, scores, bound, sign, how):
    """The multiplier after a batch: up while the mean score is on the wrong side of the bound, down while it is not.

    It is found by gradient ascent of multiplier x violation in the multiplier's logarithm. `how` has rate and most.
    """
    violation = sign * (bound - sum(scores) / len(scores))
    step = min(how["rate"] * multiplier * violation, 1.0)
    return min(how["most"], math.exp(math.log(multiplier) + step))


def combined_advantages(rewards, costs, reward_values, cost_values, multiplier, how):
    """The paper's form: (A_r - lambda A_c) / (1 + lambda), each advantage by its own value network."""
    for_reward = advantages(rewards, reward_values, how["gamma"], how["lam"])
    for_cost = advantages(costs, cost_values, how["gamma"], how["lam"])
    return (for_reward - multiplier * for_cost) / (1 + multiplier)
