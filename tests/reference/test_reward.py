"""Our packed, prefix-shared reward loss equals the padded specification, in loss and gradient."""

import copy

import pytest
import torch
from reference.reward import ranking_loss, reward_loss
from tests.small_networks import gpt2, llama
from tests.token_rows import compared, grouped, ranked

from alidade.training.judgements import collate_groups
from alidade.training.losses import plackett_luce
from alidade.training.objectives.reward import RewardObjective
from alidade.training.trunk import prepare

COMPARISONS = [
    ([5, 6, 7], [8, 1], [9, 10, 11, 1], 0.75),
    ([5, 6, 7], [8, 1], [12, 1], 1.0),
    ([13], [14, 15, 1], [16, 1], 0.0),
]
RANKINGS = [([17, 18], [[8, 1], [9, 1], [10, 11, 1]], (1, 0, 1)), ([19], [[8, 1], [9, 10, 1]], (0, 1))]


def groups():
    return grouped([*(compared(*row) for row in COMPARISONS), *(ranked(*row) for row in RANKINGS)])


@pytest.mark.parametrize(("build", "dtype", "close"), [(gpt2, torch.float64, 1e-8), (llama, torch.float32, 1e-5)])
@pytest.mark.parametrize("centring", [0.0, 0.3])
def test_prefix_shared_rewards_equal_the_specification(build, dtype, close, centring):
    torch.manual_seed(0)
    plain = build(heads=1).to(dtype).eval()
    packed = prepare(copy.deepcopy(plain))
    with torch.no_grad():
        packed.score.weight.mul_(20)
        plain.score.weight.mul_(20)
    expected = reward_loss(plain, COMPARISONS, RANKINGS, centring)
    expected.backward()

    objective = RewardObjective(centring)
    batch = collate_groups(groups(), torch.device("cpu"), dtype)
    loss = objective.loss(packed, batch).total / objective.weight(batch)
    loss.backward()

    assert objective.weight(batch) == 5
    assert loss.item() == pytest.approx(expected.item(), abs=close)
    for (name, mine), theirs in zip(packed.named_parameters(), plain.parameters(), strict=True):
        assert torch.allclose(mine.grad, theirs.grad, atol=close), name


@pytest.mark.parametrize("ranks", [(0, 1, 2, 3), (0, 0, 0, 1), (1, 0, 0, 0), (0, 1, 1, 0)])
def test_rankings_with_ties_equal_the_sum_over_orders(ranks):
    scores = torch.tensor([0.3, -1.0, 2.0, 0.1], dtype=torch.float64, requires_grad=True)
    ours, theirs = plackett_luce(scores, ranks), ranking_loss(scores, ranks)
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-12)
    assert torch.allclose(torch.autograd.grad(ours, scores)[0], torch.autograd.grad(theirs, scores)[0], atol=1e-12)
