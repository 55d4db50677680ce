"""Low-rank adapters: put on before training, merged into plain weights after it.

Several networks may stand on one base: each has adapters (and perhaps a head) of its own and the very same frozen weights,
which are then in memory once. There is no switch between adapters, so none can be left in the wrong position.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from alidade.seeds import derive
from alidade.training.settings import LoraConfig


def add_lora(module: nn.Module, cfg: LoraConfig, seed: int = 0) -> nn.Module:
    """`module` frozen, with adapters that start as the identity; a classification head, if any, stays trainable."""
    import peft

    targets: Any = cfg.targets if isinstance(cfg.targets, str) else list(cfg.targets)
    head = getattr(module, "score", None)
    config = peft.LoraConfig(
        r=cfg.rank,
        lora_alpha=cfg.alpha,  # pyright: ignore[reportArgumentType]
        lora_dropout=0.0,
        target_modules=targets,
        exclude_modules=["score"] if head is not None else None,
    )
    # Adapters in the weights' own type: the optimiser keeps fp32 masters, and no layer's input need be converted.
    with warnings.catch_warnings(), torch.random.fork_rng():
        torch.manual_seed(derive(seed, "adapters"))
        # peft asks transformers for a property that it has renamed.
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        wrapped = peft.get_peft_model(module, config, autocast_adapter_dtype=False)  # pyright: ignore[reportArgumentType]
    if isinstance(head, nn.Module):
        head.requires_grad_(True)
    return wrapped


def adapted(module: nn.Module, cfg: LoraConfig, seed: int) -> nn.Module:
    """`module` itself if it has adapters already, else with fresh ones."""
    return module if hasattr(module, "merge_and_unload") else add_lora(module, cfg, seed)


def merge_lora(module: nn.Module) -> nn.Module:
    """The plain model with its adapters added into the weights; a model without adapters is returned as it is.

    The weights change in place, and with them every network that stands on the same ones.
    """
    merge: Any = getattr(module, "merge_and_unload", None)
    return module if merge is None else merge().requires_grad_(True)


def twin(module: nn.Module) -> nn.Module:
    """A copy of `module` that stands on the same frozen weights and has whatever is trained for itself."""
    frozen = {id(weight): weight for weight in module.parameters() if not weight.requires_grad}
    return copy.deepcopy(module, dict[int, Any](frozen))


def weight_bytes(modules: Iterable[nn.Module]) -> int:
    """Memory of all weights of `modules` together, in bytes; what several of them share counts once."""
    storages = [weight.untyped_storage() for module in modules for weight in module.parameters()]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())
