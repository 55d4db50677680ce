"""`data`: is a file of preferences sound, and the same in another format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alidade.cli import terminal
from alidade.cli.diagnosis import Finding, as_text
from alidade.cli.options import JsonOption
from alidade.errors import UsageError

if TYPE_CHECKING:
    from alidade.preferences.doctor import Complaint, Examined

app = typer.Typer(help="Examine a file of preferences, or convert it.", no_args_is_help=True)

FileArgument = Annotated[Path, typer.Argument(help="JSON lines, a JSON list, parquet, CSV or TSV.")]
NO_FAULT = "no fault of any known kind"


@app.command("doctor")
def doctor(
    file: FileArgument,
    against: Annotated[
        Path | None, typer.Option("--against", help="A file it must share no prompt with, or was made from.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look for the known ways in which such files go wrong; exit with 3 when there are faults.

    Equal pairs, tied ratings taken as preferences, answers beside the prompts of other rows, cut prompts, misplaced role
    markers, labels that cannot be, prompts shared with another split, repeated rows, and how much length gives away.
    """
    from alidade.preferences.doctor import examine

    found = examine(file, against)
    if as_json:
        complaints = [one.as_dict() for one in found.complaints]
        terminal.echo_json(
            {"file": str(file), "format": found.format, "rows": found.rows, "faults": found.faults, "found": complaints}
        )
    else:
        for finding in _findings(file, found):
            typer.echo(as_text(finding, terminal.width()))
    if found.faults:
        raise typer.Exit(3)


@app.command("convert")
def convert(
    file: FileArgument,
    out: Annotated[Path, typer.Argument(help="The file to write.")],
    to: Annotated[str, typer.Option("--to", help="trl, hh, oasst, ultrafeedback, summaries, icai, crowd-kit, potato.")],
    fmt: Annotated[str, typer.Option("--from", help="The format of FILE, where its columns do not tell.")] = "auto",
    allow_dropped: Annotated[
        float, typer.Option("--allow-dropped", min=0, max=1, help="Share of unusable rows to leave out.")
    ] = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Write a file of preferences in another format, and say by field what that has no place for."""
    from alidade.preferences.interchange import convert as write_as

    if out.exists() and out.resolve() == file.resolve():
        raise UsageError("a file cannot be written over itself", hint="give OUT another name")
    written = write_as(file, out, to, fmt=fmt, allow_dropped=allow_dropped)
    left, refused = +written.left, +written.refused
    if as_json:
        terminal.echo_json({"rows": len(written.rows), "left_behind": dict(left), "not_written": dict(refused)})
        return
    typer.echo(f"{len(written.rows)} rows of {to} in {out}")
    for name, count in sorted(left.items()):
        typer.echo(f"  left behind: {name}: {count}")
    for reason, count in sorted(refused.items()):
        typer.echo(f"  not written: {reason}: {count}")


def _findings(file: Path, found: Examined) -> list[Finding]:
    complaints = [_finding(one) for one in found.complaints]
    if found.format == "unknown":
        what = (
            f"{file}: {found.rows} rows of no known format; only cells that are named ratings or scores were looked at"
        )
        return [
            Finding("note", what, "write a file of votes as pairs first: alidade data convert FILE OUT --to trl"),
            *complaints,
        ]
    read = Finding("good", f"{file}: {found.rows} rows, read as {found.format}")
    return [read, *complaints, *([] if found.faults else [Finding("good", NO_FAULT)])]


def _finding(one: Complaint) -> Finding:
    lines = ", ".join(map(str, one.lines)) + (", ..." if one.count > len(one.lines) else "")
    measured = _measured(one.measured)
    what = f"{one.ailment.check}: {one.count} of {one.of} rows ({lines}): {one.ailment.what}{measured}"
    return Finding("bad" if one.is_fault else "note", what, f"{one.ailment.cause}; {one.ailment.hint}")


def _measured(numbers: Any) -> str:
    """The numbers of a complaint: of length as a sentence, of others as they are called."""
    if "longer_chosen" in numbers:
        share, accuracy = (
            f"{numbers[name]:.2f} ({numbers[low]:.2f}-{numbers[high]:.2f})"
            for name, low, high in (("longer_chosen", "low", "high"), ("accuracy", "accuracy_low", "accuracy_high"))
        )
        return f": the longer one in {share} of {numbers['pairs']} pairs; length alone is right in {accuracy}"
    said = [
        f"{name} {', '.join(f'{key}: {count}' for key, count in value.items())}"
        if isinstance(value, dict)
        else f"{name} {value}"
        for name, value in numbers.items()
    ]
    return f" ({'; '.join(said)})" if said else ""
