"""PPO does what it is for: on a toy task it raises the reward, and the KL penalty holds it back."""

import copy
import dataclasses

import pytest

from alidade.models.local import LocalModel
from alidade.models.render import Renderer
from alidade.records import Comparison, Conversation, Demonstration, Prompt
from alidade.training.experience import Networks
from alidade.training.fit import TrainingRun
from alidade.training.objectives.ppo import train_ppo, value_from_reward
from alidade.training.objectives.reward import train_reward
from alidade.training.objectives.sft import train_sft
from alidade.training.pretrain import new_model, train_tokenizer
from alidade.training.reward_model import new_reward_model
from alidade.training.settings import (
    Batching,
    Drawing,
    KlControl,
    ModelShape,
    OptimiserConfig,
    PpoConfig,
    RewardConfig,
    SftConfig,
    Updating,
)
from alidade.training.trunk import prepare

COLOURS = ("red", "green", "blue")


@pytest.fixture(scope="module")
def start():
    """A model that answers with a random colour, and a reward model that likes one of them."""
    tokenizer = train_tokenizer(["User: what colour is it Assistant: red green blue"] * 5, 320)
    module = new_model(ModelShape(hidden=32, ffn=64, layers=1, heads=1, context=64), tokenizer, 0)
    policy = LocalModel("toy", prepare(module), tokenizer, Renderer(tokenizer), 64)
    rows = [
        Demonstration(id=f"{place}", prompt=Conversation.ask(f"what colour is {place % 10}"), answer=COLOURS[place % 3])
        for place in range(120)
    ]
    batching = Batching(epochs=4, rows=12)
    train_sft(policy, rows, SftConfig(batching=batching, optimiser=OptimiserConfig(learning_rate=1e-2)), TrainingRun())
    judged = [
        Comparison(
            id=f"{place}", prompt=Conversation.ask(f"what colour is {place}"), left=left, right="blue", label_prob=0
        )
        for place in range(10)
        for left in ("red", "green")
    ]
    cfg = RewardConfig(batching=Batching(epochs=4, rows=5), optimiser=OptimiserConfig(learning_rate=5e-3))
    reward, _ = train_reward(new_reward_model(policy, 0), judged, [], cfg, TrainingRun())
    return policy, reward


def run(start, beta, seed=0):
    policy, reward = start
    policy = dataclasses.replace(policy, module=copy.deepcopy(policy.module))
    networks = Networks(policy, copy.deepcopy(policy.module), reward, value_from_reward(reward))
    prompts = [Prompt(id=str(place), conversation=Conversation.ask(f"what colour is {place}")) for place in range(10)]
    cfg = PpoConfig(
        iterations=10,
        drawing=Drawing(prompts=20, answers_per_prompt=2, max_new_tokens=6),
        kl=KlControl(beta=beta),
        updating=Updating(value_learning_rate=3e-3),
        optimiser=OptimiserConfig(learning_rate=2e-3, eps=1e-5, schedule="linear"),
    )
    result = train_ppo(
        networks,
        prompts,
        cfg,
        TrainingRun(seed=seed),
        gold=lambda asked, answers, finished: [float(answer == "blue") for answer in answers],
    )
    return result.history


@pytest.mark.parametrize("seed", [0, 1])
def test_ppo_learns_what_the_reward_model_likes(start, seed):
    history = run(start, beta=0.02, seed=seed)
    assert history[0]["gold"] < 0.6
    assert history[-1]["gold"] > 0.85
    assert history[-1]["proxy_reward"] > history[0]["proxy_reward"] + 0.5


def test_a_large_penalty_keeps_the_policy_near_the_reference(start):
    free, held = run(start, beta=0.0), run(start, beta=3.0)
    assert held[-1]["kl_k3"] < 0.2 * free[-1]["kl_k3"]
    assert held[-1]["proxy_reward"] < free[-1]["proxy_reward"]
