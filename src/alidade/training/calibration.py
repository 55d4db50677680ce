"""How well score gaps predict judgements: accuracy, against length alone, and calibration. No tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

BINS = 10


@dataclass(frozen=True)
class Judged:
    """A pair of answers: the left one's lead in score and in length (tokens), and the probability that it is better."""

    gap: float
    longer: float
    label_prob: float


def pair_report(pairs: Sequence[Judged], longer_from: Sequence[Judged]) -> dict[str, Any]:
    """Accuracy on pairs with a preference, that of length alone (in the direction of `longer_from`), calibration."""
    decided = [pair for pair in pairs if pair.label_prob != 0.5]
    if not decided:
        return {"pairs": len(pairs), "decided": 0}
    longer_wins = accuracy([pair for pair in longer_from if pair.label_prob != 0.5], lambda pair: pair.longer) >= 0.5
    temperature = fit_temperature(pairs)
    return {
        "pairs": len(pairs),
        "decided": len(decided),
        "accuracy": accuracy(decided, lambda pair: pair.gap),
        "length_only": accuracy(decided, lambda pair: pair.longer if longer_wins else -pair.longer),
        "loss": cross_entropy(pairs, 1.0),
        "temperature": temperature,
        "loss_calibrated": cross_entropy(pairs, temperature),
        "length_correlation": length_correlation(pairs),
        "bins": calibration_bins(pairs),
    }


def accuracy(pairs: Sequence[Judged], lead: Callable[[Judged], float]) -> float:
    """Share of pairs whose `lead` has the sign of the preference; no lead counts one half, no pairs one half."""
    if not pairs:
        return 0.5
    hits = [0.5 if lead(pair) == 0 else float((lead(pair) > 0) == (pair.label_prob > 0.5)) for pair in pairs]
    return sum(hits) / len(hits)


def cross_entropy(pairs: Sequence[Judged], temperature: float) -> float:
    """Mean cross-entropy in nats when gaps are divided by `temperature`."""
    return sum(
        pair.label_prob * _softplus(-pair.gap / temperature) + (1 - pair.label_prob) * _softplus(pair.gap / temperature)
        for pair in pairs
    ) / len(pairs)


def length_correlation(pairs: Sequence[Judged]) -> float:
    """How score and length lead together, in [-1, 1]: their correlation when each pair is read both ways round."""
    both = sum(pair.gap * pair.longer for pair in pairs)
    spread = math.sqrt(sum(pair.gap**2 for pair in pairs) * sum(pair.longer**2 for pair in pairs))
    return both / spread if spread else 0.0


def fit_temperature(pairs: Sequence[Judged]) -> float:
    """The temperature in [1/64, 64] with the least cross-entropy, which is convex in its inverse."""
    return 1 / minimum(lambda inverse: cross_entropy(pairs, 1 / inverse), 1 / 64, 64.0)


def minimum(loss: Callable[[float], float], low: float, high: float) -> float:
    """Where a convex `loss` is least between `low` and `high`, by thirds."""
    for _ in range(60):
        third = (high - low) / 3
        if loss(low + third) <= loss(high - third):
            high -= third
        else:
            low += third
    return (low + high) / 2


def calibration_bins(pairs: Sequence[Judged]) -> list[dict[str, float]]:
    """Per tenth of predicted probability: mean prediction, mean label, number; each pair counts both ways round."""
    sums = [[0.0, 0.0, 0] for _ in range(BINS)]
    for pair in pairs:
        left = 1 / (1 + math.exp(-max(-60.0, min(60.0, pair.gap))))
        for predicted, label in ((left, pair.label_prob), (1 - left, 1 - pair.label_prob)):
            cell = sums[min(BINS - 1, int(predicted * BINS))]
            cell[0] += predicted
            cell[1] += label
            cell[2] += 1
    return [
        {
            "low": place / BINS,
            "high": (place + 1) / BINS,
            "predicted": cell[0] / cell[2],
            "observed": cell[1] / cell[2],
            "n": cell[2],
        }
        for place, cell in enumerate(sums)
        if cell[2]
    ]


def _softplus(value: float) -> float:
    return max(value, 0.0) + math.log1p(math.exp(-abs(value)))
