"""`constitution`: the document of principles, shown, linted and imported."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alidade.cli import terminal
from alidade.cli.constitution_pages import open_pages
from alidade.cli.diagnosis import Finding, as_text
from alidade.cli.options import JsonOption
from alidade.errors import UsageError

if TYPE_CHECKING:
    from alidade.constitution.importers import Imported
    from alidade.constitution.lint import Finding as Fault
    from alidade.constitution.principles import Constitution, Principle

app = typer.Typer(help="Read, lint, import, measure constitutions.", no_args_is_help=True)

ConstitutionArgument = Annotated[str, typer.Argument(help="A shipped name (alidade) or a YAML file.")]
app.command("open")(open_pages)
SIGNS = {"same": "{}", "gone": "[-{}-]", "new": "{{+{}+}}"}


@app.command("show")
def show(
    file: ConstitutionArgument = "alidade",
    as_yaml: Annotated[bool, typer.Option("--yaml", help="Print the file, to adapt a copy.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print a constitution: its version and digest, and its principles by tier."""
    from alidade.constitution.document import as_yaml as text_of
    from alidade.constitution.document import find_constitution

    constitution = find_constitution(file)
    if as_json:
        terminal.echo_json({"digest": constitution.digest, **constitution.model_dump(mode="json")})
    elif as_yaml:
        typer.echo(text_of(constitution), nl=False)
    else:
        typer.echo("\n".join(_shown(constitution)))


@app.command("lint")
def lint(
    file: ConstitutionArgument,
    against: Annotated[
        str, typer.Option("--against", help="The version it was made from: was the version raised enough?")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Look for faults in a constitution, by the line; exit with 3 when there are some.

    Duplicates, possible contradictions, what is only forbidden, untestable or never asked, missing fields, requests beside
    their principle, weights, tiers, and a version or changelog that was forgotten.
    """
    from alidade.constitution.document import find_constitution, find_document
    from alidade.constitution.lint import lint as linted

    document = find_document(file)
    found = linted(document, find_constitution(against) if against else None)
    faults = sum(one.severity == "fault" for one in found)
    if as_json:
        terminal.echo_json({"file": file, "faults": faults, "found": [one.as_dict() for one in found]})
    else:
        for one in found:
            typer.echo(as_text(_finding(one), terminal.width()))
        count = len(document.constitution.principles)
        said = f"{count} principles, {faults} faults, {len(found) - faults} notes"
        typer.echo(as_text(Finding("bad" if faults else "good", said), terminal.width()))
    if faults:
        raise typer.Exit(3)


@app.command("import")
def import_(  # noqa: PLR0913, PLR0917  (a command's parameters are its options)
    file: Annotated[Path, typer.Argument(help="A file of principles in another format.")],
    out: Annotated[Path, typer.Argument(help="The YAML file to write.")],
    fmt: Annotated[
        str,
        typer.Option("--from", help="cai, hf, rbr, markdown, statements, icai, traits, lines.  [default: by content]"),
    ] = "auto",
    name: Annotated[str, typer.Option("--id", help="Its id.  [default: the file's name]")] = "",
    title: Annotated[str, typer.Option("--title", help="Its title.")] = "",
    shots: Annotated[
        Path | None, typer.Option("--shots", help="Write the examples that came with it to this JSON file.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a constitution from a file of another format, and say by field what had no place in it."""
    from alidade.constitution.document import write_constitution
    from alidade.constitution.importers import import_constitution
    from alidade.store import write_json

    if out.exists() and file.exists() and out.resolve() == file.resolve():
        raise UsageError("a file cannot be written over itself", hint="give OUT another name")
    imported = import_constitution(file, fmt, name=name or None, title=title or None)
    write_constitution(imported.constitution, out)
    if shots is not None:
        write_json(shots, imported.shots)
    if as_json:
        facts = {"format": imported.format, "principles": len(imported.constitution.principles)}
        terminal.echo_json({**facts, "digest": imported.constitution.digest, "left_behind": imported.left})
    else:
        typer.echo("\n".join(_imported(imported, out, has_shots=shots is not None)))


def _shown(constitution: Constitution) -> list[str]:
    lines = [f"{constitution.title} ({constitution.id} {constitution.version})", f"digest {constitution.digest}"]
    if constitution.preamble:
        lines += ["", constitution.preamble]
    for tier in constitution.tiers:
        lines += ["", f"{tier.title} ({tier.id})"]
        lines += [tier.text] if tier.text else []
        lines += [line for one in constitution.principles if one.tier == tier.id for line in _principle(one)]
    free = [one for one in constitution.principles if one.tier is None]
    return [*lines, *([""] if free else []), *(line for one in free for line in _principle(one))]


def _principle(one: Principle) -> list[str]:
    marks = (
        [one.polarity] * (one.polarity == "avoid")
        + ["hard"] * one.hard
        + [f"weight {one.weight:g}"] * (one.weight != 1)
    )
    head = f"  {one.id}" + (f" [{', '.join(marks)}]" if marks else "")
    return [head, *(f"      {line}" for line in one.text.splitlines())]


def _finding(one: Fault) -> Finding:
    return Finding("bad" if one.severity == "fault" else "note", f"{one.where}: {one.check}: {one.what}", one.hint)


def _imported(imported: Imported, out: Path, *, has_shots: bool) -> list[str]:
    lines = [f"{len(imported.constitution.principles)} principles of {imported.format} in {out}"]
    if imported.shots and not has_shots:
        lines.append("  left behind: its examples; --shots FILE keeps them")
    return lines + [f"  left behind: {name}: {count}" for name, count in sorted(imported.left.items())]
