"""Lineage: from an artifact, a stage or a single row up to the sources it came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from alidade.errors import UsageError
from alidade.pipeline.run_record import read_run
from alidade.registry import did_you_mean
from alidade.store import Manifest, Store
from alidade.store.rows import each_row

_LEAST_PREFIX = 4
_ITSELF, _NAMES_IT, _ABOVE_IT = 3, 2, 1


@dataclass(frozen=True)
class Step:
    """An artifact and the steps its inputs came from, by input name."""

    manifest: Manifest
    inputs: Mapping[str, Step]


@dataclass(frozen=True)
class RowFound:
    """A row that has to do with the id asked for, and the artifact that holds it; the higher `nearness`, the closer."""

    manifest: Manifest
    file: str
    line: int
    row: Any
    nearness: int


@dataclass(frozen=True)
class Explanation:
    """Why something is as it is: the rows that carry its id (for a row), and the way up from each artifact."""

    asked: str
    rows: tuple[RowFound, ...]
    steps: tuple[Step, ...]


def explain(store: Store, asked: str) -> Explanation:
    """What made an artifact (its digest, key or a prefix of either), a stage (its name) or a row (its id).

    A row's id means the rows that carry it, and in the artifacts they were made from those that carry it or an id it
    begins with (the pair `p7/0-1` comes from the prompt `p7`).

    Raises:
        UsageError: when nothing here is called that.
    """
    try:
        return Explanation(asked, (), (walk_up(store, resolve(store, asked)),))
    except UsageError:
        rows = list(_rows(store, asked))
        if not rows:
            raise
    holders = {found.manifest.digest for found in rows if found.nearness == _ITSELF}
    if holders:
        related = _with_all_above(holders, store.manifests())
        rows = [found for found in rows if found.manifest.digest in related]
    below = holders or {found.manifest.digest for found in rows}
    above = {record.digest for found in rows for record in found.manifest.inputs.values()}
    # The steps of the last artifacts reach all the others, so only those are walked.
    ends = {found.manifest.digest: found.manifest for found in rows if found.manifest.digest in below - above}
    return Explanation(asked, tuple(rows), tuple(walk_up(store, manifest) for manifest in ends.values()))


def newest_of_kind(store: Store, kind: str) -> Manifest:
    """The newest manifest of an artifact of this kind.

    Raises:
        UsageError: when there is none.
    """
    found = next((manifest for manifest in _newest(store) if manifest.kind == kind), None)
    if found is None:
        raise UsageError(f"no stage of this run made {kind}", where=str(store.root))
    return found


def resolve(store: Store, asked: str) -> Manifest:
    """The manifest with this digest or key, of which a prefix is enough, or with this stage name.

    A stage's name means what the last finished run made or reused; what was made since then, by a run that goes on or was interrupted,
    comes before it.

    Raises:
        UsageError: when there is none, or when a prefix fits several artifacts.
    """
    manifests = _newest(store)
    by_name = [manifest for manifest in manifests if manifest.name == asked]
    if by_name:
        return _in_use(store, by_name)
    fitting = [
        manifest for manifest in manifests if manifest.digest.startswith(asked) or manifest.key.startswith(asked)
    ]
    if len(asked) < _LEAST_PREFIX or not fitting:
        raise UsageError(
            f"nothing here is called `{asked}`",
            where=str(store.root),
            hint=did_you_mean(asked, [manifest.name for manifest in manifests]) + " (or a digest, or a row's id)",
        )
    digests = {manifest.digest for manifest in fitting}
    if len(digests) > 1:
        raise UsageError(
            f"`{asked}` fits {len(digests)} artifacts",
            where=str(store.root),
            hint="give more of it: " + ", ".join(sorted(digest[:12] for digest in digests)),
        )
    return fitting[0]


def _in_use(store: Store, manifests: Sequence[Manifest]) -> Manifest:
    """Of one stage's manifests, the newest first: what the last finished run holds, or what was made since."""
    newest, folder = manifests[0], store.root.parent
    if not (folder / "run.json").exists():
        return newest
    ended = datetime.fromtimestamp((folder / "run.json").stat().st_mtime, UTC).isoformat(timespec="microseconds")
    used = {stage.digest for stage in read_run(folder).stages if stage.name == newest.name}
    since = newest.made_at > ended
    return newest if since else next((one for one in manifests if one.digest in used), newest)


def walk_up(store: Store, manifest: Manifest) -> Step:
    """The step that made an artifact, with all steps above it."""
    by_digest: dict[str, Manifest] = {}
    for one in store.manifests():
        by_digest[one.digest] = one
    return _step(manifest, by_digest)


def _step(manifest: Manifest, by_digest: Mapping[str, Manifest]) -> Step:
    known = {name: by_digest[record.digest] for name, record in manifest.inputs.items() if record.digest in by_digest}
    return Step(manifest, {name: _step(above, by_digest) for name, above in known.items()})


def _newest(store: Store) -> list[Manifest]:
    return list(reversed(store.manifests()))


def _with_all_above(digests: set[str], manifests: Sequence[Manifest]) -> set[str]:
    """These artifacts and all they were made from."""
    inputs = {one.digest: {record.digest for record in one.inputs.values()} for one in manifests}
    found: set[str] = set()
    waiting = set(digests)
    while waiting:
        digest = waiting.pop()
        found.add(digest)
        waiting |= inputs.get(digest, set()) - found
    return found


def _rows(store: Store, asked: str) -> Iterator[RowFound]:
    """Rows related to an id, the sources first and, within a file, the nearest first."""
    wanted = {asked[:cut] for cut, letter in enumerate(asked) if letter == "/"}
    seen: set[str] = set()
    for manifest in store.manifests():
        folder = store.root / "data" / manifest.digest
        if manifest.digest in seen or not folder.is_dir():
            continue
        seen.add(manifest.digest)
        for path in sorted(folder.glob("*.jsonl")):
            yield from sorted(_rows_of(path, wanted, asked, manifest), key=lambda found: -found.nearness)


def _rows_of(path: Path, wanted: set[str], asked: str, manifest: Manifest) -> Iterator[RowFound]:
    for line, row in each_row(path):
        own = str(cast("dict[str, Any]", row).get("id")) if isinstance(row, dict) else ""
        ids = set(_ids(row))
        if own == asked:
            nearness = _ITSELF
        elif asked in ids or any(one.startswith(f"{asked}/") for one in ids):
            nearness = _NAMES_IT
        elif ids & wanted:
            nearness = _ABOVE_IT
        else:
            continue
        yield RowFound(manifest, path.name, line, row, nearness)


def _ids(value: Any) -> Iterator[str]:
    """The ids a row carries: fields `id` and `..._id`, its own and those of the records directly in it."""
    if not isinstance(value, dict):
        return
    fields = cast("dict[str, Any]", value)
    for name, item in fields.items():
        if (name == "id" or name.endswith("_id")) and isinstance(item, str):
            yield item
        elif isinstance(item, dict) and "id" in item:
            yield str(cast("dict[str, Any]", item)["id"])


def sources(steps: Sequence[Step]) -> list[Manifest]:
    """The artifacts at the top: those made from nothing."""
    found: dict[str, Manifest] = {}
    for step in steps:
        if not step.manifest.inputs:
            found[step.manifest.digest] = step.manifest
        for one in sources(list(step.inputs.values())):
            found[one.digest] = one
    return list(found.values())
