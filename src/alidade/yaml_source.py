"""Reading YAML so that every value remembers where it was written.

Only the plain core is read: mappings with text keys, lists, text, numbers, true, false and null; so `on` is a word and
`1e-4` is a number.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any, cast

import yaml

from alidade.errors import AlidadeError, RecipeError

Place = tuple[str | int, ...]

_DEEPEST = 40
_WORDS = {"true": True, "True": True, "false": False, "False": False, "null": None, "~": None, "": None}
_INTEGER = re.compile(r"[-+]?\d[\d_]*")
_FLOAT = re.compile(r"[-+]?(\d[\d_]*)?\.?\d+([eE][-+]?\d+)?|[-+]?\d[\d_]*\.([eE][-+]?\d+)?")


@dataclass
class Source:
    """A tree of plain values, and the place (`file:line` or `--set ...`) of each."""

    file: str
    error: type[AlidadeError] = RecipeError
    tree: dict[str, Any] = field(default_factory=dict[str, Any])
    places: dict[Place, str] = field(default_factory=dict[Place, str])

    def where(self, *place: str | int) -> str:
        """The nearest known position of a place, with its dotted name: its own, that of something in it, that of what it is in."""
        dotted = ".".join(str(part) for part in place)
        within = (found for known, found in self.places.items() if known[: len(place)] == place)
        if found := self.places.get(place) or next(within, None):
            return f"{found} ({dotted})"
        for length in range(len(place) - 1, 0, -1):
            if found := self.places.get(place[:length]):
                return f"{found} ({dotted})"
        return f"{self.file} ({dotted})" if dotted else self.file

    def put(self, place: Place, value: Any, where: str) -> None:
        """Set the value at a place, creating the mappings on the way.

        Raises:
            AlidadeError: of the source's kind, when something on the way is not a mapping.
        """
        here = self.tree
        for part in place[:-1]:
            if here.get(str(part)) is None:
                here[str(part)] = {}
            below = here[str(part)]
            if not isinstance(below, dict):
                raise self.error(f"`{part}` holds a value, not fields", where=where)
            here = cast("dict[str, Any]", below)
        here[str(place[-1])] = value
        for known in [known for known in self.places if known[: len(place)] == place]:
            del self.places[known]
        self.places[place] = where


def read_source(
    text: str,
    file: str,
    *,
    noun: str = "recipe",
    hint: str = "a recipe has at least `name:` and `stages:`",
    error: type[AlidadeError] = RecipeError,
) -> Source:
    """The mapping written in a YAML text that should hold a `noun`.

    Raises:
        AlidadeError: of the kind `error`, with file:line, for text that is not YAML, and for a key that comes twice or is not text.
    """
    source = Source(file, error)
    node = _compose(text, source)
    if node is None:
        raise error(f"the {noun} is empty", where=file, hint=hint)
    if not isinstance(node, yaml.MappingNode):
        raise error(f"a {noun} is a mapping of fields", where=f"{file}:{_line(node)}")
    source.tree = cast("dict[str, Any]", _value(node, (), source))
    return source


def read_value(text: str, where: str) -> Any:
    """The value written in a short YAML text, such as the right side of `--set`.

    Raises:
        RecipeError: when it is not YAML.
    """
    source = Source(where)
    node = _compose(text, source, has_lines=False)
    return None if node is None else _value(node, (), source)


def _compose(text: str, source: Source, *, has_lines: bool = True) -> yaml.Node | None:
    try:
        return cast("yaml.Node | None", yaml.compose(text, Loader=yaml.SafeLoader))  # pyright: ignore[reportUnknownMemberType]
    except yaml.MarkedYAMLError as fault:
        line = f":{fault.problem_mark.line + 1}" if fault.problem_mark and has_lines else ""
        raise source.error(
            f"not YAML: {fault.problem}", where=f"{source.file}{line}", hint="check the indentation"
        ) from fault
    except yaml.YAMLError as fault:
        raise source.error(f"not YAML: {str(fault).splitlines()[0]}", where=source.file) from fault


def _value(node: yaml.Node, place: Place, source: Source) -> Any:
    if len(place) > _DEEPEST:
        raise source.error("nested too deeply", where=f"{source.file}:{_line(node)}")
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, place, source)
    if isinstance(node, yaml.SequenceNode):
        items = cast("list[yaml.Node]", node.value)
        for number, item in enumerate(items):
            source.places[(*place, number)] = f"{source.file}:{_line(item)}"
        return [_value(item, (*place, number), source) for number, item in enumerate(items)]
    return _scalar(cast(str, node.value), is_plain=cast(Any, node).style is None)


def _mapping(node: yaml.MappingNode, place: Place, source: Source) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key_node, value_node in cast("list[tuple[yaml.Node, yaml.Node]]", node.value):
        where = f"{source.file}:{_line(key_node)}"
        if not isinstance(key_node, yaml.ScalarNode):
            raise source.error("a field's name must be text", where=where)
        key = cast(str, key_node.value)
        if key in values:
            raise source.error(f"field `{key}` comes twice", where=where, hint="remove one of the two")
        source.places[(*place, key)] = where
        values[key] = _value(value_node, (*place, key), source)
    return values


def _scalar(text: str, *, is_plain: bool) -> Any:
    if not is_plain:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else text
    return text


def _line(node: yaml.Node) -> int:
    return cast(Any, node).start_mark.line + 1
