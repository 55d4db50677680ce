"""Votes as columns, and how likely each is: who picks which side, given the answers' utilities and the annotator's traits.

P(annotator k picks the answer shown left) = attention_k * sigmoid(sharpness_k * gap + offset_k) + (1 - attention_k) * side_k,
where the gap is the difference of the two answers' utilities. Where anyone ties, an attentive annotator ties as Davidson has it
and an inattentive one with a chance of its own.

Source: Chen et al. 2013, Pairwise ranking aggregation in a crowdsourced setting; Davidson 1970 (ties).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import expit

from alidade.errors import DataError

Array = np.ndarray
LEFT, RIGHT, TIE = 0, 1, 2
SIGNS = np.array([0.5, -0.5, 0.0])
TRAITS = ("attention", "sharpness", "offset", "side")
TIES = ("strength", "idle")  # the log of Davidson's tie strength, the log-odds of an inattentive tie


@dataclass(frozen=True)
class Ballots:
    """Votes as columns of equal length: who voted, the answers shown left and right, the outcome (0 left, 1 right, 2 tie).

    `known` is a gap known beforehand, such as a reward model's score of the left answer less that of the right.

    Raises:
        DataError: for columns of unequal length, numbers out of range, or an answer beside itself.
    """

    annotator: Array
    left: Array
    right: Array
    outcome: Array
    known: Array | None = None

    def __post_init__(self) -> None:
        columns = (self.annotator, self.left, self.right, self.outcome)
        lengths = {len(column) for column in columns} | ({len(self.known)} if self.known is not None else set())
        if lengths != {len(self.outcome)} or not len(self.outcome):
            raise DataError("votes need columns of equal length, and at least one vote", where="votes")
        if min(int(column.min()) for column in columns) < 0 or int(self.outcome.max()) > TIE:
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
        return int(max(self.left.max(), self.right.max())) + 1

    @cached_property
    def annotators(self) -> int:
        """How many annotators there are: the highest number and one."""
        return int(self.annotator.max()) + 1

    @cached_property
    def has_ties(self) -> bool:
        """Whether anyone called a tie."""
        return bool((self.outcome == TIE).any())


@dataclass(frozen=True)
class Layout:
    """Where each parameter stands in a flat vector: utilities, the traits of all annotators, the traits' middles, ties."""

    answers: int
    annotators: int

    @property
    def size(self) -> int:
        """Parameters in all."""
        return self.answers + len(TRAITS) * (self.annotators + 1) + len(TIES)

    def trait(self, name: str) -> slice:
        """The annotators' trait `name`: log-odds of attention and side, log of sharpness, offset as it is."""
        start = self.answers + TRAITS.index(name) * self.annotators
        return slice(start, start + self.annotators)

    def middle(self, name: str) -> int:
        """How far the pool's middle of a trait is from where it is expected."""
        return self.answers + len(TRAITS) * self.annotators + TRAITS.index(name)

    def tie(self, name: str) -> int:
        """One of the two parameters of ties."""
        return self.size - len(TIES) + TIES.index(name)


class Likelihood:
    """How likely each outcome of each vote is at `flat`, and by how much that changes with the parameters."""

    def __init__(self, ballots: Ballots, layout: Layout, flat: Array) -> None:
        who = ballots.annotator
        self._attention, self._side = (expit(flat[layout.trait(name)])[who] for name in ("attention", "side"))
        self._sharpness, offset = np.exp(flat[layout.trait("sharpness")])[who], flat[layout.trait("offset")][who]
        self._gap = flat[ballots.left] - flat[ballots.right] + (0.0 if ballots.known is None else ballots.known)
        strength, self._idle_tie = 0.0, 0.0
        if ballots.has_ties:
            strength, self._idle_tie = np.exp(flat[layout.tie("strength")]), float(expit(flat[layout.tie("idle")]))
        lean = 0.5 * (self._sharpness * self._gap + offset)
        highest = np.abs(lean)
        weights = np.exp(lean - highest), np.exp(-lean - highest), strength * np.exp(-highest)
        whole = weights[LEFT] + weights[RIGHT] + weights[TIE]
        self._careful = [weight / whole for weight in weights]
        decided = 1 - self._idle_tie
        self._idle = [decided * self._side, decided * (1 - self._side), np.full(len(ballots), self._idle_tie)]

    def chances(self, outcome: int | Array) -> Array:
        """P(outcome) of each vote, for one outcome or each vote's own."""
        return self._attention * self._pick(outcome, self._careful) + (1 - self._attention) * self._pick(
            outcome, self._idle
        )

    def slopes(self, outcome: int | Array) -> dict[str, Array]:
        """By how much P(outcome) changes with the gap, with each trait as it is fitted, and with the parameters of ties."""
        careful, idle, sign = self._pick(outcome, self._careful), 1 - self._attention, SIGNS[outcome]
        by_lean = self._attention * careful * (sign - 0.5 * (self._careful[LEFT] - self._careful[RIGHT]))
        tied, decided = outcome == TIE, 1 - self._idle_tie
        untied = self._pick(outcome, [self._side, 1 - self._side, np.zeros_like(idle)])
        return {
            "gap": by_lean * self._sharpness,
            "attention": (careful - self._pick(outcome, self._idle)) * self._attention * idle,
            "sharpness": by_lean * self._sharpness * self._gap,
            "offset": by_lean,
            "side": idle * 2 * sign * decided * self._side * (1 - self._side),
            "strength": self._attention * careful * (tied - self._careful[TIE]),
            "idle": idle * (tied - untied) * self._idle_tie * decided,
        }

    def _pick(self, outcome: int | Array, table: list[Array]) -> Array:
        return table[outcome] if isinstance(outcome, int) else np.choose(outcome, table)
