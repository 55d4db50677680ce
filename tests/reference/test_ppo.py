"""Our packed PPO equals the specification: experience, loss and gradients of policy and value."""

import copy
from dataclasses import replace

import pytest
import torch
from reference.ppo import experience, ppo_loss
from tests.small_networks import gpt2, llama

from alidade.models.local import LocalModel
from alidade.training.combined import CombinedReward
from alidade.training.experience import Experience, Networks, appraise, build_experience, learned_from
from alidade.training.objectives.ppo_update import AnswerBatch, PpoObjective
from alidade.training.reward_model import RewardModel
from alidade.training.rollouts import Answers, pack_answers
from alidade.training.settings import KlControl, PpoConfig, RewardShape, Updating
from alidade.training.trunk import prepare

HOW = {
    "beta": 0.3,
    "score_clip": 1.5,
    "unfinished_score": -1.0,
    "mean": 0.1,
    "std": 0.5,
    "gamma": 0.97,
    "lam": 0.9,
    "temperature": 0.8,
    "clip": 0.2,
    "value_clip": 0.2,
    "value_weight": 0.1,
    "kl": "k1",
    "truncated": "penalise",
    "missing_end_penalty": 0.0,
    "entropy": 0.0,
}
VARIANTS = [
    {},
    {"truncated": "mask", "entropy": 0.05},
    {"truncated": "bootstrap", "kl": "k2", "missing_end_penalty": 0.25},
    {"kl": "k3", "missing_end_penalty": 0.5, "entropy": 0.01},
]
ANSWERS = Answers(
    prompts=[[5, 6, 7], [8]],
    places=[0, 0, 1],
    tokens=[[9, 10, 1], [11, 12, 13, 14], [15, 1]],
    finished=[True, False, True],
    engine_log_probs=[[0.0] * 3, [0.0] * 4, [0.0] * 2],
)
CPU = torch.device("cpu")


@pytest.mark.parametrize(("build", "dtype", "close"), [(gpt2, torch.float64, 1e-8), (llama, torch.float32, 2e-5)])
@pytest.mark.parametrize("tokens_at_once", [8, 100])
@pytest.mark.parametrize("variant", VARIANTS, ids=["plain", "mask", "bootstrap", "k3"])
def test_packed_ppo_equals_the_specification(build, dtype, close, tokens_at_once, variant):
    how = HOW | variant
    torch.manual_seed(0)
    plain = [build(heads, layers=1, initializer_range=0.3).to(dtype).eval() for heads in (0, 0, 1, 1)]
    policy, reference, reward, value = (prepare(copy.deepcopy(module)) for module in plain)
    rows = [(ANSWERS.prompts[place], ANSWERS.tokens[i], ANSWERS.finished[i]) for i, place in enumerate(ANSWERS.places)]
    expected = experience(plain, rows, how)

    scorer = RewardModel(reward, None, None, None, how["mean"], how["std"])  # type: ignore[arg-type]
    networks = Networks(LocalModel("policy", policy, None, None, None), reference, scorer, value)  # type: ignore[arg-type]
    packs = pack_answers(ANSWERS, [2, 0, 1], tokens_at_once, CPU)
    appraised = appraise(networks, ANSWERS, packs, how["temperature"])
    appraised = replace(
        appraised, scores=CombinedReward({"reward": how["score_clip"]}, PpoConfig()).combine(appraised.by_model)
    )
    shape = {name: how[name] for name in ("unfinished_score", "gamma", "lam", "truncated", "missing_end_penalty")}
    cfg = PpoConfig(shape=RewardShape(**shape), kl=KlControl(estimator=how["kl"]))
    made = build_experience(ANSWERS, appraised, how["beta"], cfg)
    columns = (made.log_probs, made.values, made.advantages, made.returns)
    learned = learned_from(ANSWERS, cfg.shape)
    for place, column in enumerate(columns):
        parts = column.split([3, 4, 2])
        for answer in learned:
            assert torch.allclose(parts[answer], expected[answer][place], atol=close)

    moved = [row.clone() for row in columns]
    moved[0] += torch.linspace(-0.5, 0.5, 9, dtype=dtype)
    moved[1] += torch.linspace(0.5, -0.5, 9, dtype=dtype)
    lengths = [3, 4, 2]
    split = list(zip(*(column.split(lengths) for column in moved), strict=True))
    theirs = ppo_loss(plain[0], plain[3], rows, split, how)
    theirs.backward()

    objective = PpoObjective(networks, Updating(entropy=how["entropy"]), how["temperature"])
    drawn = Experience(moved[0], appraised.reference, *moved[1:])
    seen = pack_answers(ANSWERS, [place for place in (2, 0, 1) if place in learned], tokens_at_once, CPU)
    batches = [AnswerBatch(pack.packed, drawn.at(pack.where)) for pack in seen]
    ours = sum(objective.loss(policy, batch).total for batch in batches) / sum(map(objective.weight, batches))
    ours.backward()
    assert ours.item() == pytest.approx(theirs.item(), abs=close)
    for mine, plain_one in ((policy, plain[0]), (value, plain[3])):
        for (name, weight), other in zip(mine.named_parameters(), plain_one.parameters(), strict=True):
            if other.grad is not None:
                assert torch.allclose(weight.grad, other.grad, atol=close * 10), name
