"""Trainings that are made to go wrong, each in one way, are told by the name of what went wrong."""

import copy

import pytest
import torch

from alidade.models.local import LocalModel
from alidade.models.render import Renderer
from alidade.records import Comparison, Conversation, Demonstration, Feedback, Prompt
from alidade.training.experience import Networks
from alidade.training.fit import TrainingRun
from alidade.training.objectives import ppo_source
from alidade.training.objectives.dpo import DpoLoss
from alidade.training.objectives.kto import train_kto
from alidade.training.objectives.ppo import train_ppo
from alidade.training.objectives.preference import train_preferences
from alidade.training.objectives.sft import train_sft
from alidade.training.pretrain import new_model, train_tokenizer
from alidade.training.reward_model import new_reward_model
from alidade.training.settings import (
    Batching,
    DpoConfig,
    Drawing,
    KlControl,
    KtoConfig,
    ModelShape,
    OptimiserConfig,
    PpoConfig,
    RewardShape,
    SftConfig,
    Updating,
)
from alidade.training.symptoms import SYMPTOMS, found_in
from alidade.training.trunk import prepare

PROMPTS = [Prompt(id=str(place), conversation=Conversation.ask(f"what is {place}")) for place in range(6)]


def model(stop=15):
    """A tiny model that says anything, and ends its answers sooner the larger `stop` is; fp32 whatever the machine."""
    tokenizer = train_tokenizer(["User: what is red Assistant: yes no blue"] * 5, 300)
    module = new_model(ModelShape(hidden=16, ffn=32, layers=1, heads=1, context=64), tokenizer, 0, torch.float32)
    with torch.no_grad():
        module.get_input_embeddings().weight.mul_(3)[tokenizer.eos_token_id].mul_(stop)
    return LocalModel("tiny", prepare(module), tokenizer, Renderer(tokenizer), 64)


def reinforced(reward, *, stop=15, rate=1e-2, iterations=10, longest=8, baseline="batch", gold=None):
    """The curves of a policy that is held to nothing."""
    policy = model(stop)
    cfg = PpoConfig(
        iterations=iterations,
        baseline=baseline,
        drawing=Drawing(prompts=12, answers_per_prompt=4, max_new_tokens=longest),
        updating=Updating(target_kl=None),
        kl=KlControl(beta=0.0),
        shape=RewardShape(unfinished_score=None),
        optimiser=OptimiserConfig(learning_rate=rate),
    )
    value = new_reward_model(policy, 0).module if baseline == "critic" else None
    networks = Networks(policy, copy.deepcopy(policy.module), reward, value)
    return train_ppo(networks, PROMPTS, cfg, TrainingRun(), gold=gold).history


def constant(prompts, texts, finished):
    return [1.0 for _ in texts]


def long(prompts, texts, finished):
    return [float(len(text)) for text in texts]


def short(prompts, texts, finished):
    return [-float(len(text)) for text in texts]


def long_squared(prompts, texts, finished):
    return [float(len(text)) ** 2 for text in texts]


def letters_e(prompts, texts, finished):
    return [float(text.count("e")) for text in texts]


def long_for_odd(prompts, texts, finished):
    """Length counts for half of the prompts and against the others: as the policy tells them apart, scores come to follow it."""
    sides = [1 if int(prompt.id) % 2 else -1 for prompt in prompts]
    return [side * float(len(text)) for side, text in zip(sides, texts, strict=True)]


def first_letter(prompts, texts, finished):
    return [-float(ord((text or "~")[0])) for text in texts]


def tuned(rate):
    rows = [Demonstration(id=str(place), prompt=PROMPTS[place % 6].conversation, answer="yes") for place in range(24)]
    cfg = SftConfig(batching=Batching(epochs=4, rows=6), optimiser=OptimiserConfig(learning_rate=rate))
    return train_sft(model(), rows, cfg, TrainingRun()).history


SAID = ("yes no", "yes blue")


def taught():
    learner = model(stop=1)
    rows = [Demonstration(id=str(n), prompt=PROMPTS[n % 6].conversation, answer=SAID[n % 2]) for n in range(24)]
    known = SftConfig(batching=Batching(epochs=20, rows=12), optimiser=OptimiserConfig(learning_rate=2e-2))
    train_sft(learner, rows, known, TrainingRun())
    return learner


def preferred():
    pairs = [
        Comparison(id=str(n), prompt=PROMPTS[n % 6].conversation, left=SAID[0], right=SAID[1], label_prob=1.0)
        for n in range(24)
    ]
    cfg = DpoConfig(batching=Batching(epochs=20, rows=6), optimiser=OptimiserConfig(learning_rate=3e-2))
    return train_preferences(taught(), pairs, [], DpoLoss(cfg), TrainingRun()).history


def judged_alone():
    rows = [
        Feedback(id=str(n), prompt=PROMPTS[n % 6].conversation, answer=SAID[n % 2], label_prob=float(n % 2 == 0))
        for n in range(24)
    ]
    steps = OptimiserConfig(learning_rate=3e-2)
    cfg = KtoConfig(batching=Batching(epochs=20, rows=6), undesirable_weight=20.0, optimiser=steps)
    return train_kto(taught(), rows, [], cfg, TrainingRun()).history


HAPPENS = {
    "exploding KL": lambda: reinforced(short, rate=2e-2, iterations=15),
    "entropy collapse": lambda: reinforced(short, rate=2e-2, iterations=15),
    "empty answers": lambda: reinforced(short, rate=2e-2, iterations=15),
    "exploited reward": lambda: reinforced(short, gold=long),
    "value blow-up": lambda: reinforced(long_squared, stop=60, longest=16, baseline="critic"),
    "score follows length": lambda: reinforced(long_for_odd, baseline="group", iterations=24),
    "length drift": lambda: reinforced(long, stop=60, longest=16),
    "dead groups": lambda: reinforced(constant, baseline="group", iterations=3),
    "one answer to everything": lambda: reinforced(first_letter, rate=0.1, longest=1, baseline="group"),
    "answers without end": lambda: reinforced(constant, stop=1, iterations=3),
    "likelihood displacement": preferred,
    "sinking desirable answers": judged_alone,
    "growing loss": lambda: tuned(3.0),
}


@pytest.mark.parametrize("name", HAPPENS)
def test_what_goes_wrong_is_named(name):
    assert name in [found.symptom.name for found in found_in(HAPPENS[name]())]


def test_kl_that_stays_below_zero_is_named_when_answers_come_from_stale_weights(monkeypatch):
    real, stale = ppo_source.roll_out, model().module
    monkeypatch.setattr(ppo_source, "roll_out", lambda module, *asked: real(stale, *asked))
    assert "negative KL" in [found.symptom.name for found in found_in(reinforced(letters_e))]


def test_every_symptom_is_made_to_happen():
    assert {*HAPPENS, "negative KL"} == {one.name for one in SYMPTOMS}


def test_a_healthy_training_shows_none():
    assert found_in(tuned(1e-3)) == []
