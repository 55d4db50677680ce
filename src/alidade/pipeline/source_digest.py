"""A digest of the code behind a stage, so that a plan can say when code changed and the stage's version did not."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from alidade.digest import digest_of


@cache
def source_digest(function: Callable[..., Any]) -> str:
    """The digest of the parsed source of a function's module and of what it imports from its own package.

    Comments and layout do not count. A function without source files gives an empty string.
    """
    package = sys.modules.get(function.__module__.partition(".")[0])
    root = Path(next(iter(getattr(package, "__path__", ())), "."))
    found: dict[str, str] = {}
    waiting = [function.__module__]
    while waiting:
        module = waiting.pop()
        path = _file_of(module, root)
        if module in found or path is None:
            continue
        found[module], imports = _parsed(path, module)
        waiting.extend(imports)
    return digest_of(["source/1", sorted(found.items())]) if found else ""


def _file_of(module: str, root: Path) -> Path | None:
    parts = module.split(".")
    if len(parts) == 1:
        loaded = getattr(sys.modules.get(module), "__file__", None)
        return Path(loaded) if loaded and loaded.endswith(".py") else None
    place = root.joinpath(*parts[1:])
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


@cache
def _parsed(path: Path, module: str) -> tuple[str, tuple[str, ...]]:
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError):
        return "", ()
    package = module.partition(".")[0]
    inside = tuple(name for name in _imports(tree) if name.startswith(f"{package}."))
    return digest_of(ast.dump(tree)), inside


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)
