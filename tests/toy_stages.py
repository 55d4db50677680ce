"""Small stages for tests of the pipeline and the command line: numbers, sums, rows, and ways to fail."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from alidade.errors import DataError
from alidade.pipeline import Inert, InputFile, StageContext, Upstream, stage
from alidade.records import Record
from alidade.store import Artifact, Kind, read_json, write_json, write_rows

NUMBER = Kind("number", files=("value.json",))
ROWS = Kind("rows", files=("rows.jsonl",))


class NumberConfig(Record):
    value: float = Field(default=1.0, gt=0, description="the number, above 0")
    log_every: Inert[int] = Field(default=10, description="shown only")


class Nested(Record):
    depth: int = Field(default=1, description="how deep")
    width: int = Field(default=2, description="how wide")


class NestedConfig(Record):
    shape: Nested = Nested(width=4)  # not the default of the record's own class


class AddConfig(Record):
    factor: float = Field(default=1.0, description="what the sum is multiplied by")


class FileConfig(Record):
    files: list[InputFile] = Field(min_length=1, description="text files")


class SlowConfig(Record):
    steps: int = Field(default=40, ge=1, description="hashes in the chain")
    pause_seconds: Inert[float] = Field(default=0.0, description="rest after each step")


class FillConfig(Record):
    size: int = Field(default=1_000_000, description="bytes")


class RowsConfig(Record):
    rows: int = Field(default=3, ge=1, description="rows")


class FailConfig(Record):
    how: str = Field(default="oops", description="in which way")


@stage("toy-number", version=1, reads={}, writes=NUMBER, config=NumberConfig)
def number(config: NumberConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """A number."""
    write_json(context.out / "value.json", config.value)
    context.note("value", config.value)


@stage(
    "toy-add",
    version=1,
    reads={"left": NUMBER, "right": NUMBER, "more": NUMBER.if_given()},
    writes=NUMBER,
    config=AddConfig,
)
def add(config: AddConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """The sum of two or three numbers."""
    total = sum(read_json(artifact.path / "value.json") for artifact in inputs.values())
    write_json(context.out / "value.json", total * config.factor)


@stage("toy-nested", version=1, reads={}, writes=NUMBER, config=NestedConfig)
def nested(config: NestedConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """An area."""
    write_json(context.out / "value.json", config.shape.depth * config.shape.width)


@stage("toy-chance", version=1, reads={}, writes=NUMBER, config=AddConfig)
def chance(config: AddConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """The stage's own seed."""
    write_json(context.out / "value.json", context.seed)


def no_empty_files(config: FileConfig, inputs: Mapping[str, Upstream]) -> None:
    for path in config.files:
        if not path.read_text():
            raise DataError("an empty file", hint="give a file with something in it", where=f"{path}:1")


@stage("toy-file", version=1, reads={}, writes=NUMBER, config=FileConfig, check=no_empty_files)
def file_length(config: FileConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """The letters in some files."""
    write_json(context.out / "value.json", sum(len(path.read_text()) for path in config.files))


@stage("toy-slow", version=1, reads={}, writes=NUMBER, config=SlowConfig)
def slow(config: SlowConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """A chain of hashes with a checkpoint after every step."""
    checkpoint = context.scratch / "checkpoint.json"
    state = read_json(checkpoint) if checkpoint.exists() else {"done": 0, "value": str(context.seed)}
    context.note("resumed_at", state["done"])
    for step in range(state["done"], config.steps):
        state = {"done": step + 1, "value": hashlib.sha256(state["value"].encode()).hexdigest()}
        write_json(checkpoint, state)
        time.sleep(config.pause_seconds)
    write_json(context.out / "value.json", state["value"])


@stage("toy-fill", version=1, reads={}, writes=NUMBER, config=FillConfig)
def fill(config: FillConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """A big file."""
    (context.out / "value.json").write_text("1" * config.size)


@stage("toy-votes", version=1, reads={}, writes=ROWS, config=RowsConfig)
def votes(config: RowsConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """Rows about prompts."""
    rows = [{"id": f"v{row}", "prompt_id": f"p{row % 2}", "choice": "left"} for row in range(config.rows)]
    write_rows(context.out / "rows.jsonl", rows)
    write_json(
        context.out / "counts.json",
        {"dropped": {"too long": 2}, "truncated": 1, "heldout": {"dropped": {"too long": 3}}},
    )


@stage("toy-pairs", version=1, reads={"votes": ROWS}, writes=ROWS, config=RowsConfig)
def pairs(config: RowsConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """Rows made from votes."""
    write_rows(
        context.out / "rows.jsonl", [{"id": f"p{row}/0-1", "left": "a", "right": "b"} for row in range(config.rows)]
    )


@stage("toy-fail", version=1, reads={}, writes=NUMBER, config=FailConfig)
def fail(config: FailConfig, inputs: Mapping[str, Artifact], context: StageContext) -> None:
    """Nothing: it fails."""
    (context.scratch / "kept").write_text("kept")
    if config.how == "data":
        raise DataError("a bad row", hint="mend it")
    if config.how == "interrupt":
        raise KeyboardInterrupt
    if config.how == "wrapped full disk":
        raise RuntimeError("I/O error: No space left on device (os error 28)")
    if config.how == "nothing":
        context.warn("nothing was written")
        return
    raise ValueError(config.how)


def write_recipe(folder: Path, stages: str, name: str = "toy") -> Path:
    """A recipe file with these stages (YAML, indented by two)."""
    path = folder / f"{name}.yaml"
    path.write_text(f"name: {name}\nseed: 0\nstages:\n{stages}")
    return path


SUM = """\
  one: {use: toy-number, with: {value: 2}}
  two: {use: toy-number, with: {value: 3}}
  sum:
    use: toy-add
    in: {left: one, right: two}
"""
