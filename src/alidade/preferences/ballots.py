"""Votes as columns, and the names of what is fitted to them.

`pairwise.py` says how likely a vote between two answers is, `orders.py` how likely an order of several.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from alidade.errors import DataError

Array = np.ndarray
LEFT, RIGHT, TIE = 0, 1, 2
STRENGTHS = (1, 2, 3)
TRAITS = ("attention", "sharpness", "offset", "side")
# Of the whole pool: the log of Davidson's tie strength and the log-odds of an inattentive tie; how far "clearly" and "far" better are
# from the strength below (logs), and how often they are said without looking (log-odds against "slightly"); what a known gap counts.
POOLED = ("tie", "idle tie", "clearly", "far", "idle clearly", "idle far", "known")


@dataclass(frozen=True)
class Orders:
    """Orders of as many answers each, tied in the same places: who gave them, and the answers [votes, K], best first.

    `position` [votes, K] is where each answer was shown, from 0; `tied` says how many answers share each place, best place first;
    `known` [votes, K] is what the answers are worth as far as it is known beforehand.
    """

    annotator: Array
    answers: Array
    position: Array
    tied: tuple[int, ...]
    known: Array | None = None


@dataclass(frozen=True)
class Ballots:
    """Votes as columns of equal length: who voted, the answers shown left and right, the outcome (0 left, 1 right, 2 tie).

    `known` is a gap known beforehand, such as a reward model's score of the left answer less that of the right. `strength` is
    1 to 3, or 0 where nobody was asked. `orders` are votes that put more than two answers in order.

    Raises:
        DataError: for columns of unequal length, numbers out of range, an answer beside itself, or no votes at all.
    """

    annotator: Array
    left: Array
    right: Array
    outcome: Array
    known: Array | None = None
    strength: Array | None = None
    orders: Sequence[Orders] = ()

    def __post_init__(self) -> None:
        columns = [self.annotator, self.left, self.right, self.outcome]
        columns += [column for column in (self.known, self.strength) if column is not None]
        if {len(column) for column in columns} != {len(self)} or not (len(self) or self.orders):
            raise DataError("votes need columns of equal length, and at least one vote", where="votes")
        if len(self):
            self._check()

    def _check(self) -> None:
        if min(int(column.min()) for column in (self.annotator, self.left, self.right, self.outcome)) < 0 or (
            int(self.outcome.max()) > TIE
        ):
            raise DataError("annotators and answers are numbered from 0, outcomes from 0 to 2", where="votes")
        same = self.left == self.right
        if same.any():
            raise DataError("an answer is compared with itself", where=f"vote {same.argmax()}")
        if self.known is not None and not np.isfinite(self.known).all():
            raise DataError("a gap known beforehand is no number", where=f"vote {np.isfinite(self.known).argmin()}")

    def __len__(self) -> int:
        return len(self.outcome)

    @cached_property
    def answers(self) -> int:
        """How many answers there are: the highest number and one."""
        return _highest(self.left, self.right, *(order.answers for order in self.orders)) + 1

    @cached_property
    def votes(self) -> Array:
        """How many votes each annotator gave."""
        everyone = np.concatenate([self.annotator, *(order.annotator for order in self.orders)])
        return np.bincount(everyone)

    @cached_property
    def has_ties(self) -> bool:
        """Whether anyone called a tie between two answers."""
        return bool((self.outcome == TIE).any())


def votes_on_pairs(orders: Orders) -> Ballots:
    """Every two answers of the orders that are not tied, as votes; of two answers the one shown first is the left one."""
    place = np.repeat(np.arange(len(orders.tied)), orders.tied)
    apart = [(first, second) for first, second in combinations(range(len(place)), 2) if place[first] < place[second]]
    better, worse = (np.array(side) for side in zip(*apart, strict=True))
    right = (orders.position[:, better] > orders.position[:, worse]).ravel()
    known = orders.known if orders.known is None else (orders.known[:, better] - orders.known[:, worse]).ravel()
    ahead, behind = orders.answers[:, better].ravel(), orders.answers[:, worse].ravel()
    return Ballots(
        np.repeat(orders.annotator, len(apart)),
        np.where(right, behind, ahead),
        np.where(right, ahead, behind),
        np.where(right, RIGHT, LEFT),
        known if known is None else np.where(right, -known, known),
    )


def _highest(*columns: Array) -> int:
    return max(int(column.max()) for column in columns if column.size)


@dataclass(frozen=True)
class Layout:
    """Where each parameter stands in a flat vector: utilities, the traits of all annotators, the traits' middles, the pool's own."""

    answers: int
    annotators: int

    @property
    def size(self) -> int:
        """Parameters in all."""
        return self.answers + len(TRAITS) * (self.annotators + 1) + len(POOLED)

    def trait(self, name: str) -> slice:
        """The annotators' trait `name`: log-odds of attention and side, log of sharpness, offset as it is."""
        start = self.answers + TRAITS.index(name) * self.annotators
        return slice(start, start + self.annotators)

    def middle(self, name: str) -> int:
        """How far the pool's middle of a trait is from where it is expected."""
        return self.answers + len(TRAITS) * self.annotators + TRAITS.index(name)

    def pooled(self, name: str) -> int:
        """One of the parameters of the whole pool."""
        return self.size - len(POOLED) + POOLED.index(name)
