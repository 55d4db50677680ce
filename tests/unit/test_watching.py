"""Policies measured while they train: what is kept, by which prompts, and that watching changes nothing."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from alidade.errors import TrainingStopped, UsageError
from alidade.models.local import LocalModel
from alidade.models.render import Renderer
from alidade.records import Conversation, Prompt
from alidade.stages.reinforcement import _gold
from alidade.training.experience import Networks
from alidade.training.fit import StepReport, TrainingRun
from alidade.training.lora import add_lora
from alidade.training.objectives.ppo import train_ppo, value_from_reward
from alidade.training.objectives.ppo_watch import Watch
from alidade.training.pretrain import new_model, train_tokenizer
from alidade.training.reward_model import new_reward_model
from alidade.training.settings import Drawing, Keeping, LoraConfig, ModelShape, OptimiserConfig, PpoConfig, Updating
from alidade.training.trunk import prepare
from alidade.training.watching import Asked, WatchedSource


class Steps:
    """A source of one batch a unit."""

    def __init__(self, units):
        self.done, self.units = 0, units

    @property
    def position(self):
        return self.done, self.units

    def __iter__(self):
        while self.done < self.units:
            yield [self.done]

    def observe(self, report):
        self.done += 1

    def state_dict(self):
        return {"done": self.done}

    def load_state_dict(self, state):
        self.done = state["done"]


def watched(golds, keep, reporting=()):
    """A run over as many units as `golds` has after the first, the weight being the unit; `golds` are on the choosing prompts."""
    policy, looks, reported = nn.Linear(1, 1, bias=False), iter(range(len(golds))), reporting or [0.0] * len(golds)

    def measure():
        place = next(looks)
        rows = [{"set": "choosing", "prompt_id": str(number), "gold": gold} for number, gold in enumerate(golds[place])]
        return [*rows, {"set": "reporting", "prompt_id": "r", "gold": reported[place]}]

    source = WatchedSource(Steps((len(golds) - 1) * keep.every), policy, keep, measure)
    nn.init.zeros_(policy.weight)
    done = 0
    for done, _ in enumerate(source, start=1):
        with torch.no_grad():
            policy.weight += 1
        source.observe(StepReport(done, {}))
    source.finish()
    return source, policy.weight.item(), done


CLEAR = [(0.0, 0.1, 0.2), (1.0, 1.2, 1.1), (3.0, 3.2, 3.1), (2.0, 2.2, 2.1), (1.0, 1.2, 1.3)]


def test_the_policy_at_the_peak_is_put_back():
    source, weight, _ = watched(CLEAR, Keeping(policy="best", every=3))
    assert (source.best, weight) == (6, 6)


def test_the_last_policy_stays_unless_asked_otherwise():
    source, weight, _ = watched(CLEAR, Keeping(every=3))
    assert (source.best, weight) == (6, 12)


def test_nothing_is_chosen_on_what_is_reported():
    misleading = [9.0, 0.0, 0.0, 0.0, 99.0]
    source, weight, _ = watched(CLEAR, Keeping(policy="best", every=1), misleading)
    assert (source.best, weight) == (2, 2)


def test_of_policies_that_cannot_be_told_apart_the_first_is_kept():
    noisy = [(0.0, 0.1, 0.2), (1.0, 1.2, 1.1), (1.9, 0.9, 0.8)]
    assert watched(noisy, Keeping(every=1))[0].best == 1
    assert watched(noisy, Keeping(every=1, margin=0.0))[0].best == 2


def test_patience_ends_the_training():
    source, weight, steps = watched(CLEAR, Keeping(policy="best", every=2, patience=1))
    assert (source.best, weight, steps) == (4, 4, 6)


def test_an_impatient_end_stays_an_end_after_a_kill():
    keep = Keeping(every=2, patience=1)
    source, _, _ = watched(CLEAR, keep)
    again = WatchedSource(Steps(8), nn.Linear(1, 1), keep, lambda: [])
    again.load_state_dict(source.state_dict())
    assert list(again) == []


# With a policy of real weights


def model():
    tokenizer = train_tokenizer(["User: what is red Assistant: yes no blue"] * 5, 300)
    module = new_model(ModelShape(hidden=16, ffn=32, layers=1, heads=1, context=64), tokenizer, 0, torch.float32)
    return LocalModel("tiny", prepare(module), tokenizer, Renderer(tokenizer), 64)


def networks():
    policy = model()
    reward = new_reward_model(policy, 0)
    return Networks(policy, copy.deepcopy(policy.module), reward, value_from_reward(reward))


def asked(name, count):
    return [Prompt(id=f"{name}-{n}", conversation=Conversation.ask(f"{name} {n}")) for n in range(count)]


def by_length(prompts, texts, finished):
    return [float(len(text)) for text in texts]


PROMPTS = Asked(asked("train", 6), asked("choose", 4), asked("report", 3))


def config(iterations, **keep):
    return PpoConfig(
        iterations=iterations,
        drawing=Drawing(prompts=6, max_new_tokens=6, engine_gap=1.0),
        updating=Updating(epochs=1),
        keep=Keeping(every=1, margin=0.0, **keep),
        optimiser=OptimiserConfig(learning_rate=2e-2),
    )


def weights(nets):
    return [weight.clone() for weight in nets.policy.module.parameters()]


def equal(one, two):
    return all(torch.equal(first, second) for first, second in zip(one, two, strict=True))


def test_watching_does_not_change_the_training():
    alone, seen = networks(), networks()
    first = train_ppo(alone, PROMPTS.trained, config(3), TrainingRun(), gold=by_length)
    second = train_ppo(seen, PROMPTS, config(3), TrainingRun(), gold=by_length)
    assert equal(weights(alone), weights(seen))
    assert first.history == second.history
    assert "watched" not in first.summary


def test_the_best_policy_is_the_one_that_a_training_up_to_there_ends_with():
    kept = networks()
    # The judge wants what the policy said at its third measurement; only there is gold above zero.
    looks = []

    def third(prompts, texts, finished):
        if len(prompts) == 7:
            looks.append(texts)
        return [float(len(looks) == 3) + number / 100 for number, _ in enumerate(texts)]

    result = train_ppo(kept, PROMPTS, config(5, policy="best"), TrainingRun(), gold=third)
    assert result.summary["best"] == 2
    until = networks()
    train_ppo(until, PROMPTS.trained, config(2), TrainingRun())
    assert equal(weights(kept), weights(until))


def test_each_measurement_has_every_watched_prompt_in_its_set_and_starts_at_the_reference():
    result = train_ppo(networks(), PROMPTS, config(2), TrainingRun(), gold=by_length)
    rows = result.summary["watched"]
    assert sorted({row["iteration"] for row in rows}) == [0, 1, 2]
    first = [(row["set"], row["prompt_id"]) for row in rows if row["iteration"] == 0]
    assert first == [("choosing", f"choose-{n}") for n in range(4)] + [("reporting", f"report-{n}") for n in range(3)]
    assert all(abs(row["kl"]) < 1e-5 for row in rows if row["iteration"] == 0)
    assert any(abs(row["kl"]) > 1e-3 for row in rows if row["iteration"] == 2)
    assert result.counts["watched"] == {"choosing": 4, "reporting": 3}


def test_several_answers_to_a_prompt_are_averaged():
    nets = networks()
    cfg = config(1).model_copy(update={"keep": Keeping(answers=5)})
    seen = []

    def gold(prompts, texts, finished):
        seen.extend(prompts)
        return [float(place) for place in range(len(texts))]

    (first, second) = Watch(nets, [("choosing", one) for one in asked("choose", 2)], gold, cfg, 0)()
    assert (first["gold"], second["gold"]) == (2.0, 7.0)
    assert [prompt.id for prompt in seen] == ["choose-0"] * 5 + ["choose-1"] * 5


def test_the_proxy_of_a_computed_reward_is_not_clipped():
    policy = model()
    nets = Networks(policy, copy.deepcopy(policy.module), lambda p, texts, f: [50.0 for _ in texts], None)
    cfg = config(1)
    cfg = cfg.model_copy(update={"shape": cfg.shape.model_copy(update={"unfinished_score": None})})
    rows = Watch(nets, [("choosing", one) for one in asked("choose", 2)], by_length, cfg, 0)()
    assert [row["proxy_reward"] for row in rows] == [50.0, 50.0]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [(lambda p, t, f: [1.0], "1 scores to 2 answers"), (lambda p, t, f: [float("nan")] * 2, "no number")],
)
def test_a_reward_that_fails_on_watched_prompts_is_said_to(wrong, message):
    policy = model()
    nets = Networks(policy, copy.deepcopy(policy.module), wrong, None)
    with pytest.raises(TrainingStopped, match=message):
        Watch(nets, [("choosing", one) for one in asked("choose", 2)], by_length, config(1), 0)()


@pytest.mark.parametrize(("normalise", "most"), [(False, 3.0), (True, 1e3)])
def test_the_proxy_is_bounded_where_training_bounds_the_score(normalise, most):
    nets = networks()
    nets = replace(nets, reward=nets.reward.normalised(-1e6, 1e3))
    cfg = config(1)
    shape = cfg.shape.model_copy(update={"unfinished_score": None, "normalise": normalise})
    watch = Watch(
        nets, [("choosing", one) for one in asked("choose", 2)], by_length, cfg.model_copy(update={"shape": shape}), 0
    )
    assert [row["proxy_reward"] for row in watch()] == pytest.approx([most] * 2, rel=1e-2)


def test_the_gold_judge_is_asked_only_where_it_knows_every_prompt():
    known = [Prompt(id="k", conversation=Conversation.ask("what"), about={"item": "bread"})]
    assert _gold(Asked(known, known)) is not None
    assert _gold(Asked(known, asked("choose", 2))) is None
    assert _gold(Asked(known, known, asked("report", 2))) is None


def test_adapters_are_kept_too():
    policy, cfg = model(), LoraConfig(rank=2)
    reward = new_reward_model(policy, 0)
    adapted = LocalModel("tiny", add_lora(policy.module, cfg), policy.tokenizer, policy.renderer, 64)
    nets = Networks(adapted, None, reward, add_lora(value_from_reward(reward), cfg))
    result = train_ppo(nets, PROMPTS, config(2, policy="best"), TrainingRun(), gold=lambda p, t, f: [-1.0 for _ in t])
    assert result.summary["best"] == 0
    assert all(not weight.any() for name, weight in adapted.module.named_parameters() if "lora_B" in name)


@pytest.mark.parametrize(
    ("prompts", "gold", "keep", "says"),
    [
        (PROMPTS.trained, by_length, {"policy": "best"}, "no prompts to choose"),
        (PROMPTS.trained, by_length, {"patience": 2}, "no prompts to choose"),
        (PROMPTS, None, {"policy": "best"}, "nothing says which"),
        (PROMPTS, None, {}, "nothing says which"),
    ],
)
def test_a_best_policy_needs_prompts_and_a_judge(prompts, gold, keep, says):
    with pytest.raises(UsageError, match=says):
        train_ppo(networks(), prompts, config(1, **keep), TrainingRun(), gold=gold)
