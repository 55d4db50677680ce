"""Trainings of a second, one per algorithm: what interrupted and killed runs are compared on.

Each takes a run, a folder for files of its own, and how many times longer than its shortest it shall be; it returns the
digest of the trained weights and the result.
"""

import copy
import hashlib
import json
from dataclasses import replace

import torch

from alidade.models.local import LocalModel
from alidade.models.render import Renderer
from alidade.records import Comparison, Conversation, Demonstration, Feedback, Prompt
from alidade.training.corpus import TextFile
from alidade.training.experience import Networks
from alidade.training.lora import add_lora
from alidade.training.objectives.dpo import DpoLoss
from alidade.training.objectives.kto import train_kto
from alidade.training.objectives.ppo import train_ppo, value_from_reward
from alidade.training.objectives.preference import train_preferences
from alidade.training.objectives.pretrain import train_text
from alidade.training.objectives.reward import train_reward
from alidade.training.objectives.sft import train_sft
from alidade.training.pretrain import new_model, train_tokenizer
from alidade.training.reward_model import new_reward_model
from alidade.training.settings import (
    Batching,
    Constraint,
    DpoConfig,
    Drawing,
    GrpoConfig,
    Keeping,
    KlControl,
    KtoConfig,
    LoraConfig,
    Mix,
    ModelShape,
    OptimiserConfig,
    PpoConfig,
    PretrainConfig,
    RewardConfig,
    RewardShape,
    SftConfig,
    Updating,
)
from alidade.training.trunk import prepare
from alidade.training.watching import Asked

FAST = OptimiserConfig(learning_rate=5e-3, weight_decay=0.1, schedule="cosine", warmup=0.1)


def model():
    tokenizer = train_tokenizer(["User: what is red Assistant: yes no blue"] * 5, 300)
    module = new_model(ModelShape(hidden=16, ffn=32, layers=1, heads=1, context=64), tokenizer, 0, torch.bfloat16)
    return LocalModel("tiny", prepare(module), tokenizer, Renderer(tokenizer), 64)


def digest(*modules):
    state = hashlib.sha256()
    for module in modules:
        for weight in module.parameters():
            state.update(weight.detach().view(torch.int16).numpy().tobytes())
    return state.hexdigest()


def ask(place):
    return Conversation.ask(f"what is {place}")


def pretrain(run, folder, times=1):
    learner = model()
    texts = folder / "texts"
    texts.mkdir(exist_ok=True)
    rows = [json.dumps({"text": f"red {place} blue yes no"}) for place in range(60)]
    (texts / "train.jsonl").write_text("\n".join(rows))
    (texts / "heldout.jsonl").write_text("\n".join(rows[:9]))
    cfg = PretrainConfig(tokens=16 * 4 * 6 * times, context=16, rows=4, rows_at_once=2, heldout_every=2, optimiser=FAST)
    result = train_text(learner.module, learner.tokenizer, [TextFile("toy", texts, 1.0)], cfg, run)
    return digest(learner.module), result


def sft(run, folder, times=1):
    learner = model()
    rows = [Demonstration(id=str(place), prompt=ask(place), answer="yes") for place in range(12)]
    cfg = SftConfig(batching=Batching(epochs=2 * times, rows=4, tokens_at_once=40), optimiser=FAST)
    result = train_sft(learner, rows, cfg, run)
    return digest(learner.module), result


def comparisons():
    return [
        Comparison(id=str(place), prompt=ask(place % 8), left="yes", right=f"no {place}", label_prob=0.9)
        for place in range(12)
    ]


def dpo(run, folder, times=1):
    learner, rows = model(), comparisons()
    cfg = DpoConfig(batching=Batching(epochs=2 * times, rows=3), optimiser=FAST)
    result = train_preferences(learner, rows, rows[:2], DpoLoss(cfg), run)
    return digest(learner.module), result


def kto(run, folder, times=1):
    learner = model()
    rows = [
        Feedback(id=str(place), prompt=ask(place % 8), answer=f"no {place}", label_prob=place % 2)
        for place in range(12)
    ]
    cfg = KtoConfig(batching=Batching(epochs=2 * times, rows=3, tokens_at_once=60), optimiser=FAST)
    result = train_kto(learner, rows, rows[:2], cfg, run)
    assert any(row["reference_point"] > 0 for row in result.history)
    return digest(learner.module), result


def reward(run, folder, times=1):
    rows = comparisons()
    cfg = RewardConfig(batching=Batching(epochs=2 * times, rows=3), optimiser=FAST)
    trained, result = train_reward(new_reward_model(model(), 0), rows, rows[:2], cfg, run)
    return digest(trained.module), result


def sft_lora(run, folder, times=1):
    learner = adapted(model(), seed=4)
    rows = [Demonstration(id=str(place), prompt=ask(place), answer="yes") for place in range(12)]
    batching = Batching(epochs=2 * times, rows=4, tokens_at_once=40, checkpointing=True)
    result = train_sft(learner, rows, SftConfig(batching=batching, optimiser=FAST), run)
    return digest(learner.module), result


def adapted(network, seed):
    return replace(network, module=add_lora(network.module, LoraConfig(rank=2), seed))


def ppo(run, folder, times=1):
    policy = model()
    scorer = new_reward_model(policy, 0)
    networks = Networks(policy, copy.deepcopy(policy.module), scorer, value_from_reward(scorer))
    return ppo_with(networks, run, times)


def ppo_lora(run, folder, times=1):
    policy = model()
    scorer = adapted(new_reward_model(policy, 0, shared=True), seed=5)
    value = value_from_reward(scorer)
    return ppo_with(Networks(adapted(policy, seed=6), None, scorer, value), run, times)


def ppo_with(networks, run, times):
    cfg = PpoConfig(
        iterations=2 * times,
        drawing=Drawing(prompts=4, answers_per_prompt=2, max_new_tokens=5, engine_gap=1.0),
        kl=KlControl(target=1.0, horizon=50),
        mix=Mix(weight=0.1, rows=2),
        optimiser=FAST,
    )
    asked = [Prompt(id=str(place), conversation=ask(place)) for place in range(6)]
    mixed = [Demonstration(id=str(place), prompt=ask(place), answer="yes") for place in range(5)]
    result = train_ppo(networks, asked, cfg, run, gold=lambda p, a, f: [float(len(x)) for x in a], mixed=mixed)
    return digest(networks.policy.module, networks.value), result


def constrained(run, folder, times=1):
    """PPO with a computed reward, a reward model and a bound, all scores normalised, cut answers bootstrapped."""
    policy = model()
    cost = new_reward_model(policy, 0)
    value = new_reward_model(policy, 1).module
    networks = Networks(
        policy, copy.deepcopy(policy.module), lambda p, texts, f: [float(len(x)) for x in texts], value, {"cost": cost}
    )
    cfg = PpoConfig(
        iterations=3 * times,
        drawing=Drawing(prompts=4, answers_per_prompt=2, max_new_tokens=5, engine_gap=1.0),
        constraints={"cost": Constraint(at_most=-2.0, rate=0.3, lead=0.5)},
        shape=RewardShape(normalise=True, truncated="bootstrap", missing_end_penalty=0.2),
        updating=Updating(entropy=0.01),
        optimiser=FAST,
    )
    asked = [Prompt(id=str(place), conversation=ask(place)) for place in range(6)]
    result = train_ppo(networks, asked, cfg, run)
    multipliers = [row["multiplier_cost"] for row in result.history]
    assert multipliers[0] == 1.0 < multipliers[1] < multipliers[2]
    return digest(policy.module, networks.value), result


def grpo(run, folder, times=1):
    policy = model()
    networks = Networks(
        policy, copy.deepcopy(policy.module), lambda p, texts, f: [float(len(text)) for text in texts], None
    )
    cfg = GrpoConfig(
        iterations=2 * times,
        drawing=Drawing(prompts=4, answers_per_prompt=3, max_new_tokens=5, engine_gap=1.0),
        updating=Updating(epochs=2, minibatches=2),
        shape=RewardShape(unfinished_score=None),
        optimiser=FAST,
    )
    asked = [Prompt(id=str(place), conversation=ask(place)) for place in range(6)]
    result = train_ppo(networks, asked, cfg, run)
    assert result.history[0]["tied_groups"] < 1
    return digest(policy.module), result


def watched(run, folder, times=1):
    policy = model()
    scorer = new_reward_model(policy, 0)
    networks = Networks(policy, copy.deepcopy(policy.module), scorer, value_from_reward(scorer))
    cfg = PpoConfig(
        iterations=4 * times,
        drawing=Drawing(prompts=4, max_new_tokens=5, engine_gap=1.0),
        updating=Updating(epochs=1, minibatches=2),
        keep=Keeping(policy="best", every=1, margin=0.0),
        optimiser=FAST,
    )
    names = ("trained", "choosing", "reporting")
    sets = [[Prompt(id=str(place), conversation=ask(f"{name} {place}")) for place in range(4)] for name in names]

    def gold(prompts, texts, finished):
        """Best halfway: what is wanted is a policy that has moved some way."""
        moved = (policy.module.lm_head.weight - networks.reference.lm_head.weight).detach().float().abs().mean()
        return [-abs(float(moved) - 0.0125)] * len(texts)

    result = train_ppo(networks, Asked(*sets), cfg, run, gold=gold)
    assert 0 < result.summary["best"] < 4
    return digest(policy.module, networks.value), result
