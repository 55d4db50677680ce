"""How many tokens fit in the memory that one pass may take: measured on the network itself, and the same each time.

What is counted are the bytes that autograd keeps for the backward pass, not those the process or the card happens to hold:
the cut of a step into passes decides the last bits of its gradient, and those must not depend on what else runs.
"""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from alidade.errors import UsageError
from alidade.models.attention import unwrapped
from alidade.models.engine import context_length
from alidade.training.packing import Tree, pack_trees
from alidade.training.settings import Room
from alidade.training.trunk import hidden_states, layer_count

MIB = 1 << 20
Settings = TypeVar("Settings", bound=Any)


def with_room(cfg: Settings, *modules: nn.Module | None) -> Settings:
    """`cfg` with `tokens_at_once` from its `memory`, where that is given; `modules` are those trained together.

    They are prepared, and weights that will be trained want a gradient.

    Raises:
        UsageError: when not even a hundred tokens fit.
    """
    name = "updating" if hasattr(cfg, "updating") else "batching"
    room: Room = getattr(cfg, name)
    if room.memory is None:
        return cfg
    each = sum(kept_per_token(module) for module in modules if module is not None)
    tokens = int(room.memory * MIB / each)
    if tokens < 100:
        raise UsageError(
            f"{room.memory} MiB are room for {tokens} tokens of {each / 1024:.0f} KiB each",
            where=f"{name}.memory",
            hint=f"give it {100 * each / MIB:.0f} or more, or set {name}.checkpointing",
        )
    return cfg.model_copy(update={name: room.model_copy(update={"tokens_at_once": tokens})})


def kept_per_token(module: nn.Module) -> float:
    """Bytes the trunk keeps of one token for the backward pass, on prompts of 64 tokens with two answers as long.

    Where layers are computed again, the one that is being computed counts too.
    """
    model = unwrapped(module)
    kept = _kept(module)
    if getattr(model, "recomputes_layers", False):
        model.recomputes_layers = False
        kept += _kept(module) / layer_count(model)
        model.recomputes_layers = True
    return kept


def _kept(module: nn.Module) -> float:
    """The slope between rows of one and of three trees: what is kept once for all tokens does not count."""
    few, many = (_kept_in_all(module, trees) for trees in (1, 3))
    return (many[0] - few[0]) / (many[1] - few[1])


def _kept_in_all(module: nn.Module, trees: int) -> tuple[int, int]:
    part = [1] * min(64, (context_length(module) or 128) // 2)
    packed = pack_trees([Tree(part, [part, part])] * trees).to(next(module.parameters()).device)
    storages: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        alive.append(tensor)
        return tensor

    alive: list[Tensor] = []  # so that no address is used twice
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        hidden_states(module, packed, packed.predictors)
    weights = {weight.untyped_storage().data_ptr() for weight in module.parameters()}
    return sum(size for place, size in storages.items() if place not in weights), len(packed.ids)
