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


def next_multiplier(multiplier, violations, how):
    """The multiplier after batches that broke the bound by `violations`, the last one last; below 0 they kept it.

    Its logarithm goes up in proportion to the violation that is expected `lead` batches on, if it changes as it did last,
    by at most 1 either way. `how` has rate, lead, least and most.
    """
    last = violations[-1]
    change = last - violations[-2] if len(violations) > 1 else 0.0
    expected = last + how["lead"] * change
    step = how["rate"] * expected
    if abs(step) > 1:
        step = math.copysign(1.0, step)
    moved = math.exp(math.log(multiplier) + step)
    return min(max(moved, how["least"]), how["most"])


def violation(scores, bound, sign):
    """How far the mean of a batch's scores is on the wrong side of the bound."""
    return sign * (bound - sum(scores) / len(scores))


def combined_advantages(rewards, costs, reward_values, cost_values, multiplier, how):
    """The paper's form: (A_r - lambda A_c) / (1 + lambda), each advantage by its own value network."""
    for_reward = advantages(rewards, reward_values, how["gamma"], how["lam"])
    for_cost = advantages(costs, cost_values, how["gamma"], how["lam"])
    return (for_reward - multiplier * for_cost) / (1 + multiplier)
