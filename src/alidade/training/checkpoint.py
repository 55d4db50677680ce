"""Checkpoints that a kill cannot tear: one file, written beside its place and moved into it in one step."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

from alidade.errors import StoreError, TrainingStopped

FILE_NAME = "checkpoint.pt"


def random_state() -> dict[str, Any]:
    """The state of every generator of the process: torch (and its accelerators), Python, numpy."""
    name, keys, *rest = np.random.get_state(legacy=True)
    accelerators = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    numpy_state = [name, np.asarray(keys).tolist(), *rest]
    return {"torch": torch.get_rng_state(), "cuda": accelerators, "python": random.getstate(), "numpy": numpy_state}


def restore_random_state(state: dict[str, Any]) -> None:
    """Put every generator of the process back."""
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
    random.setstate(state["python"])
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, np.asarray(keys, dtype=np.uint32), *rest))


def save_checkpoint(folder: Path, job: str, state: dict[str, Any]) -> None:
    """Replace the checkpoint in `folder`; at every instant either the old or the new one is whole on the disk.

    Raises:
        StoreError: when it cannot be written (a full disk); the old checkpoint stays.
    """
    part = folder / f"{FILE_NAME}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            torch.save({"job": job, "random": random_state(), "state": state}, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(folder / FILE_NAME)
        _sync_folder(folder)
    # torch reports a failed write as a RuntimeError.
    except (OSError, RuntimeError) as error:
        part.unlink(missing_ok=True)
        raise StoreError(
            f"the checkpoint cannot be written: {error}",
            where=str(folder),
            hint="free some space; the run goes on from the last whole checkpoint",
        ) from error


def load_checkpoint(folder: Path, job: str) -> dict[str, Any] | None:
    """The state last saved in `folder`, the process's generators put back; None where there is none.

    Raises:
        TrainingStopped: if the checkpoint belongs to another job (other settings, another seed).
    """
    path = folder / FILE_NAME
    if not path.exists():
        return None
    saved = torch.load(path, map_location="cpu", weights_only=True)
    if saved["job"] != job:
        raise TrainingStopped(
            "the checkpoint belongs to a run with other settings",
            where=str(path),
            hint="remove that file to start afresh",
        )
    restore_random_state(saved["random"])
    return saved["state"]


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
