"""AdamW with fp32 masters, gradient clipping per network, and the learning-rate schedule."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from alidade.training.settings import OptimiserConfig

LOW_PRECISION = (torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class Part:
    """One network of a training run, with its own clipping and, if given, its own peak step size."""

    name: str
    module: nn.Module
    learning_rate: float | None = None


def rate_factor(cfg: OptimiserConfig, done: int, total: int) -> float:
    """Share of the peak step size for unit `done` (from 0) of `total`: in (0, 1]."""
    warm = math.ceil(cfg.warmup * total)
    if done < warm:
        return (done + 1) / warm
    start = max(warm, math.floor(cfg.decay_start * total))
    if cfg.schedule == "constant" or done < start:
        return 1.0
    gone = (done - start) / max(1, total - start)
    return 1.0 - gone if cfg.schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * gone))


class AdamW:
    """AdamW over the trainable weights of several networks; 16-bit weights keep an fp32 master and fp32 gradients.

    Gradients of micro-batches are added up in the master's precision, so accumulation is as exact as one large batch.
    """

    def __init__(self, parts: Sequence[Part], cfg: OptimiserConfig) -> None:
        self.cfg = cfg
        self.steps_done = 0
        self._names: list[str] = []
        self._weights: list[nn.Parameter] = []
        self._masters: list[Tensor] = []
        self._ranges: dict[str, range] = {}
        self._peaks: list[float] = []
        groups = [group for part in parts for group in self._adopt(part)]
        self._adam = torch.optim.AdamW(groups, betas=cfg.betas, eps=cfg.eps, weight_decay=0.0, fused=True)

    def _adopt(self, part: Part) -> Iterator[dict[str, Any]]:
        first = len(self._masters)
        for name, weight in part.module.named_parameters():
            if weight.requires_grad:
                low = weight.dtype in LOW_PRECISION
                self._names.append(f"{part.name}.{name}")
                self._weights.append(weight)
                self._masters.append(weight.detach().float().requires_grad_() if low else weight)
        self._ranges[part.name] = range(first, len(self._masters))
        peak = part.learning_rate or self.cfg.learning_rate
        mine = self._masters[first:]
        for chosen, decay in (
            ([master for master in mine if master.ndim >= 2], self.cfg.weight_decay),
            ([master for master in mine if master.ndim < 2], 0.0),
        ):
            if chosen:
                self._peaks.append(peak)
                yield {"params": chosen, "weight_decay": decay, "lr": peak}

    def collect(self) -> None:
        """Move the gradients of one micro-batch into the masters."""
        for weight, master in zip(self._weights, self._masters, strict=True):
            if weight is master or weight.grad is None:
                continue
            if master.grad is None:
                master.grad = weight.grad.float()
            else:
                master.grad += weight.grad
            weight.grad = None

    def clip(self) -> dict[str, float]:
        """Scale each network's gradient down to the largest allowed norm; the norms before scaling."""
        norms = {}
        for name, places in self._ranges.items():
            masters = [self._masters[place] for place in places]
            norms[name] = float(nn.utils.clip_grad_norm_(masters, self.cfg.clip)) if masters else 0.0
        return norms

    def step(self, factor: float) -> None:
        """Update the weights at `factor` times the peak step size, and forget the gradients."""
        for group, peak in zip(self._adam.param_groups, self._peaks, strict=True):
            group["lr"] = peak * factor
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)
        self._publish()
        self.steps_done += 1

    def _publish(self) -> None:
        with torch.no_grad():
            for weight, master in zip(self._weights, self._masters, strict=True):
                if weight is not master:
                    weight.copy_(master)

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on: the fp32 weights, both moments, and the number of steps."""
        masters = {name: master.detach() for name, master in zip(self._names, self._masters, strict=True)}
        return {"masters": masters, "adam": self._adam.state_dict(), "steps_done": self.steps_done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`; the networks' own weights are set from the masters."""
        with torch.no_grad():
            for name, master in zip(self._names, self._masters, strict=True):
                master.copy_(state["masters"][name])
        self._adam.load_state_dict(state["adam"])
        self.steps_done = state["steps_done"]
        self._publish()
