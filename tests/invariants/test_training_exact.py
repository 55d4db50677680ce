"""What must not matter does not: how a step is cut, what stands beside a row, whether gradients are asked for."""

import copy
import dataclasses
import math

import pytest
import torch

from alidade.errors import TrainingStopped
from alidade.models.base import Sampling
from alidade.models.local import LocalModel
from alidade.models.render import Renderer
from alidade.records import Comparison, Conversation, Demonstration, Prompt
from alidade.training.experience import Experience, Networks
from alidade.training.fit import TrainingRun
from alidade.training.judgements import collate_groups, group_rows
from alidade.training.lm import answer_scores, token_scores
from alidade.training.objectives.dpo import DpoLoss
from alidade.training.objectives.next_token import NextTokenObjective
from alidade.training.objectives.ppo import train_ppo, value_from_reward
from alidade.training.objectives.ppo_update import AnswerBatch, PpoObjective
from alidade.training.objectives.preference import train_preferences
from alidade.training.objectives.reward import RewardObjective, train_reward
from alidade.training.objectives.sft import train_sft
from alidade.training.optimise import AdamW, Part
from alidade.training.packing import Tree, pack_rows, pack_trees
from alidade.training.pretrain import new_model, train_tokenizer
from alidade.training.reward_model import new_reward_model
from alidade.training.rollouts import pack_answers, roll_out
from alidade.training.settings import (
    Batching,
    DpoConfig,
    Drawing,
    GrpoConfig,
    ModelShape,
    OptimiserConfig,
    PpoConfig,
    RewardConfig,
    RewardShape,
    SftConfig,
    Updating,
)
from alidade.training.trunk import hidden_states, prepare


def model(dtype=torch.float32):
    tokenizer = train_tokenizer(["User: what is red Assistant: yes no blue"] * 5, 300)
    module = new_model(ModelShape(hidden=16, ffn=32, layers=2, heads=2, context=64), tokenizer, 0, dtype)
    return LocalModel("tiny", prepare(module), tokenizer, Renderer(tokenizer), 64)


def gradient(module, objective, batches):
    module.zero_grad()
    optimiser = AdamW([Part("net", module)], OptimiserConfig(clip=1e9))
    weight = sum(objective.weight(batch) for batch in batches)
    for batch in batches:
        (objective.loss(module, batch).total / weight).backward()
        optimiser.collect()
    return torch.cat([weight.grad.flatten() for weight in module.parameters() if weight.grad is not None])


def test_eight_rows_at_once_equal_eight_times_one_row_for_sft():
    module, objective = model().module, NextTokenObjective()
    rows = [(list(range(5, 8 + place)), [False, False] + [True] * (1 + place)) for place in range(8)]
    together = gradient(module, objective, [pack_rows(rows)])
    apart = gradient(module, objective, [pack_rows([row]) for row in rows])
    assert torch.allclose(together, apart, atol=1e-6)
    assert together.abs().max() > 1e-3


def test_eight_prompts_at_once_equal_eight_times_one_prompt_for_rewards():
    language_model = model()
    module, objective = new_reward_model(language_model, 0).module, RewardObjective()
    rows = [
        Comparison(id=str(place), prompt=Conversation.ask(f"{place}"), left="yes", right="no " * place, label_prob=0.9)
        for place in range(1, 9)
    ]
    groups, _ = group_rows(language_model.renderer, rows, 64)
    cpu = torch.device("cpu")
    together = gradient(module, objective, [collate_groups(groups, cpu)])
    apart = gradient(module, objective, [collate_groups([group], cpu) for group in groups])
    assert torch.allclose(together, apart, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_scoring_and_training_run_the_same_arithmetic(dtype):
    module = model(dtype).module
    packed = pack_trees([Tree([5, 6, 7], [[8, 9], [10, 11, 12]]), Tree([9], [[4]])])

    def scores():
        return token_scores(module, hidden_states(module, packed, packed.predictors), packed.targets, 0.9).log_probs

    with_gradient = scores()
    with torch.no_grad():
        assert torch.equal(scores(), with_gradient)


def networks(policy, reference):
    reward = new_reward_model(policy, 0)
    return Networks(policy, reference, reward, value_from_reward(reward))


def prompts(count):
    return [Prompt(id=str(place), conversation=Conversation.ask(f"what {place}")) for place in range(count)]


PROMPTS = prompts(4)
CFG = PpoConfig(iterations=1, drawing=Drawing(prompts=4, max_new_tokens=6))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_ppo_leaves_reference_and_reward_model_alone_and_moves_policy_and_value(dtype):
    policy = model(dtype)
    nets = networks(policy, copy.deepcopy(policy.module))
    before = [copy.deepcopy(list(one.parameters())) for one in (nets.reference, nets.reward.module)]
    start = [copy.deepcopy(list(one.parameters())) for one in (policy.module, nets.value)]
    train_ppo(nets, PROMPTS, CFG, TrainingRun())
    for module, old in zip((nets.reference, nets.reward.module), before, strict=True):
        assert all(torch.equal(weight, was) for weight, was in zip(module.parameters(), old, strict=True))
    for module, old in zip((policy.module, nets.value), start, strict=True):
        assert not all(torch.equal(weight, was) for weight, was in zip(module.parameters(), old, strict=True))


def test_ppo_does_not_start_from_a_policy_that_is_not_its_reference():
    policy = model()
    reference = copy.deepcopy(policy.module)
    with torch.no_grad():
        reference.get_input_embeddings().weight[5:50] += 0.01
    start = copy.deepcopy(list(policy.module.parameters()))
    with pytest.raises(TrainingStopped, match="policy and reference differ"):
        train_ppo(networks(policy, reference), PROMPTS, CFG, TrainingRun())
    assert all(torch.equal(weight, was) for weight, was in zip(policy.module.parameters(), start, strict=True))
    train_ppo(networks(policy, reference), PROMPTS, CFG.model_copy(update={"must_start_equal": False}), TrainingRun())


class Drifting(torch.nn.Module):
    """A layer that answers differently each time it is called."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, states):
        self.calls += 1
        return states * (1 + 1e-3 * self.calls)


def test_ppo_does_not_start_with_a_network_that_is_random():
    policy = model()
    nets = networks(policy, copy.deepcopy(policy.module))
    cfg = CFG.model_copy(update={"must_start_equal": False})
    policy.module.model.norm = torch.nn.Sequential(policy.module.model.norm, Drifting())
    with pytest.raises(TrainingStopped):
        train_ppo(nets, PROMPTS, cfg, TrainingRun())


def answers_of(policy, copies):
    ids = [policy.renderer.prompt(prompt.conversation) for prompt in prompts(8)]
    how = Sampling(temperature=1.0, max_new_tokens=6, seed=1)
    return roll_out(policy.module, ids, how, policy.renderer.stop_ids, copies)


@pytest.mark.parametrize(("name", "copies"), [("ppo", 1), ("grpo", 3)])
def test_eight_prompts_at_once_equal_eight_times_one_prompt_for_reinforcement(name, copies):
    policy = model()
    answers = answers_of(policy, copies)
    count, chance = answers.starts[-1], torch.Generator().manual_seed(0)
    drawn = Experience(*(torch.randn(count, generator=chance) / 10 for _ in range(5)))
    nets = networks(policy, None) if name == "ppo" else Networks(policy, None, lambda *asked: [], None)
    objective = PpoObjective(nets, Updating(), 1.0)

    def whole(tokens_at_once):
        packs = pack_answers(answers, range(len(answers.tokens)), tokens_at_once, torch.device("cpu"))
        batches = [AnswerBatch(pack.packed, drawn.at(pack.where), beta=0.1) for pack in packs]
        return len(batches), gradient(policy.module, objective, batches)

    (one, together), (eight, apart) = whole(10_000), whole(1)
    assert (one, eight) == (1, 8)
    assert torch.allclose(together, apart, atol=1e-5)
    assert together.abs().max() > 1e-3


@pytest.mark.parametrize("side", ["left", "right"])
def test_rows_padded_on_either_side_have_the_log_probabilities_and_scores_of_packed_ones(side):
    policy = model()
    reward = new_reward_model(policy, 0)
    answers = answers_of(policy, 1)
    packed = pack_answers(answers, range(8), 10_000, torch.device("cpu"))[0].packed
    ours = token_scores(policy.module, hidden_states(policy.module, packed, packed.predictors), packed.targets)
    scores = answer_scores(reward.module, hidden_states(reward.module, packed, packed.ends))
    rows = [prompt + tokens for prompt, tokens in zip(answers.prompts, answers.tokens, strict=True)]
    width = max(map(len, rows)) + 3
    for row, tokens, log_probs, score in zip(
        rows, answers.tokens, ours.log_probs.split(packed.lengths), scores, strict=True
    ):
        pads = [policy.renderer.pad_id] * (width - len(row))
        ids, mask = pads + row, [0] * len(pads) + [1] * len(row)
        if side == "right":
            ids, mask = row + pads, [1] * len(row) + [0] * len(pads)
        end = width if side == "left" else len(row)
        seen = {"input_ids": torch.tensor([ids]), "attention_mask": torch.tensor([mask])}
        seen["position_ids"] = (seen["attention_mask"].cumsum(1) - 1).clamp(min=0)
        table = policy.module(**seen).logits[0].log_softmax(-1)
        expected = [table[end - len(tokens) + place - 1, token] for place, token in enumerate(tokens)]
        assert torch.allclose(log_probs, torch.stack(expected), atol=1e-5)
        hidden = reward.module.base_model(**seen).last_hidden_state[0, end - 1]
        assert score.item() == pytest.approx(reward.module.score(hidden).item(), abs=1e-5)


@pytest.mark.parametrize("algorithm", ["sft", "reward", "dpo", "ppo", "grpo"])
def test_a_batch_of_one_trains(algorithm):
    policy, run, one = model(), TrainingRun(), Batching(rows=1)
    row = Comparison(id="one", prompt=Conversation.ask("what"), left="yes", right="no", label_prob=1.0)
    drawing = Drawing(prompts=1, answers_per_prompt=2 if algorithm == "grpo" else 1, max_new_tokens=4)
    shape = RewardShape(unfinished_score=None)
    nets = networks(policy, copy.deepcopy(policy.module))
    by_chance = dataclasses.replace(nets, value=None, reward=lambda p, texts, f: [float(one) for one in range(len(p))])
    trained, train = {
        "sft": (
            policy.module,
            lambda: train_sft(
                policy, [Demonstration(id="one", prompt=row.prompt, answer="yes")], SftConfig(batching=one), run
            ),
        ),
        "reward": (
            nets.reward.module,
            lambda: train_reward(nets.reward, [row], [row], RewardConfig(batching=one), run)[1],
        ),
        "dpo": (policy.module, lambda: train_preferences(policy, [row], [row], DpoLoss(DpoConfig(batching=one)), run)),
        "ppo": (policy.module, lambda: train_ppo(nets, PROMPTS[:1], PpoConfig(iterations=1, drawing=drawing), run)),
        "grpo": (
            policy.module,
            lambda: train_ppo(by_chance, PROMPTS[:1], GrpoConfig(iterations=1, drawing=drawing, shape=shape), run),
        ),
    }[algorithm]
    before = copy.deepcopy(list(trained.parameters()))
    result = train()
    assert len(result.history) >= 1
    assert all(math.isfinite(value) for value in result.history[0].values())
    assert not all(torch.equal(weight, was) for weight, was in zip(trained.parameters(), before, strict=True))
