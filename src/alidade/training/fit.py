"""The one training loop: a source yields the micro-batches of a step, an objective their loss, the optimiser steps.

`steps` is a generator that owns nothing but the step itself; `Fit` adds progress, history and checkpoints. In both the
caller owns the `for` loop, so there are no callbacks: to measure something every hundred steps, write that in its body.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from alidade.digest import digest_of
from alidade.errors import TrainingStopped
from alidade.progress import Progress, SilentProgress
from alidade.training.checkpoint import load_checkpoint, save_checkpoint
from alidade.training.optimise import AdamW, rate_factor
from alidade.training.preflight import Checked


@dataclass(frozen=True)
class Loss:
    """The loss of a micro-batch as a sum, and what else was summed on the way (all divided by the step's weight)."""

    total: Tensor
    sums: Mapping[str, Tensor | float] = field(default_factory=dict)


class Objective(Protocol):
    """What is minimised. The weight is known before the forward pass, so accumulation can be exact."""

    def weight(self, batch: Any) -> float:
        """How much `batch` counts: tokens, pairs."""
        ...

    def loss(self, model: nn.Module, batch: Any) -> Loss:
        """The summed loss of `batch`."""
        ...


class BatchSource(Protocol):
    """Where batches come from: each item is the list of micro-batches of one optimiser step."""

    @property
    def position(self) -> tuple[int, int]:
        """(unit being worked on, units in all): what the schedule and the progress bar count."""
        ...

    def __iter__(self) -> Iterator[Sequence[Any]]: ...

    def observe(self, report: StepReport) -> None:
        """Learn what the step did."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Where the source stands."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        ...


@dataclass(frozen=True)
class StepReport:
    """What one optimiser step did: `values` hold means over the step's weight, gradient norms and the step size."""

    step: int
    values: dict[str, float]

    def note(self, **values: float) -> None:
        """Add measurements to this step's row of the history."""
        self.values.update(values)


@dataclass(frozen=True)
class TrainingRun:
    """What surrounds a training: its seed, a folder that survives a kill, and whom to tell."""

    seed: int = 0
    scratch: Path | None = None
    progress: Progress = field(default_factory=SilentProgress)
    save_every_seconds: float = 30.0


@dataclass(frozen=True)
class TrainingResult:
    """One row per step; what was seen, dropped, truncated and masked; and what was measured at the end and at the start."""

    history: list[dict[str, float]]
    counts: dict[str, Any]
    summary: dict[str, Any] = field(default_factory=dict)
    preflight: list[Checked] = field(default_factory=list)


def steps(
    model: nn.Module, objective: Objective, source: BatchSource, optimiser: AdamW, scratch: Path | None = None
) -> Iterator[StepReport]:
    """Train: one report per optimiser step.

    Raises:
        TrainingStopped: when a loss or gradient is not finite; the step's batches are kept in `scratch`.
    """
    for batches in source:
        weight = sum(objective.weight(batch) for batch in batches)
        sums: dict[str, float] = {}
        for batch in batches:
            loss = objective.loss(model, batch)
            (loss.total / weight).backward()
            optimiser.collect()
            for name, value in {"loss": loss.total.detach(), **loss.sums}.items():
                sums[name] = sums.get(name, 0.0) + float(value)
        values = {name: value / weight for name, value in sums.items()}
        norms = optimiser.clip()
        values |= {f"gradient_norm_{name}": norm for name, norm in norms.items()}
        _stop_unless_finite(values, optimiser.steps_done, batches, scratch)
        factor = rate_factor(optimiser.cfg, *source.position)
        optimiser.step(factor)
        values |= {"weight": float(weight), "rate": factor}
        report = StepReport(optimiser.steps_done, values)
        source.observe(report)
        yield report


def _stop_unless_finite(values: Mapping[str, float], step: int, batches: Sequence[Any], scratch: Path | None) -> None:
    wrong = {name: value for name, value in values.items() if not math.isfinite(value)}
    if not wrong:
        return
    where = None
    if scratch is not None:
        scratch.mkdir(parents=True, exist_ok=True)
        path = scratch / f"nonfinite-step-{step + 1}.pt"
        torch.save({"step": step + 1, "values": dict(values), "batches": list(batches)}, path)
        path.with_suffix(".json").write_text(json.dumps({"wrong": {name: str(value) for name, value in wrong.items()}}))
        where = str(path)
    raise TrainingStopped(
        f"{', '.join(f'{name} became {value}' for name, value in wrong.items())} at step {step + 1}",
        where=where,
        hint="a lower learning rate or a longer warm-up usually helps; the batches of the step are in the file above",
    )


class Fit:
    """`steps` with a progress bar, a history and checkpoints; iterate over it.

    A report's row enters the history when the loop's body is done with it, so `report.note` lands in the row.
    """

    def __init__(
        self, model: nn.Module, objective: Objective, source: BatchSource, optimiser: AdamW, run: TrainingRun
    ) -> None:
        self.history: list[dict[str, float]] = []
        self._model, self._objective, self._source, self._optimiser, self._run = (
            model,
            objective,
            source,
            optimiser,
            run,
        )

    def over(self, label: str, unit: str, settings: Any) -> Iterator[StepReport]:
        """Train to the end, from the last checkpoint if there is one made under equal `settings` (a JSON value)."""
        job = digest_of(["training/1", label, settings, self._run.seed])
        self._resume(job)
        done, total = self._source.position
        saved = time.monotonic()
        with self._run.progress.track(total, label, unit, done) as tracker:
            for report in steps(self._model, self._objective, self._source, self._optimiser, self._run.scratch):
                yield report
                self.history.append({"step": report.step, **report.values})
                now = self._source.position[0]
                tracker.advance(now - done, f"loss {report.values['loss']:.3f}")
                done = now
                if self._run.scratch is not None and time.monotonic() - saved >= self._run.save_every_seconds:
                    self._save(job)
                    saved = time.monotonic()
            tracker.advance(total - done)

    def _save(self, job: str) -> None:
        assert self._run.scratch is not None
        state = {
            "optimiser": self._optimiser.state_dict(),
            "source": self._source.state_dict(),
            "history": self.history,
        }
        save_checkpoint(self._run.scratch, job, state)

    def _resume(self, job: str) -> None:
        state = load_checkpoint(self._run.scratch, job) if self._run.scratch is not None else None
        if state is not None:
            self._optimiser.load_state_dict(state["optimiser"])
            self._source.load_state_dict(state["source"])
            self.history[:] = state["history"]
