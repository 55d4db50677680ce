"""`votes report`: who voted, how far people agree, and whose values the labels are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alidade.cli import terminal
from alidade.cli.options import JsonOption

app = typer.Typer(help="What is known of people's votes.", no_args_is_help=True)


@app.callback()
def votes() -> None:
    """What is known of people's votes."""


@app.command("report")
def report_votes(
    folder: Annotated[
        Path, typer.Argument(help="Folder with rows.jsonl (votes) and answers.jsonl (prompts, answers).")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the page.  [default: FOLDER/report]")
    ] = None,
    answers: Annotated[Path | None, typer.Option("--answers", help="The answers, if they lie elsewhere.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of resampling and permutations.", min=0)] = 0,
    as_json: JsonOption = False,
) -> None:
    """Write the labelers' report of a folder of votes (one HTML file) and print its path.

    What else `alidade label export` writes is read where it exists: rankings, demonstrations, repeats, gold, groups.
    """
    from alidade.preferences.labelled import read_labelled
    from alidade.records import Candidates
    from alidade.report.labelers import labelers_report, write_labelers_page
    from alidade.store import read_rows

    rows = read_rows(answers or folder / "answers.jsonl", Candidates)
    report = labelers_report(read_labelled(folder), rows, seed=seed)
    page = write_labelers_page(report, (out or folder / "report") / "report.html")
    if as_json:
        terminal.echo_json({"page": str(page), "report": report.model_dump(mode="json")})
    else:
        typer.echo(str(page))
