"""Checks that stop a run before it starts, and names for what went wrong."""

import pytest
import torch

from alidade.errors import TrainingStopped
from alidade.training.diagnose import check_engine, check_ratio, check_reference, symptoms

HEALTHY = {"kl": 1.0, "entropy": 2.0, "value_loss": 0.5, "unfinished": 0.0, "proxy_reward": 0.0, "gold": 0.0}


def test_equal_log_probabilities_pass():
    same = torch.tensor([-1.0, -2.0])
    check_reference(same, same)
    check_ratio(same, same)
    check_engine(0.01, 0.05)


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


def test_healthy_curves_have_no_symptoms():
    assert symptoms([HEALTHY] * 5) == []
    assert symptoms([]) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kl": -2.0}, "below zero"),
        ({"entropy": 0.1}, "entropy fell"),
        ({"value_loss": 50.0}, "value loss grew"),
        ({"unfinished": 0.9}, "never stop"),
        ({"proxy_reward": 2.0, "gold": -1.0}, "being exploited"),
    ],
)
def test_each_symptom_is_named(change, words):
    found = symptoms([HEALTHY, *[{**HEALTHY, **change}] * 3])
    assert len(found) == 1
    assert words in found[0]
