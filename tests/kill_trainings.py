"""Kills trainings at random instants and starts them again until they end: `make kill-tests`.

Every life of a training is a process of its own that ends by SIGKILL, so nothing in it can tidy up. An aim is a phase, and
an instant within it: the killer waits until the training has entered the phase for the n-th time, then for a random part
of the time the phase takes, and kills. Where the kill fell is read afterwards from memory that outlives the process.

`python -m tests.kill_trainings [--kills N] [--seed N] [ALGORITHM ...]` prints a row per algorithm, and exits with 1 where
a killed training does not end as the one that was left alone.
"""

import argparse
import hashlib
import json
import multiprocessing
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tests import small_trainings

from alidade.training import fit
from alidade.training.checkpoint import FILE_NAME, random_state, save_checkpoint
from alidade.training.fit import TrainingRun
from alidade.training.objectives import ppo_source
from alidade.training.preflight import as_json

ALGORITHMS = ("sft", "reward", "dpo", "ppo", "grpo")
PHASES = ("starting", "rollout", "scoring", "update", "checkpoint", "finishing")
AIMS = {name: ("rollout", "scoring", "update", "checkpoint") for name in ("ppo", "grpo")}
OTHER_AIMS = ("update", "checkpoint")
FARTHEST = 3  # an aim is at most the third visit of a phase, so that no life comes near the end
LENGTH = 10  # times the shortest training
SEED = 3


class Place:
    """Where a training is: the phase, how often each was entered, how long each takes, in memory shared with the killer."""

    def __init__(self, context):
        self.phase = context.RawValue("i", 0)
        self.entered = context.RawArray("i", len(PHASES))
        self.seconds = context.RawArray("d", len(PHASES))

    @contextmanager
    def inside(self, phase):
        before, number, began = self.phase.value, PHASES.index(phase), time.perf_counter()
        self.phase.value = number
        self.entered[number] += 1
        yield
        self.seconds[number] += time.perf_counter() - began
        self.phase.value = before

    def watch(self, module, name, phase):
        """Let the module's function `name` tell when it is at work."""
        original = getattr(module, name)

        def watched(*args, **options):
            with self.inside(phase):
                return original(*args, **options)

        setattr(module, name, watched)

    def times_in(self, phase):
        return self.entered[PHASES.index(phase)]

    def mean_seconds(self, phase):
        return self.seconds[PHASES.index(phase)] / max(1, self.times_in(phase))


class Chance:
    """A progress that uses up numbers of every global generator, so that a state not put back would show."""

    def __init__(self, place):
        self._place = place

    @contextmanager
    def track(self, total, label, unit, done=0):
        self._began = time.perf_counter()
        self._place.phase.value = PHASES.index("update")
        yield self
        self._place.phase.value = PHASES.index("finishing")

    def advance(self, amount=1, note=""):
        number, now = PHASES.index("update"), time.perf_counter()
        self._place.entered[number] += 1
        self._place.seconds[number] += now - self._began
        self._began = now
        random.random(), np.random.random(), torch.rand(1)


def live(algorithm, folder, place, save_every_seconds):
    """One life: train from the last checkpoint to the end, and write down how it ended."""
    torch.set_num_threads(1)
    random.seed(SEED), np.random.seed(SEED), torch.manual_seed(SEED)
    place.watch(fit, "save_checkpoint", "checkpoint")
    place.watch(ppo_source, "roll_out", "rollout")
    place.watch(ppo_source, "appraise", "scoring")
    run = TrainingRun(SEED, folder / "scratch", Chance(place), save_every_seconds)
    weights, result = getattr(small_trainings, algorithm)(run, folder, LENGTH)
    outcome = {"weights": weights, "random": random_digest()}
    outcome |= {name: getattr(result, name) for name in ("history", "counts", "summary")}
    outcome["preflight"] = as_json(result.preflight)
    (folder / "outcome.json").write_text(json.dumps(outcome, indent=1))


def random_digest():
    state = random_state()
    plain = [state["torch"].tolist(), state["python"], state["numpy"]]
    return hashlib.sha256(repr(plain).encode()).hexdigest()


@dataclass
class Outcome:
    """What became of a training: where the kills fell, how many left half a checkpoint, and whether it ended the same."""

    algorithm: str
    fell: Counter
    torn: int
    restarts: int
    equal: bool
    seconds: float


class Lives:
    """The lives of one training in one folder."""

    def __init__(self, algorithm, folder, context):
        self._algorithm, self._folder, self._context = algorithm, folder, context
        folder.mkdir(parents=True)

    def whole(self):
        """Live to the end; how it ended, and where the time went."""
        place = Place(self._context)
        process = self._start(place)
        process.join()
        assert process.exitcode == 0, f"{self._algorithm} failed by itself"
        return (self._folder / "outcome.json").read_bytes(), place

    def killed(self, phase, visit, wait):
        """Live until `wait` seconds into the given visit of `phase`; the phase in which the end came, None if too late."""
        place = Place(self._context)
        process = self._start(place)
        while place.times_in(phase) < visit and process.exitcode is None:
            time.sleep(0.0002)
        time.sleep(wait)
        process.kill()
        process.join()
        return PHASES[place.phase.value] if process.exitcode == -signal.SIGKILL else None

    @property
    def is_torn(self):
        """Whether half a checkpoint lies about."""
        return (self._folder / "scratch" / f"{FILE_NAME}.part").exists()

    def _start(self, place):
        process = self._context.Process(target=live, args=(self._algorithm, self._folder, place, 0.0))
        process.start()
        return process


def kill_often(algorithm, kills, seed, folder, method="spawn"):
    """Train `algorithm` once undisturbed, and once killed `kills` times; `method` says how processes are made."""
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload([__name__])
    chance, began = random.Random(f"{seed} {algorithm}"), time.monotonic()
    expected, usual = Lives(algorithm, folder / "undisturbed", context).whole()
    lives, fell, torn = Lives(algorithm, folder / "killed", context), Counter(), 0
    aims = AIMS.get(algorithm, OTHER_AIMS)
    for number in range(kills):
        phase = aims[number % len(aims)]
        where = lives.killed(phase, chance.randint(1, FARTHEST), chance.random() * usual.mean_seconds(phase))
        assert where is not None, f"{algorithm} ended before kill {number + 1}"
        fell[where] += 1
        torn += lives.is_torn
    found, _ = lives.whole()
    return Outcome(algorithm, fell, torn, kills, found == expected, time.monotonic() - began)


def checkpoint_cost(folder):
    """(seconds, bytes) of a checkpoint of PPO on the pilot: policy and value network with both moments; median of 7."""
    from alidade.models.local import load
    from alidade.testbed.pilot import pilot_folder
    from alidade.training.objectives.ppo import value_from_reward
    from alidade.training.optimise import AdamW, Part
    from alidade.training.reward_model import new_reward_model
    from alidade.training.settings import OptimiserConfig

    policy = load(pilot_folder())
    value = value_from_reward(new_reward_model(policy, 0))
    optimiser = AdamW([Part("policy", policy.module), Part("value", value)], OptimiserConfig())
    for module in (policy.module, value):
        for weight in module.parameters():
            weight.grad = torch.ones_like(weight)
    optimiser.collect()
    optimiser.step(1.0)
    seconds = []
    for _ in range(7):
        began = time.perf_counter()
        save_checkpoint(folder, "cost", {"optimiser": optimiser.state_dict()})
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds), (folder / FILE_NAME).stat().st_size


def say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def row(one):
    where = ", ".join(f"{phase} {one.fell[phase]}" for phase in PHASES if one.fell[phase])
    equal = "yes" if one.equal else "NO"
    numbers = f"{one.fell.total():>5} {one.restarts:>8} {one.torn:>5} {equal:>6} {one.seconds:>8.1f}"
    return f"{one.algorithm:<10} {numbers}  {where}"


def main():
    """Print a row per algorithm as it ends, and what a checkpoint costs; fail where an end is not the same."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("algorithms", nargs="*", default=ALGORITHMS, metavar="ALGORITHM")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    say(f"{'algorithm':<10} {'kills':>5} {'restarts':>8} {'torn':>5} {'equal':>6} {'seconds':>8}  where the kills fell")
    different = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.algorithms:
            outcome = kill_often(name, asked.kills, asked.seed, Path(folder) / name)
            different += not outcome.equal
            say(row(outcome))
        seconds, size = checkpoint_cost(Path(folder) / "cost")
        every = TrainingRun().save_every_seconds
        cost = f"{size / 1e6:.0f} MB in {seconds:.3f} s, {seconds / every:.2%} of the time when saved every {every:g} s"
        say(f"a checkpoint of PPO on the pilot: {cost}")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
