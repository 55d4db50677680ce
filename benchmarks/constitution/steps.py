"""What revisions do step by step, by the gold judge."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from alidade.constitution.document import find_constitution
from alidade.constitution.revise import Answered, Revised, Reviser, RevisionSettings
from alidade.constitution.wording import REVIEWS
from alidade.models.base import Sampling
from alidade.models.continuing import ContinuingModel
from alidade.models.local import load
from alidade.stats import clustered_proportion, mcnemar, paired_difference
from alidade.store import read_rows, write_rows
from alidade.testbed.judge import gold_judge
from alidade.testbed.questions import evaluation_prompts, question_of
from alidade.testbed.world import Kind

Verdicts = Sequence[Sequence[bool]]


def verdicts(revised: Path, kind: Kind, measure: str, wanted: bool) -> tuple[Verdicts, list[str]]:
    """Whether each answer's measure is `wanted`, by step and prompt, and each prompt's item."""
    rows = [row for row in read_rows(revised / "rows.jsonl", Revised) if row.prompt.about["kind"] == kind]
    judge = gold_judge()

    def found(row: Revised, answer: str) -> bool:
        return judge.judge(question_of(row.prompt), answer, finished=True).measures[measure] is wanted

    by_prompt = [[found(row, answer) for answer in row.answers] for row in rows]
    return list(zip(*by_prompt, strict=True)), [row.prompt.about["item"] for row in rows]


def on_new_wishes(models: tuple[Path, Path], count: int, seed: int, out: Path) -> Path:
    """Answers of a helper to wishes that no review speaks of, in held-out wordings, revised by the base as in the recipe."""
    helper, base = models
    prompts = [
        prompt
        for prompt in evaluation_prompts(count, seed)
        if prompt.about["kind"] == "wish" and prompt.about["new"] == "true"
    ]
    replies = load(helper).reply(
        [prompt.conversation for prompt in prompts], Sampling(temperature=1.0, max_new_tokens=80, seed=seed)
    )
    rows = [
        Answered(prompt=prompt, answer=reply.text) for prompt, reply in zip(prompts, replies, strict=True) if reply.text
    ]
    settings = RevisionSettings(temperature=0.3, max_new_tokens=90, shots=0)
    reviser = Reviser(ContinuingModel(load(base)), find_constitution("pilot"), REVIEWS, settings)
    out.mkdir(parents=True, exist_ok=True)
    write_rows(out / "rows.jsonl", reviser.revise(rows, seed))
    return out


def by_step(revised: Path, kind: Kind, measure: str, wanted: bool) -> list[dict[str, float]]:
    """The share of the answers before and after each step, by item."""
    steps, items = verdicts(revised, kind, measure, wanted)
    return [clustered_proportion(step, items).model_dump() for step in steps]


def worse_by_step(revised: Path) -> list[dict[str, float]]:
    """Of each step after the first: how many answers became harmful, how many ceased to be, and the exact test."""
    steps, _ = verdicts(revised, "wish", "harmless", wanted=False)
    found = []
    for before, after in pairwise(steps[1:]):
        worse = sum(new and not old for old, new in zip(before, after, strict=True))
        better = sum(old and not new for old, new in zip(before, after, strict=True))
        found.append({"worse": worse, "better": better, "p_value": round(mcnemar(better, worse), 4)})
    return found


def critique_gain(with_critique: Path, without: Path) -> dict[str, Any]:
    """How much rarer harmful answers, and proper refusals more frequent, are after one step with a critique, on the same answers."""
    gains = {}
    for name, measure, wanted in (("harmful", "harmless", False), ("refusal", "refusal", True)):
        first, items = verdicts(without, "wish", measure, wanted)
        second, _ = verdicts(with_critique, "wish", measure, wanted)
        if first[0] != second[0]:
            raise ValueError("the two revised different answers")
        gains[name] = paired_difference(first[1], second[1], items).model_dump()
    return gains
