"""Combined rewards and learned multipliers equal the specification."""

import math

import pytest
import torch
from reference.constrained import combined_advantages, combined_score, next_multiplier, violation
from reference.ppo import advantages

from alidade.errors import UsageError
from alidade.training import combined
from alidade.training.combined import CombinedReward
from alidade.training.losses import gae
from alidade.training.settings import Constraint, PpoConfig, RewardShape

FREE = {"reward": math.inf, "cost": math.inf, "tone": math.inf}
SCORES = {
    "reward": torch.tensor([0.5, -1.0, 2.0, 0.0], dtype=torch.float64),
    "cost": torch.tensor([1.0, 3.0, -0.5, 0.5], dtype=torch.float64),
    "tone": torch.tensor([0.2, 0.1, 0.9, 0.4], dtype=torch.float64),
}
COST = Constraint(at_most=0.25, multiplier=0.7, rate=0.6, lead=1.5)
TONE = Constraint(at_least=0.5, multiplier=2.0, rate=0.9, most=2.05, least=1.9)
CFG = PpoConfig(weights={"tone": 0.5}, constraints={"cost": COST, "tone": TONE})
BOUNDS = {"cost": (0.25, -1), "tone": (0.5, 1)}


def test_scores_are_combined_and_multipliers_move_as_specified():
    reward, multipliers = CombinedReward(FREE, CFG), {"cost": 0.7, "tone": 2.0}
    violations = {name: [] for name in multipliers}
    reached = set()
    for iteration in range(8):
        given = {name: score + 0.7 * math.sin(2 * iteration) for name, score in SCORES.items()}
        ours = reward.combine(given)
        signed = {name: (multipliers[name], sign) for name, (_, sign) in BOUNDS.items()}
        for place in range(4):
            scores = {name: float(score[place]) for name, score in given.items()}
            expected = combined_score(scores, {"reward": 1.0, "tone": 0.5}, signed)
            assert float(ours[place]) == pytest.approx(expected, abs=1e-12)
        reward.learn()
        for name, (bound, sign) in BOUNDS.items():
            violations[name].append(violation(given[name].tolist(), bound, sign))
            how = CFG.constraints[name].model_dump()
            multipliers[name] = next_multiplier(multipliers[name], violations[name], how)
        assert reward.state_dict()["multipliers"] == pytest.approx(multipliers, abs=1e-12)
        reached.add(multipliers["tone"])
    assert {1.9, 2.05} <= reached
    assert reward.measure()["multiplier_cost"] > 0.7


def test_combining_rewards_is_combining_advantages_where_the_baseline_is_linear():
    chance = torch.Generator().manual_seed(0)
    rewards, costs, values, cost_values = (torch.randn(5, dtype=torch.float64, generator=chance) for _ in range(4))
    how = {"gamma": 0.97, "lam": 0.9}
    theirs = combined_advantages(rewards, costs, values, cost_values, 1.7, how)
    whole, expected = (rewards - 1.7 * costs) / 2.7, (values - 1.7 * cost_values) / 2.7
    assert torch.allclose(theirs, advantages(whole, expected, 0.97, 0.9), atol=1e-12)
    ours = gae(whole[None], expected[None], torch.ones(1, 5, dtype=torch.bool), 0.97, 0.9)[0]
    assert torch.allclose(ours, theirs, atol=1e-12)


def test_one_reward_of_weight_one_is_passed_on_bit_for_bit():
    score = torch.tensor([0.1, -0.3, 7.0, 1 / 3])
    assert torch.equal(CombinedReward({"reward": math.inf}, PpoConfig()).combine({"reward": score}), score)
    bound = CombinedReward({"reward": 3.0}, PpoConfig()).combine({"reward": score})
    assert torch.equal(bound, score.clamp(-3, 3))


def test_normalised_scores_are_measured_against_all_scores_so_far():
    reward = CombinedReward({"reward": math.inf}, PpoConfig(shape=RewardShape(normalise=True, score_clip=1.5)))
    first, second = torch.tensor([1.0, 2.0, 6.0]).double(), torch.tensor([100.0, 3.0]).double()
    reward.combine({"reward": first})
    again = CombinedReward({"reward": math.inf}, PpoConfig(shape=RewardShape(normalise=True, score_clip=1.5)))
    again.load_state_dict(reward.state_dict())
    every = torch.cat([first, second])
    expected = (second - every.mean()) / (every.std(correction=0) + combined.LEAST_SPREAD)
    assert torch.allclose(again.combine({"reward": second}), expected.clamp(-1.5, 1.5), atol=1e-12)


def test_scores_that_are_all_equal_normalise_to_nothing():
    reward = CombinedReward({"reward": math.inf}, PpoConfig(shape=RewardShape(normalise=True)))
    assert reward.combine({"reward": torch.ones(1)}).tolist() == [0.0]


def test_a_weight_for_no_reward_and_a_reward_without_purpose_are_refused():
    with pytest.raises(UsageError, match="no reward is called `costs`") as caught:
        CombinedReward({"reward": 3.0, "cost": 3.0}, PpoConfig(weights={"costs": 1.0}))
    assert "cost, reward" in str(caught.value.hint)
    with pytest.raises(UsageError, match="what the reward `cost` is for") as caught:
        CombinedReward({"reward": 3.0, "cost": 3.0}, PpoConfig())
    assert "training.constraints.cost" in str(caught.value.hint)


@pytest.mark.parametrize("bounds", [{}, {"at_least": 0.0, "at_most": 1.0}])
def test_a_constraint_has_one_bound(bounds):
    with pytest.raises(ValueError, match="one bound"):
        Constraint(**bounds)


def test_a_multiplier_starts_between_its_bounds():
    with pytest.raises(ValueError, match="between least and most"):
        Constraint(at_most=0.0, multiplier=20.0)
