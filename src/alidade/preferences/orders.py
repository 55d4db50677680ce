"""How likely it is that an annotator puts several answers in a certain order.

With attention the order is drawn best answer first, each with a chance in proportion to the exponential of its score (Plackett-Luce);
the score is sharpness_k * utility, and offset_k drawn evenly over the places on the screen: plus half of it first, minus half last.
Without attention the score is the log-odds of side_k drawn in the same way. For two answers this is the model of pairs. Which of
several tied answers came first is not known: the chance of a tied order is the sum over the orders it leaves open.

Source: Plackett 1975, The analysis of permutations; Luce 1959.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations, product

import numpy as np
from scipy.special import expit

from alidade.errors import DataError
from alidade.preferences.ballots import TRAITS, Array, Layout, Orders

MOST_ORDERS = 720


class OrderVotes:
    """Orders of as many answers each, tied in the same places."""

    def __init__(self, orders: Orders, layout: Layout) -> None:
        count = orders.answers.shape[1]
        self.layout, self._who, self._answers = layout, orders.annotator, orders.answers
        self._place = 0.5 - orders.position / (count - 1)
        self._known = orders.known
        self._open = orders_left_open(orders.tied)
        # Nothing is drawn any more once only the last place is left.
        self._draws = count - orders.tied[-1]

    def at(self, flat: Array) -> tuple[float, Array]:
        """The log of the orders' likelihood, and its gradient."""
        chance, slopes = self._chance(flat)
        gradient = np.zeros(self.layout.size)
        for _, places, values in self._columns(chance, slopes):
            np.add.at(gradient, places.ravel(), values.ravel())
        return float(np.log(chance).sum()), gradient

    def scores(self, flat: Array) -> Iterator[tuple[Array, Array, Array]]:
        """What the orders that were given say of the parameters: columns whose squares sum to about the information.

        Source: Berndt, Hall, Hall, Hausman 1974, Estimation and inference in nonlinear structural models.
        """
        return self._columns(*self._chance(flat))

    def gaps(self, flat: Array) -> Array:
        """The difference in utility of each answer to the next, best first."""
        return -np.diff(self._worth(flat), axis=1).ravel()

    def _worth(self, flat: Array) -> Array:
        worth = flat[self._answers]
        return worth if self._known is None else worth + flat[self.layout.pooled("known")] * self._known

    def _chance(self, flat: Array) -> tuple[Array, tuple[Array, ...]]:
        """P(order) of each vote; its slopes in each answer's utility [votes, K] and in each trait and in what is known [votes]."""
        who = self._who
        attention, sharpness, offset, side = (flat[self.layout.trait(name)][who] for name in TRAITS)
        attention, sharpness, utility = expit(attention), np.exp(sharpness), self._worth(flat)
        careful, by_score = self._in_order(sharpness[:, None] * utility + offset[:, None] * self._place)
        idle, by_habit = self._in_order(side[:, None] * self._place)
        by_score *= attention[:, None]
        slopes = (
            by_score * sharpness[:, None],
            (careful - idle) * attention * (1 - attention),
            (by_score * utility).sum(axis=1) * sharpness,
            (by_score * self._place).sum(axis=1),
            (by_habit * self._place).sum(axis=1) * (1 - attention),
            np.zeros_like(careful) if self._known is None else (by_score * self._known).sum(axis=1) * sharpness,
        )
        return attention * careful + (1 - attention) * idle, slopes

    def _in_order(self, score: Array) -> tuple[Array, Array]:
        """P(order) by Plackett and Luce, summed over the orders left open, and its slopes in the scores, [votes, K]."""
        chance, slope = np.zeros(len(score)), np.zeros_like(score)
        for order in self._open:
            drawn = score[:, order]
            weight = np.exp(drawn - drawn.max(axis=1, keepdims=True))
            left = np.cumsum(weight[:, ::-1], axis=1)[:, ::-1][:, : self._draws]
            one = np.prod(weight[:, : self._draws] / left, axis=1)
            passed = np.cumsum(1 / left, axis=1)
            # An answer is up for every draw until its own.
            up = np.concatenate([passed, np.repeat(passed[:, -1:], score.shape[1] - self._draws, axis=1)], axis=1)
            is_drawn = np.arange(score.shape[1]) < self._draws
            chance += one
            slope[:, order] += one[:, None] * (is_drawn - weight * up)
        return chance, slope

    def _columns(self, chance: Array, slopes: Sequence[Array]) -> Iterator[tuple[Array, Array, Array]]:
        places = [self._answers, *((self.layout.trait(name).start + self._who)[:, None] for name in TRAITS)]
        places.append(np.full((len(self._who), 1), self.layout.pooled("known")))
        values = [slopes[0], *(slope[:, None] for slope in slopes[1:])]
        yield self._who, np.concatenate(places, axis=1).T, np.concatenate(values, axis=1).T / chance


def orders_left_open(tied: Sequence[int]) -> list[tuple[int, ...]]:
    """The orders, as places in the given one, that a tied order may stand for; those in its last place stay as they are.

    Raises:
        DataError: for more than 720 of them.
    """
    starts = np.cumsum([0, *tied])
    counts = [np.prod(np.arange(1, size + 1)) for size in tied[:-1]]
    if np.prod(counts, initial=1.0) > MOST_ORDERS:
        raise DataError(
            "too many answers share a place that is not the last",
            where=f"an order with {'-'.join(map(str, tied))} answers a place",
            hint="give it as votes between two answers",
        )
    blocks = [range(int(start), int(start) + size) for start, size in zip(starts, tied, strict=False)]
    inner = product(*(permutations(block) for block in blocks[:-1]))
    return [tuple(place for block in (*chosen, blocks[-1]) for place in block) for chosen in inner]
