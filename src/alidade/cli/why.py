"""`why`: from a model, an artifact or a row up to what made it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alidade.cli import terminal
from alidade.cli.folders import run_folder, store_of
from alidade.cli.options import JsonOption, RunOption
from alidade.errors import GateFailed, UsageError

if TYPE_CHECKING:
    from alidade.pipeline import RowFound, Step
    from alidade.stages.replay import Replayed
    from alidade.store import Store

_SHOWN_ROWS = 4
_LONGEST = 160


def why(
    asked: Annotated[
        str, typer.Argument(help="A stage's name, an artifact's digest or a row's id; STAGE:ROW where ids coincide.")
    ],
    out: RunOption = None,
    replay: Annotated[
        bool, typer.Option("--replay", help="Make the row's chunk again from the ledger; 3 when the bytes differ.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what made a thing, stage by stage, all the way up."""
    store = store_of(run_folder(out))
    name, rows, steps = _explained(store, asked)
    made = _replayed(store, rows, asked) if replay else []
    if as_json:
        told = {"asked": asked, "rows": [_row(row) for row in rows], "steps": [_step(step) for step in steps]}
        terminal.echo_json(told | ({"replayed": [_replay(one) for one in made]} if replay else {}))
    else:
        _show(name, rows, steps)
        for one in made:
            _show_replay(one)
    if any(not one.equal for one in made):
        raise GateFailed("the ledger is not what is made from its model, principles, settings and seed", where=asked)


def _explained(store: Store, asked: str) -> tuple[str, list[RowFound], list[Step]]:
    """The name that is asked for without its stage, the rows of its lineage, and the way up from them."""
    from alidade.cli.row_lineage import conversations, related
    from alidade.pipeline import explain, walk_up

    manifests = store.manifests()
    stage, colon, name = asked.partition(":")
    if not colon or stage not in {manifest.name for manifest in manifests}:
        stage, name = "", asked
    found = explain(store, name)
    rows = related(found.rows, manifests, stage)
    if not found.rows or len(rows) == len(found.rows):
        _warn(name, conversations(rows))
        return name, rows, list(found.steps)
    if not rows:
        raise UsageError(f"stage `{stage}` has no row `{name}`", where=str(store.root), hint="leave the stage out")
    _warn(name, conversations(rows))
    above = {record.digest for row in rows for record in row.manifest.inputs.values()}
    ends = {row.manifest.digest: row.manifest for row in rows if row.manifest.digest not in above}
    held = {step.manifest.digest for step in found.steps} & set(ends)
    return name, rows, [walk_up(store, ends[digest]) for digest in (held or ends)]


def _warn(name: str, talks: dict[str, list[str]]) -> None:
    if len(talks) > 1:
        stages = [stages[0] for stages in talks.values()]
        ways = " or ".join(f"`alidade why {stage}:{name}`" for stage in stages)
        typer.echo(f"`{name}` is the id of {len(talks)} different conversations; one alone: {ways}", err=True)


def _show(asked: str, rows: list[RowFound], steps: list[Step]) -> None:
    for (name, file), some in groupby(rows, key=lambda row: (row.manifest.name, row.file)):
        _show_rows(f"{name}/{file}", list(some), asked)
    seen: set[str] = set()
    for step in steps:
        for line in lineage_lines(step, seen):
            typer.echo(line)


def _replayed(store: Store, rows: Sequence[RowFound], asked: str) -> list[Replayed]:
    """Each chunk of a ledger that a row lies in, made again once.

    Raises:
        UsageError: when no row lies in a ledger.
    """
    from alidade.stages import load_all
    from alidade.stages.replay import is_ledger, replay

    kept = [row for row in rows if is_ledger(row.manifest, row.file)]
    if not kept:
        raise UsageError(
            f"no ledger holds `{asked}`",
            where=str(store.root),
            hint="rows of the stages revise and prefer can be made again",
        )
    load_all()
    with tempfile.TemporaryDirectory() as scratch:
        made: list[tuple[str, Replayed]] = []
        for row in kept:
            digest = row.manifest.digest
            if not any(digest == other and one.holds(row.line) for other, one in made):
                made.append((digest, replay(store, row.manifest, row.line, Path(scratch))))
        return [one for _, one in made]


def _show_replay(one: Replayed) -> None:
    typer.echo(f"{one.stage}/{one.file}: chunk {one.chunk} ({one.rows} rows) made again: {_verdict(one)}")
    for line in one.differences:
        typer.echo(f"    {line}")


def _verdict(one: Replayed) -> str:
    code = "" if one.same_code else " (by other code than made it)"
    return ("equal bytes" if one.equal else "other bytes") + code


def _replay(one: Replayed) -> dict[str, Any]:
    return vars(one) | {"equal": one.equal}


def _show_rows(place: str, rows: list[RowFound], asked: str) -> None:
    from alidade.constitution.ledger import told

    for row in rows[:_SHOWN_ROWS]:
        typer.echo(f"{place}:{row.line}  {_cut(json.dumps(row.row, ensure_ascii=False))}")
        for line in told(row.manifest.kind, row.row, asked):
            typer.echo(indent(line, "    "))
    if len(rows) > _SHOWN_ROWS:
        typer.echo(f"{place}: and {len(rows) - _SHOWN_ROWS} more (--json shows all)")


def lineage_lines(step: Step, seen: set[str], depth: int = 0, label: str = "") -> list[str]:
    """The tree above an artifact, a line each; what was shown before is only named."""
    manifest = step.manifest
    head = f"{'  ' * depth}{f'{label}: ' if label else ''}{manifest.name} ({manifest.kind} {manifest.digest[:12]})"
    if manifest.digest in seen:
        return [f"{head}, as above"]
    seen.add(manifest.digest)
    config = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in manifest.config.items())
    lines = [f"{head}: stage {manifest.stage}, version {manifest.version}, seed {manifest.seed}"]
    if config:
        lines.append(f"{'  ' * depth}    with {_cut(config)}")
    for name, above in step.inputs.items():
        lines += lineage_lines(above, seen, depth + 1, name)
    return lines


def _row(found: RowFound) -> dict[str, Any]:
    return {
        "stage": found.manifest.name,
        "digest": found.manifest.digest,
        "file": found.file,
        "line": found.line,
        "row": found.row,
    }


def _step(step: Step) -> dict[str, Any]:
    manifest = step.manifest.model_dump(mode="json", by_alias=True)
    return {"manifest": manifest, "inputs": {name: _step(above) for name, above in step.inputs.items()}}


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
