"""A chunk of a ledger made again: the same model, constitution, settings, seed and chunk number should give the same bytes.

Source: [B22] Bai et al. 2022, arXiv 2212.08073, sections 3.1 and 4.1, for what is asked; that a chunk can be made by itself is ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import BaseModel

from alidade.digest import digest_of
from alidade.errors import UsageError
from alidade.pipeline.marks import result_bearing
from alidade.pipeline.source_digest import source_digest
from alidade.pipeline.stage import stage_named
from alidade.stages import constitution
from alidade.store import Artifact, Manifest, Store, write_rows

LEDGERS = {"revise": "rows.jsonl", "prefer": "judgements.jsonl"}
_CUT = 80


@dataclass(frozen=True)
class Replayed:
    """A chunk made again: the line of its first row, how many it has, and what is another value now, a line each."""

    stage: str
    file: str
    chunk: int
    first: int
    rows: int
    differences: tuple[str, ...]
    same_code: bool

    @property
    def equal(self) -> bool:
        """Whether every byte of the chunk is the same."""
        return not self.differences

    def holds(self, line: int) -> bool:
        """Whether the chunk has the row on that line of its ledger."""
        return self.first <= line < self.first + self.rows


def is_ledger(manifest: Manifest, file: str) -> bool:
    """Whether rows of this file can be made again."""
    return LEDGERS.get(manifest.stage) == file


def replay(store: Store, manifest: Manifest, line: int, scratch: Path) -> Replayed:
    """The chunk in which that line of a ledger lies, made again in `scratch` and compared byte by byte.

    Raises:
        UsageError: when it cannot be made again: settings or files are others now, or the answers came from an endpoint.
        StoreError: when an input is damaged or gone.
    """
    use = stage_named(manifest.stage)
    config = use.config.model_validate(dict(manifest.config))
    _check_same_question(manifest, config, use.version)
    inputs = {name: store.artifact(record.digest, record.kind) for name, record in manifest.inputs.items()}
    for artifact in inputs.values():
        store.check(artifact)
    file = LEDGERS[manifest.stage]
    with (store.root / "data" / manifest.digest / file).open("rb") as ledger:
        stored = ledger.read().splitlines(keepends=True)
    asking, number, before = _place(config, inputs, manifest.seed, line - 1)
    size = constitution.CHUNK
    chunk = number // size
    part = asking.rows[chunk * size : (chunk + 1) * size]
    write_rows(scratch / file, asking.made(part, chunk))
    again = (scratch / file).read_bytes().splitlines(keepends=True)
    start = before + chunk * size
    first = stored[start : start + len(part)]
    return Replayed(
        stage=manifest.name,
        file=file,
        chunk=chunk,
        first=start + 1,
        rows=len(part),
        differences=tuple(_differences(first, again, start + 1)),
        same_code=manifest.environment.get("code", "") == source_digest(use.run),
    )


def _check_same_question(manifest: Manifest, config: BaseModel, version: int) -> None:
    if isinstance(config, constitution.PreferConfig) and config.endpoint is not None:
        raise UsageError(
            "an endpoint's answers cannot be made again", hint="equal seeds give equal answers only with local weights"
        )
    digests = {name: record.digest for name, record in manifest.inputs.items()}
    asked = result_bearing(config)
    key = digest_of(["stage/1", manifest.stage, version, asked, digests, manifest.seed])
    if key == manifest.key:
        return
    changed = [name for name, value in asked.items() if manifest.asked.get(name) != value]
    what = f"`{'`, `'.join(changed)}` is not what it was" if changed else "the stage's version is another one"
    raise UsageError(
        f"stage `{manifest.name}` cannot be made again: {what}",
        hint="files that its settings name must have the content they had",
    )


def _place(
    config: BaseModel, inputs: Mapping[str, Artifact], seed: int, number: int
) -> tuple[constitution.Asking[Any, Any], int, int]:
    """What was asked where the row of that number lies, its number there, and the number of rows in front of that file's."""
    if isinstance(config, constitution.ReviseConfig):
        return constitution.revising(config, inputs, seed), number, 0
    assert isinstance(config, constitution.PreferConfig), "these two stages keep a ledger"
    files = constitution.preferring(config, inputs, seed)
    trained = len(files["rows"].rows)
    name: Literal["rows", "heldout"] = "rows" if number < trained else "heldout"
    before = 0 if name == "rows" else trained
    return files[name], number - before, before


def _differences(stored: Sequence[bytes], again: Sequence[bytes], line: int) -> Iterator[str]:
    for number, (was, now) in enumerate(zip_longest(stored, again, fillvalue=b""), line):
        if was == now:
            continue
        try:
            fields = list(_fields(json.loads(was), json.loads(now)))
        except ValueError:
            fields = ["one of them is no row"]
        yield from (f"line {number}: {field}" for field in fields or ["the same values in other bytes"])


def _fields(was: Any, now: Any, place: str = "") -> Iterator[str]:
    if isinstance(was, dict) and isinstance(now, dict):
        left, right = cast("dict[str, Any]", was), cast("dict[str, Any]", now)
        for name in dict.fromkeys((*left, *right)):
            yield from _fields(left.get(name), right.get(name), f"{place}.{name}" if place else name)
    elif isinstance(was, list) and isinstance(now, list):
        for number, (one, other) in enumerate(zip_longest(cast("list[Any]", was), cast("list[Any]", now))):
            yield from _fields(one, other, f"{place}.{number}")
    elif was != now:
        yield f"{place} is {_cut(was)} in the ledger, and {_cut(now)} when made again"


def _cut(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _CUT else text[: _CUT - 3] + "..."
