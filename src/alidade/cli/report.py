"""`report`: the page of a run, written again."""

from __future__ import annotations

from typing import Annotated

import typer

from alidade.cli import terminal
from alidade.cli.folders import read_summary, run_folder
from alidade.cli.options import JsonOption


def report(
    run: Annotated[str, typer.Argument(help="Folder of a finished run.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Write a run's report again and print its path."""
    from pathlib import Path

    from alidade.pipeline import read_run
    from alidade.report.render import write_report

    folder = run_folder(Path(run) if run else None)
    read_run(folder)
    page = write_report(folder)
    if as_json:
        terminal.echo_json({"report": str(page), "summary": read_summary(folder)})
    else:
        typer.echo(str(page))
