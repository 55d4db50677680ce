"""`why`: from a model, an artifact or a row up to what made it."""

from __future__ import annotations

import json
from itertools import groupby
from textwrap import indent
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alidade.cli import terminal
from alidade.cli.folders import run_folder, store_of
from alidade.cli.options import JsonOption, RunOption

if TYPE_CHECKING:
    from alidade.pipeline import RowFound, Step

_SHOWN_ROWS = 4
_LONGEST = 160


def why(
    asked: Annotated[str, typer.Argument(help="A stage's name, an artifact's digest or a row's id.")],
    out: RunOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what made a thing, stage by stage, all the way up."""
    from alidade.pipeline import explain

    found = explain(store_of(run_folder(out)), asked)
    if as_json:
        terminal.echo_json(
            {"asked": asked, "rows": [_row(row) for row in found.rows], "steps": [_step(s) for s in found.steps]}
        )
        return
    for (name, file), rows in groupby(found.rows, key=lambda row: (row.manifest.name, row.file)):
        _show_rows(f"{name}/{file}", list(rows), asked)
    seen: set[str] = set()
    for step in found.steps:
        for line in lineage_lines(step, seen):
            typer.echo(line)


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
