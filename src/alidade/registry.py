"""Names to things, loaded when asked for: built-ins and the entry points of installed packages share one door."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from alidade.errors import AlidadeError, UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """A hint that offers the name nearest to `name`, or all of them when none is near."""
    import difflib

    known = sorted(set(names))
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.55)
    if near:
        return f"did you mean `{near[0]}`?"
    if not known:
        return "none is known here"
    return "known: " + ", ".join(f"`{match}`" for match in known)


class Registry(Generic[T]):
    """Things of one group by name; nothing is imported before `get`."""

    def __init__(
        self,
        group: str,
        built_in: Mapping[str, str],
        *,
        noun: str = "name",
        error: type[AlidadeError] = UsageError,
    ) -> None:
        self._group = group
        self._built_in = dict(built_in)
        self._noun = noun
        self._error = error

    def names(self) -> list[str]:
        """Every known name, sorted."""
        return sorted({*self._built_in, *self._plugins()})

    def get(self, name: str) -> T:
        """The thing called `name`; a built-in is never replaced by a plugin.

        Raises:
            UsageError: (or the registry's own error) for an unknown name, and for a plugin that cannot be imported.
        """
        if name in self._built_in:
            module, _, attribute = self._built_in[name].partition(":")
            return cast(T, getattr(import_module(module), attribute))
        plugins = self._plugins()
        if name not in plugins:
            raise self._error(f"unknown {self._noun} `{name}`", hint=did_you_mean(name, self.names()))
        return cast(T, self._load(plugins[name]))

    def _plugins(self) -> dict[str, EntryPoint]:
        from importlib.metadata import entry_points

        return {point.name: point for point in entry_points(group=self._group)}

    def _load(self, point: EntryPoint) -> Any:
        try:
            return point.load()
        except Exception as error:
            owner = point.dist.name if point.dist else "an installed package"
            raise self._error(
                f"{self._noun} `{point.name}` of {owner} cannot be loaded: {error}",
                where=point.value,
                hint=f"update or uninstall {owner}",
            ) from error
