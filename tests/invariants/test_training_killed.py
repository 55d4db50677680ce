"""A training that is killed anywhere and started again ends in the same bytes: the short form of `make kill-tests`."""

import multiprocessing
import time

import pytest
import torch
from tests.kill_trainings import ALGORITHMS, kill_often

from alidade.training.checkpoint import FILE_NAME, load_checkpoint, save_checkpoint


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_training_killed_twice_ends_with_the_same_weights_history_and_random_state(tmp_path, algorithm):
    outcome = kill_often(algorithm, 2, 0, tmp_path, method="forkserver")
    assert outcome.fell.total() == 2
    assert outcome.equal


def save_for_ever(folder):
    number = 0
    while True:
        number += 1
        save_checkpoint(folder, "job", {"number": number, "body": torch.full((1_000_000,), number)})


def test_a_kill_inside_a_checkpoint_write_leaves_the_one_before_whole(tmp_path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    part, torn = tmp_path / f"{FILE_NAME}.part", 0
    for _ in range(5):
        process = context.Process(target=save_for_ever, args=(tmp_path,))
        process.start()
        while not (tmp_path / FILE_NAME).exists() or not _is_half_written(part):
            time.sleep(0.0001)
        process.kill()
        process.join()
        torn += _is_half_written(part)
        state = load_checkpoint(tmp_path, "job")
        assert state is not None
        assert bool((state["body"] == state["number"]).all())
    assert torn >= 1


def _is_half_written(part):
    try:
        return 0 < part.stat().st_size < 8_000_000
    except FileNotFoundError:
        return False
