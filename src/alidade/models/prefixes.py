"""Which prompts begin alike: groups of prompts, each with the tokens that its prompts share, found by sorting them.

Prompts that begin alike are neighbours once sorted, and what neighbours share falls into nested runs: all prompts behind one
system prompt, and in it those behind one set of examples. Of nested runs the partition is taken that shares most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

# A group costs a few calls per layer and step, about as much as reading so many cached tokens: it must share more than that.
GROUP_COST = 2048
LEAST_SHARED = 16


@dataclass(frozen=True)
class Group:
    """Prompts by their `places`, which share their first `length` tokens and have at least one more each."""

    length: int
    places: tuple[int, ...]


def shared_prefixes(prompts: Sequence[Sequence[int]], copies: int = 1) -> list[Group]:
    """Groups of prompts worth a prefix of their own, each prompt in at most one; `copies` answers are drawn to each."""
    # Big-endian bytes are in the order of their numbers, and are compared far faster than lists are.
    rows = [np.asarray(prompt, dtype=">u4") for prompt in prompts]
    order = sorted(range(len(rows)), key=lambda place: rows[place].tobytes())
    ordered = [rows[place] for place in order]
    shared = [_shared(one, other) for one, other in pairwise(ordered)]
    found = _best_runs(shared, copies)
    return [Group(run.length, tuple(sorted(order[run.start : run.end]))) for run in found]


def _shared(one: np.ndarray, other: np.ndarray) -> int:
    """How many first tokens both share, so that at least one token is left of each."""
    most = min(len(one), len(other)) - 1
    differ = np.flatnonzero(one[:most] != other[:most])
    return int(differ[0]) if len(differ) else max(0, most)


@dataclass(frozen=True)
class _Run:
    start: int
    end: int
    length: int

    def worth(self, copies: int) -> int:
        """Cached tokens that need not be read, nor most of them be computed, less what the group costs."""
        return self.length * ((self.end - self.start) * copies - 1) - GROUP_COST


@dataclass
class _Open:
    """A run not yet ended, and the best groups inside it so far."""

    start: int
    length: int
    inside: list[_Run] = field(default_factory=list)


def _best_runs(shared: Sequence[int], copies: int) -> list[_Run]:
    """The disjoint runs of the greatest worth, `shared` being what each prompt and its next one begin with alike."""
    stack = [_Open(0, 0)]
    for place, length in enumerate([*shared, 0]):
        start, inside = place, []
        while stack[-1].length > length:
            ended = stack.pop()
            start, inside = ended.start, _better(ended, place + 1, copies)
            if stack[-1].length >= length:
                stack[-1].inside += inside
                inside = []
        if stack[-1].length < length:
            stack.append(_Open(start, length, inside))
    return stack[0].inside


def _better(ended: _Open, end: int, copies: int) -> list[_Run]:
    whole = _Run(ended.start, end, ended.length)
    if whole.length < LEAST_SHARED:
        return ended.inside
    inside = sum(run.worth(copies) for run in ended.inside)
    return [whole] if whole.worth(copies) > max(0, inside) else ended.inside
