"""What a reward model must beat: rules that read no words.

Both learn which way to guess from the training comparisons and are measured on the held-out ones, by prompt. A row
labelled exactly 0.5 has no better answer and is not counted; a guess that cannot decide counts half.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from alidade.preferences.split import prompt_key
from alidade.records import Comparison, Estimate
from alidade.stats import clustered_proportion, mean_estimate

Guess = Callable[[Comparison], float]


def decided(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Those of which one answer is labelled better."""
    return [row for row in comparisons if row.label_prob != 0.5]


def accuracy(comparisons: Sequence[Comparison], preference: Sequence[float]) -> Estimate | None:
    """How often a preference (positive for the left answer, 0 undecided) agrees with the labels; None without any.

    The comparisons of one prompt are one cluster.
    """
    rows = [(row, lean) for row, lean in zip(comparisons, preference, strict=True) if row.label_prob != 0.5]
    if not rows:
        return None
    right = [_agreement(lean, row.label_prob) for row, lean in rows]
    prompts = [prompt_key(row.prompt) for row, _ in rows]
    if 0.5 in right:
        return mean_estimate(right, prompts)
    return clustered_proportion([agreed == 1.0 for agreed in right], prompts)


def beside_baselines(
    train: Sequence[Comparison], heldout: Sequence[Comparison], leads: Sequence[float]
) -> dict[str, Estimate]:
    """The accuracy of `leads` on held-out comparisons, and that of each baseline; empty where none has a preference.

    `leads` says how far each held-out comparison's left answer is ahead.
    """
    found = {
        "accuracy": accuracy(heldout, leads),
        "length_only": length_only(train, heldout),
        "majority": majority(train, heldout),
    }
    return {name: estimate for name, estimate in found.items() if estimate is not None}


def length_only(train: Sequence[Comparison], heldout: Sequence[Comparison]) -> Estimate | None:
    """The accuracy of always choosing the longer answer, or the shorter where that does better in training."""
    return _measured(lambda row: float(len(row.left) - len(row.right)), train, heldout)


def majority(train: Sequence[Comparison], heldout: Sequence[Comparison]) -> Estimate | None:
    """The accuracy of always choosing the side that won more often in training.

    Where the order of the answers is not one in which they were shown (chosen and rejected), no side says anything and
    the guess is undecided.
    """
    sides = {"left first": 1.0, "right first": -1.0, "unknown": 0.0}
    return _measured(lambda row: sides[row.shown], train, heldout)


def _measured(guess: Guess, train: Sequence[Comparison], heldout: Sequence[Comparison]) -> Estimate | None:
    won = sum(_agreement(guess(row), row.label_prob) - 0.5 for row in decided(train))
    direction = 1.0 if won >= 0 else -1.0
    return accuracy(heldout, [direction * guess(row) for row in heldout])


def _agreement(lean: float, label_prob: float) -> float:
    if lean == 0:
        return 0.5
    return float((lean > 0) == (label_prob > 0.5))
