"""`align`, `plan` and `run`: recipes into runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from alidade.cli import terminal
from alidade.cli.folders import RUNS, read_summary
from alidade.cli.options import (
    JsonOption,
    OnlyOption,
    OutOption,
    QuickOption,
    RecipeArgument,
    SeedOption,
    SetOption,
)
from alidade.cli.recipes import open_recipe

if TYPE_CHECKING:
    from alidade.pipeline import Recipe, Run

_SHOWN_MEASURES = ("helpful", "harmless", "refusal", "honest", "over_refusal", "facts", "sycophancy")


def align(  # noqa: PLR0913, PLR0917  (a command's parameters are its options)
    recipe: RecipeArgument = "tour",
    out: OutOption = None,
    quick: QuickOption = False,
    sets: SetOption = None,
    seed: SeedOption = None,
    only: OnlyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a recipe from base to aligned model, with a report.

    Interrupted or killed, the same command goes on where it was. What is unchanged is reused.
    """
    opened = open_recipe(recipe, sets, quick=quick, seed=seed)
    folder = out or default_folder(opened)
    record = _run(opened, folder, only or ())
    page = _report(folder) if not only else None
    if as_json:
        terminal.echo_json(
            {
                "run": record.model_dump(mode="json"),
                "summary": read_summary(folder),
                "report": str(page) if page else None,
            }
        )
        return
    _show_run(record)
    _show_measures(read_summary(folder) if page else {})
    if page:
        typer.echo(f"report: {page}")


def plan(
    recipe: RecipeArgument = "tour",
    out: OutOption = None,
    quick: QuickOption = False,
    sets: SetOption = None,
    seed: SeedOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a run would make anew or reuse, and why.

    Changes nothing. What a run would refuse before it starts is refused here too.
    """
    from dataclasses import asdict

    from alidade.pipeline import check_stages
    from alidade.pipeline import plan as plan_recipe
    from alidade.store import Store

    opened = open_recipe(recipe, sets, quick=quick, seed=seed)
    planned = plan_recipe(opened, Store((out or default_folder(opened)) / "store"))
    check_stages(opened, planned)
    if as_json:
        terminal.echo_json([asdict(one) for one in planned])
        return
    for one in planned:
        typer.echo(str(one))
        for warning in one.warnings:
            typer.echo(f"  warning: {warning}")


def run(  # noqa: PLR0913, PLR0917
    recipe: Annotated[str, typer.Argument(help="A recipe: a shipped name or a YAML file.")],
    only: OnlyOption = None,
    out: OutOption = None,
    quick: QuickOption = False,
    sets: SetOption = None,
    seed: SeedOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a recipe, or some of its stages, without a report."""
    opened = open_recipe(recipe, sets, quick=quick, seed=seed)
    record = _run(opened, out or default_folder(opened), only or ())
    if as_json:
        terminal.echo_json(record.model_dump(mode="json"))
    else:
        _show_run(record)


def default_folder(recipe: Recipe) -> Path:
    """Where a run goes when --out does not say."""
    return RUNS / (f"{recipe.name}-quick" if recipe.is_quick else recipe.name)


def _run(recipe: Recipe, folder: Path, only: Sequence[str]) -> Run:
    from alidade.pipeline import run as run_recipe
    from alidade.store import Store

    return run_recipe(
        recipe,
        Store(folder / "store"),
        only=only,
        progress=terminal.progress_for_terminal(),
        on_event=terminal.show_event,
        out=folder,
    )


def _report(folder: Path) -> Path:
    from alidade.report.render import write_report

    typer.echo("writing the report", err=True)
    return write_report(folder)


def _show_run(record: Run) -> None:
    from rich.table import Table

    table = Table(
        "stage", "", "took", "noted", title=f"{record.name}, seed {record.seed}", title_justify="left", box=None
    )
    for stage in record.stages:
        noted = ", ".join(f"{name} {_number(value)}" for name, value in list(stage.notes.items())[:4])
        done = "reused" if stage.reused else "made"
        table.add_row(stage.name, done, terminal.seconds_in_words(stage.seconds), noted)
    console = terminal.results()
    console.print(table)
    for stage in record.stages:
        for warning in stage.warnings:
            typer.echo(f"warning: {stage.name}: {warning}", err=True)
    console.print(f"{terminal.seconds_in_words(record.seconds)}, at most {record.peak_rss_mb:.0f} MiB of memory")


def _show_measures(summary: Mapping[str, Any]) -> None:
    """A row for every model measured, with 95 % intervals."""
    from rich.table import Table

    measured = {name: cast("dict[str, Any]", value) for name, value in summary.items() if _has_measures(value)}
    shown = [name for name in _SHOWN_MEASURES if any(_is_estimate(one.get(name)) for one in measured.values())]
    if not shown:
        return
    table = Table("model", *shown, title="held-out prompts, mean (95 % interval)", title_justify="left", box=None)
    for model, values in measured.items():
        table.add_row(model, *(_estimate(values.get(name)) for name in shown))
    terminal.results().print(table)


def _has_measures(value: Any) -> bool:
    return isinstance(value, dict) and any(_is_estimate(one) for one in cast("dict[str, Any]", value).values())


def _is_estimate(value: Any) -> bool:
    return isinstance(value, dict) and {"mean", "low", "high"} <= set(cast("dict[str, Any]", value))


def _estimate(value: Any) -> str:
    if not _is_estimate(value):
        return ""
    mean, low, high = (f"{value[name]:.2f}".removeprefix("0") for name in ("mean", "low", "high"))
    return f"{mean} ({low}-{high})"


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
