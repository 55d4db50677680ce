"""What a constraint's multiplier does over a training: reaches what keeps the bound, damped, never wound up, never lost."""

import json
import math
from statistics import fmean

import pytest
import torch

from alidade.training.combined import MOST_STEP, CombinedReward, next_multiplier
from alidade.training.settings import Constraint, PpoConfig

LAG = 3.0  # iterations
START, BOUND, KEEPS = 0.44, 0.04, 3.0  # share of harm at first, the bound on it, and the multiplier that keeps it
PLAIN = Constraint(at_most=BOUND, rate=3.0, most=20.0)
DAMPED = PLAIN.model_copy(update={"lead": 2.0})


def settled(multiplier: float) -> float:
    """The share of harm where a policy comes to rest under a fixed multiplier; the bound itself at KEEPS."""
    odds = (START / BOUND - 1) * (multiplier / KEEPS) ** 2
    return START / (1 + odds)


def simulate(constraint: Constraint, iterations: int, harm: float = START) -> tuple[list[float], list[float]]:
    """Multipliers and shares of harm of a policy that follows its multiplier with a first-order lag."""
    multiplier, before = constraint.multiplier, constraint.violation(harm)
    multipliers, harms = [], []
    for _ in range(iterations):
        multipliers.append(multiplier)
        harms.append(harm)
        violation = constraint.violation(harm)
        harm += (settled(multiplier) - harm) / LAG
        multiplier, before = next_multiplier(multiplier, violation, before, constraint), violation
    return multipliers, harms


def test_lead_damps_the_overshoot_of_a_multiplier_whose_policy_lags_and_costs_no_time():
    (plain, kept), (damped, also_kept) = simulate(PLAIN, 10), simulate(DAMPED, 10)
    assert max(plain) > 6 * KEEPS
    assert max(damped) < 2 * KEEPS
    assert kept[-1] < also_kept[-1] < BOUND + 0.005


@pytest.mark.parametrize("start", [0.5, 1.0, 6.0])
def test_a_damped_multiplier_settles_where_the_bound_is_just_kept(start):
    multipliers, harms = simulate(DAMPED.model_copy(update={"multiplier": start}), 120)
    assert fmean(multipliers[-10:]) == pytest.approx(KEEPS, rel=0.05)
    assert harms[-1] == pytest.approx(BOUND, abs=0.002)


@pytest.mark.parametrize(("violation", "end"), [(0.3, 20.0), (-0.3, 0.01)])
def test_a_multiplier_long_at_its_bound_comes_off_it_as_soon_as_the_violation_turns(violation, end):
    multiplier = 1.0
    for _ in range(1000):
        multiplier = next_multiplier(multiplier, violation, violation, PLAIN)
    assert multiplier == end
    moved = next_multiplier(multiplier, -violation, -violation, PLAIN)
    assert math.log(moved / end) == pytest.approx(-PLAIN.rate * violation)


def test_a_damped_multiplier_leaves_its_bound_before_the_violation_ends():
    assert next_multiplier(20.0, 0.1, 0.2, DAMPED) < 20.0
    assert next_multiplier(20.0, 0.1, 0.2, PLAIN) == 20.0


@pytest.mark.parametrize("violation", [1e9, -1e9])
def test_one_odd_batch_cannot_throw_a_multiplier(violation):
    moved = next_multiplier(1.0, violation, 0.0, DAMPED)
    assert abs(math.log(moved)) == pytest.approx(MOST_STEP)


def test_a_first_batch_has_no_change_to_go_by():
    reward = CombinedReward({"reward": math.inf, "cost": math.inf}, PpoConfig(constraints={"cost": DAMPED}))
    reward.combine({"reward": torch.zeros(2), "cost": torch.tensor([0.1, 0.18])})
    reward.learn()
    assert reward.measure()["multiplier_cost"] == pytest.approx(math.exp(0.3))


@pytest.mark.parametrize("learned", [False, True], ids=["within an iteration", "between two"])
def test_a_resumed_multiplier_goes_on_as_if_never_stopped(learned):
    cfg = PpoConfig(constraints={"cost": DAMPED})
    whole, resumed = (CombinedReward({"reward": math.inf, "cost": math.inf}, cfg) for _ in range(2))
    batches = [{"reward": torch.zeros(2), "cost": torch.tensor([harm, harm / 3])} for harm in (0.4, 0.3, 0.1, 0.2)]
    for batch in batches[:2]:
        whole.combine(batch)
        whole.learn()
    whole.combine(batches[2])
    if learned:
        whole.learn()
    resumed.load_state_dict(json.loads(json.dumps(whole.state_dict())))
    for one in (whole, resumed):
        if not learned:
            one.learn()
        one.combine(batches[3])
        one.learn()
    assert resumed.state_dict() == whole.state_dict()
