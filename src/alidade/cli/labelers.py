"""`votes report`: who voted, how far people agree, and whose values the labels are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alidade.cli import terminal
from alidade.cli.options import JsonOption
from alidade.errors import DataError

if TYPE_CHECKING:
    from alidade.preferences.tally import Pair
    from alidade.records import Choice

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

    gold.json and groups.json in the folder are read where they exist.
    """
    from alidade.records import Candidates, Vote
    from alidade.report.labelers import labelers_report, write_labelers_page
    from alidade.store import read_rows

    report = labelers_report(
        read_rows(folder / "rows.jsonl", Vote),
        read_rows(answers or folder / "answers.jsonl", Candidates),
        gold=read_gold(folder / "gold.json"),
        groups=read_groups(folder / "groups.json"),
        seed=seed,
    )
    page = write_labelers_page(report, (out or folder / "report") / "report.html")
    if as_json:
        terminal.echo_json({"page": str(page), "report": report.model_dump(mode="json")})
    else:
        typer.echo(str(page))


def read_gold(path: Path) -> Mapping[Pair, Choice]:
    """The gold choices of a JSON list of votes without an annotator; empty where there is no such file.

    Raises:
        DataError: for a file of another shape, and for a pair that is named twice with different choices.
    """
    from alidade.preferences.acts import choice_of
    from alidade.preferences.tally import pair_of
    from alidade.records import Vote

    found: dict[Pair, Choice] = {}
    for place, row in enumerate(_json(path, list, "a list of {prompt_id, left, right, choice}") or []):
        vote = _valid(
            Vote, {"id": f"gold {place}", "annotator": "", **row} if isinstance(row, dict) else row, path, place
        )
        pair, choice = pair_of(vote), choice_of(vote)
        if found.setdefault(pair, choice) != choice:
            raise DataError(
                f"the pair {pair} has two gold choices", where=f"{path}, row {place}", hint="keep one of them"
            )
    return found


def read_groups(path: Path) -> Mapping[str, Mapping[str, str]]:
    """What annotators said of themselves, {annotator: {question: group}}; empty where there is no such file.

    Raises:
        DataError: for a file of another shape.
    """
    shape = '{"ANNOTATOR": {"QUESTION": "GROUP"}}'
    found: Mapping[str, Any] = _json(path, dict, shape) or {}
    for name, answers in found.items():
        if not isinstance(answers, dict) or not all(isinstance(group, str) for group in answers.values()):
            raise DataError(f"what {name!r} said is not {{question: group}}", where=str(path), hint=f"write {shape}")
    return found


def _json(path: Path, kind: type, shape: str) -> Any:
    from alidade.store import read_json

    if not path.exists():
        return None
    found = read_json(path)
    if not isinstance(found, kind):
        raise DataError(f"not {shape}", where=str(path))
    return found


def _valid(record: Any, value: Any, path: Path, place: int) -> Any:
    from pydantic import ValidationError

    from alidade.store import explain_invalid

    try:
        return record.model_validate(value)
    except ValidationError as error:
        hint = "a row has prompt_id, left, right, choice, and attribute where it is not overall"
        raise DataError(f"no gold choice: {explain_invalid(error)}", where=f"{path}, row {place}", hint=hint) from error
