"""Every baseline of reinforcement raises a reward that is known, on several seeds, without leaving its reference far behind."""

import copy

import pytest

from alidade.models.local import LocalModel
from alidade.models.render import Renderer
from alidade.records import Conversation, Demonstration, Prompt
from alidade.training.experience import Networks
from alidade.training.fit import TrainingRun
from alidade.training.objectives.ppo import train_ppo
from alidade.training.objectives.sft import train_sft
from alidade.training.pretrain import new_model, train_tokenizer
from alidade.training.reward_model import new_reward_model
from alidade.training.settings import (
    Batching,
    Constraint,
    Drawing,
    GrpoConfig,
    KlControl,
    ModelShape,
    OptimiserConfig,
    PpoConfig,
    ReinforceConfig,
    RlooConfig,
    SftConfig,
    Updating,
)
from alidade.training.trunk import prepare

SEEDS = range(5)
LEAST = 0.9  # of the reward's maximum, 1
KL_BAND = (0.6, 1.6)  # nats an answer: always saying one of three equally likely things costs log 3 = 1.1
FAST = OptimiserConfig(learning_rate=3e-3, eps=1e-8, schedule="linear")
COMMON = {
    "iterations": 14,
    "kl": KlControl(beta=0.05, target=1.3, horizon=500),
    "updating": Updating(epochs=2, minibatches=2, value_learning_rate=3e-3),
    "optimiser": FAST,
}
CASES = {
    "PPO": PpoConfig(**COMMON, drawing=Drawing(prompts=48, max_new_tokens=6)),
    "GRPO": GrpoConfig(
        **COMMON | {"kl": KlControl(beta=0.05, target=1.3, horizon=500, placement="loss")},
        drawing=Drawing(prompts=8, answers_per_prompt=6, max_new_tokens=6),
    ),
    "RLOO": RlooConfig(**COMMON, drawing=Drawing(prompts=8, answers_per_prompt=6, max_new_tokens=6)),
    "REINFORCE++": ReinforceConfig(**COMMON, drawing=Drawing(prompts=48, max_new_tokens=6)),
}


def ask(place: int) -> Conversation:
    return Conversation.ask(f"what is {place}")


def speaker(seed: int) -> LocalModel:
    """A tiny model that answers yes, no or blue, about equally often, and stops."""
    tokenizer = train_tokenizer(["User: what is red Assistant: yes no blue"] * 5, 300)
    module = new_model(ModelShape(hidden=32, ffn=64, layers=1, heads=1, context=64), tokenizer, seed)
    model = LocalModel("tiny", prepare(module), tokenizer, Renderer(tokenizer), 64)
    said = ("yes", "no", "blue")
    rows = [Demonstration(id=str(n), prompt=ask(n % 8), answer=said[n % 3]) for n in range(72)]
    cfg = SftConfig(batching=Batching(epochs=12, rows=24), optimiser=OptimiserConfig(learning_rate=1e-2))
    train_sft(model, rows, cfg, TrainingRun(seed=seed))
    return model


def says_blue(prompts: list[Prompt], texts: list[str], finished: list[bool]) -> list[float]:
    return [float(text.strip() == "blue") for text in texts]


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_known_reward_is_raised_to_nine_tenths_of_its_maximum_on_five_seeds(name):
    prompts = [Prompt(id=str(place), conversation=ask(place)) for place in range(8)]
    for seed in SEEDS:
        policy, cfg = speaker(seed), CASES[name]
        value = new_reward_model(policy, seed).module if cfg.baseline == "critic" else None
        networks = Networks(policy, copy.deepcopy(policy.module), says_blue, value)
        curves = train_ppo(networks, prompts, cfg, TrainingRun(seed=seed)).history
        recent = curves[-3:]
        assert curves[0]["proxy_reward"] < 0.6
        assert sum(row["proxy_reward"] for row in recent) / 3 >= LEAST
        assert KL_BAND[0] < sum(row["kl"] for row in recent) / 3 < KL_BAND[1]


BOUND = 0.35
BAND = 0.1  # of the mean of the last ten iterations, 48 answers each


@pytest.mark.slow
@pytest.mark.parametrize("name", ["PPO", "RLOO"])
def test_a_bound_that_binds_is_kept_and_the_reward_takes_what_is_left(name):
    """The word that is rewarded is the word that costs, so the most that can be had is the bound; unbound, it would be 1."""
    prompts = [Prompt(id=str(place), conversation=ask(place)) for place in range(8)]
    changes = {
        "iterations": 30,
        "kl": KlControl(beta=0.3),
        "constraints": {"cost": Constraint(at_most=BOUND, multiplier=0.5, rate=0.4)},
    }
    for seed in range(3):
        policy, cfg = speaker(seed), CASES[name].model_copy(update=changes)
        value = new_reward_model(policy, seed).module if cfg.baseline == "critic" else None
        networks = Networks(policy, copy.deepcopy(policy.module), says_blue, value, {"cost": says_blue})
        curves = train_ppo(networks, prompts, cfg, TrainingRun(seed=seed)).history
        assert max(row["score_cost"] for row in curves) > BOUND + 0.15
        assert curves[-1]["multiplier_cost"] > curves[0]["multiplier_cost"]
        assert sum(row["score_cost"] for row in curves[-10:]) / 10 == pytest.approx(BOUND, abs=BAND)
