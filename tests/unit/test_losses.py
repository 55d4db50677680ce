"""The mathematics of training, by hand and against independent formulas."""

import math
from itertools import permutations

import pytest
import torch

from alidade.training.losses import (
    bradley_terry,
    clipped_policy_loss,
    clipped_value_loss,
    gae,
    group_advantages,
    kl_k1,
    kl_k2,
    kl_k3,
    leave_one_out_advantages,
    masked_mean,
    plackett_luce,
    whiten,
)


def chosen(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_masked_mean_ignores_what_is_masked_out():
    assert masked_mean(chosen(1, 3, 1000), torch.tensor([True, True, False])) == 2


def test_whitening_gives_unit_population_variance_and_removes_the_mean():
    white = whiten(chosen(1, 2, 3, 99), torch.tensor([True, True, True, False]))
    assert white[:3].mean().item() == pytest.approx(0, abs=1e-12)
    assert white[:3].var(correction=0).item() == pytest.approx(1, abs=1e-6)
    assert white[3] == 0


def test_whitening_without_shift_keeps_the_mean():
    white = whiten(chosen(1, 2, 3), torch.ones(3, dtype=torch.bool), shift_mean=False)
    assert white.mean().item() == pytest.approx(2)
    assert white.var(correction=0).item() == pytest.approx(1, abs=1e-6)


def test_bradley_terry_is_the_cross_entropy_of_a_soft_label():
    better = 1 / (1 + math.exp(-1.5))
    expected = -(0.8 * math.log(better) + 0.2 * math.log(1 - better))
    assert bradley_terry(chosen(2.0), chosen(0.5), chosen(0.8)).item() == pytest.approx(expected)


def test_bradley_terry_does_not_overflow():
    assert bradley_terry(chosen(1e4), chosen(-1e4), chosen(0.0)).item() == pytest.approx(2e4)


def test_a_ranking_of_two_is_a_comparison():
    scores = chosen(0.3, -1.1)
    assert plackett_luce(scores, (0, 1)).item() == pytest.approx(
        bradley_terry(scores[:1], scores[1:], chosen(1)).item()
    )


def test_a_tie_of_two_is_a_comparison_with_label_one_half():
    scores = chosen(0.3, -1.1)
    assert plackett_luce(scores, (4, 4)).item() == pytest.approx(
        bradley_terry(scores[:1], scores[1:], chosen(0.5)).item()
    )


@pytest.mark.parametrize("ranks", [(0, 1, 2, 3), (1, 0, 1, 0), (0, 0, 0, 1), (2, 0, 2, 2), (0, 0, 0, 0)])
def test_ties_average_the_likelihood_over_every_order_of_the_tied(ranks):
    scores = chosen(0.7, -0.2, 1.3, 0.1)
    orders = [order for order in permutations(range(4)) if [ranks[i] for i in order] == sorted(ranks)]
    losses = [sum(scores[list(o[k:])].logsumexp(0) - scores[o[k]] for k in range(4)) for o in orders]
    assert plackett_luce(scores, ranks).item() == pytest.approx(float(sum(losses)) / len(orders))


def test_more_than_eight_tied_answers_are_refused():
    with pytest.raises(ValueError, match="at most 8"):
        plackett_luce(torch.zeros(9), (0,) * 9)


def test_advantages_by_hand():
    rewards, values = chosen(1, 2)[None], chosen(0.5, 0.25)[None]
    advantages = gae(rewards, values, torch.ones(1, 2, dtype=torch.bool), gamma=0.9, lam=0.8)
    last = 2 - 0.25
    first = 1 + 0.9 * 0.25 - 0.5
    assert advantages[0].tolist() == pytest.approx([first + 0.9 * 0.8 * last, last])


def test_advantages_of_an_answer_do_not_depend_on_padding():
    mask = torch.tensor([[True, True, False, False], [True] * 4])
    rewards, values = torch.rand(2, 4, dtype=torch.float64), torch.rand(2, 4, dtype=torch.float64)
    together = gae(rewards * mask, values, mask, 0.9, 0.8)
    alone = gae(rewards[:1, :2], values[:1, :2], mask[:1, :2], 0.9, 0.8)
    assert torch.equal(together[:1, :2], alone)
    assert (together[0, 2:] == 0).all()


def test_with_lambda_one_and_gamma_one_returns_are_the_rewards_to_come():
    rewards, values = chosen(0, 0, 3)[None], chosen(5, -2, 0.5)[None]
    advantages = gae(rewards, values, torch.ones(1, 3, dtype=torch.bool), 1.0, 1.0)
    assert (advantages + values)[0].tolist() == pytest.approx([3, 3, 3])


def test_the_policy_loss_is_clipped_only_where_moving_on_would_pay():
    old = torch.zeros(4, dtype=torch.float64)
    new = chosen(1.5, 1.5, 0.5, 0.5).log()
    loss, clipped = clipped_policy_loss(new, old, chosen(1, -1, 1, -1), clip=0.2)
    assert loss.tolist() == pytest.approx([-1.2, 1.5, -0.5, 0.8])
    assert clipped.tolist() == [True, False, False, True]


def test_a_huge_log_ratio_stays_finite():
    loss, _ = clipped_policy_loss(chosen(1e4), chosen(-1e4), chosen(-1), 0.2)
    assert math.isfinite(loss.item())


def test_the_value_loss_takes_the_worse_of_clipped_and_free():
    loss = clipped_value_loss(chosen(1.0, 1.0), chosen(0.0, 0.9), chosen(1.0, 0.0), clip=0.2)
    assert loss.tolist() == pytest.approx([0.5 * 0.8**2, 0.5])


def test_the_three_kl_estimators_agree_in_the_mean_and_k3_is_never_negative():
    chance = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 5, generator=chance, dtype=torch.float64) * 0.3
    p, q = logits.log_softmax(-1)
    exact = (p.exp() * (p - q)).sum()
    weights = p.exp()
    assert (weights * kl_k1(p, q)).sum().item() == pytest.approx(exact.item())
    assert (weights * kl_k3(p, q)).sum().item() == pytest.approx(exact.item())
    assert (weights * kl_k2(p, q)).sum().item() == pytest.approx(exact.item(), rel=0.3)
    assert (kl_k3(p, q) >= 0).all()


@pytest.mark.parametrize("advantages", [group_advantages, leave_one_out_advantages])
def test_the_advantages_of_a_group_sum_to_0(advantages):
    scores = torch.randn(20, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 3 + 7
    found = advantages(torch.cat([scores, torch.full((1, 5), 2.0, dtype=torch.float64)]))
    assert torch.allclose(found.sum(dim=1), torch.zeros(21, dtype=torch.float64), atol=1e-12)
    assert found[:20].abs().min() > 0
    assert found[20].tolist() == [0.0] * 5
