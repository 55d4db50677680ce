"""Marks on config fields: which are inert, and which name a file whose content decides the result.

::

    class SftStage(Record):
        files: list[InputFile]          # must exist; its content, not its name, enters the stage's key
        model: InputReference           # a folder's content where one exists, else the name itself (a hub id)
        log_every: Inert[int] = 10      # never enters the key

Relative paths are relative to the current directory.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from alidade.digest import digest_file, digest_folder
from alidade.yaml_source import Place

T = TypeVar("T")


@dataclass(frozen=True)
class InertMark:
    """The field does not decide the result."""


@dataclass(frozen=True)
class InputMark:
    """The field names something on disk that decides the result by its content."""

    wants: Literal["file", "folder", "anything"]

    def fault(self, path: Path) -> str | None:
        """What is wrong with `path`, or None."""
        if self.wants == "anything":
            return None
        if not path.exists():
            return f"no such {self.wants}: `{path}`"
        if self.wants == "file" and not path.is_file():
            return f"not a file: `{path}`"
        if self.wants == "folder" and not path.is_dir():
            return f"not a folder: `{path}`"
        return None


INERT = InertMark()
Inert = Annotated[T, INERT]
InputFile = Annotated[Path, InputMark("file")]
InputFolder = Annotated[Path, InputMark("folder")]
InputReference = Annotated[str, InputMark("anything")]

Replace = Callable[[InputMark, Any, Place], Any]


def result_bearing(config: BaseModel) -> dict[str, Any]:
    """The part of a config that decides the result, as JSON: no inert fields, and every input file as its digest."""
    return cast(dict[str, Any], _walk(config, type(config), (), (), lambda mark, value, place: _content(value)))


def missing_inputs(config: BaseModel) -> list[tuple[Place, str]]:
    """(place in the config, what is wrong) of every input file or folder that cannot be used."""
    faults: list[tuple[Place, str]] = []

    def look(mark: InputMark, value: Any, place: Place) -> None:
        if fault := mark.fault(Path(value)):
            faults.append((place, fault))

    _walk(config, type(config), (), (), look)
    return faults


def _walk(value: Any, annotation: Any, metadata: Iterable[Any], place: Place, replace: Replace) -> Any:
    annotation, metadata = _unwrap(annotation, tuple(metadata))
    mark = next((mark for mark in metadata if isinstance(mark, InputMark)), None)
    if mark is not None and value is not None:
        return replace(mark, value, place)
    if isinstance(value, BaseModel):
        return {
            name: _walk(getattr(value, name), field.annotation, field.metadata, (*place, name), replace)
            for name, field in type(value).model_fields.items()
            if INERT not in field.metadata
        }
    inner = get_args(annotation)
    if isinstance(value, (list, tuple)):
        items = cast("list[Any]", value)
        element = inner[0] if inner else Any
        return [_walk(item, element, (), (*place, number), replace) for number, item in enumerate(items)]
    if isinstance(value, Mapping):
        pairs = cast("Mapping[Any, Any]", value)
        element = inner[1] if len(inner) == 2 else Any
        return {str(key): _walk(item, element, (), (*place, str(key)), replace) for key, item in pairs.items()}
    return to_jsonable_python(value)


def _unwrap(annotation: Any, metadata: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """Look through `Annotated` and through `X | None`."""
    if get_origin(annotation) is Annotated:
        return _unwrap(get_args(annotation)[0], (*metadata, *get_args(annotation)[1:]))
    if get_origin(annotation) in (Union, types.UnionType):
        branches = [_unwrap(branch, metadata) for branch in get_args(annotation) if branch is not type(None)]
        marked = [branch for branch in branches if any(isinstance(mark, InputMark) for mark in branch[1])]
        containers = [branch for branch in branches if get_args(branch[0])]
        return (marked or containers or branches)[0]
    return annotation, metadata


def _content(value: Any) -> Any:
    path = Path(value)
    try:
        if path.is_file():
            status = path.stat()
            return {"content": _file_digest(path.resolve(), status.st_size, status.st_mtime_ns)}
        if path.is_dir():
            return {"content": digest_folder(path)}
    except OSError:  # a name too long or too odd for the file system is a name, not a path
        pass
    return str(value)


@lru_cache(maxsize=256)
def _file_digest(path: Path, size: int, changed_ns: int) -> str:
    """The digest of a file, computed once while its size and time stay the same."""
    return digest_file(path)
