"""The sampling engine's memory: one slab of keys and values per layer, one slot per answer being written.

Slabs are fp32 on a CPU whatever the weights are: attention of one query to a few dozen keys is memory traffic and
small products, at which fp32 beats bf16 there by far.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


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
        dtype = torch.float32 if states.device.type == "cpu" else states.dtype
        # Zeros and not empty: what is masked out must still be finite. Pages are mapped only where they are written.
        return torch.zeros(self.slots, states.shape[1], self.length, states.shape[3], dtype=dtype, device=states.device)


@dataclass(frozen=True)
class Filling:
    """Stores a packed row's prompts in the slots from `first` on: each takes its row of `tokens` [slots, longest]."""

    cache: Cache
    first: int
    tokens: Tensor

    @property
    def longest(self) -> int:
        """Tokens of the longest prompt."""
        return self.tokens.shape[1]

    def store(self, layer: int, key: Tensor, value: Tensor) -> None:
        """Copy the keys and values of a packed row, [1, heads, tokens, width], into their slots."""
        for slab, states in zip(self.cache.slabs(layer, key, value), (key, value), strict=True):
            slots, length = self.tokens.shape
            taken = states[0].index_select(1, self.tokens.reshape(-1)).unflatten(1, (slots, length))
            slab[self.first : self.first + slots, :, :length] = taken.transpose(0, 1)


@dataclass(frozen=True)
class Step:
    """One token for each of the first slots, appended at `places` [slots]; `bias` [slots, 1, 1, keys] hides others."""

    cache: Cache
    slots: Tensor
    places: Tensor
    bias: Tensor

    @classmethod
    def at(cls, cache: Cache, places: Tensor, longest: int) -> Step:
        """The step that appends at `places`, the tokens each slot holds; `longest` is their maximum and 1."""
        seen = torch.arange(longest, device=places.device) <= places[:, None]
        dtype = torch.float32
        bias = torch.zeros(seen.shape, dtype=dtype, device=places.device).masked_fill_(~seen, -torch.inf)
        return cls(cache, torch.arange(len(places), device=places.device), places, bias[:, None, None])

    @property
    def longest(self) -> int:
        """Keys of the fullest slot, this step's included."""
        return self.bias.shape[-1]

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float | None) -> Tensor:
        """Attention output [slots, 1, heads, width] of one query per slot."""
        keys, values = self.cache.slabs(layer, key, value)
        keys[self.slots, :, self.places] = key[:, :, 0].to(keys.dtype)
        values[self.slots, :, self.places] = value[:, :, 0].to(values.dtype)
        count, heads, _, width = query.shape
        # Query heads that share a key head become that head's queries: keys are never copied.
        grouped = query.view(count, keys.shape[1], -1, width).to(keys.dtype)
        output = scaled_dot_product_attention(
            grouped,
            keys[:count, :, : self.longest],
            values[:count, :, : self.longest],
            attn_mask=self.bias.to(keys.dtype),
            scale=scale,
        )
        return output.reshape(count, 1, heads, -1).to(query.dtype)
