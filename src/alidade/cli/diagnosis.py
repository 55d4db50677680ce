"""How healthy a training was, read from what its stage left: what was looked at before the first step, and its curves."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

_INDENT = 9


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    state: Literal["good", "note", "warning", "bad"]
    what: str
    hint: str = ""


def as_text(finding: Finding, width: int) -> str:
    """A finding on lines of at most `width` characters; what cannot be broken, as a path, keeps its length."""
    parts = [f"{finding.state:>{_INDENT - 2}}: {finding.what}"]
    parts += [f"{'':{_INDENT}}hint: {finding.hint}"] if finding.hint else []
    indent = " " * _INDENT
    return "\n".join(
        textwrap.fill(part, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
        for part in parts
    )


def of_training(stage: str, folder: Path) -> Iterator[Finding]:
    """What the artifact in `folder` says of the training that made it; nothing where none did."""
    yield from _before(stage, folder)
    yield from _during(stage, folder)


def _before(stage: str, folder: Path) -> Iterator[Finding]:
    from alidade.store import read_json
    from alidade.training.preflight import FILE_NAME, from_json

    path = folder / FILE_NAME
    for check in from_json(read_json(path)) if path.exists() else ():
        if check.is_good:
            yield Finding("good", f"{stage}: {check}")
        else:
            yield Finding("warning", f"{stage}: not so: {check}", f"{check.about.cause}; {check.about.remedy}")


def _during(stage: str, folder: Path) -> Iterator[Finding]:
    from alidade.store.rows import each_row
    from alidade.training.symptoms import found_in, looked_for

    path = folder / "metrics.jsonl"
    curves: list[dict[str, Any]] = [row for _, row in each_row(path)] if path.exists() else []
    found = found_in(curves)
    for one in found:
        yield Finding(
            "warning", f"{stage}: {one.symptom.name}: {one.evidence}", f"{one.symptom.cause}; {one.symptom.remedy}"
        )
    shown = {one.symptom.name for one in found}
    healthy = [symptom.name for symptom in looked_for(curves) if symptom.name not in shown]
    if healthy:
        yield Finding("good", f"{stage}: {len(curves)} rows of metrics.jsonl show no sign of {', '.join(healthy)}")


def not_finite(scratch: Path) -> Iterator[Finding]:
    """The batches kept by trainings that stopped because a number became none."""
    for path in sorted(scratch.glob("nonfinite-step-*.pt")):
        facts = path.with_suffix(".json")
        wrong: dict[str, str] = json.loads(facts.read_text())["wrong"] if facts.exists() else {}
        numbers = ", ".join(f"{name} became {value}" for name, value in wrong.items()) or "a number became none"
        yield Finding(
            "bad",
            f"a training stopped at step {path.stem.rpartition('-')[2]}: {numbers}; its batches are in {path}",
            "the steps are too large, or a row is broken; lower `training.optimiser.learning_rate`, raise "
            "`training.optimiser.warmup`, or look at the batches: torch.load(FILE, weights_only=False)",
        )
