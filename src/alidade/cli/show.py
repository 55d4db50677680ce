"""`show`: a resolved recipe, the tokens of a row, an artifact, its rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alidade.cli import terminal
from alidade.cli.folders import model_place, run_folder, store_of
from alidade.cli.options import JsonOption, QuickOption, RecipeArgument, RunOption, SeedOption, SetOption
from alidade.cli.recipes import open_recipe
from alidade.errors import UsageError

if TYPE_CHECKING:
    from alidade.records import Conversation

app = typer.Typer(help="Show a recipe, tokens of a row, an artifact or its rows.", no_args_is_help=True)

ReferenceArgument = Annotated[str, typer.Argument(help="A stage's name or an artifact's digest (or its beginning).")]


@app.command("recipe")
def show_recipe(
    recipe: RecipeArgument = "tour",
    quick: QuickOption = False,
    sets: SetOption = None,
    seed: SeedOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a recipe with every default filled in."""
    resolved = open_recipe(recipe, sets, quick=quick, seed=seed).resolved()
    if as_json:
        terminal.echo_json(resolved)
        return
    import yaml

    typer.echo(yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True, width=110), nl=False)


@app.command("tokens")
def show_tokens(
    text: Annotated[str, typer.Argument(help="What the user says.")] = "How do I make bread?",
    answer: Annotated[str, typer.Option("--answer", help="The answer to train on.")] = "Mix flour, water and yeast.",
    rows: Annotated[Path | None, typer.Option("--rows", help="Show the first demonstration of this file.")] = None,
    model: Annotated[str, typer.Option("--model", "-m", help="pilot, a stage, a folder or a hub id.")] = "pilot",
    as_json: JsonOption = False,
) -> None:
    """Print the tokens of one training row, the trained ones in colour (between >> << where there is no colour)."""
    from alidade.models.local import load
    from alidade.records import Conversation

    conversation = Conversation.ask(text)
    if rows is not None:
        conversation, answer = _first_demonstration(rows)
    opened = load(model_place(model, None))
    row = opened.renderer.row(conversation, answer)
    pieces = [str(opened.tokenizer.decode([token])) for token in row.ids]
    if as_json:
        columns = zip(row.ids, pieces, row.trained, strict=True)
        terminal.echo_json([{"id": token, "text": piece, "trained": trained} for token, piece, trained in columns])
        return
    _print_tokens(pieces, row.trained)
    typer.echo(f"{len(row.ids)} tokens, {sum(row.trained)} of them trained", err=True)


@app.command("artifact")
def show_artifact(asked: ReferenceArgument, out: RunOption = None, as_json: JsonOption = False) -> None:
    """Print how an artifact was made, where it lies and what it holds."""
    from alidade.pipeline import resolve

    store = store_of(run_folder(out))
    manifest = resolve(store, asked)
    artifact = store.artifact(manifest.digest, manifest.kind)
    files = {
        path.relative_to(artifact.path).as_posix(): path.stat().st_size
        for path in sorted(artifact.path.rglob("*"))
        if path.is_file()
    }
    if as_json:
        fields = manifest.model_dump(mode="json", by_alias=True)
        terminal.echo_json({"manifest": fields, "path": str(artifact.path), "files": files})
        return
    typer.echo(f"{manifest.name}: {manifest.kind} {manifest.digest}")
    typer.echo(
        f"made by {manifest.stage}, version {manifest.version}, in {terminal.seconds_in_words(manifest.seconds)}"
    )
    typer.echo(f"lies in {artifact.path}")
    for name, value in manifest.config.items():
        typer.echo(f"  with {name} = {json.dumps(value, ensure_ascii=False)}")
    for name, record in manifest.inputs.items():
        typer.echo(f"  from {name} = {record.made_by} ({record.kind} {record.digest[:12]})")
    for name, value in manifest.notes.items():
        typer.echo(f"  noted {name} = {json.dumps(value, ensure_ascii=False)}")
    for name, size in files.items():
        typer.echo(f"  {size:>12,}  {name}")


@app.command("rows")
def show_rows(
    asked: Annotated[str, typer.Argument(help="A JSONL file, or a stage's name or an artifact's digest.")],
    count: Annotated[int, typer.Option("--count", "-n", help="How many.", min=1)] = 3,
    file: Annotated[str, typer.Option("--file", help="Which file of the artifact.")] = "rows.jsonl",
    out: RunOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the first rows of an artifact or a file."""
    from itertools import islice

    from alidade.store.rows import each_row

    path = _rows_file(asked, file, out)
    rows = [row for _, row in islice(each_row(path), count)]
    if as_json:
        terminal.echo_json(rows)
        return
    for row in rows:
        typer.echo(json.dumps(row, ensure_ascii=False, indent=2))


def _rows_file(asked: str, file: str, out: Path | None) -> Path:
    if Path(asked).is_file():
        return Path(asked)
    from alidade.pipeline import resolve

    store = store_of(run_folder(out))
    manifest = resolve(store, asked)
    folder = store.artifact(manifest.digest, manifest.kind).path
    if not (folder / file).is_file():
        others = ", ".join(sorted(path.name for path in folder.glob("*.jsonl"))) or "none"
        raise UsageError(
            f"the artifact of `{manifest.name}` has no `{file}`", where=str(folder), hint=f"its rows: {others}"
        )
    return folder / file


def _first_demonstration(path: Path) -> tuple[Conversation, str]:
    from alidade.records import Demonstration
    from alidade.store import read_rows

    rows = read_rows(path, Demonstration)
    if not rows:
        raise UsageError("the file has no rows", where=str(path))
    return rows[0].prompt, rows[0].answer


def _print_tokens(pieces: list[str], trained: list[bool]) -> None:
    from rich.text import Text

    console = terminal.results()
    line, in_trained = Text(), False
    for piece, is_trained in zip(pieces, trained, strict=True):
        if not console.color_system and is_trained != in_trained:
            line.append(" >> " if is_trained else " << ")
            in_trained = is_trained
        line.append(piece.replace("\n", "\\n\n"), style="green" if is_trained else "dim")
        line.append("|" if console.color_system else "")
    console.print(line, soft_wrap=True)
