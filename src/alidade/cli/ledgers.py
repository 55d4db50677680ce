"""Which ledger of Constitutional AI a command means: judgements or revisions in a run, a folder or a file."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from alidade.cli.folders import run_folder, store_of
from alidade.errors import DataError, UsageError

if TYPE_CHECKING:
    from alidade.constitution import Constitution
    from alidade.constitution.prefer import Preferred
    from alidade.constitution.revise import Revised
    from alidade.records import Record
    from alidade.store import Manifest, Store

R = TypeVar("R", bound="Record")
_HINT = "give RUN:STAGE of a stage `prefer` or `revise`, a folder with judgements.jsonl or rows.jsonl, or such a file"


@dataclass(frozen=True)
class Place:
    """Where an artifact lies; in a run also how it was made."""

    asked: str
    path: Path
    store: Store | None = None
    manifest: Manifest | None = None


@dataclass(frozen=True)
class Ledger:
    """The rows of one artifact, one sort of them empty, and the constitution they were made by where it is known."""

    judged: list[Preferred]
    revised: list[Revised]
    constitution: Constitution | None


def place_of(asked: str, run: Path | None = None) -> Place:
    """A file, a folder, or an artifact of a run: `RUN:STAGE`, or a stage or digest in the run folder given or the newest.

    Raises:
        UsageError: when there is nothing called so.
    """
    from alidade.pipeline import resolve

    path = Path(asked)
    if path.is_file() or (path.is_dir() and not (path / "store").is_dir()):
        return Place(asked, path)
    if path.is_dir():
        raise UsageError("a run has many stages", where=asked, hint=f"say which: {asked}:STAGE")
    folder, colon, stage = asked.rpartition(":")
    if colon and not (Path(folder) / "store").is_dir():
        raise UsageError(f"no run in `{folder}`", where=asked, hint=_HINT)
    if not colon and ("/" in asked or path.suffix):
        raise UsageError("there is no such file or folder", where=asked, hint=_HINT)
    store = store_of(Path(folder) if colon else run_folder(run))
    manifest = resolve(store, stage)
    return Place(asked, store.artifact(manifest.digest, manifest.kind).path, store, manifest)


def is_place(asked: str) -> bool:
    """Whether a word means an artifact or rows, and not a constitution: `RUN:STAGE`, a folder, or a file of JSON lines."""
    path = Path(asked)
    if path.is_dir():  # a folder may have the name of a shipped constitution
        return any((path / name).exists() for name in ("judgements.jsonl", "rows.jsonl", "store"))
    return asked.endswith((".jsonl", ".jsonl.gz")) or (":" in asked and not path.exists())


def open_ledger(asked: str, run: Path | None = None) -> Ledger:
    """The judgements or revisions of a place.

    Raises:
        UsageError: when there is nothing called so.
        DataError: when what is there holds neither.
    """
    from alidade.constitution.prefer import Preferred
    from alidade.constitution.revise import Revised
    from alidade.store import read_rows

    place = place_of(asked, run)
    file = _ledger_file(place)
    fields = _fields(file)
    if {"comparison", "judgements"} <= fields:
        return Ledger(read_rows(file, Preferred), [], _constitution_of(place))
    if {"initial", "steps"} <= fields:
        return Ledger([], read_rows(file, Revised), _constitution_of(place))
    raise DataError("neither judgements nor revisions", where=str(file), hint=_HINT)


def open_judged(asked: str, run: Path | None = None) -> Ledger:
    """The judgements of a place.

    Raises:
        UsageError: when there is nothing called so.
        DataError: when what is there holds none.
    """
    return _needing(asked, open_ledger(asked, run), "judged")


def open_revised(asked: str, run: Path | None = None) -> Ledger:
    """The revisions of a place.

    Raises:
        UsageError: when there is nothing called so.
        DataError: when what is there holds none.
    """
    return _needing(asked, open_ledger(asked, run), "revised")


def rows_at(asked: str, record: type[R], run: Path | None = None) -> list[R]:
    """The rows of one record at a place: a file, or `rows.jsonl` and, where it exists, `heldout.jsonl` of a folder.

    Raises:
        UsageError: when there is nothing called so.
        DataError: for a row that is none.
    """
    from alidade.store import read_rows

    path = place_of(asked, run).path
    if path.is_file():
        return read_rows(path, record)
    files = [path / name for name in ("rows.jsonl", "heldout.jsonl") if (path / name).is_file()]
    if not files:
        raise DataError("no rows here", where=str(path), hint="a folder of an artifact has rows.jsonl")
    return [row for file in files for row in read_rows(file, record)]


def first_fields(asked: str, run: Path | None = None) -> set[str]:
    """The fields of the first row at a place; none where it has no row.

    Raises:
        UsageError: when there is nothing called so.
        DataError: when it cannot be read.
    """
    path = place_of(asked, run).path
    if path.is_file():
        return _fields(path)
    found = [_fields(path / name) for name in ("rows.jsonl", "heldout.jsonl") if (path / name).is_file()]
    return next((fields for fields in found if fields), set())


def labels_of_people(asked: str, judged: list[Preferred], run: Path | None = None) -> dict[str, float]:
    """What people said of comparisons: an artifact or file of comparisons, or JSON that maps ids to left probabilities.

    Raises:
        UsageError: when there is nothing called so.
        DataError: when it is neither.
    """
    from alidade.constitution.ablation import labels_for
    from alidade.records import Comparison

    if asked.endswith(".json"):
        return _mapped(Path(asked))
    rows: list[Comparison] = rows_at(asked, Comparison, run)
    return labels_for(judged, rows)


def _mapped(path: Path) -> dict[str, float]:
    from alidade.store import read_json

    if not path.is_file():
        raise UsageError("there is no such file", where=str(path))
    found = read_json(path)
    hint = 'write {"prompt-00001": 0.9}: the probability that the left answer is better'
    if not isinstance(found, dict):
        raise DataError("not a JSON object of labels", where=str(path), hint=hint)
    for name, value in found.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise DataError(f"not a probability: `{name}` has {value!r}", where=str(path), hint=hint)
    return {str(name): float(value) for name, value in found.items()}


def _needing(asked: str, ledger: Ledger, what: str) -> Ledger:
    if not getattr(ledger, what):
        stage, other = ("prefer", "revisions") if what == "judged" else ("revise", "judgements")
        raise DataError(f"{other}, and this asks for those of a stage `{stage}`", where=asked)
    return ledger


def _ledger_file(place: Place) -> Path:
    if place.path.is_file():
        return place.path
    files = [place.path / name for name in ("judgements.jsonl", "rows.jsonl") if (place.path / name).is_file()]
    if not files:
        raise DataError("neither judgements nor revisions", where=str(place.path), hint=_HINT)
    return files[0]


def _fields(path: Path) -> set[str]:
    from alidade.store.rows import each_row

    for _, row in islice(each_row(path), 1):
        return set(row) if isinstance(row, dict) else set()
    return set()


def _constitution_of(place: Place) -> Constitution | None:
    """The constitution that a stage of a run read."""
    from alidade.constitution import Constitution
    from alidade.store import read_json

    if place.store is None or place.manifest is None or "constitution" not in place.manifest.inputs:
        return None
    record = place.manifest.inputs["constitution"]
    path = place.store.artifact(record.digest, record.kind).path / "constitution.json"
    return Constitution.model_validate(read_json(path))
