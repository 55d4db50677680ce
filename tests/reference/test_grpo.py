"""Packed GRPO, RLOO and REINFORCE++ equal the specification: advantages, loss and gradient."""

import copy

import pytest
import torch
from reference.grpo import grpo_advantages, loss, reinforce_advantages, rloo_advantages
from reference.ppo import log_probs
from tests.small_networks import gpt2

from alidade.models.local import LocalModel
from alidade.training.combined import CombinedReward
from alidade.training.experience import Appraisal, Networks, build_experience
from alidade.training.objectives.ppo_update import AnswerBatch, PpoObjective
from alidade.training.rollouts import Answers, pack_answers
from alidade.training.settings import Drawing, GrpoConfig, KlControl, ReinforceConfig, RewardShape, RlooConfig, Updating
from alidade.training.trunk import prepare

PROMPTS = [[5, 6, 7], [8]]
TOKENS = [[9, 10, 1], [11, 12, 13, 14], [15, 1], [16, 17, 1]]
FINISHED = [True, False, True, True]
SCORES = [0.4, 2.0, -3.0, 1.0]
SHAPE = RewardShape(unfinished_score=-1.0)
HOW = {
    "score_clip": 1.5,
    "unfinished_score": -1.0,
    "beta": 0.3,
    "temperature": 0.8,
    "clip": 0.2,
    "loss_beta": 0.0,
    "kl": "k3",
}
TWO = Drawing(answers_per_prompt=2)
CPU = torch.device("cpu")


@pytest.fixture
def networks():
    torch.manual_seed(0)
    return [gpt2(layers=1, initializer_range=0.3).double().eval() for _ in range(2)]


def rows():
    return [(PROMPTS[place // 2], tokens) for place, tokens in enumerate(TOKENS)]


def expected_advantages(name, kl):
    if name == "grpo":
        groups = [list(zip(SCORES[at : at + 2], FINISHED[at : at + 2], strict=True)) for at in (0, 2)]
        whole = [float(one) for group in grpo_advantages(groups, HOW) for one in group]
    elif name == "rloo":
        groups = [list(zip(SCORES[at : at + 2], FINISHED[at : at + 2], strict=True)) for at in (0, 2)]
        whole = [float(one) for group in rloo_advantages(groups, [kl[:2], kl[2:]], HOW) for one in group]
    else:
        return reinforce_advantages(list(zip(SCORES, FINISHED, kl, strict=True)), HOW)
    return [torch.full((len(tokens),), one, dtype=torch.float64) for one, tokens in zip(whole, TOKENS, strict=True)]


@pytest.mark.parametrize(
    ("name", "cfg", "loss_beta"),
    [
        ("grpo", GrpoConfig(drawing=TWO, shape=SHAPE, kl=KlControl(beta=0.3, placement="loss")), 0.3),
        ("grpo", GrpoConfig(drawing=TWO, shape=SHAPE, kl=KlControl(beta=0.3, placement="loss", estimator="k2")), 0.3),
        ("rloo", RlooConfig(drawing=TWO, shape=SHAPE, kl=KlControl(beta=0.3)), 0.0),
        ("reinforce", ReinforceConfig(drawing=TWO, shape=SHAPE, kl=KlControl(beta=0.3)), 0.0),
    ],
)
@pytest.mark.parametrize("tokens_at_once", [8, 100])
def test_packed_groups_equal_the_specification(networks, name, cfg, loss_beta, tokens_at_once):
    plain, reference = networks
    with torch.no_grad():
        old = [log_probs(plain, prompt, answer, 0.8) for prompt, answer in rows()]
        near = [log_probs(reference, prompt, answer, 0.8) for prompt, answer in rows()]
    kl = [(was - other).tolist() for was, other in zip(old, near, strict=True)]
    expected = expected_advantages(name, kl)

    answers = Answers(PROMPTS, [0, 0, 1, 1], TOKENS, FINISHED, [[0.0] * len(tokens) for tokens in TOKENS])
    flat_old, flat_near = torch.cat(old), torch.cat(near)
    zeros = torch.zeros_like(flat_old)
    scores = CombinedReward({"reward": HOW["score_clip"]}, cfg).combine(
        {"reward": torch.tensor(SCORES, dtype=torch.float64)}
    )
    appraised = Appraisal(flat_old, flat_near, zeros, zeros, scores)
    made = build_experience(answers, appraised, 0.3, cfg)
    assert torch.allclose(made.advantages, torch.cat(expected), atol=1e-8)

    with torch.no_grad():
        for weight in plain.parameters():
            weight.add_(0.02 * torch.randn_like(weight))
    policy = prepare(copy.deepcopy(plain))
    theirs = loss(plain, rows(), old, near, expected, HOW | {"loss_beta": loss_beta, "kl": cfg.kl.estimator_used})
    theirs.backward()
    model = LocalModel("policy", policy, None, None, None)  # type: ignore[arg-type]
    objective = PpoObjective(Networks(model, None, lambda *_: [], None), Updating(), 0.8, cfg.kl.estimator_used)
    packs = pack_answers(answers, [2, 3, 0, 1], tokens_at_once, CPU)
    batches = [AnswerBatch(pack.packed, made.at(pack.where), loss_beta) for pack in packs]
    ours = sum(objective.loss(policy, batch).total for batch in batches) / sum(map(len, TOKENS))
    ours.backward()
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-8)
    for (label, weight), other in zip(policy.named_parameters(), plain.parameters(), strict=True):
        assert torch.allclose(weight.grad, other.grad, atol=1e-8), label
