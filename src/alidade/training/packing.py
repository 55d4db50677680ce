"""Rows without padding: trees of a prompt and its answers, laid end to end, and the places where there is loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain

import torch
from jaxtyping import Int
from torch import Tensor

from alidade.models.segments import Segments


@dataclass(frozen=True)
class Tree:
    """A prompt and its answers, as token ids; every answer sees the prompt and itself, never another answer."""

    prompt: Sequence[int]
    answers: Sequence[Sequence[int]]

    @property
    def token_count(self) -> int:
        """Tokens of the prompt and of all answers."""
        return len(self.prompt) + sum(len(answer) for answer in self.answers)


@dataclass(frozen=True)
class Packed:
    """One packed row. The state at `predictors[i]` predicts `targets[i]`; `ends` is the last token of each answer.

    Answers, and the targets within an answer, keep the order in which they were given. `lengths[a]` targets belong to
    answer a; a row packed by `pack_rows` counts as one answer.
    """

    ids: Int[Tensor, " tokens"]
    segments: Segments
    predictors: Int[Tensor, " targets"]
    targets: Int[Tensor, " targets"]
    ends: Int[Tensor, " answers"]
    lengths: tuple[int, ...]

    def to(self, device: torch.device) -> Packed:
        """The same row on `device`."""
        if device.type == "cpu":
            return self
        tensors = {name: getattr(self, name).to(device) for name in ("ids", "predictors", "targets", "ends")}
        return replace(self, segments=self.segments.to(device), **tensors)


def pack_trees(trees: Sequence[Tree]) -> Packed:
    """Every answer token is a target; the last token of a prompt predicts the first of each of its answers.

    Raises:
        ValueError: for a tree without a prompt or with an empty answer.
    """
    predictors: list[range | tuple[int]] = []
    ends: list[int] = []
    start = 0
    for tree in trees:
        if not tree.prompt or not all(tree.answers):
            raise ValueError("a packed tree needs a prompt and no empty answer")
        last = start + len(tree.prompt) - 1
        at = last + 1
        for answer in tree.answers:
            predictors += [(last,), range(at, at + len(answer) - 1)]
            at += len(answer)
            ends.append(at - 1)
        start = at
    flat = chain.from_iterable(chain(tree.prompt, *tree.answers) for tree in trees)
    answers = [answer for tree in trees for answer in tree.answers]
    return Packed(
        ids=torch.tensor(list(flat), dtype=torch.int64),
        segments=Segments.of([(len(tree.prompt), [len(answer) for answer in tree.answers]) for tree in trees]),
        predictors=torch.tensor(list(chain.from_iterable(predictors)), dtype=torch.int64),
        targets=torch.tensor(list(chain.from_iterable(answers)), dtype=torch.int64),
        ends=torch.tensor(ends, dtype=torch.int64),
        lengths=tuple(len(answer) for answer in answers),
    )


def pack_rows(rows: Sequence[tuple[Sequence[int], Sequence[bool]]]) -> Packed:
    """Rows of (ids, trained): the trained tokens are the targets, but for a row's first, which nothing predicts."""
    predictors: list[int] = []
    targets: list[int] = []
    ends: list[int] = []
    lengths: list[int] = []
    start = 0
    for ids, trained in rows:
        places = [place for place in range(1, len(ids)) if trained[place]]
        predictors += [start + place - 1 for place in places]
        targets += [ids[place] for place in places]
        lengths.append(len(places))
        start += len(ids)
        ends.append(start - 1)
    return Packed(
        ids=torch.tensor([token for ids, _ in rows for token in ids], dtype=torch.int64),
        segments=Segments.of([(len(ids), ()) for ids, _ in rows]),
        predictors=torch.tensor(predictors, dtype=torch.int64),
        targets=torch.tensor(targets, dtype=torch.int64),
        ends=torch.tensor(ends, dtype=torch.int64),
        lengths=tuple(lengths),
    )


def pack_windows(rows: Int[Tensor, "rows context+1"]) -> Packed:
    """Windows of running text: every token but a row's first is predicted from those before it in the row."""
    count, context = rows.shape[0], rows.shape[1] - 1
    return Packed(
        ids=rows[:, :-1].reshape(-1),
        segments=_even_segments(count, context),
        predictors=torch.arange(count * context),
        targets=rows[:, 1:].reshape(-1),
        ends=torch.arange(1, count + 1) * context - 1,
        lengths=(context,) * count,
    )


@lru_cache(maxsize=4)
def _even_segments(count: int, length: int) -> Segments:
    return Segments.of([(length, ())] * count)


def split_by_budget(sizes: Sequence[int], budget: int) -> list[range]:
    """Consecutive ranges of at most `budget` tokens together; a row larger than the budget stands alone."""
    ranges: list[range] = []
    first = total = 0
    for place, size in enumerate(sizes):
        if place > first and total + size > budget:
            ranges.append(range(first, place))
            first, total = place, 0
        total += size
    if sizes:
        ranges.append(range(first, len(sizes)))
    return ranges
