"""Pretraining: predict every next token of a mixture of texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from alidade.errors import DataError
from alidade.training.corpus import TextFile, Tokens, Windows, plan_windows, tokenise
from alidade.training.fit import Fit, TrainingResult, TrainingRun
from alidade.training.objectives.next_token import NextTokenObjective
from alidade.training.optimise import AdamW, Part
from alidade.training.packing import Packed, pack_windows
from alidade.training.settings import PretrainConfig
from alidade.training.trunk import prepare


class WindowSource:
    """The windows of a plan, `rows` a step; where it stands is one number."""

    def __init__(self, texts: Sequence[Tokens], plan: Windows, cfg: PretrainConfig, device: torch.device) -> None:
        self._texts, self._plan, self._cfg, self._device = texts, plan, cfg, device
        self._done = 0
        self._total = len(plan.starts) // cfg.rows

    @property
    def position(self) -> tuple[int, int]:
        """Steps done and in all."""
        return self._done, self._total

    def __iter__(self) -> Iterator[list[Packed]]:
        while self._done < self._total:
            first = self._done * self._cfg.rows
            places = range(first, first + self._cfg.rows)
            size = self._cfg.rows_at_once
            yield [self._rows(places[start : start + size]) for start in range(0, len(places), size)]

    def _rows(self, places: range) -> Packed:
        length = self._cfg.context + 1
        chosen = [(self._plan.sources[place], int(self._plan.starts[place])) for place in places]
        rows = _stack([self._texts[source][start : start + length] for source, start in chosen])
        return pack_windows(rows).to(self._device)

    def observe(self, report: object) -> None:
        """One more step is done."""
        self._done += 1

    def state_dict(self) -> dict[str, Any]:
        """The number of steps done."""
        return {"done": self._done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on after `done` steps."""
        self._done = state["done"]


def _stack(rows: Sequence[Tokens]) -> Tensor:
    return torch.from_numpy(np.stack(rows).astype(np.int64))


def train_text(
    module: nn.Module, tokenizer: Any, files: Sequence[TextFile], cfg: PretrainConfig, run: TrainingRun
) -> TrainingResult:
    """Train a causal language model, in place, on a weighted mixture of texts.

    The history has a row per step; every `heldout_every` steps, and at the end, it carries `heldout_<name>` per source,
    in nats per token.

    Raises:
        DataError: for a source without one full window, and for a malformed file.
    """
    cache = run.scratch / "tokens" if run.scratch is not None else None
    texts = [tokenise(tokenizer, file.folder / "train.jsonl", cache, run.progress) for file in files]
    heldout = {
        file.name: _heldout_rows(tokenise(tokenizer, file.folder / "heldout.jsonl", cache, run.progress), cfg)
        for file in files
        if (file.folder / "heldout.jsonl").exists()
    }
    steps = max(1, round(cfg.tokens / (cfg.rows * cfg.context)))
    sizes = [len(text) for text in texts]
    _refuse_short(files, sizes, cfg.context)
    plan = plan_windows(sizes, [file.weight for file in files], steps * cfg.rows, cfg.context, run.seed)
    device = next(module.parameters()).device
    prepare(module, cfg.checkpointing)
    optimiser = AdamW([Part("model", module)], cfg.optimiser)
    objective = NextTokenObjective()
    fit = Fit(module, objective, WindowSource(texts, plan, cfg, device), optimiser, run)
    settings = [cfg.model_dump(), sizes, [(file.name, file.weight) for file in files]]
    for report in fit.over("pretraining", "step", settings):
        if report.step % cfg.heldout_every == 0 or report.step == steps:
            report.note(**_heldout_losses(module, objective, heldout, cfg.rows_at_once))
    return TrainingResult(fit.history, _counts(files, sizes, plan, cfg.context))


def _refuse_short(files: Sequence[TextFile], sizes: Sequence[int], context: int) -> None:
    for file, size in zip(files, sizes, strict=True):
        if size < context + 1:
            raise DataError(
                f"{file.name} has {size} tokens, fewer than one row of {context + 1}",
                where=str(Path(file.folder) / "train.jsonl"),
                hint="add text or lower `context`",
            )


def _heldout_rows(text: Tokens, cfg: PretrainConfig) -> Tensor:
    count = min(cfg.heldout_rows, max(0, (len(text) - 1) // cfg.context))
    rows = [text[place * cfg.context : (place + 1) * cfg.context + 1] for place in range(count)]
    return _stack(rows) if rows else torch.zeros((0, cfg.context + 1), dtype=torch.int64)


@torch.no_grad()
def _heldout_losses(
    module: nn.Module, objective: NextTokenObjective, heldout: Mapping[str, Tensor], rows_at_once: int
) -> dict[str, float]:
    device = next(module.parameters()).device
    losses = {}
    for name, rows in heldout.items():
        if len(rows):
            batches = [pack_windows(chunk).to(device) for chunk in rows.split(rows_at_once)]
            total = sum(float(objective.loss(module, batch).total) for batch in batches)
            losses[f"heldout_{name}"] = total / sum(objective.weight(batch) for batch in batches)
    return losses


def _counts(files: Sequence[TextFile], sizes: Sequence[int], plan: Windows, context: int) -> dict[str, Any]:
    rows = np.bincount(plan.sources, minlength=len(files))
    return {
        file.name: {
            "tokens": int(size),
            "tokens_trained": int(count) * context,
            "passes": round(float(count) * context / size, 4),
        }
        for file, size, count in zip(files, sizes, rows, strict=True)
    }
