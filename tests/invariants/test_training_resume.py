"""A training that is interrupted anywhere and started again ends in the same bytes as one that ran through."""

import copy
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from alidade.models.local import LocalModel
from alidade.models.render import Renderer
from alidade.records import Comparison, Conversation, Demonstration, Prompt
from alidade.training.checkpoint import FILE_NAME
from alidade.training.corpus import TextFile
from alidade.training.experience import Networks
from alidade.training.fit import TrainingRun
from alidade.training.lm import prepare
from alidade.training.objectives.dpo import DpoLoss
from alidade.training.objectives.ppo import train_ppo, value_from_reward
from alidade.training.objectives.preference import train_preferences
from alidade.training.objectives.pretrain import train_text
from alidade.training.objectives.reward import train_reward
from alidade.training.objectives.sft import train_sft
from alidade.training.pretrain import new_model, train_tokenizer
from alidade.training.reward_model import new_reward_model
from alidade.training.settings import (
    Batching,
    DpoConfig,
    Drawing,
    GrpoConfig,
    Keeping,
    KlControl,
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
from alidade.training.watching import Asked

FAST = OptimiserConfig(learning_rate=5e-3, weight_decay=0.1, schedule="cosine", warmup=0.1)


class Interrupted(Exception):
    """Stands for a kill."""


class Fuse:
    """A progress that burns through after some steps."""

    def __init__(self, steps):
        self.left = steps

    @contextmanager
    def track(self, total, label, unit, done=0):
        yield self

    def advance(self, amount=1, note=""):
        if note.startswith("loss"):
            self.left -= 1
            if self.left == 0:
                raise Interrupted


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


def pretrain(run, folder):
    learner = model()
    texts = folder / "texts"
    texts.mkdir(exist_ok=True)
    rows = [json.dumps({"text": f"red {place} blue yes no"}) for place in range(60)]
    (texts / "train.jsonl").write_text("\n".join(rows))
    (texts / "heldout.jsonl").write_text("\n".join(rows[:9]))
    cfg = PretrainConfig(tokens=16 * 4 * 6, context=16, rows=4, rows_at_once=2, heldout_every=2, optimiser=FAST)
    result = train_text(learner.module, learner.tokenizer, [TextFile("toy", texts, 1.0)], cfg, run)
    return digest(learner.module), result


def sft(run, folder):
    learner = model()
    rows = [Demonstration(id=str(place), prompt=ask(place), answer="yes") for place in range(12)]
    cfg = SftConfig(batching=Batching(epochs=2, rows=4, tokens_at_once=40), optimiser=FAST)
    result = train_sft(learner, rows, cfg, run)
    return digest(learner.module), result


def comparisons():
    return [
        Comparison(id=str(place), prompt=ask(place % 8), left="yes", right=f"no {place}", label_prob=0.9)
        for place in range(12)
    ]


def dpo(run, folder):
    learner, rows = model(), comparisons()
    cfg = DpoConfig(batching=Batching(epochs=2, rows=3), optimiser=FAST)
    result = train_preferences(learner, rows, rows[:2], DpoLoss(cfg), run)
    return digest(learner.module), result


def reward(run, folder):
    rows = comparisons()
    cfg = RewardConfig(batching=Batching(epochs=2, rows=3), optimiser=FAST)
    trained, result = train_reward(new_reward_model(model(), 0), rows, rows[:2], cfg, run)
    return digest(trained.module), result


def ppo(run, folder):
    policy = model()
    scorer = new_reward_model(policy, 0)
    networks = Networks(policy, copy.deepcopy(policy.module), scorer, value_from_reward(scorer))
    cfg = PpoConfig(
        iterations=2,
        drawing=Drawing(prompts=4, answers_per_prompt=2, max_new_tokens=5, engine_gap=1.0),
        kl=KlControl(target=1.0, horizon=50),
        mix=Mix(weight=0.1, rows=2),
        optimiser=FAST,
    )
    asked = [Prompt(id=str(place), conversation=ask(place)) for place in range(6)]
    mixed = [Demonstration(id=str(place), prompt=ask(place), answer="yes") for place in range(5)]
    result = train_ppo(networks, asked, cfg, run, gold=lambda p, a, f: [float(len(x)) for x in a], mixed=mixed)
    return digest(policy.module, networks.value), result


def grpo(run, folder):
    policy = model()
    networks = Networks(
        policy, copy.deepcopy(policy.module), lambda p, texts, f: [float(len(text)) for text in texts], None
    )
    cfg = GrpoConfig(
        iterations=2,
        drawing=Drawing(prompts=4, answers_per_prompt=3, max_new_tokens=5, engine_gap=1.0),
        updating=Updating(epochs=2, minibatches=2),
        shape=RewardShape(unfinished_score=None),
        optimiser=FAST,
    )
    asked = [Prompt(id=str(place), conversation=ask(place)) for place in range(6)]
    result = train_ppo(networks, asked, cfg, run)
    assert result.history[0]["tied_groups"] < 1
    return digest(policy.module), result


def watched(run, folder):
    policy = model()
    scorer = new_reward_model(policy, 0)
    networks = Networks(policy, copy.deepcopy(policy.module), scorer, value_from_reward(scorer))
    cfg = PpoConfig(
        iterations=4,
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


@pytest.mark.parametrize("train", [pretrain, sft, reward, dpo, ppo, grpo, watched])
@pytest.mark.parametrize("steps", [[1], [2, 1, 2]], ids=["before the first save", "three times"])
def test_an_interrupted_training_ends_in_the_same_bytes(tmp_path, train, steps):
    whole, result = train(TrainingRun(seed=3), tmp_path)
    scratch = tmp_path / "scratch"
    for left in steps:
        with pytest.raises(Interrupted):
            train(TrainingRun(3, scratch, Fuse(left), save_every_seconds=0), tmp_path)
    again, resumed = train(TrainingRun(3, scratch, save_every_seconds=0), tmp_path)
    assert again == whole
    assert resumed.history == result.history
    assert resumed.summary == result.summary
    assert resumed.counts == result.counts


@pytest.mark.parametrize("steps", [2, 3, 5, 6, 7])
def test_ppo_goes_on_from_the_middle_of_an_iteration_with_the_same_answers(tmp_path, steps):
    whole, result = ppo(TrainingRun(seed=3), tmp_path)
    with pytest.raises(Interrupted):
        ppo(TrainingRun(3, tmp_path, Fuse(steps), save_every_seconds=0), tmp_path)
    again, resumed = ppo(TrainingRun(3, tmp_path, save_every_seconds=0), tmp_path)
    assert again == whole
    assert resumed.history == result.history


def test_the_best_policy_survives_a_kill_after_its_peak(tmp_path):
    whole, result = watched(TrainingRun(seed=3), tmp_path)
    with pytest.raises(Interrupted):
        watched(TrainingRun(3, tmp_path, Fuse(8), save_every_seconds=0), tmp_path)
    assert result.summary["best"] == 2  # four steps in, and the kill comes in the eighth
    again, resumed = watched(TrainingRun(3, tmp_path, save_every_seconds=0), tmp_path)
    assert again == whole
    assert resumed.summary == result.summary


def test_another_seed_is_another_training(tmp_path):
    assert sft(TrainingRun(seed=3), tmp_path)[0] != sft(TrainingRun(seed=4), tmp_path)[0]


def test_a_killed_process_leaves_a_checkpoint_that_leads_to_the_same_bytes(tmp_path):
    whole, result = sft(TrainingRun(seed=3), tmp_path)
    scratch = tmp_path / "scratch"
    child = subprocess.Popen(
        [sys.executable, __file__, str(scratch)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        while not (scratch / FILE_NAME).exists() and child.poll() is None:
            time.sleep(0.01)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert (scratch / FILE_NAME).exists()
    again, resumed = sft(TrainingRun(3, scratch), tmp_path)
    assert again == whole
    assert resumed.history == result.history


class _Slow:
    """A progress that leaves time to kill the process between two steps."""

    @contextmanager
    def track(self, total, label, unit, done=0):
        yield self

    def advance(self, amount=1, note=""):
        time.sleep(0.05)


if __name__ == "__main__":
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    sft(TrainingRun(3, Path(sys.argv[1]), _Slow(), save_every_seconds=0), Path(sys.argv[1]))
