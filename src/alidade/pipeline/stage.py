"""A stage: a function from a config and input artifacts to a folder, with the kinds it reads and writes.

::

    @stage("sft", version=1, reads={"model": MODEL, "demonstrations": DEMONSTRATIONS}, writes=MODEL, config=SftStage)
    def sft(config: SftStage, inputs: Mapping[str, Artifact], context: StageContext) -> None:
        ...  # fills context.out

Raise `version` when the same config and inputs should give another result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from alidade.errors import RecipeError
from alidade.progress import Progress, SilentProgress
from alidade.registry import Registry, did_you_mean
from alidade.store import Artifact, Kind


@dataclass(frozen=True)
class StageContext:
    """What a stage is given beside its config and inputs.

    `out` is the empty folder it fills, `scratch` its own folder that survives a kill, `seed` its own stream of chance.
    """

    seed: int
    out: Path
    scratch: Path
    progress: Progress = field(default_factory=SilentProgress)
    threads: int = 1
    notes: dict[str, Any] = field(default_factory=dict[str, Any])
    warnings: list[str] = field(default_factory=list[str])

    def note(self, name: str, value: Any) -> None:
        """Record a headline number beside the artifact (in its manifest, never in its bytes)."""
        self.notes[name] = value

    def warn(self, text: str) -> None:
        """Record something a person should know about this result."""
        self.warnings.append(text)


@dataclass(frozen=True)
class Upstream:
    """A stage that feeds another: its name, its config, and what feeds it in turn."""

    name: str
    config: BaseModel
    inputs: Mapping[str, Upstream]


StageFunction = Callable[[Any, Mapping[str, Artifact], StageContext], None]
Check = Callable[[Any, Mapping[str, Upstream]], None]
F = TypeVar("F", bound=StageFunction)


ANY_NAME = "*"  # in what a stage reads: inputs of any further name are of this kind


@dataclass(frozen=True)
class Stage:
    """A registered stage. `check`, where there is one, looks at the user's files before anything runs or is written."""

    name: str
    version: int
    reads: Mapping[str, Kind]
    writes: Kind
    config: type[BaseModel]
    run: StageFunction
    check: Check | None = None

    def kind_of(self, name: str) -> Kind | None:
        """What the input of that name is, or None where the stage reads no such input."""
        return self.reads.get(name, self.reads.get(ANY_NAME))


_STAGES: dict[str, Stage] = {}
_PLUGINS: Registry[Any] = Registry("alidade.stages", {}, noun="stage", error=RecipeError)


def stage(
    name: str,
    *,
    version: int,
    reads: Mapping[str, Kind],
    writes: Kind,
    config: type[BaseModel],
    check: Check | None = None,
) -> Callable[[F], F]:
    """Register a function as the stage `name`; the function itself stays as it is.

    `check(config, inputs)` may raise any AlidadeError; it is called for stages that will run, before a byte is written.
    """

    def register(function: F) -> F:
        known = _STAGES.get(name)
        same_place = known is None or known.run.__module__ == function.__module__
        assert same_place, f"two stages are called {name}"
        _STAGES[name] = Stage(name, version, dict(reads), writes, config, function, check)
        return function

    return register


def stage_names() -> list[str]:
    """Every stage a recipe can use: those imported so far and those of installed packages."""
    return sorted({*_STAGES, *_PLUGINS.names()})


def stage_named(name: str) -> Stage:
    """The stage called `name`.

    Raises:
        RecipeError: when there is none, with the names nearest to it.
    """
    if name not in _STAGES and name in _PLUGINS.names():
        _PLUGINS.get(name)
    if name not in _STAGES:
        raise RecipeError(f"unknown stage `{name}`", hint=did_you_mean(name, stage_names()))
    return _STAGES[name]
