"""The `alidade` command: its commands, and how errors reach a person."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from alidade import __version__
from alidade.cli import (
    constitution,
    constitution_measures,
    data,
    diff,
    doctor,
    label,
    label_order,
    label_plan,
    labelers,
    report,
    revise,
    runs,
    show,
    talk,
    why,
)
from alidade.errors import AlidadeError

app = typer.Typer(
    name="alidade",
    help="Turn a pretrained language model into a helpful, honest and harmless assistant, and show the evidence.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: drawing boxes would cost most of the start-up time
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("align")(runs.align)
app.command("plan")(runs.plan)
app.command("run")(runs.run)
app.add_typer(show.app, name="show")
app.command("why")(why.why)
app.command("chat")(talk.chat)
app.command("compare")(talk.compare)
app.command("revise")(revise.revise)
app.command("diff")(diff.diff)
app.command("report")(report.report)
label.app.command("plan")(label_plan.plan)
label.app.command("order")(label_order.order)
app.add_typer(label.app, name="label")
app.add_typer(labelers.app, name="votes")
app.command("doctor")(doctor.doctor)
app.add_typer(data.app, name="data")
constitution.app.command("coverage")(constitution_measures.coverage)
constitution.app.command("ablate")(constitution_measures.ablate)
constitution.app.command("conflicts")(constitution_measures.conflicts)
constitution.app.command("drift")(constitution_measures.drift)
app.add_typer(constitution.app, name="constitution")


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"alidade {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback with errors.")] = False,
) -> None:
    """Take the options that every command shares; `main` has read --debug already."""


def main() -> None:
    """Run the command line, and turn errors into messages and exit codes."""
    # Ours is the only progress to be shown: that of the model libraries would fall between our lines.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    is_debug = len(arguments) < len(sys.argv) - 1
    try:
        app(args=arguments, prog_name="alidade")
    except SystemExit as leaving:
        if leaving.code == 130:
            typer.echo("interrupted; run the same command again to continue", err=True)
        raise
    except AlidadeError as error:
        if is_debug:
            raise
        typer.echo(error_text(error), err=True)
        sys.exit(error.exit_code)
    except Exception as error:
        if is_debug:
            raise
        typer.echo(error_text(_explained(error)), err=True)
        sys.exit(1)


def _explained(error: Exception) -> AlidadeError:
    """What nobody foresaw, in words."""
    from alidade.store.store import full_disk, is_full_disk

    if is_full_disk(error):
        return full_disk(Path.cwd())
    return AlidadeError(f"unexpected {type(error).__name__}: {error}", hint="--debug shows where")


def error_text(error: AlidadeError) -> str:
    """An error as a person reads it: what, where, and a hint."""
    return f"error: {error}"


if __name__ == "__main__":
    main()
