"""Stages that train: supervised fine-tuning, the reward model, and reinforcement learning against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alidade.pipeline import StageContext, stage
from alidade.records import Comparison, Demonstration, Prompt
from alidade.stages.kinds import COMPARISONS, DEMONSTRATIONS, MODEL, PROMPTS, REWARD_MODEL
from alidade.store import Artifact, read_rows, write_json, write_rows
from alidade.training.fit import TrainingResult, TrainingRun


def training_run(context: StageContext) -> TrainingRun:
    """What a training needs to know of the stage around it."""
    return TrainingRun(seed=context.seed, scratch=context.scratch, progress=context.progress)


def write_history(out: Path, result: TrainingResult) -> None:
    """One row per step, and what was seen, dropped, truncated and masked."""
    write_rows(out / "metrics.jsonl", result.history)
    write_json(out / "counts.json", result.counts)
