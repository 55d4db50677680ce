"""The sampling engine's memory: one slab of keys and values per layer, one slot per answer being written.

What many prompts begin with is kept once, as a `Prefix`: a slot then holds what follows it, and a step reads the prefix once
for all of its slots. Slabs are fp32 on a CPU whatever the weights are: attention of one query to a few dozen keys is memory traffic and
small products, at which fp32 beats bf16 there by far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from alidade.models.segments import Segments


@dataclass(frozen=True)
class Cache:
    """Slabs [slots, key heads, length, width] per layer, made when a layer first stores into them."""

    slots: int
    length: int
    keys: dict[int, Tensor] = field(default_factory=dict)
    values: dict[int, Tensor] = field(default_factory=dict)

    def slabs(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """The layer's slabs of keys and values, shaped like `key` and `value` of [.., heads, tokens, width]."""
        if layer not in self.keys:
            self.keys[layer], self.values[layer] = self._slab(key), self._slab(value)
        return self.keys[layer], self.values[layer]

    def move(self, sources: Tensor, targets: Tensor, longest: int) -> None:
        """Copy the first `longest` tokens of the slots `sources` over the slots `targets`."""
        for slab in (*self.keys.values(), *self.values.values()):
            used = slab[:, :, :longest]
            used.index_copy_(0, targets, used.index_select(0, sources))

    def _slab(self, states: Tensor) -> Tensor:
        # Zeros and not empty: what is masked out must still be finite. Pages are mapped only where they are written.
        shape = (self.slots, states.shape[1], self.length, states.shape[3])
        return torch.zeros(shape, dtype=_stored_dtype(states), device=states.device)


def _stored_dtype(states: Tensor) -> torch.dtype:
    return torch.float32 if states.device.type == "cpu" else states.dtype


@dataclass(frozen=True)
class Prefix:
    """The first `length` tokens of many prompts: keys and values [key heads, length, width] per layer."""

    length: int
    keys: dict[int, Tensor] = field(default_factory=dict)
    values: dict[int, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Any, tokens: Sequence[int]) -> Self:
        """What `model` makes of `tokens`."""
        prefix = cls(len(tokens))
        segments = Segments.of([(len(tokens), ())], model.device)
        shaped = {
            "input_ids": torch.tensor(list(tokens), device=model.device)[None],
            "position_ids": segments.position_ids,
        }
        model(**shaped, segments=segments, slots=prefix, use_cache=False, logits_to_keep=1)
        return prefix

    @property
    def longest(self) -> int:
        """Tokens of the row that is stored."""
        return self.length

    def store(self, layer: int, key: Tensor, value: Tensor) -> None:
        """Keep the keys and values of the prefix as a row of its own, [1, heads, tokens, width]."""
        self.keys[layer] = key[0].to(_stored_dtype(key)).contiguous()
        self.values[layer] = value[0].to(_stored_dtype(value)).contiguous()


@dataclass(frozen=True)
class Parts:
    """A packed row of parts one after another, each a plan of trees that stand behind a prefix, where there is one."""

    parts: tuple[tuple[Segments, Prefix | None], ...]

    @property
    def longest(self) -> int:
        """Tokens of the longest text, its prefix included."""
        return max(segments.longest + (prefix.length if prefix else 0) for segments, prefix in self.parts)

    @property
    def position_ids(self) -> Tensor:
        """Places of the row's tokens in their texts, [1, tokens]."""
        ids = [segments.position_ids + (prefix.length if prefix else 0) for segments, prefix in self.parts]
        return torch.cat(ids, 1)

    def store(self, layer: int, key: Tensor, value: Tensor) -> None:
        """Nothing of the row is kept."""


@dataclass(frozen=True)
class Filling(Parts):
    """Stores a packed row's prompts in the slots from `first` on: each takes its row of `tokens` [slots, longest]."""

    cache: Cache
    first: int
    tokens: Tensor

    def store(self, layer: int, key: Tensor, value: Tensor) -> None:
        """Copy the keys and values of a packed row, [1, heads, tokens, width], into their slots."""
        for slab, states in zip(self.cache.slabs(layer, key, value), (key, value), strict=True):
            slots, length = self.tokens.shape
            taken = states[0].index_select(1, self.tokens.reshape(-1)).unflatten(1, (slots, length))
            slab[self.first : self.first + slots, :, :length] = taken.transpose(0, 1)


@dataclass(frozen=True)
class Step:
    """One token for each of the first slots, appended at `places` [slots]; `bias` [slots, 1, 1, keys] hides others.

    `positions` are the places in the whole text; `shared` says which slots stand behind which prefix.
    """

    cache: Cache
    slots: Tensor
    places: Tensor
    positions: Tensor
    longest: int
    bias: Tensor
    shared: Sequence[tuple[Prefix, Tensor]]

    @classmethod
    def at(cls, cache: Cache, places: Tensor, before: Tensor, shared: Sequence[tuple[Prefix, Tensor]] = ()) -> Step:
        """The step that appends at `places`, the tokens each slot holds, behind `before` tokens of its prefix."""
        positions = places + before if shared else places
        longest = int(positions.max()) + 1
        keys = int(places.max()) + 1 if shared else longest
        seen = torch.arange(keys, device=places.device) <= places[:, None]
        bias = torch.zeros(seen.shape, dtype=torch.float32, device=places.device).masked_fill_(~seen, -torch.inf)
        slots = torch.arange(len(places), device=places.device)
        return cls(cache, slots, places, positions, longest, bias[:, None, None], shared)

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float | None) -> Tensor:
        """Attention output [slots, 1, heads, width] of one query per slot."""
        keys, values = self.cache.slabs(layer, key, value)
        keys[self.slots, :, self.places] = key[:, :, 0].to(keys.dtype)
        values[self.slots, :, self.places] = value[:, :, 0].to(values.dtype)
        count, heads, _, width = query.shape
        # Query heads that share a key head become that head's queries: keys are never copied.
        grouped = query.view(count, keys.shape[1], -1, width).to(keys.dtype)
        length = self.bias.shape[-1]
        keys, values = keys[:count, :, :length], values[:count, :, :length]
        if self.shared:
            output = self._in_two_parts(layer, grouped, keys, values, width**-0.5 if scale is None else scale)
        else:
            bias = self.bias.to(keys.dtype)
            output = scaled_dot_product_attention(grouped, keys, values, attn_mask=bias, scale=scale)
        return output.reshape(count, 1, heads, -1).to(query.dtype)

    def _in_two_parts(self, layer: int, query: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
        """Attention to the slots' own tokens and to their prefixes, weighted as one softmax over both would.

        Source: Juravsky and others, "Hydragen: high-throughput LLM inference with shared prefixes" (2024).
        """
        output, size = _attended(query, keys, values, scale, self.bias)
        for prefix, slots in self.shared:
            # All slots behind a prefix are one matrix of queries against one of keys.
            rows = query.index_select(0, slots)
            count, heads, queries, width = rows.shape
            stacked = rows.transpose(0, 1).reshape(heads, count * queries, width)
            there, there_size = _attended(stacked, prefix.keys[layer], prefix.values[layer], scale)
            there = there.view(heads, count, queries, -1).transpose(0, 1)
            there_size = there_size.view(heads, count, queries, 1).transpose(0, 1)
            weight = torch.sigmoid(there_size - size.index_select(0, slots))
            output.index_copy_(0, slots, output.index_select(0, slots).lerp(there, weight))
        return output


def _attended(
    query: Tensor, keys: Tensor, values: Tensor, scale: float, bias: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """What `query` reads from these keys alone, and the logarithm of the sum of their exponential scores, in fp32."""
    scores = torch.matmul(query, keys.transpose(-2, -1)).float().mul_(scale)
    if bias is not None:
        scores += bias
    highest = scores.amax(-1, keepdim=True)
    weights = scores.sub_(highest).exp_()
    total = weights.sum(-1, keepdim=True)
    return torch.matmul(weights.to(values.dtype), values).float().div_(total), highest + total.log()
