"""The stage that learns from feedback on single answers: Kahneman-Tversky optimisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alidade.errors import RecipeError
from alidade.pipeline import StageContext, Upstream, stage
from alidade.preferences import prompt_key, unpaired
from alidade.records import Comparison, Feedback
from alidade.stages.judged import as_comparisons, read_judged
from alidade.stages.kinds import COMPARISONS, FEEDBACK, MODEL
from alidade.stages.reward_check import agreement
from alidade.stages.training import (
    TrainingStage,
    check_method,
    opened,
    trainable,
    training_run,
    write_history,
    write_model,
)
from alidade.stats import clustered_proportion
from alidade.store import Artifact, read_rows, write_json
from alidade.training.settings import KtoConfig


class KtoStage(TrainingStage):
    """Kahneman-Tversky optimisation."""

    training: KtoConfig = KtoConfig()


@dataclass(frozen=True)
class _Part:
    """The rows of one file: comparisons, whose answers come first among the judged ones, and what was judged alone."""

    comparisons: list[Comparison]
    alone: list[Feedback]

    @property
    def judged(self) -> list[Feedback]:
        return [half for row in self.comparisons for half in unpaired(row)] + self.alone


def check_rows(config: KtoStage, inputs: Mapping[str, Upstream]) -> None:
    """There is something to learn from."""
    if not {"feedback", "comparisons"} & set(inputs):
        raise RecipeError(
            "the stage `kto` has nothing to learn from",
            hint="add `feedback` or `comparisons` to its `in:`; the stages `feedback-file` and `comparisons-file` make them",
        )
    check_method(config, inputs)


@stage(
    "kto",
    version=2,
    reads={"model": MODEL, "feedback": FEEDBACK.if_given(), "comparisons": COMPARISONS.if_given()},
    writes=MODEL,
    config=KtoStage,
    check=check_rows,
)
def kto(config: KtoStage, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """The model, trained on answers judged one by one, or on both answers of comparisons; as given it is the reference."""
    from alidade.training.objectives.kto import train_kto

    model = trainable(opened(inputs["model"], config), config, context.seed)
    train, heldout = _parts(inputs)
    result = train_kto(model, train.judged, heldout.judged, config.training, training_run(context))
    write_model(model, config, inputs["model"], context.out)
    write_history(context, result)
    context.note("loss", round(result.history[-1]["loss"], 4))
    shifts, point = result.summary["shifts"], result.summary["reference_point"]
    checks = {"implied": _compared(train, heldout, shifts), "desirable": _judged(train, heldout, shifts, point)}
    write_json(context.out / "evaluation.json", checks)
    for name, check in checks.items():
        if check:
            context.note(f"{name}_accuracy", check["accuracy"]["mean"])


def _parts(inputs: Mapping[str, Artifact]) -> tuple[_Part, _Part]:
    """What is learned from and what is held out; rankings count by their pairs."""
    judged = read_judged(inputs["comparisons"].path) if "comparisons" in inputs else ([], [])
    names = ("rows.jsonl", "heldout.jsonl")
    alone = [read_rows(inputs["feedback"].path / name, Feedback) if "feedback" in inputs else [] for name in names]
    train, heldout = (_Part(as_comparisons(rows), own) for rows, own in zip(judged, alone, strict=True))
    return train, heldout


def _compared(train: _Part, heldout: _Part, shifts: Mapping[int, float]) -> dict[str, Any]:
    """Whether the policy's likelihoods moved apart as held-out comparisons say."""
    measured = [
        (row, shifts[2 * place] - shifts[2 * place + 1])
        for place, row in enumerate(heldout.comparisons)
        if 2 * place in shifts and 2 * place + 1 in shifts
    ]
    return agreement(train.comparisons, [row for row, _ in measured], [lead for _, lead in measured])


def _judged(train: _Part, heldout: _Part, shifts: Mapping[int, float], point: float) -> dict[str, Any]:
    """How often a held-out answer is a gain over the reference point if and only if it is desirable.

    `majority` is the rule that always says what most training labels say.
    """
    rows = [(row, shifts[place]) for place, row in _decided(heldout.judged) if place in shifts]
    if not rows:
        return {}
    prompts = [prompt_key(row.prompt) for row, _ in rows]
    likely = [row.label_prob > 0.5 for _, row in _decided(train.judged)]
    usual = 2 * sum(likely) >= len(likely)
    right = [(shift > point) == (row.label_prob > 0.5) for row, shift in rows]
    guessed = [usual == (row.label_prob > 0.5) for row, _ in rows]
    found = {name: clustered_proportion(hits, prompts) for name, hits in (("accuracy", right), ("majority", guessed))}
    return {name: estimate.model_dump() for name, estimate in found.items()} | {"n": len(rows)}


def _decided(rows: Sequence[Feedback]) -> list[tuple[int, Feedback]]:
    return [(place, row) for place, row in enumerate(rows) if row.label_prob != 0.5]
