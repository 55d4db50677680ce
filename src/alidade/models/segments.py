"""Which token of a packed row may see which: trees of a prompt and its branches, planned once per batch for all layers.

A packed row is a sequence of trees. A tree is a prompt followed by its branches (answers); every branch attends to
the prompt and to itself, never to a sibling, and its positions continue from the prompt's end. The plan says which
tokens are gathered into which rectangular attention call. Pieces of similar length share a call, so many short
answers cost a few calls and not hundreds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

# Costs in units of one (query, key) pair of one head, fitted on a CPU core: forward and backward, gathers included.
TOKEN_COST = 64
CALL_COST = 16384
MASKED_PAIR_COST = 1.5

Tree = tuple[int, Sequence[int]]


@dataclass(frozen=True)
class Bucket:
    """One attention call over `count` pieces, padded to `queries` x `keys` tokens; without a `mask` it is causal."""

    count: int
    queries: int
    keys: int
    mask: Tensor | None


@dataclass(frozen=True)
class Shared:
    """Tokens gathered more than once, `copies` times each: `positions` is [tokens, copies] in the gathered keys."""

    tokens: Tensor
    positions: Tensor


@dataclass(frozen=True)
class Segments:
    """The plan of one packed row of `token_count` tokens, passed to a model as `segments=`.

    Shapes: `position_ids` is [1, token_count]; `kept` and `first_copy` are [token_count], each token's place in the
    gathered queries and keys; `query_index` and `key_index` say which token is gathered where.
    """

    token_count: int
    longest: int
    position_ids: Tensor
    buckets: tuple[Bucket, ...]
    query_index: Tensor
    key_index: Tensor
    kept: Tensor
    first_copy: Tensor
    shared: tuple[Shared, ...]

    @classmethod
    def of(cls, trees: Sequence[Tree], device: torch.device | str = "cpu") -> Self:
        """The plan for `trees`, each (prompt length, branch lengths), in row order; either may be empty."""
        laid_out = list(_lay_out(trees))
        pieces = _cheaper_plan(laid_out)
        buckets = _bucketed(pieces)
        plan = _Indices.of(pieces, buckets, sum(prompt + sum(branches) for prompt, branches in trees))
        built = cls(
            token_count=plan.token_count,
            longest=max((tree.prompt + max(tree.branches, default=0) for tree in laid_out), default=0),
            position_ids=torch.from_numpy(_positions(laid_out))[None],
            buckets=tuple(_bucket(group) for group in buckets),
            query_index=torch.from_numpy(plan.query_index),
            key_index=torch.from_numpy(np.maximum(plan.key_index, 0)),
            kept=torch.from_numpy(plan.kept),
            first_copy=torch.from_numpy(plan.first_copy),
            shared=plan.shared(),
        )
        return built if str(device) == "cpu" else built.to(device)

    def to(self, device: torch.device | str) -> Self:
        """The same plan with its tensors on `device`."""
        moved: dict[str, Any] = {
            field.name: value.to(device)
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        moved["buckets"] = tuple(
            bucket if bucket.mask is None else replace(bucket, mask=bucket.mask.to(device)) for bucket in self.buckets
        )
        moved["shared"] = tuple(Shared(one.tokens.to(device), one.positions.to(device)) for one in self.shared)
        return replace(self, **moved)

    def spread_keys(self, key: Tensor) -> Tensor:
        """`key` [token_count, width] gathered to the keys' layout; its gradient sums the copies of shared prompts."""
        return _SpreadKeys.apply(key, self)  # pyright: ignore[reportReturnType]

    def spread_queries(self, query: Tensor) -> Tensor:
        """`query` [token_count, width] gathered to the queries' layout; copies that are not kept get no gradient."""
        return _SpreadQueries.apply(query, self)  # pyright: ignore[reportReturnType]

    def collect(self, attended: Tensor) -> Tensor:
        """The kept rows of `attended`, back in the row's own order: [token_count, width]."""
        return _Collect.apply(attended, self)  # pyright: ignore[reportReturnType]


@dataclass(frozen=True)
class _LaidOut:
    start: int
    prompt: int
    branches: tuple[int, ...]


@dataclass(frozen=True)
class _Piece:
    """One row of a call: keys are a prompt range, then a branch range; queries are the last `queries` of them."""

    prompt_start: int
    prompt: int
    branch_start: int
    branch: int
    keep_prompt: bool
    masked: bool = False

    @property
    def keys(self) -> int:
        return self.prompt + self.branch

    @property
    def queries(self) -> int:
        return self.branch if self.masked else self.keys


def _lay_out(trees: Sequence[Tree]) -> Iterator[_LaidOut]:
    start = 0
    for prompt, branches in trees:
        yield _LaidOut(start, prompt, tuple(branches))
        start += prompt + sum(branches)


def _positions(trees: Sequence[_LaidOut]) -> np.ndarray:
    runs = [np.arange(0)]
    for tree in trees:
        runs.append(np.arange(tree.prompt))
        runs.extend(np.arange(tree.prompt, tree.prompt + branch) for branch in tree.branches)
    return np.concatenate(runs)


def _cost(queries: int, keys: int, masked: bool) -> float:
    pairs = queries * keys * (MASKED_PAIR_COST if masked else 1.0)
    return pairs + TOKEN_COST * (queries + keys) / 2


def _piece_cost(piece: _Piece) -> float:
    return _cost(piece.queries, piece.keys, piece.masked)


def _cheaper_plan(trees: Sequence[_LaidOut]) -> list[_Piece]:
    """Every prompt repeated for each branch, or only where that beats a masked call: whichever costs less in all."""
    repeated = [piece for tree in trees for piece in _pieces(tree, mask_long=False)]
    masked = [piece for tree in trees for piece in _pieces(tree, mask_long=True)]
    return min((repeated, masked), key=lambda pieces: _plan_cost(_bucketed(pieces)))


def _pieces(tree: _LaidOut, *, mask_long: bool) -> Iterator[_Piece]:
    branch_start = tree.start + tree.prompt
    carried = False
    for branch in tree.branches:
        if branch:
            repeated = _Piece(tree.start, tree.prompt, branch_start, branch, keep_prompt=not carried)
            masked = replace(repeated, masked=True)
            useful = mask_long and carried and tree.prompt and _piece_cost(masked) < _piece_cost(repeated)
            yield masked if useful else repeated
            carried = True
        branch_start += branch
    if tree.prompt and not carried:
        yield _Piece(tree.start, tree.prompt, branch_start, 0, keep_prompt=True)


def _bucketed(pieces: Sequence[_Piece]) -> list[list[_Piece]]:
    """Pieces grouped by length: a new call begins when padding would cost more than the call."""
    groups: list[list[_Piece]] = []
    waste = 0.0
    for piece in sorted(pieces, key=lambda piece: (piece.masked, piece.keys, piece.queries), reverse=True):
        if groups and groups[-1][0].masked == piece.masked:
            first = groups[-1][0]
            # A masked piece may have more queries than the group's first; the padded width then grows for all.
            queries = max(first.queries, piece.queries)
            waste += _cost(queries, first.keys, piece.masked) - _piece_cost(piece)
            if waste <= CALL_COST:
                groups[-1].append(piece)
                continue
        groups.append([piece])
        waste = 0.0
    return groups


def _plan_cost(groups: Sequence[Sequence[_Piece]]) -> float:
    def cost(group: Sequence[_Piece]) -> float:
        return len(group) * _cost(max(piece.queries for piece in group), group[0].keys, group[0].masked)

    return sum(CALL_COST + cost(group) for group in groups)


def _bucket(group: Sequence[_Piece]) -> Bucket:
    queries, keys = max(piece.queries for piece in group), group[0].keys
    mask = None
    if group[0].masked:
        prompts = torch.tensor([piece.prompt for piece in group])[:, None, None, None]
        mask = torch.arange(keys)[None, :] <= prompts + torch.arange(queries)[:, None]
    return Bucket(len(group), queries, keys, mask)


@dataclass(frozen=True)
class _Indices:
    """The plan's index arrays; padding, which nothing kept sees, is token 0 among the queries and -1 among the keys."""

    token_count: int
    query_index: np.ndarray
    key_index: np.ndarray
    kept: np.ndarray
    first_copy: np.ndarray

    @classmethod
    def of(cls, pieces: Sequence[_Piece], groups: Sequence[Sequence[_Piece]], token_count: int) -> Self:
        query_rows: list[np.ndarray] = []
        key_rows: list[np.ndarray] = []
        kept = np.full(token_count, -1, dtype=np.int64)
        first_copy = np.full(token_count, -1, dtype=np.int64)
        query_at = key_at = 0
        for group in groups:
            width, key_width = max(piece.queries for piece in group), group[0].keys
            for piece in group:
                tokens = np.concatenate(
                    [
                        np.arange(piece.prompt_start, piece.prompt_start + piece.prompt),
                        np.arange(piece.branch_start, piece.branch_start + piece.branch),
                    ]
                )
                keep = tokens if piece.keep_prompt else tokens[piece.prompt :]
                queries = tokens[len(tokens) - piece.queries :]
                kept[keep] = query_at + piece.queries - len(keep) + np.arange(len(keep))
                first_copy[keep] = key_at + piece.keys - len(keep) + np.arange(len(keep))
                query_rows.append(np.pad(queries, (0, width - len(queries))))
                key_rows.append(np.pad(tokens, (0, key_width - len(tokens)), constant_values=-1))
                query_at += width
                key_at += key_width
        assert (kept >= 0).all(), "every token is kept once"
        empty = np.arange(0)
        return cls(
            token_count,
            np.concatenate([empty, *query_rows]),
            np.concatenate([empty, *key_rows]),
            kept,
            first_copy,
        )

    def shared(self) -> tuple[Shared, ...]:
        """Tokens with two or more copies among the keys, grouped by their number of copies."""
        real = np.flatnonzero(self.key_index >= 0)
        order = real[np.argsort(self.key_index[real], kind="stable")]
        copies = np.bincount(self.key_index[real], minlength=self.token_count)
        starts = np.cumsum(copies) - copies
        found = []
        for number in np.unique(copies[copies > 1]):
            tokens = np.flatnonzero(copies == number)
            positions = order[starts[tokens][:, None] + np.arange(number)]
            found.append(Shared(torch.from_numpy(tokens), torch.from_numpy(positions)))
        return tuple(found)


class _SpreadQueries(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, segments: Segments) -> Tensor:
        ctx.segments = segments
        return query.index_select(0, segments.query_index)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0].index_select(0, ctx.segments.kept), None


class _SpreadKeys(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, key: Tensor, segments: Segments) -> Tensor:
        ctx.segments = segments
        return key.index_select(0, segments.key_index)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        gathered = gradients[0].contiguous()
        gradient = gathered.index_select(0, ctx.segments.first_copy)
        for shared in ctx.segments.shared:
            copies = gathered.index_select(0, shared.positions.reshape(-1)).view(*shared.positions.shape, -1)
            gradient.index_copy_(0, shared.tokens, copies.sum(1))
        return gradient, None


class _Collect(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, attended: Tensor, segments: Segments) -> Tensor:
        ctx.segments, ctx.rows = segments, attended.shape[0]
        return attended.index_select(0, segments.kept)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        spread = gradients[0].new_zeros(ctx.rows, gradients[0].shape[1])
        return spread.index_copy_(0, ctx.segments.kept, gradients[0]), None
