"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RecipeArgument = Annotated[str, typer.Argument(help="A recipe: a shipped name (tour, ...) or a YAML file.")]
OutOption = Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the run.  [default: runs/NAME]")]
QuickOption = Annotated[bool, typer.Option("--quick", help="Use the recipe's quick settings: small, for a first look.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", "-s", help="Change a value: STAGE.FIELD=VALUE. May be repeated.")
]
SeedOption = Annotated[int | None, typer.Option("--seed", help="Seed of the whole run.", min=0)]
OnlyOption = Annotated[list[str] | None, typer.Option("--only", help="Only this stage. May be repeated.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RunOption = Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the run.  [default: the newest]")]
