"""Supervised fine-tuning: the answer's tokens, stop token included, given the prompt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from alidade.models.local import LocalModel
from alidade.records import Demonstration
from alidade.training.diagnose import check_modes
from alidade.training.fit import Fit, TrainingResult, TrainingRun
from alidade.training.lm import token_scores
from alidade.training.objectives.next_token import NextTokenObjective
from alidade.training.optimise import AdamW, Part
from alidade.training.packing import Packed, pack_rows
from alidade.training.preflight import ends, shares
from alidade.training.room import with_room
from alidade.training.settings import Batching, RowLimits, SftConfig
from alidade.training.sources import ShuffledRows, Shuffling, dropped_counts, refuse_loss
from alidade.training.symptoms import symptoms
from alidade.training.trunk import hidden_states, prepare


@dataclass(frozen=True)
class TokenRow:
    """One rendered row: `trained[i]` says whether token i is learned."""

    ids: list[int]
    trained: list[bool]


def render_rows(
    model: LocalModel, rows: Sequence[Demonstration], limits: RowLimits
) -> tuple[list[TokenRow], dict[str, Any]]:
    """Rows as token ids, and the counts of rows and tokens: seen, trained, masked, dropped by reason.

    Raises:
        DataError: when more rows are lost than `limits` allow.
    """
    longest = limits.longest(model.context_length)
    kept: list[TokenRow] = []
    dropped: Counter[str] = Counter()
    for row in rows:
        rendered = model.renderer.row(row.prompt, row.answer)
        if len(rendered.ids) > longest:
            dropped["too long"] += 1
        elif not any(rendered.trained[1:]):
            dropped["nothing to train on"] += 1
        else:
            kept.append(TokenRow(list(rendered.ids), list(rendered.trained)))
    refuse_loss(len(rows), dropped, limits.allowed_loss, "demonstrations")
    tokens = sum(len(row.ids) for row in kept)
    trained = sum(sum(row.trained) for row in kept)
    return kept, {
        "rows": len(rows),
        "dropped": dropped_counts(dropped, "too long", "nothing to train on"),
        "truncated": 0,
        "tokens": tokens,
        "trained_tokens": trained,
        "masked_tokens": tokens - trained,
    }


def train_sft(model: LocalModel, rows: Sequence[Demonstration], cfg: SftConfig, run: TrainingRun) -> TrainingResult:
    """Fine-tune `model` in place on demonstrations.

    Raises:
        DataError: when more rows are lost than the limits allow.
        TrainingStopped: when a loss is not finite.
    """
    module = prepare(model.module, cfg.batching.checkpointing)
    cfg = with_room(cfg, module)
    items, counts = render_rows(model, rows, cfg.limits)
    device = next(module.parameters()).device

    def collate(chosen: list[TokenRow]) -> Packed:
        return pack_rows([(row.ids, row.trained) for row in chosen]).to(device)

    source = ShuffledRows(items, lambda row: len(row.ids), collate, Shuffling(cfg.batching, run.seed, "sft"))
    last = [row.ids[-1:] if row.trained[-1] else [-1] for row in items]
    preflight = [*ends(last, model.renderer.stop_ids), *check_modes(module, collate(items[:1])), *shares(counts)]
    fit = Fit(module, NextTokenObjective(), source, AdamW([Part("policy", module)], cfg.optimiser), run)
    for _ in fit.over("fine-tuning", "step", [cfg.model_dump(), counts]):
        pass
    return TrainingResult(fit.history, counts, {"symptoms": symptoms(fit.history)}, preflight)


@torch.no_grad()
def heldout_nll(model: LocalModel, rows: Sequence[Demonstration], tokens_at_once: int = 4096) -> float:
    """Mean negative log-likelihood, in nats per trained token, of demonstrations the model was not trained on."""
    module = prepare(model.module)
    device = next(module.parameters()).device
    items, counts = render_rows(model, rows, RowLimits(allowed_loss=1.0))
    batching = Batching(rows=len(items), tokens_at_once=tokens_at_once)
    source = ShuffledRows(
        items,
        lambda row: len(row.ids),
        lambda chosen: pack_rows([(row.ids, row.trained) for row in chosen]).to(device),
        Shuffling(batching, 0, "heldout"),
    )
    total = 0.0
    for packed in next(iter(source)):
        states = hidden_states(module, packed, packed.predictors)
        total -= float(token_scores(module, states, packed.targets).log_probs.sum())
    return total / counts["trained_tokens"]
