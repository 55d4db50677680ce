"""Do both sides compute the same? Loss and gradient of the same rows, from the same weights, in float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

TASKS = ("sft", "reward", "dpo")


def compare(ours: Path, peer: Path) -> dict[str, Any]:
    """The distance of two gradients over the length of the second, all weights together, and the least alike weight."""
    first, second = load_file(ours), load_file(peer)
    if first.keys() != second.keys():
        return {"error": f"other weights have gradients: {sorted(first.keys() ^ second.keys())[:4]}"}
    gaps = {name: float((first[name] - grad).norm() / grad.norm().clamp_min(1e-12)) for name, grad in second.items()}
    apart, length = (
        torch.stack([value.norm() for value in values]).norm()
        for values in ([first[name] - grad for name, grad in second.items()], list(second.values()))
    )
    worst = max(gaps, key=gaps.__getitem__)
    return {"relative_gap": float(apart / length), "worst": worst, "worst_gap": gaps[worst]}
