"""Our packed KTO equals the padded specification, in loss, gradient and reference point."""

import copy

import pytest
import torch
from reference.kto import answer_log_prob, kto_loss
from reference.kto import reference_point as specified_point
from tests.small_networks import gpt2, llama

from alidade.training.feedback import FeedbackGroup, ReferencedFeedback, collate_feedback
from alidade.training.judgements import noise_corrected
from alidade.training.objectives.kto import AgainstStrays, KtoObjective, reference_point
from alidade.training.objectives.preference import tree_log_probs
from alidade.training.packing import Tree
from alidade.training.settings import Batching, KtoConfig
from alidade.training.sources import ShuffledRows, Shuffling
from alidade.training.trunk import prepare

ROWS = [
    ([5, 6, 7], [8, 1], 1.0),
    ([5, 6, 7], [9, 10, 11, 1], 0.0),
    ([13], [14, 15, 1], 0.75),
    ([13], [14, 15, 1], 0.0),
    ([17, 18], [16, 1], 0.5),
]
STRAYS = [
    ([5, 6, 7], [14, 15, 1]),
    ([5, 6, 7], [16, 1]),
    ([13], [8, 1]),
    ([13], [9, 10, 11, 1]),
    ([17, 18], [8, 1]),
]
CPU = torch.device("cpu")


def groups(flips):
    made: dict[tuple, FeedbackGroup] = {}
    learned = noise_corrected(flips, "robust")
    for number, (prompt, answer, label_prob) in enumerate(ROWS):
        group = made.setdefault(tuple(prompt), FeedbackGroup(prompt))
        group.judge(answer, label_prob, learned(label_prob), number)
    for prompt, answer in STRAYS:
        made[tuple(prompt)].strays.append(answer)
    return list(made.values())


def referenced(reference, made):
    trees = [Tree(group.prompt, group.answers) for group in made], [Tree(group.prompt, group.strays) for group in made]
    scored = zip(*(tree_log_probs(reference, part, 4096) for part in trees), strict=True)
    return [ReferencedFeedback(group, *both) for group, both in zip(made, scored, strict=True)]


def networks(build, dtype, moved):
    """A reference, and a policy whose strays have become likelier (`moved` > 0) or not."""
    torch.manual_seed(0)
    reference = build().to(dtype).eval()
    policy = copy.deepcopy(reference)
    optimiser = torch.optim.SGD(policy.parameters(), lr=0.02)
    for _ in range(5):
        (-moved * sum(answer_log_prob(policy, *row) for row in STRAYS)).backward()
        optimiser.step()
        optimiser.zero_grad()
    return reference, policy


@pytest.mark.parametrize(("build", "dtype", "close"), [(gpt2, torch.float64, 1e-8), (llama, torch.float32, 1e-5)])
@pytest.mark.parametrize("moved", [1, -1], ids=["reference point above 0", "reference point at 0"])
@pytest.mark.parametrize("flips", [0.0, 0.2])
def test_packed_kto_equals_the_specification(build, dtype, close, moved, flips):
    reference, plain = networks(build, dtype, moved)
    packed = prepare(copy.deepcopy(plain))
    cfg = KtoConfig(beta=0.3, desirable_weight=1.5, undesirable_weight=0.7, flips=flips)
    expected = kto_loss(
        plain, reference, ROWS, STRAYS, beta=0.3, desirable_weight=1.5, undesirable_weight=0.7, flips=flips
    )
    expected.backward()
    point = specified_point(plain, reference, STRAYS).item()
    assert (point > 0.1) == (moved > 0)

    rows = referenced(prepare(copy.deepcopy(reference)), groups(flips))
    shuffled = ShuffledRows(
        rows,
        lambda row: row.group.token_count,
        lambda chosen: collate_feedback(chosen, CPU, dtype),
        Shuffling(Batching(rows=3, tokens_at_once=12), 0, "test"),
    )
    objective = KtoObjective(cfg)
    batches = next(iter(AgainstStrays(packed, shuffled)))
    weight = sum(objective.weight(batch) for batch in batches)
    found = 0.0
    for batch in batches:
        part = objective.loss(packed, batch).total / weight
        part.backward()
        found += part.item()

    assert len(batches) > 1
    assert weight == 5
    assert batches[0].reference_point == pytest.approx(point, abs=close)
    assert found == pytest.approx(expected.item(), abs=close)
    assert max(weight.grad.abs().max().item() for weight in plain.parameters()) > 1e-3
    for (name, mine), theirs in zip(packed.named_parameters(), plain.parameters(), strict=True):
        assert torch.allclose(mine.grad, theirs.grad, atol=close), name


def test_the_reference_point_does_not_depend_on_how_a_step_is_cut():
    reference, policy = networks(gpt2, torch.float64, 1)
    rows = referenced(prepare(reference), groups(0.0))
    module = prepare(policy)
    whole = reference_point(module, [collate_feedback(rows, CPU, torch.float64)])
    parts = reference_point(module, [collate_feedback([row], CPU, torch.float64) for row in rows])
    assert whole == pytest.approx(parts, abs=1e-12)
    assert whole > 0.1
