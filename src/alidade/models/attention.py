"""The one attention function, registered as "alidade": packed trees, decoding slots, or plain causal rows.

A model is switched to it by `attach`. After that `module(input_ids=flat, position_ids=segments.position_ids,
segments=segments, use_cache=False)` runs a packed row, with `slots` it serves the sampling engine, and with neither
it is plain causal attention.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

from alidade.errors import ModelError
from alidade.models.cache import Parts, Prefix, Step
from alidade.models.segments import Bucket, Segments

NAME = "alidade"
EXPLICIT_LENGTH = 1024
COPIED_TOKENS = 8192  # most keys of one call when a prefix is copied before each piece
UNSUPPORTED = {
    "softcap": "soft-capped attention scores",
    "s_aux": "attention sinks",
    "position_bias": "a learned bias on attention scores",
}


def unwrapped(module: torch.nn.Module) -> Any:
    """The transformers model inside a possible adapter wrapper; adapters stay in effect."""
    inner = getattr(module, "get_base_model", None)
    return inner() if inner is not None else module


def attach(module: torch.nn.Module) -> None:
    """Make `module` compute attention with this function.

    Raises:
        ModelError: when the architecture needs something that cannot be done exactly here.
    """
    model = unwrapped(module)
    config = model.config.get_text_config()
    if config._attn_implementation == NAME:
        return
    where = f"model type {config.model_type!r}"
    hint = "models with plain softmax attention can be run: Llama, Qwen, Gemma, Mistral, GPT-2 and their kin"
    kinds = set(getattr(config, "layer_types", None) or ()) - {"full_attention", "sliding_attention"}
    if kinds:
        raise ModelError(f"layers of kind {', '.join(sorted(kinds))} cannot be packed", where=where, hint=hint)
    if getattr(config, "attn_logit_softcapping", None) is not None:
        raise ModelError("soft-capped attention scores cannot be computed exactly", where=where, hint=hint)
    if not getattr(model, "_supports_attention_backend", False):
        raise ModelError("the architecture brings its own attention and cannot be packed", where=where, hint=hint)
    model.set_attn_implementation(NAME)


def alidade_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **how: Any,
) -> tuple[Tensor, None]:
    """Attention output [batch, length, heads, width] for `query`, `key`, `value` of [batch, heads, length, width].

    Raises:
        ModelError: when the model asks for a feature that is not computed exactly here.
    """
    segments: Segments | None = how.get("segments")
    slots: Parts | Prefix | Step | None = how.get("slots")
    scale, dropout = how.get("scaling"), how.get("dropout", 0.0)
    planned = segments or slots
    _refuse(module, how, key.shape[2] if planned is None else planned.longest)
    if isinstance(slots, Step):
        return slots.attend(_layer(module), query, key, value, scale), None
    if slots is not None:
        slots.store(_layer(module), key, value)
    if isinstance(slots, Parts):
        return _in_parts(query, key, value, slots, layer=_layer(module), scale=scale), None
    if segments is not None:
        attend = partial(_bucket_attention, scale=scale, dropout=dropout)
        return _packed(query, key, value, segments, attend), None
    return _plain(query, key, value, attention_mask, scale=scale, dropout=dropout).transpose(1, 2), None


def _refuse(module: torch.nn.Module, how: dict[str, Any], longest: int) -> None:
    for name, feature in UNSUPPORTED.items():
        if how.get(name) is not None:
            raise ModelError(f"{feature} cannot be computed exactly", where=type(module).__name__)
    window = how.get("sliding_window")
    if window is not None and longest > window:
        raise ModelError(
            f"a row of {longest} tokens is longer than the model's sliding window of {window}",
            where=type(module).__name__,
            hint=f"cut prompts and answers to {window} tokens together",
        )


def _layer(module: torch.nn.Module) -> int:
    layer = getattr(module, "layer_idx", None)
    if layer is None:
        raise ModelError("an attention layer does not say which one it is", where=type(module).__name__)
    return layer


_Attend = Callable[[Tensor, Tensor, Tensor, Bucket], Tensor]


def _in_parts(query: Tensor, key: Tensor, value: Tensor, row: Parts, *, layer: int, scale: float | None) -> Tensor:
    """Each part of the row packed for itself, behind its prefix where it has one."""
    sizes = [segments.token_count for segments, _ in row.parts]
    rows = zip(*(states.split(sizes, 2) for states in (query, key, value)), row.parts, strict=True)
    attended = []
    for query_row, key_row, value_row, (segments, prefix) in rows:
        attend: _Attend = partial(_bucket_attention, scale=scale, dropout=0.0)
        if prefix is not None:
            attend = partial(_behind, before=(prefix.keys[layer], prefix.values[layer]), scale=scale)
        attended.append(_packed(query_row, key_row, value_row, segments, attend))
    return torch.cat(attended, 1) if len(attended) > 1 else attended[0]


def _packed(query: Tensor, key: Tensor, value: Tensor, segments: Segments, attend: _Attend) -> Tensor:
    batch, heads, length, width = query.shape
    if batch != 1 or length != segments.token_count:
        raise ModelError(f"a packed row of {segments.token_count} tokens was called with a batch [{batch}, {length}]")
    queries = segments.spread_queries(_flat(query))
    keys = segments.spread_keys(_flat(key))
    values = segments.spread_keys(_flat(value))
    # Split and not sliced: the gradient of a split is one concatenation, that of each slice a whole row of zeros.
    query_sizes = [bucket.count * bucket.queries for bucket in segments.buckets]
    key_sizes = [bucket.count * bucket.keys for bucket in segments.buckets]
    parts = zip(queries.split(query_sizes), keys.split(key_sizes), values.split(key_sizes), strict=True)
    attended = [
        attend(
            _rectangle(query_rows, bucket.count, width),
            _rectangle(key_rows, bucket.count, width),
            _rectangle(value_rows, bucket.count, width),
            bucket,
        )
        for bucket, (query_rows, key_rows, value_rows) in zip(segments.buckets, parts, strict=True)
    ]
    return segments.collect(torch.cat(attended) if len(attended) > 1 else attended[0]).view(1, length, heads, -1)


def _flat(states: Tensor) -> Tensor:
    """[1, heads, length, width] as [length, heads * width]."""
    return states[0].transpose(0, 1).flatten(1)


def _rectangle(rows: Tensor, count: int, width: int) -> Tensor:
    """[count * length, heads * width] as [count, heads, length, width]."""
    return rows.view(count, rows.shape[0] // count, -1, width).transpose(1, 2)


def _behind(
    query: Tensor, key: Tensor, value: Tensor, bucket: Bucket, *, before: tuple[Tensor, Tensor], scale: float | None
) -> Tensor:
    """One call's output for pieces behind a prefix's keys and values, a few at a time: each takes a copy."""
    length = before[0].shape[1]
    keys = length + bucket.keys
    at_once = max(1, COPIED_TOKENS // keys)
    masks = bucket.mask if bucket.mask is None else bucket.mask.split(at_once)
    attended = []
    parts = zip(*(states.split(at_once) for states in (query, key, value)), strict=True)
    for place, (query_rows, *rows) in enumerate(parts):
        whole_key, whole_value = (
            torch.cat([shared.to(own.dtype).expand(len(own), -1, -1, -1), own], 2)
            for shared, own in zip(before, rows, strict=True)
        )
        mask = None if masks is None else torch.nn.functional.pad(masks[place], (length, 0), value=True)
        whole = Bucket(len(query_rows), bucket.queries, keys, mask)
        attended.append(_bucket_attention(query_rows, whole_key, whole_value, whole, scale=scale, dropout=0.0))
    return torch.cat(attended)


def _bucket_attention(
    query: Tensor, key: Tensor, value: Tensor, bucket: Bucket, *, scale: float | None, dropout: float
) -> Tensor:
    """One call's output as [count * queries, heads * width]."""
    if query.device.type == "cpu" and query.dtype == torch.bfloat16:
        if bucket.keys <= EXPLICIT_LENGTH and not dropout:
            return _explicit(query, key, value, bucket.mask, scale).transpose(1, 2).flatten(0, 1).flatten(1)
        # The bf16 kernel's backward pass is several times slower on a CPU than the fp32 one.
        output = _plain(query.float(), key.float(), value.float(), bucket.mask, scale=scale, dropout=dropout)
        return output.to(query.dtype).transpose(1, 2).flatten(0, 1).flatten(1)
    output = _plain(query, key, value, bucket.mask, scale=scale, dropout=dropout)
    return output.transpose(1, 2).flatten(0, 1).flatten(1)


def _plain(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, *, scale: float | None, dropout: float
) -> Tensor:
    """Causal attention (or `mask`); queries are the last of the keys."""
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    length, key_length = query.shape[2], key.shape[2]
    causal = mask is None and length > 1
    if causal and length < key_length:
        mask = torch.ones(length, key_length, dtype=torch.bool, device=query.device).tril(key_length - length)
        causal = False
    return scaled_dot_product_attention(
        query, key, value, attn_mask=mask, dropout_p=dropout, is_causal=causal, scale=scale
    )


def _explicit(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float | None) -> Tensor:
    """Attention by two matrix products and a softmax: in bf16 on a CPU much faster than the fused kernel."""
    count, heads, queries, width = query.shape
    keys, groups = key.shape[2], heads // key.shape[1]
    batch = count * key.shape[1]
    # Query heads of one key head are stacked along the length: no copy of keys and values for grouped queries.
    stacked = query.reshape(batch, groups * queries, width)
    scores_bias = _score_bias(query, mask, queries, keys, groups)
    if scores_bias.dim() == 3:
        scores_bias = scores_bias[:, None].expand(count, key.shape[1], *scores_bias.shape[1:]).flatten(0, 1)
    scores = torch.baddbmm(
        scores_bias,
        stacked,
        key.reshape(batch, keys, width).transpose(1, 2),
        alpha=width**-0.5 if scale is None else scale,
    )
    return torch.bmm(scores.softmax(-1), value.reshape(batch, keys, -1)).view(count, heads, queries, -1)


def _score_bias(query: Tensor, mask: Tensor | None, queries: int, keys: int, groups: int) -> Tensor:
    """0 where a query may look and -inf elsewhere, [groups * queries, keys] or [count, groups * queries, keys]."""
    causal = torch.ones(queries, keys, dtype=torch.bool, device=query.device).tril(keys - queries)
    seen = causal if mask is None else mask[:, 0]
    bias = torch.zeros(seen.shape, dtype=query.dtype, device=query.device).masked_fill_(~seen, -torch.inf)
    return bias.repeat(*(1,) * (bias.dim() - 2), groups, 1)


def _padding_mask(**how: Any) -> Tensor | None:
    """No mask at all, unless a batch is padded: then the dense one, so that a padded batch is slow and never wrong."""
    padding: Tensor | None = how.get("attention_mask")
    if padding is None or bool(padding.all()):
        return None
    return sdpa_mask(**{**how, "allow_is_causal_skip": False})


AttentionInterface.register(NAME, alidade_attention)
AttentionMaskInterface.register(NAME, _padding_mask)
