"""The stages that part labels of a model into those that people should look at and those that stand."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from alidade.constitution.doubtful import Doubt
from alidade.constitution.doubtful import doubtful as doubts_in
from alidade.constitution.prefer import Preferred
from alidade.errors import DataError
from alidade.pipeline import StageContext, stage
from alidade.records import Candidates, Comparison, Completion, Prompt, Record
from alidade.stages.kinds import ANSWERS, COMPARISONS
from alidade.store import Artifact, read_rows, write_json, write_rows

FILES = ("rows.jsonl", "heldout.jsonl")


class DoubtfulConfig(Record):
    """Which labels are in doubt, and how many of them people are asked about."""

    margin: float = Field(default=0.1, ge=0, le=0.5, description="distance of a label from one half, at most")
    share: float = Field(default=0.1, ge=0, le=1, description="share of the comparisons that people look at, at most")


@stage("doubtful", version=1, reads={"preferred": COMPARISONS}, writes=ANSWERS, config=DoubtfulConfig)
def doubtful(config: DoubtfulConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """Answers whose label is near one half while principles or orders contradict each other, for `alidade label`; held-out ones apart."""
    path = inputs["preferred"].path / "judgements.jsonl"
    if not path.exists():
        raise DataError(
            "these comparisons are not of a judge asked by principles", where=str(path), hint="read a stage `prefer`"
        )
    judged = {row.comparison.id: row for row in read_rows(path, Preferred)}
    chosen: list[Doubt] = []
    over = rows_in_all = 0
    for name in FILES:
        asked = [judged[row.id] for row in read_rows(inputs["preferred"].path / name, Comparison)]
        found, left_out = doubts_in(asked, config.margin, config.share)
        write_rows(context.out / name, [_candidates(judged[one.id].comparison) for one in found])
        chosen += found
        over += left_out
        rows_in_all += len(asked)
    write_rows(context.out / "doubts.jsonl", chosen)
    reasons = [reason for one in chosen for reason in one.reasons]
    counts = {reason: reasons.count(reason) for reason in sorted(set(reasons))}
    write_json(
        context.out / "counts.json",
        {"rows": len(chosen), "of": rows_in_all, "reasons": counts, "doubtful over the share": over},
    )
    context.note("doubtful", len(chosen))
    context.note("of", rows_in_all)
    if over:
        context.warn(f"{over} more labels are in doubt than the share of {config.share:g} lets people look at")


class DecidedConfig(Record):
    """Nothing can be set."""


@stage(
    "decided",
    version=1,
    reads={"preferred": COMPARISONS, "doubtful": ANSWERS},
    writes=COMPARISONS,
    config=DecidedConfig,
)
def decided(config: DecidedConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """The comparisons that nobody is asked about: all but the doubtful ones."""
    counts: dict[str, int] = {}
    for name in FILES:
        asked = {row.prompt.id for row in read_rows(inputs["doubtful"].path / name, Candidates)}
        rows = [row for row in read_rows(inputs["preferred"].path / name, Comparison) if row.id not in asked]
        counts[name.partition(".")[0]] = write_rows(context.out / name, rows)
    write_json(context.out / "counts.json", counts)
    context.note("comparisons", sum(counts.values()))


def _candidates(row: Comparison) -> Candidates:
    answers = (Completion(text=row.left), Completion(text=row.right))
    return Candidates(prompt=Prompt(id=row.id, conversation=row.prompt), answers=answers)
