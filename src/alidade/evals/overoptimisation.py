"""Over-optimisation: what is wanted (gold) and what stands for it (proxy) as a policy moves away from where it started.

Gains are per prompt, over the same prompt's answers of the starting model, in standard deviations of its answers; so proxy and
gold share an axis, and their difference, the gap, is how much of the proxy's gain is not real. Distance is d = sqrt(KL).

Source: Gao, Schulman, Hilton 2022, arXiv 2210.10760.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from typing import Any, Literal

from alidade.records import Estimate
from alidade.stats import mean_estimate, paired_difference

Method = Literal["best_of_n", "ppo"]
MOST_EXPONENT = 50.0  # a fitted peak beyond e^50 is none


@dataclass(frozen=True)
class Point:
    """One n, or one iteration (`at`): KL from the start in nats, and each prompt's gains of gold and proxy."""

    at: int
    kl: float
    gold: Sequence[float]
    proxy: Sequence[float]

    @property
    def gap(self) -> list[float]:
        """How much more of each prompt's gain the proxy sees than gold does."""
        return [proxy - gold for proxy, gold in zip(self.proxy, self.gold, strict=True)]

    def summary(self) -> dict[str, Any]:
        """The point with intervals over prompts."""
        values = {"gold": self.gold, "proxy": self.proxy, "gap": self.gap}
        return {"at": self.at, "kl": self.kl} | {name: _dumped(mean_estimate(one)) for name, one in values.items()}


def gains(values: Mapping[str, float], start: Mapping[str, float], spread: float) -> list[float]:
    """What each prompt gained over the start, in the start's standard deviations; prompts in the order of `start`.

    Raises:
        ValueError: when the start's answers are all worth the same.
        KeyError: when a prompt was not measured.
    """
    if spread <= 0:
        raise ValueError("all answers of the starting model are worth the same")
    return [(values[prompt] - start[prompt]) / spread for prompt in start]


def overoptimisation(points: Sequence[Point], chosen: int, method: Method) -> dict[str, Any]:
    """The curve of one method against one reward model, and what it says.

    `chosen` is the `at` that other prompts chose, so what is said of it here is not flattered by the choice; `peak` is where
    these prompts' own gold is highest, and is. `fall` is gold at the end less gold at the chosen point, paired by prompt.

    Raises:
        ValueError: when no point is the chosen one.
    """
    peak, last = max(points, key=lambda point: sum(point.gold)), points[-1]
    at = next((point for point in points if point.at == chosen), None)
    if at is None:
        raise ValueError(f"{chosen} was chosen, but not measured")
    return {
        "curve": [point.summary() for point in points],
        "peak": peak.summary(),
        "chosen": at.summary(),
        "end": last.summary(),
        "fall": _dumped(paired_difference(at.gold, last.gold)),
        "fit": fit(points, method),
    }


_FORMS: Mapping[Method, Callable[[float], float]] = {"best_of_n": lambda d: d * d, "ppo": lambda d: d * log(d)}


def fit(points: Sequence[Point], method: Method) -> dict[str, float | None] | None:
    """The paper's curve through the mean gains of gold by least squares; nothing where there are fewer than three points.

    Best of n: d (alpha - beta d), whose peak is at d = alpha / 2 beta. Reinforcement: d (alpha - beta log d), whose peak is at
    d = exp(alpha / beta - 1). `peak_kl` is in nats, and nothing for a curve that never falls. `r2` is against the mean.

    Source: Gao et al. 2022, arXiv 2210.10760, equations 1 and 2.
    """
    import numpy as np

    away = [(sqrt(point.kl), sum(point.gold) / len(point.gold)) for point in points if point.kl > 0]
    if len(away) < 3:
        return None
    columns = np.array([[d, -_FORMS[method](d)] for d, _ in away])
    gold = np.array([value for _, value in away])
    (alpha, beta), *_ = np.linalg.lstsq(columns, gold, rcond=None)
    left = float(((gold - columns @ np.array([alpha, beta])) ** 2).sum())
    spread = float(((gold - gold.mean()) ** 2).sum())
    return {
        "alpha": float(alpha),
        "beta": float(beta),
        "r2": 1 - left / spread if spread else None,
        "peak_kl": _peak(float(alpha), float(beta), method),
    }


def fitted(d: float, alpha: float, beta: float, method: Method) -> float:
    """The paper's curve at a distance."""
    return alpha * d - beta * _FORMS[method](d) if d > 0 else 0.0


def _peak(alpha: float, beta: float, method: Method) -> float | None:
    if beta <= 0:
        return None
    if method == "best_of_n":
        return (alpha / (2 * beta)) ** 2 if alpha > 0 else None
    exponent = 2 * (alpha / beta - 1)
    return exp(exponent) if abs(exponent) < MOST_EXPONENT else None


def _dumped(estimate: Estimate) -> dict[str, Any]:
    return estimate.model_dump()
