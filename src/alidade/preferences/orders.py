"""How likely it is that an annotator puts several answers in a certain order.

With attention the order is drawn best answer first, each with a chance in proportion to the exponential of its score (Plackett-Luce);
the score is sharpness_k * utility, and offset_k drawn evenly over the places on the screen: plus half of it first, minus half last.
Without attention the score is the log-odds of side_k drawn in the same way. For two answers this is the model of pairs. Which of
several tied answers came first is not known: the chance of a tied order is the sum over the orders it leaves open.

Source: Plackett 1975, The analysis of permutations; Luce 1959.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import permutations, product

import numpy as np
from scipy.special import expit

from alidade.errors import DataError
from alidade.preferences.ballots import TRAITS, Array, Layout, Orders, votes_on_pairs
from alidade.preferences.pairwise import PairVotes

MOST_ORDERS = 720


class OrderVotes:
    """Orders of as many answers each, tied in the same places."""

    def __init__(self, orders: Orders, layout: Layout) -> None:
        count = orders.answers.shape[1]
        self.layout, self._who, self._answers, self._orders = layout, orders.annotator, orders.answers, orders
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
        """For each answer that might have been drawn next, what that would say of the parameters.

        The squares of these columns sum to the information. Each draw is taken for itself, attention included; answers that share a
        place are as one.
        """
        ends = np.repeat(np.cumsum(self._orders.tied), self._orders.tied)
        for draw in range(self._draws):
            for drawn in [
                slice(draw, ends[draw]),
                *(slice(other, other + 1) for other in range(ends[draw], len(ends))),
            ]:
                chance, slopes = self._next(flat, slice(draw, None), slice(drawn.start - draw, drawn.stop - draw))
                yield from self._columns(np.sqrt(chance), slopes, slice(draw, None))

    def on_pairs(self) -> PairVotes:
        """What they say of each pair alone: by Plackett and Luce, either of two answers comes first as in a vote between them."""
        return PairVotes(votes_on_pairs(self._orders), self.layout)

    def gaps(self, flat: Array) -> Array:
        """The difference in utility of each answer to the next, best first."""
        return -np.diff(self._worth(flat), axis=1).ravel()

    def _worth(self, flat: Array) -> Array:
        worth = flat[self._answers]
        return worth if self._known is None else worth + flat[self.layout.pooled("known")] * self._known

    def _chance(self, flat: Array) -> tuple[Array, tuple[Array, ...]]:
        """P(order) of each vote, and its slopes, as `_mixed` has them."""
        return self._mixed(flat, slice(None), self._in_order)

    def _next(self, flat: Array, left: slice, drawn: slice) -> tuple[Array, tuple[Array, ...]]:
        """P(the next of the answers `left` is one of `drawn` among them), and its slopes."""

        def chance(score: Array) -> tuple[Array, Array]:
            weight = np.exp(score - score.max(axis=1, keepdims=True))
            weight /= weight.sum(axis=1, keepdims=True)
            one = weight[:, drawn].sum(axis=1)
            slope = -weight * one[:, None]
            slope[:, drawn] += weight[:, drawn]
            return one, slope

        return self._mixed(flat, left, chance)

    def _mixed(
        self, flat: Array, part: slice, chance: Callable[[Array], tuple[Array, Array]]
    ) -> tuple[Array, tuple[Array, ...]]:
        """What happens with a `chance` by the scores of some answers, with attention and without.

        Its slopes are in each of these answers' utility [votes, answers], and in each trait and in what is known [votes].
        """
        who, place, utility = self._who, self._place[:, part], self._worth(flat)[:, part]
        attention, sharpness, offset, side = (flat[self.layout.trait(name)][who] for name in TRAITS)
        attention, sharpness = expit(attention), np.exp(sharpness)
        careful, by_score = chance(sharpness[:, None] * utility + offset[:, None] * place)
        idle, by_habit = chance(side[:, None] * place)
        by_score *= attention[:, None]
        known = None if self._known is None else self._known[:, part]
        slopes = (
            by_score * sharpness[:, None],
            (careful - idle) * attention * (1 - attention),
            (by_score * utility).sum(axis=1) * sharpness,
            (by_score * place).sum(axis=1),
            (by_habit * place).sum(axis=1) * (1 - attention),
            np.zeros_like(careful) if known is None else (by_score * known).sum(axis=1) * sharpness,
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

    def _columns(
        self, over: Array, slopes: Sequence[Array], part: slice = slice(None)
    ) -> Iterator[tuple[Array, Array, Array]]:
        places = [self._answers[:, part], *((self.layout.trait(name).start + self._who)[:, None] for name in TRAITS)]
        places.append(np.full((len(self._who), 1), self.layout.pooled("known")))
        values = [slopes[0], *(slope[:, None] for slope in slopes[1:])]
        yield self._who, np.concatenate(places, axis=1).T, np.concatenate(values, axis=1).T / over


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
