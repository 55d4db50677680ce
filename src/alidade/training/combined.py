"""Several rewards made one, once an iteration: bounded, weighted, and under constraints whose multipliers learn.

The rewards are combined, not their advantages: for a baseline that is linear in the rewards (a value network, the other
answers of a group) the two are the same, for one that divides by a spread (a group's) only this way keeps the multiplier's
meaning, and one value network, of the combined reward, is enough. See docs/decisions/0011.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from alidade.training.settings import MAIN_REWARD, Constraint, PpoConfig

LEAST_SPREAD = 1e-4  # as in a group's baseline: scores that are all equal stay 0
MOST_STEP = 1.0  # of a multiplier's logarithm in one iteration, so that one odd batch cannot throw it


def combined_scores(
    scores: Mapping[str, Float[Tensor, " answers"]],
    weights: Mapping[str, float],
    pulls: Mapping[str, float],
) -> Float[Tensor, " answers"]:
    """(sum of weight x score + sum of pull x score) / (1 + sum of |pull|); a pull is a multiplier with its bound's direction.

    Dividing keeps the scale, and with it the meaning of the penalty for KL, while multipliers grow.

    Source: Dai et al. 2023, arXiv 2310.12773 (Safe RLHF), equation for the advantage (A_r - lambda A_c) / (1 + lambda).
    """
    total = sum((weights.get(name, 0.0) + pulls.get(name, 0.0)) * score for name, score in scores.items())
    assert isinstance(total, Tensor)
    return total / (1 + sum(abs(pull) for pull in pulls.values()))


def next_multiplier(multiplier: float, violation: float, before: float, constraint: Constraint) -> float:
    """The multiplier after a batch that broke its bound by `violation`, where the batch before broke it by `before`.

    Its logarithm moves by rate x the violation as it will be `lead` iterations on if it goes on changing as it did: it
    falls back while the bound is still broken, once the answers are on their way. This is proportional-integral control
    in its incremental form: the bounded multiplier is itself the integral, so that nothing winds up at the bounds.

    Source: Dai et al. 2023, arXiv 2310.12773 (learned by its logarithm); Stooke et al. 2020, arXiv 2007.03964 (control).
    Differs: steps are not scaled by the multiplier, and at most e-fold; no derivative term. See docs/decisions/0011.
    """
    step = constraint.rate * (violation + constraint.lead * (violation - before))
    moved = multiplier * math.exp(max(-MOST_STEP, min(MOST_STEP, step)))
    return max(constraint.least, min(constraint.most, moved))


@dataclass(frozen=True)
class Moments:
    """The running count, mean and sum of squared deviations of a reward's scores."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    @property
    def spread(self) -> float:
        """The population standard deviation."""
        return math.sqrt(self.squares / self.count) if self.count else 0.0

    def joined(self, scores: Float[Tensor, " answers"]) -> Moments:
        """These and a batch of further scores.

        Source: Chan, Golub and LeVeque 1983, the pairwise update.
        """
        count, mean = len(scores), float(scores.mean())
        gap, total = mean - self.mean, self.count + count
        squares = float(((scores - mean) ** 2).sum()) + gap**2 * self.count * count / total
        return Moments(total, self.mean + gap * count / total, self.squares + squares)


class CombinedReward:
    """What a batch's answers are worth in the light of all rewards; multipliers and running moments are its state.

    `bounds` has each reward's name and the largest absolute score that counts (infinite for none).
    """

    def __init__(self, bounds: Mapping[str, float], cfg: PpoConfig) -> None:
        self._bounds, self._constraints, self._normalise = dict(bounds), cfg.constraints, cfg.shape.normalise
        self._clip = cfg.shape.score_clip
        cfg.check_rewards(self._bounds)
        self._weights = {MAIN_REWARD: 1.0} | dict(cfg.weights)
        self._multipliers = {name: constraint.multiplier for name, constraint in cfg.constraints.items()}
        self._moments = {name: Moments() for name in bounds} if self._normalise else {}
        self._violations: dict[str, float] = {}
        self._means: dict[str, float] = {}

    def combine(self, scores: Mapping[str, Float[Tensor, " answers"]]) -> Float[Tensor, " answers"]:
        """The combined score of each answer, under the multipliers of this iteration."""
        self._means = {name: float(score.mean()) for name, score in scores.items()}
        bounded = {name: self._bounded(name, score) for name, score in scores.items()}
        pulls = {name: multiplier * self._constraints[name].direction for name, multiplier in self._multipliers.items()}
        return combined_scores(bounded, self._weights, pulls)

    def _bounded(self, name: str, score: Tensor) -> Tensor:
        if not self._normalise:
            return score.clamp(-self._bounds[name], self._bounds[name])
        moments = self._moments[name] = self._moments[name].joined(score)
        return ((score - moments.mean) / (moments.spread + LEAST_SPREAD)).clamp(-self._clip, self._clip)

    def measure(self) -> dict[str, float]:
        """The curves' values of this iteration: each reward's mean score where there are several, and the multipliers."""
        several = len(self._bounds) > 1 or bool(self._multipliers)
        row = {f"score_{name}": mean for name, mean in self._means.items()} if several else {}
        return row | {f"multiplier_{name}": value for name, value in self._multipliers.items()}

    def learn(self) -> None:
        """Move the multipliers by the means of the iteration that ends."""
        for name, constraint in self._constraints.items():
            violation = constraint.violation(self._means[name])
            before = self._violations.get(name, violation)
            self._multipliers[name] = next_multiplier(self._multipliers[name], violation, before, constraint)
            self._violations[name] = violation

    def state_dict(self) -> dict[str, Any]:
        """Multipliers, what they last moved by, the means that they move by next, and running moments."""
        return {
            "multipliers": dict(self._multipliers),
            "violations": dict(self._violations),
            "means": dict(self._means),
            "moments": {name: asdict(one) for name, one in self._moments.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._multipliers, self._violations = dict(state["multipliers"]), dict(state["violations"])
        self._means = dict(state["means"])
        self._moments = {name: Moments(**one) for name, one in state["moments"].items()}
