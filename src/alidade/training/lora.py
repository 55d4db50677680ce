"""Low-rank adapters: put on before training, merged into plain weights after it."""

from __future__ import annotations

import warnings
from typing import Any

from torch import nn

from alidade.training.settings import LoraConfig


def add_lora(module: nn.Module, cfg: LoraConfig) -> nn.Module:
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
    with warnings.catch_warnings():
        # peft asks transformers for a property that it has renamed.
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        wrapped = peft.get_peft_model(module, config, autocast_adapter_dtype=False)  # pyright: ignore[reportArgumentType]
    if isinstance(head, nn.Module):
        head.requires_grad_(True)
    return wrapped


def merge_lora(module: nn.Module) -> nn.Module:
    """The plain model with its adapters added into the weights; a model without adapters is returned as it is."""
    merge: Any = getattr(module, "merge_and_unload", None)
    return module if merge is None else merge().requires_grad_(True)
