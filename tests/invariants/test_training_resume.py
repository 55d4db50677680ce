"""A training that is interrupted anywhere and started again ends in the same bytes as one that ran through."""

from contextlib import contextmanager

import pytest
from tests.small_trainings import constrained, dpo, grpo, kto, ppo, ppo_lora, pretrain, reward, sft, sft_lora, watched

from alidade.training.fit import TrainingRun


class Interrupted(Exception):
    """Stands for a kill."""


class Fuse:
    """A progress that burns through after some steps."""

    def __init__(self, steps):
        self.left = steps

    @contextmanager
    def track(self, total, label, unit, done=0):
        yield self

    def advance(self, amount=1, note=""):
        if note.startswith("loss"):
            self.left -= 1
            if self.left == 0:
                raise Interrupted


@pytest.mark.parametrize(
    "train", [pretrain, sft, sft_lora, reward, dpo, kto, ppo, ppo_lora, constrained, grpo, watched]
)
@pytest.mark.parametrize("steps", [[1], [2, 1, 2]], ids=["before the first save", "three times"])
def test_an_interrupted_training_ends_in_the_same_bytes(tmp_path, train, steps):
    whole, result = train(TrainingRun(seed=3), tmp_path)
    scratch = tmp_path / "scratch"
    for left in steps:
        with pytest.raises(Interrupted):
            train(TrainingRun(3, scratch, Fuse(left), save_every_seconds=0), tmp_path)
    again, resumed = train(TrainingRun(3, scratch, save_every_seconds=0), tmp_path)
    assert again == whole
    assert resumed.history == result.history
    assert resumed.summary == result.summary
    assert resumed.counts == result.counts
    assert resumed.preflight == result.preflight


@pytest.mark.parametrize("steps", [2, 3, 5, 6, 7])
def test_ppo_goes_on_from_the_middle_of_an_iteration_with_the_same_answers(tmp_path, steps):
    whole, result = ppo(TrainingRun(seed=3), tmp_path)
    with pytest.raises(Interrupted):
        ppo(TrainingRun(3, tmp_path, Fuse(steps), save_every_seconds=0), tmp_path)
    again, resumed = ppo(TrainingRun(3, tmp_path, save_every_seconds=0), tmp_path)
    assert again == whole
    assert resumed.history == result.history


def test_the_best_policy_survives_a_kill_after_its_peak(tmp_path):
    whole, result = watched(TrainingRun(seed=3), tmp_path)
    with pytest.raises(Interrupted):
        watched(TrainingRun(3, tmp_path, Fuse(8), save_every_seconds=0), tmp_path)
    assert result.summary["best"] == 2  # four steps in, and the kill comes in the eighth
    again, resumed = watched(TrainingRun(3, tmp_path, save_every_seconds=0), tmp_path)
    assert again == whole
    assert resumed.summary == result.summary


def test_another_seed_is_another_training(tmp_path):
    assert sft(TrainingRun(seed=3), tmp_path)[0] != sft(TrainingRun(seed=4), tmp_path)[0]
