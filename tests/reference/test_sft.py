"""Our packed SFT equals the padded specification, in loss and gradient."""

import copy

import pytest
import torch
from reference.sft import sft_loss
from tests.small_networks import gpt2, llama

from alidade.training.objectives.next_token import NextTokenObjective
from alidade.training.packing import pack_rows
from alidade.training.trunk import prepare

PROMPTS = [[5, 6, 7, 8], [9, 10], [11]]
ANSWERS = [[12, 13, 1], [14, 1], [15, 16, 17, 18, 1]]


@pytest.mark.parametrize(("build", "dtype", "close"), [(gpt2, torch.float64, 1e-8), (llama, torch.float32, 1e-5)])
@pytest.mark.parametrize("blocks", [[[0, 1, 2]], [[0], [2, 1]]])
def test_packed_sft_equals_the_specification(build, dtype, close, blocks):
    torch.manual_seed(0)
    plain = build().to(dtype).eval()
    packed = prepare(copy.deepcopy(plain))
    expected = sft_loss(plain, PROMPTS, ANSWERS)
    expected.backward()

    objective = NextTokenObjective()
    rows = [(p + a, [False] * len(p) + [True] * len(a)) for p, a in zip(PROMPTS, ANSWERS, strict=True)]
    batches = [pack_rows([rows[place] for place in block]) for block in blocks]
    weight = sum(objective.weight(batch) for batch in batches)
    losses = [objective.loss(packed, batch).total / weight for batch in batches]
    for loss in losses:
        loss.backward()

    assert sum(loss.item() for loss in losses) == pytest.approx(expected.item(), abs=close)
    for (name, mine), theirs in zip(packed.named_parameters(), plain.parameters(), strict=True):
        if theirs.grad is not None:
            assert mine.grad is not None, name
            assert torch.allclose(mine.grad, theirs.grad, atol=close), name
