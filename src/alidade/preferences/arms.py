"""Which pairs to ask about first: those that a scorer is least sure of, where chance has not decided otherwise.

The scorer may be a reward model, an ensemble, or what a model of the annotators makes of the votes so far. Its values are gaps, in
log-odds that the left answer is better, or probabilities of that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Literal

import numpy as np
from scipy.special import entr, expit

from alidade.errors import DataError

Array = np.ndarray
Measure = Literal["margin", "variance", "information", "label"]
Scores = Mapping[
    str, float | Sequence[float]
]  # of items (`PROMPT/0-1`) or answers (`PROMPT/0`); a list has one value for each member
Asked = Mapping[str, tuple[str, Sequence[int]]]  # an item's key: its prompt, and the numbers of its answers


def doubt(values: Array, measure: Measure) -> Array:
    """How unsure a scorer is of each pair, from what each of its members says of it, `values` [pairs, members]; higher is less sure.

    `margin` goes by how near the mean gap is to 0, `label` by how near the mean probability is to 1/2, `variance` by that of the members'
    gaps, and `information` by what a vote is expected to tell about which member is right, in nats.

    Source: Houlsby et al. 2011, arXiv 1112.5745, equation 2 (information).
    """
    if measure == "margin":
        return -np.abs(values.mean(axis=1))
    if measure == "label":
        return -np.abs(values.mean(axis=1) - 0.5)
    if measure == "variance":
        return values.var(axis=1)
    chance = expit(values)
    return _entropy(chance.mean(axis=1)) - _entropy(chance).mean(axis=1)


def doubts(scores: Scores, asked: Asked, measure: Measure) -> dict[str, float]:
    """How unsure a scorer is of each item: the mean over its pairs of answers.

    Raises:
        DataError: when a pair has no score, a score is no number, or the scores are not what the measure is of.
    """
    pairs = [(key, pair) for key, (_, numbers) in asked.items() for pair in combinations(numbers, 2)]
    found = [_gap(scores, asked[key][0], pair) for key, pair in pairs]
    if len({row.shape for row in found}) > 1:
        raise DataError("some scores have more members than others", hint="give a number, or lists of one length")
    if not found:
        raise DataError("one answer alone is nothing to be unsure of", hint="score items of at least two answers")
    values = np.array(found)
    if measure == "label" and not ((values >= 0) & (values <= 1)).all():
        raise DataError("a label is between 0 and 1", hint="`margin` takes gaps")
    if measure in ("variance", "information") and values.shape[1] == 1:
        raise DataError(
            f"`{measure}` compares the members of an ensemble", hint="give a list of scores, or use `margin`"
        )
    by_item: dict[str, list[float]] = {}
    for (key, _), value in zip(pairs, doubt(values, measure).tolist(), strict=True):
        by_item.setdefault(key, []).append(value)
    return {key: sum(each) / len(each) for key, each in by_item.items()}


def least_sure_first(in_order: Sequence[str], unsure: Mapping[str, float]) -> list[str]:
    """The keys by how unsure the scorer is of them; of equals, the one that came first comes first."""
    return sorted(in_order, key=lambda key: -unsure[key])


def _gap(scores: Scores, prompt_id: str, pair: tuple[int, int]) -> Array:
    """What the members say of a pair: its own score, or the left answer's less the right's."""
    left, right = pair
    whole = f"{prompt_id}/{left}-{right}"
    if whole in scores:
        return _numbers(scores, whole)
    return _numbers(scores, f"{prompt_id}/{left}", whole) - _numbers(scores, f"{prompt_id}/{right}", whole)


def _numbers(scores: Scores, key: str, pair: str = "") -> Array:
    if key not in scores:
        hint = f"give a score for the pair, {pair}, or for each answer, like {key}"
        raise DataError(f"there is no score for {key}", hint=hint)
    try:
        found = np.atleast_1d(np.array(scores[key], dtype=float))
    except (TypeError, ValueError):
        found = np.array([])
    if found.ndim != 1 or not found.size or not np.isfinite(found).all():
        raise DataError("a score is a number, or a list of numbers", where=key)
    return found


def _entropy(chance: Array) -> Array:
    return entr(chance) + entr(1 - chance)
