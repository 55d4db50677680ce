"""What an artifact is: a read-only folder of one kind, and the manifest that says how it was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field

from alidade.records import Record


@dataclass(frozen=True)
class Kind:
    """A sort of artifact: its name and the files every artifact of that kind holds."""

    name: str
    files: tuple[str, ...] = ()
    is_optional: bool = False

    def if_given(self) -> Kind:
        """This kind, as an input that a stage can do without."""
        return replace(self, is_optional=True)


@dataclass(frozen=True)
class Artifact:
    """A committed folder."""

    kind: str
    digest: str
    path: Path


class InputRecord(Record):
    """One input of a stage: what it was, and the stage that made it."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    kind: str
    digest: str
    made_by: str = Field(alias="from", description="name of the stage in the recipe")


class Manifest(Record):
    """How an artifact was made.

    `asked` is the part of `config` that decides the result; `environment` helps to reproduce it and is never hashed.
    """

    kind: str
    digest: str
    key: str
    name: str = Field(description="the stage's name in the recipe")
    stage: str = Field(description="the registered stage that ran")
    version: int
    config: Mapping[str, Any]
    asked: Mapping[str, Any]
    seed: int
    inputs: Mapping[str, InputRecord]
    environment: Mapping[str, str] = Field(default_factory=dict)
    seconds: float = 0.0
    notes: Mapping[str, Any] = Field(default_factory=dict, description="headline numbers the stage reported")
    warnings: tuple[str, ...] = ()
    made_at: str = Field(default="", description="UTC time of the commit, ISO 8601")
