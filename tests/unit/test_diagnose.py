"""Checks that stop a run before it starts, and what they measure."""

import pytest
import torch
from tests import small_trainings
from torch import nn

from alidade.errors import TrainingStopped
from alidade.training.diagnose import check_alone, check_dropout, check_engine, check_ratio, check_reference
from alidade.training.fit import TrainingRun
from alidade.training.packing import Tree
from alidade.training.preflight import Checked
from alidade.training.reward_model import new_reward_model
from alidade.training.rollouts import Answers, signs


def test_equal_log_probabilities_pass():
    same = torch.tensor([-1.0, -2.0])
    assert check_reference(same, same) == Checked("reference", 0.0, 1e-5)
    assert check_ratio(same, same) == Checked("ratio", 0.0, 1e-5)
    assert check_engine(0.01, 0.05) == Checked("engine", 0.01, 0.05)


@pytest.mark.parametrize("wrong", [1e-3, float("nan")])
def test_a_policy_that_is_not_the_reference_is_refused(wrong):
    with pytest.raises(TrainingStopped, match="policy and reference differ"):
        check_reference(torch.tensor([-1.0, -2.0 + wrong]), torch.tensor([-1.0, -2.0]))


@pytest.mark.parametrize("wrong", [1e-3, float("nan")])
def test_a_first_ratio_that_is_not_one_is_refused(wrong):
    with pytest.raises(TrainingStopped, match="dropout"):
        check_ratio(torch.tensor([-1.0 + wrong]), torch.tensor([-1.0]))


@pytest.mark.parametrize("gap", [0.1, float("nan")])
def test_an_engine_that_draws_from_something_else_is_refused(gap):
    with pytest.raises(TrainingStopped, match="sampling engine"):
        check_engine(gap, 0.05)


ROWS = {"stop token", "prefix", "dropped", "truncated"}


@pytest.mark.parametrize(
    ("algorithm", "looked_at"),
    [
        ("sft", ROWS | {"ratio", "dropout", "trained"}),
        ("reward", ROWS | {"score alone", "dropout"}),
        ("dpo", ROWS | {"ratio", "dropout", "answer alone"}),
        ("ppo", {"reference", "engine", "ratio", "dropout", "score alone", "dropped", "truncated"}),
        ("grpo", {"reference", "engine", "ratio", "dropout", "dropped", "truncated"}),
    ],
)
def test_a_training_says_what_it_looked_at_before_its_first_step(tmp_path, algorithm, looked_at):
    _, result = getattr(small_trainings, algorithm)(TrainingRun(), tmp_path)
    assert {one.name for one in result.preflight} == looked_at
    assert all(one.is_good for one in result.preflight)


def test_dropout_at_work_is_counted():
    layers = nn.Sequential(nn.Dropout(0.1), nn.Dropout(0.0), nn.Linear(1, 1))
    assert check_dropout(layers.train()) == Checked("dropout", 1.0, 0.0)
    assert check_dropout(layers.eval()).is_good


def test_a_score_that_depends_on_its_batch_is_refused():
    reward = new_reward_model(small_trainings.model(), 0)
    trees = [Tree([5, 6], [[7, 8]]), Tree([9], [[10], [11, 12]])]
    assert check_alone(reward, trees).is_good
    head = reward.module.score.weight

    def beside(layer, given, states):
        head.data.add_(1.0)  # each pass sees another head

    reward.module.base_model.register_forward_hook(beside)
    with pytest.raises(TrainingStopped, match="scored alone and in its batch differs"):
        check_alone(reward, trees)


def test_signs_of_answers_that_go_wrong_are_measured():
    def drawn(tokens, finished):
        return Answers([[1]], [0] * len(tokens), tokens, finished, [[0.0] * len(one) for one in tokens])

    found = signs(drawn([[0], [0], [0], [5, 0], [5]], [True] * 4 + [False]), [1.0, 1.0, 1.0, 3.0, 1.0])
    assert found == {"empty": 0.6, "commonest": 0.5, "length_correlation": pytest.approx(1.0)}
    assert signs(drawn([[5, 0]], [True]), [1.0]) == {"empty": 0.0, "commonest": 0.0, "length_correlation": 0.0}
