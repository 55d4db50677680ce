"""Checks that stop a run before it starts, and what they measure."""

import pytest
import torch

from alidade.errors import TrainingStopped
from alidade.training.diagnose import check_engine, check_ratio, check_reference


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
