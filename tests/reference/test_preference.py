"""Our packed, prefix-shared preference losses equal the padded specification, in loss and gradient."""

import copy

import pytest
import torch
from reference.preference import dpo_pair, dpo_ranking, ipo_pair, orpo_pair, preference_loss, simpo_pair
from tests.small_networks import gpt2, llama
from tests.token_rows import compared, grouped, ranked

from alidade.training.choices import Reading
from alidade.training.judgements import noise_corrected
from alidade.training.objectives.dpo import DpoLoss
from alidade.training.objectives.ipo import IpoLoss
from alidade.training.objectives.orpo import OrpoLoss
from alidade.training.objectives.preference import (
    PreferenceObjective,
    ReferencedGroup,
    collate_referenced,
    score_groups,
)
from alidade.training.objectives.simpo import SimpoLoss
from alidade.training.settings import DpoConfig, IpoConfig, OrpoConfig, SimpoConfig
from alidade.training.trunk import prepare

COMPARISONS = [
    ([5, 6, 7], [8, 1], [9, 10, 11, 1], 0.75),
    ([5, 6, 7], [8, 1], [12, 1], 1.0),
    ([13], [14, 15, 1], [16, 1], 0.0),
]
RANKINGS = [([17, 18], [[8, 1], [9, 1], [10, 11, 1]], (1, 0, 1)), ([19], [[8, 1], [9, 10, 1]], (0, 1))]


def groups(flips):
    reading = Reading(learned=noise_corrected(flips, "robust"))
    return grouped([*(compared(*row) for row in COMPARISONS), *(ranked(*row) for row in RANKINGS)], reading)


def dpo(flips=0.0, sft_weight=0.0):
    return (
        DpoLoss(DpoConfig(beta=0.3, flips=flips, sft_weight=sft_weight)),
        lambda policy, reference: dpo_pair(policy, reference, 0.3),
        lambda policy, reference, ranks: dpo_ranking(policy, reference, ranks, 0.3),
    )


def ipo(per_token, flips=0.0):
    cfg = IpoConfig(beta=0.3, per_token=per_token, flips=flips)
    return IpoLoss(cfg), lambda policy, reference: ipo_pair(policy, reference, 0.3, per_token), None


def simpo(flips=0.0):
    cfg = SimpoConfig(beta=2.0, margin=0.5, flips=flips)
    return SimpoLoss(cfg), lambda policy, reference: simpo_pair(policy, 2.0, 0.5), None


def orpo(flips=0.0):
    return OrpoLoss(OrpoConfig(weight=0.2, flips=flips)), lambda policy, reference: orpo_pair(policy, 0.2), None


CASES = {
    "dpo": dpo(),
    "dpo with fine-tuning": dpo(sft_weight=0.7),
    "robust dpo at 30 % flips": dpo(0.3),
    "ipo": ipo(False),
    "ipo per token": ipo(True),
    "robust ipo": ipo(False, 0.2),
    "simpo": simpo(),
    "robust simpo": simpo(0.2),
    "orpo": orpo(),
    "robust orpo": orpo(0.2),
}


@pytest.mark.parametrize(("build", "dtype", "close"), [(gpt2, torch.float64, 1e-8), (llama, torch.float32, 1e-5)])
@pytest.mark.parametrize("case", CASES)
def test_prefix_shared_preferences_equal_the_specification(case, build, dtype, close):
    loss, pair_loss, ranking_loss = CASES[case]
    flips, sft_weight = loss.cfg.flips, loss.cfg.sft_weight
    torch.manual_seed(0)
    reference = build().to(dtype).eval()
    plain = copy.deepcopy(reference)
    with torch.no_grad():
        for weight in plain.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    packed = prepare(copy.deepcopy(plain))
    expected = preference_loss(
        plain,
        reference,
        pair_loss,
        COMPARISONS,
        RANKINGS,
        ranking_loss=ranking_loss,
        flips=flips,
        sft_weight=sft_weight,
    )
    expected.backward()

    made = groups(flips)
    scored = score_groups(prepare(reference), made, 4096)
    if not loss.uses_reference:
        scored = [[0.0] * len(row) for row in scored]
    rows = [ReferencedGroup(group, row) for group, row in zip(made, scored, strict=True)]
    objective = PreferenceObjective(loss)
    batch = collate_referenced(rows, torch.device("cpu"), dtype)
    found = objective.loss(packed, batch).total / objective.weight(batch)
    found.backward()

    assert objective.weight(batch) == 5
    assert found.item() == pytest.approx(expected.item(), abs=close)
    for (name, mine), theirs in zip(packed.named_parameters(), plain.parameters(), strict=True):
        assert torch.allclose(mine.grad, theirs.grad, atol=close), name
