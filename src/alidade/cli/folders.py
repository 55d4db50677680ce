"""Which run folder a command means, and which model a name means inside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alidade.errors import UsageError

if TYPE_CHECKING:
    from alidade.models.base import ChatModel
    from alidade.store import Store

RUNS = Path("runs")
_SCHEMES = {"hf", "http", "https", "script"}


def run_folder(given: Path | None) -> Path:
    """The run folder given, or the newest one in `runs/`.

    Raises:
        UsageError: when there is none.
    """
    if given is not None:
        if not (given / "store").is_dir():
            raise UsageError("no run here", where=str(given), hint=f"make one: alidade align --out {given}")
        return given
    found = [folder for folder in RUNS.glob("*") if (folder / "store").is_dir()]
    if not found:
        raise UsageError("no run yet", where=str(RUNS), hint="make one: alidade align")
    return max(found, key=lambda folder: folder.stat().st_mtime)


def store_of(folder: Path) -> Store:
    """The store of a run folder."""
    from alidade.store import Store

    return Store(folder / "store")


def model_place(asked: str, run: Path | None) -> str:
    """Where a model lies: `pilot`, a stage of a run (`rlhf`, `runs/tour:rlhf`), a folder, or an address as it stands."""
    from alidade.pipeline import resolve

    if asked == "pilot":
        from alidade.testbed.pilot import pilot_folder

        return str(pilot_folder())
    if Path(asked).exists() or asked.partition(":")[0] in _SCHEMES:
        return asked
    folder, colon, stage = asked.rpartition(":")
    if colon and not (Path(folder) / "store").is_dir():
        raise UsageError(f"no run in `{folder}`", where=asked, hint="write RUN_FOLDER:STAGE")
    try:
        store = store_of(Path(folder) if colon else run_folder(run))
        manifest = resolve(store, stage)
    except UsageError:
        if "/" in asked and not colon:
            return asked
        raise
    if manifest.kind != "model":
        raise UsageError(f"stage `{manifest.name}` makes {manifest.kind}, not a model", where=asked)
    return str(store.artifact(manifest.digest, manifest.kind).path)


def open_chat_model(asked: str, run: Path | None) -> ChatModel:
    """The model called `asked`; see `model_place`."""
    from alidade.models import open_model

    return open_model(model_place(asked, run))


def models_of(folder: Path) -> Sequence[str]:
    """The names of the stages of a run that made chat models, in the order they were made.

    Raises:
        UsageError: when there is none.
    """
    from alidade.pipeline import read_run

    names = [stage.name for stage in read_run(folder).stages if stage.kind == "model"]
    if not names:
        raise UsageError("this run made no model to talk to", where=str(folder))
    return names


def read_summary(folder: Path) -> dict[str, Any]:
    """The numbers of a run's `summary.json`; empty when there is none yet."""
    from alidade.store import read_json

    path = folder / "summary.json"
    return read_json(path) if path.exists() else {}
