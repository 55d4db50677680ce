"""Checkpoints: whole or not there, and every generator of the process put back."""

import random
import resource

import numpy as np
import pytest
import torch

from alidade.errors import StoreError, TrainingStopped
from alidade.training.checkpoint import FILE_NAME, load_checkpoint, save_checkpoint


def draw():
    return torch.rand(3).tolist(), random.random(), np.random.rand(3).tolist()


def test_there_is_nothing_to_load_in_an_empty_folder(tmp_path):
    assert load_checkpoint(tmp_path, "job") is None


def test_state_and_chance_come_back(tmp_path):
    save_checkpoint(tmp_path, "job", {"weights": torch.arange(3), "history": [{"loss": 1.5}]})
    expected = draw()
    state = load_checkpoint(tmp_path, "job")
    assert state is not None
    assert state["weights"].tolist() == [0, 1, 2]
    assert state["history"] == [{"loss": 1.5}]
    assert draw() == expected


def test_a_half_written_checkpoint_is_never_seen(tmp_path):
    save_checkpoint(tmp_path, "job", {"step": 1})
    whole = (tmp_path / FILE_NAME).read_bytes()
    (tmp_path / f"{FILE_NAME}.part").write_bytes(whole[: len(whole) // 2])
    assert load_checkpoint(tmp_path, "job") == {"step": 1}
    save_checkpoint(tmp_path, "job", {"step": 2})
    assert load_checkpoint(tmp_path, "job") == {"step": 2}
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    save_checkpoint(tmp_path, "one job", {"step": 1})
    with pytest.raises(TrainingStopped, match="other settings"):
        load_checkpoint(tmp_path, "another job")


def test_a_disk_without_room_is_named_and_the_old_checkpoint_stays(tmp_path):
    save_checkpoint(tmp_path, "job", {"step": 1})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(StoreError, match="cannot be written"):
            save_checkpoint(tmp_path, "job", {"weights": torch.zeros(1_000_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert load_checkpoint(tmp_path, "job") == {"step": 1}
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
