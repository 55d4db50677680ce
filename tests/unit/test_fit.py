"""The loop: exact accumulation, reports, the stop at a loss that is no number."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import nn

from alidade.errors import TrainingStopped
from alidade.training.fit import Fit, Loss, TrainingRun, steps
from alidade.training.optimise import AdamW, Part
from alidade.training.settings import OptimiserConfig


class Squares:
    """Mean squared output over rows."""

    def weight(self, batch):
        return float(len(batch))

    def loss(self, model, batch):
        output = model(batch)
        return Loss((output**2).sum(), {"largest": output.detach().abs().sum()})


class Given:
    """Steps from a list."""

    def __init__(self, batches):
        self.batches, self.done, self.seen = batches, 0, []

    @property
    def position(self):
        return self.done, len(self.batches)

    def __iter__(self) -> Iterator[list[torch.Tensor]]:
        while self.done < len(self.batches):
            yield self.batches[self.done]

    def observe(self, report):
        self.done += 1
        self.seen.append(report.step)

    def state_dict(self):
        return {"done": self.done}

    def load_state_dict(self, state):
        self.done = state["done"]


def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Linear(3, 2)


def rows(count):
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(count))


def optimiser_of(model):
    return AdamW([Part("net", model)], OptimiserConfig(learning_rate=1e-2))


def test_reports_hold_means_over_the_whole_step_however_it_is_cut():
    batch = rows(8)
    whole, cut = network(), network()
    one = next(steps(whole, Squares(), Given([[batch]]), optimiser_of(whole)))
    eight = next(steps(cut, Squares(), Given([list(batch.split([1, 3, 4]))]), optimiser_of(cut)))
    assert one.values["loss"] == pytest.approx(eight.values["loss"])
    assert one.values["gradient_norm_net"] == pytest.approx(eight.values["gradient_norm_net"])
    assert torch.allclose(whole.weight, cut.weight, atol=1e-7)


def test_the_source_learns_of_every_step_before_the_caller_does():
    model = network()
    source = Given([[rows(2)], [rows(3)]])
    for report in steps(model, Squares(), source, optimiser_of(model)):
        assert source.seen[-1] == report.step
    assert source.seen == [1, 2]


def test_a_loss_that_is_no_number_stops_before_the_weights_change_and_keeps_the_batch(tmp_path):
    model = network()
    before = model.weight.detach().clone()
    bad = torch.full((2, 3), math.inf)
    with pytest.raises(TrainingStopped, match="at step 1") as caught:
        list(steps(model, Squares(), Given([[bad]]), optimiser_of(model), tmp_path))
    assert torch.equal(model.weight, before)
    kept = torch.load(str(caught.value.where))
    assert torch.equal(kept["batches"][0], bad)


def test_what_the_caller_notes_lands_in_the_history():
    model = network()
    fit = Fit(model, Squares(), Given([[rows(2)], [rows(3)]]), optimiser_of(model), TrainingRun())
    for report in fit.over("squares", "step", {}):
        report.note(extra=float(report.step))
    assert [row["extra"] for row in fit.history] == [1.0, 2.0]
    assert [row["step"] for row in fit.history] == [1, 2]


class Recorder:
    """A progress that remembers."""

    def __init__(self):
        self.told = []

    @contextmanager
    def track(self, total, label, unit, done=0):
        self.told.append((total, label, unit, done))
        yield self

    def advance(self, amount=1, note=""):
        self.told.append(amount)


def test_progress_starts_where_a_resumed_run_stands(tmp_path):
    batches = [[rows(2)], [rows(3)], [rows(4)]]
    run = TrainingRun(scratch=tmp_path, save_every_seconds=0)
    model = network()
    for report in Fit(model, Squares(), Given(batches), optimiser_of(model), run).over("squares", "step", {}):
        if report.step == 3:
            break
    progress = Recorder()
    resumed = TrainingRun(scratch=tmp_path, progress=progress, save_every_seconds=0)
    model = network()
    fit = Fit(model, Squares(), Given(batches), optimiser_of(model), resumed)
    assert [report.step for report in fit.over("squares", "step", {})] == [3]
    assert progress.told[0] == (3, "squares", "step", 2)
    assert len(fit.history) == 3


@pytest.mark.parametrize("every", [0.0, 1e9])
def test_how_often_checkpoints_are_written_changes_no_result(tmp_path, every):
    batches = [[rows(2)], [rows(3)], [rows(4)]]
    model, plain = network(), network()
    run = TrainingRun(scratch=tmp_path, save_every_seconds=every)
    list(Fit(model, Squares(), Given(batches), optimiser_of(model), run).over("squares", "step", {}))
    list(Fit(plain, Squares(), Given(batches), optimiser_of(plain), TrainingRun()).over("squares", "step", {}))
    assert torch.equal(model.weight, plain.weight)
