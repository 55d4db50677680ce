"""Training on comparisons without a reward model: where it starts, what it learns, what it counts and names."""

import math
from dataclasses import replace

import pytest
import torch

from alidade.errors import DataError, TrainingStopped
from alidade.models.local import LocalModel
from alidade.models.render import Renderer
from alidade.records import Comparison, Conversation, Ranking
from alidade.seeds import generator
from alidade.training.diagnose import check_start
from alidade.training.fit import TrainingRun
from alidade.training.judgements import collate_groups, group_rows, noise_corrected
from alidade.training.losses import choice_loss
from alidade.training.objectives.dpo import DpoLoss
from alidade.training.objectives.ipo import IpoLoss
from alidade.training.objectives.orpo import OrpoLoss
from alidade.training.objectives.preference import (
    PreferenceObjective,
    ReferencedGroup,
    collate_referenced,
    score_groups,
    train_preferences,
)
from alidade.training.objectives.simpo import SimpoLoss
from alidade.training.pretrain import new_model, train_tokenizer
from alidade.training.settings import (
    Batching,
    DpoConfig,
    IpoConfig,
    ModelShape,
    OptimiserConfig,
    OrpoConfig,
    RowLimits,
    SimpoConfig,
)
from alidade.training.symptoms import symptoms
from alidade.training.trunk import prepare

SETTINGS = {"batching": Batching(epochs=4, rows=8), "optimiser": OptimiserConfig(learning_rate=3e-3)}
LOSSES = {
    "dpo": DpoLoss(DpoConfig(**SETTINGS)),
    "ipo": IpoLoss(IpoConfig(**SETTINGS)),
    "simpo": SimpoLoss(SimpoConfig(**SETTINGS)),
    "orpo": OrpoLoss(OrpoConfig(**SETTINGS)),
}
CPU = torch.device("cpu")


def model(seed=0):
    tokenizer = train_tokenizer(["User: what is red Assistant: yes no blue"] * 5, 320)
    module = new_model(ModelShape(hidden=32, ffn=64, layers=1, heads=1, context=64), tokenizer, seed)
    return LocalModel("tiny", prepare(module), tokenizer, Renderer(tokenizer), 64)


def comparison(place, label_prob=1.0, left="yes", right="no blue"):
    return Comparison(
        id=str(place), prompt=Conversation.ask(f"what is {place}"), left=left, right=right, label_prob=label_prob
    )


def colours(count, flipped, seed):
    """Eight questions, each with its own better colour; some labels the wrong way round."""
    chance = generator(seed, "colours")
    rows = []
    for place in range(count):
        better, worse = ("red", "blue") if place % 8 < 4 else ("blue", "red")
        label = 0.0 if chance.random() < flipped else 1.0
        rows.append(comparison(place, label, better, worse).model_copy(update={"prompt": ask(place % 8)}))
    return rows


def ask(number):
    return Conversation.ask(f"what is {number}")


def train(learner, rows, heldout, cfg, **run):
    return train_preferences(learner, rows, heldout, DpoLoss(cfg), TrainingRun(**run))


def test_dpo_starts_at_log_two():
    cfg = DpoConfig(**SETTINGS)
    first = train(model(), [comparison(place) for place in range(16)], [], cfg).history[0]
    assert first["loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert first["chosen_shift"] == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_learns_which_answer_is_better(name):
    loss = LOSSES[name]
    rows = [comparison(place) for place in range(32)]
    result = train_preferences(model(), rows[:24], rows[24:], loss, TrainingRun())
    assert result.summary["heldout"]["accuracy"] == 1.0
    assert ("chosen_shift" in result.history[0]) == loss.uses_reference
    assert result.history[-1]["loss"] < result.history[0]["loss"]
    assert len(result.history) == 12


def test_dpo_learns_flipped_labels_as_they_are():
    learner = model()
    rows = [comparison(place, label_prob=0.0) for place in range(32)]
    result = train(learner, rows[:24], [comparison(place) for place in range(40, 48)], DpoConfig(**SETTINGS))
    assert result.summary["heldout"]["accuracy"] == 0.0


def test_robust_dpo_at_thirty_percent_flips_beats_dpo():
    cfg = DpoConfig(batching=Batching(epochs=16, rows=4), optimiser=OptimiserConfig(learning_rate=3e-3), beta=0.5)
    accuracies = []
    for seed in range(5):
        rows, clean = colours(160, 0.3, seed), colours(8, 0.0, seed)
        plain, robust = (
            train(model(seed), rows, clean, cfg.model_copy(update={"flips": flips}), seed=seed).summary["heldout"]
            for flips in (0.0, 0.3)
        )
        assert robust["loss"] < plain["loss"] < math.log(2)
        accuracies.append((plain["accuracy"], robust["accuracy"]))
    assert sum(robust for _, robust in accuracies) >= sum(plain for plain, _ in accuracies) > 4


def test_undoing_flips_on_average_gives_the_loss_of_clean_labels():
    learned = noise_corrected(0.3, "robust")
    for label in (0.0, 0.4, 1.0):
        assert 0.7 * learned(label) + 0.3 * learned(1 - label) == pytest.approx(label)
    smoothed = noise_corrected(0.3, "smoothed")
    assert (smoothed(1.0), smoothed(0.5), smoothed(0.0)) == pytest.approx((0.7, 0.5, 0.3))


def test_a_ranking_of_two_is_a_comparison():
    prompt = Conversation.ask("what is 1")
    ranking = Ranking(id="r", prompt=prompt, answers=("yes", "no blue"), ranks=(0, 1))
    learner = model()
    losses = []
    for row in (ranking, comparison(1)):
        (group,), _ = group_rows(learner.renderer, [row], 64)
        batch = collate_groups([group], CPU)
        losses.append(choice_loss(torch.tensor([0.3, -0.8]), batch.choices).item())
    assert losses[0] == pytest.approx(losses[1])


@pytest.mark.parametrize("name", LOSSES)
def test_eight_prompts_at_once_equal_eight_times_one_prompt(name):
    loss = LOSSES[name]
    learner, objective = (
        model(),
        PreferenceObjective(replace(loss, cfg=loss.cfg.model_copy(update={"sft_weight": 0.1}))),
    )
    rows = [comparison(place, 0.9, right="no " * (1 + place)) for place in range(8)]
    groups, _ = group_rows(learner.renderer, rows, 64)
    referenced = [
        ReferencedGroup(group, [value - 0.5 for value in row])
        for group, row in zip(groups, score_groups(learner.module, groups, 4096), strict=True)
    ]

    def gradient(batches):
        learner.module.zero_grad()
        for batch in batches:
            objective.loss(learner.module, batch).total.backward()
        return torch.cat([weight.grad.flatten() for weight in learner.module.parameters()])

    together = gradient([collate_referenced(referenced, CPU)])
    apart = gradient([collate_referenced([row], CPU) for row in referenced])
    assert torch.allclose(together, apart, atol=1e-5)
    assert together.abs().max() > 1e-3


def test_rows_that_cannot_be_used_are_counted_and_too_many_stop_the_run():
    rows = [comparison(place) for place in range(9)]
    long = comparison(10, left="blue " * 60)
    cfg = DpoConfig(**SETTINGS, limits=RowLimits(allowed_loss=0.1))
    counts = train(model(), [*rows, long], [long], cfg).counts
    assert (counts["rows"], counts["dropped"]["too long"], counts["heldout"]["dropped"]["too long"]) == (10, 1, 1)
    with pytest.raises(DataError, match="1 too long"):
        train(model(), [*rows, long], [], DpoConfig(**SETTINGS))


def test_a_batch_of_one_trains():
    cfg = DpoConfig(**SETTINGS | {"batching": Batching(rows=1)})
    assert len(train(model(), [comparison(1)], [], cfg).history) == 1


def test_an_answer_that_depends_on_its_neighbours_stops_the_run():
    check_start([-3.0, -2.0], [-3.0, -2.0], [3, 2], torch.float32)
    check_start([-3.0, -2.01], [-3.0, -2.0], [3, 2], torch.bfloat16)
    with pytest.raises(TrainingStopped, match=r"differs by 0\.00707 nats"):
        check_start([-3.0, -2.01], [-3.0, -2.0], [3, 2], torch.float32)


class Drifting(torch.nn.Module):
    """A layer that answers differently each time it is called."""

    calls = 0

    def forward(self, states):
        self.calls += 1
        return states * (1 + 1e-2 * self.calls)


def test_a_network_that_is_not_the_same_twice_never_starts():
    learner = model()
    learner.module.model.norm = torch.nn.Sequential(learner.module.model.norm, Drifting())
    start = learner.module.get_input_embeddings().weight.clone()
    with pytest.raises(TrainingStopped, match="before any update"):
        train(learner, [comparison(place) for place in range(16)], [], DpoConfig(**SETTINGS))
    assert torch.equal(learner.module.get_input_embeddings().weight, start)


def test_flips_are_not_undone_in_rankings():
    ranking = Ranking(id="r", prompt=ask(1), answers=("yes", "no blue"), ranks=(0, 1))
    with pytest.raises(DataError, match="there are rankings"):
        train(model(), [ranking], [], DpoConfig(**SETTINGS, flips=0.1))


def test_likelihood_displacement_is_named():
    def curve(shift, margin):
        return [{"chosen_shift": step * shift, "margin": step * margin} for step in range(10)]

    assert "became 8.0 nats less likely" in symptoms(curve(-1, 0.5))[0]
    assert symptoms(curve(-1, -0.5)) == []
    assert symptoms(curve(0.1, 0.5)) == []
    assert symptoms(curve(-1, 1)[:1]) == []


def test_an_sft_weight_keeps_the_chosen_answers_likely():
    rows = [comparison(place, left="yes no", right="yes blue") for place in range(24)]
    shifts = []
    for sft_weight in (0.0, 1.0):
        cfg = DpoConfig(**SETTINGS | {"sft_weight": sft_weight, "batching": Batching(epochs=8, rows=8)})
        shifts.append(train(model(), rows, [], cfg).history[-1]["chosen_shift"])
    assert shifts[1] > shifts[0] + 1
