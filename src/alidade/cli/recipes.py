"""Where recipes are: a path the user gives, or a shipped name (in the package, or beside it in the repository)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from alidade.errors import RecipeError, UsageError

if TYPE_CHECKING:
    from alidade.pipeline import Recipe

_PACKAGE = Path(__file__).resolve().parents[1]
_FOLDERS = (_PACKAGE / "recipes", _PACKAGE.parents[1] / "recipes")


def shipped_recipes() -> dict[str, Path]:
    """The recipes that come with alidade, by name."""
    found = [path for folder in reversed(_FOLDERS) for path in sorted(folder.glob("*.yaml"))]
    return {path.stem: path for path in found}


def find_recipe(asked: str) -> Path:
    """The file of a recipe, given its path or a shipped name.

    Raises:
        RecipeError: for a path that does not exist.
        UsageError: for a name that is not shipped.
    """
    path = Path(asked)
    if path.is_file():
        return path
    from alidade.registry import did_you_mean

    shipped = shipped_recipes()
    if path.suffix in {".yaml", ".yml"} or len(path.parts) > 1:
        raise RecipeError("no such recipe", where=asked, hint=did_you_mean(path.stem, shipped))
    if asked not in shipped:
        raise UsageError(f"no recipe is called `{asked}`", hint=did_you_mean(asked, shipped))
    return shipped[asked]


def open_recipe(asked: str, sets: Sequence[str] | None, *, quick: bool, seed: int | None = None) -> Recipe:
    """The checked recipe, with every shipped stage at its disposal."""
    from alidade.pipeline import load_recipe
    from alidade.stages import load_all

    load_all()
    recipe = load_recipe(find_recipe(asked), tuple(sets or ()), quick=quick, seed=seed)
    return replace(recipe, path=asked)
