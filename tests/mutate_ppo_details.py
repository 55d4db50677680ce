"""Takes each detail of PPO out of the source and asks whether its test notices.

`python -m tests.mutate_ppo_details [NUMBER ...]` applies every mutation to a copy of the package, runs the tests of that
detail against it, and prints a row each; it exits with 1 where a mutation survives. Not part of the test suite.
"""

import contextlib
import io
import multiprocessing
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests" / "unit" / "test_ppo_details.py"
SURVIVED, ABSENT = 0, 5  # pytest's exit codes: all passed, no test found


@dataclass(frozen=True)
class Mutation:
    """Without the detail: in `file`, `old` becomes `new`."""

    detail: str
    what: str
    file: str
    old: str
    new: str


REWARD_MODEL = "training/reward_model.py"
LOSSES, EXPERIENCE, SETTINGS = "training/losses.py", "training/experience.py", "training/settings.py"
SOURCE, UPDATE = "training/objectives/ppo_source.py", "training/objectives/ppo_update.py"
ENGINE, RENDER, PPO = "models/engine.py", "models/render.py", "training/objectives/ppo.py"
JUDGEMENTS, OPTIMISE = "training/judgements.py", "training/optimise.py"

MUTATIONS = [
    Mutation("01", "the stop token is masked", RENDER, "[True] * len(ids)", "[True] * (len(ids) - 1) + [False]"),
    Mutation("01", "the pad is the stop token", RENDER, "own is not None and own not in self.stop_ids", "own is not None"),
    Mutation("02", "positions run on from row to row", "models/segments.py", "        runs.append(np.arange(tree.prompt))", "        runs.append(np.arange(tree.start, tree.start + tree.prompt))"),
    Mutation("03", "answers go on after the stop token", ENGINE, "stopped = torch.isin(tokens, self._stop)", "stopped = torch.isin(tokens, self._stop) & (written >= self._limit[slots])"),
    Mutation("04", "the score is read one token early", REWARD_MODEL, "hidden_states(self.module, packed, packed.ends)", "hidden_states(self.module, packed, packed.ends - 1)"),
    Mutation("05", "a penalty instead of a fixed score", EXPERIENCE, "torch.full_like(scores, shape.unfinished_score)", "scores + shape.unfinished_score"),
    Mutation("06", "a value from beyond the end", LOSSES, "torch.where(here, values[:, place], torch.zeros_like(later_value))", "values[:, place]"),
    Mutation("06", "cut answers keep their score", SETTINGS, "default=-1.0, description=\"what replaces", "default=None, description=\"what replaces"),
    Mutation("07", "the score lands one token early", EXPERIENCE, "last = torch.tensor(answers.starts[1:], device=rewards.device) - 1", "last = torch.tensor(answers.starts[1:], device=rewards.device) - 2"),
    Mutation("08", "room beside short answers is whitened", EXPERIENCE, "advantages = whiten(advantages, mask & learned)", "advantages = whiten(advantages, torch.ones_like(mask))"),
    Mutation("08", "the last prompt token is a target", "training/rollouts.py", "[answers.tokens[answer] for answer in members]) for place, members", "[[9, *answers.tokens[answer]] for answer in members]) for place, members"),
    Mutation("09", "the reference knows no temperature", EXPERIENCE, "return token_scores(networks.reference, states, packed.targets, temperature)", "return token_scores(networks.reference, states, packed.targets)"),
    Mutation("09", "the update knows no temperature", UPDATE, "packed.targets, self.temperature)", "packed.targets, 1.0)"),
    Mutation("09", "drawing knows no temperature", SOURCE, "temperature=drawing.temperature,", "temperature=1.0,"),
    Mutation("10", "only the likeliest tokens are drawn", ENGINE, "log_probs = (logits.float() / (temperature or 1.0)).log_softmax(-1)", "logits = logits.float(); log_probs = (logits.masked_fill(logits < logits.topk(200).values[:, -1:], -torch.inf) / (temperature or 1.0)).log_softmax(-1)"),
    Mutation("11", "networks stay in training mode", "training/trunk.py", "return module.eval()", "return module"),
    Mutation("11", "the reward model stays in training mode", PPO, "        prepare(reward.module)\n", ""),
    Mutation("12", "old log-probabilities are the engine's", EXPERIENCE, "return Experience(appraised.log_probs,", "return Experience(torch.tensor([x for row in answers.engine_log_probs for x in row]),"),
    Mutation("12", "the engine is not held to them", "training/diagnose.py", "    if not gap <= allowed:\n        raise TrainingStopped(\n            f\"the sampling", "    if False:\n        raise TrainingStopped(\n            f\"the sampling"),
    Mutation("13", "policy and reference need not be equal", SOURCE, "if self._cfg.must_start_equal:", "if False:"),
    Mutation("13", "the old policy is another", EXPERIENCE, "return Experience(appraised.log_probs,", "return Experience(appraised.log_probs - 0.01,"),
    Mutation("14", "raw scores are used", REWARD_MODEL, "return (self.heads.combined(self.rows(packed)) - self.mean) / self.std", "return self.heads.combined(self.rows(packed))"),
    Mutation("15", "the head starts smaller by a root", "training/reward_model.py", "/ (width + 1) ** 0.5", "/ (width + 1)"),
    Mutation("15", "the value head starts at 0", PPO, "    return reward.folded()", "    value = reward.folded()\n    value.score.weight.data.zero_()\n    return value"),
    Mutation("16", "the penalty is a reward", EXPERIENCE, "rewards = -in_reward * estimate(", "rewards = in_reward * estimate("),
    Mutation("16", "the adaptive error is not bounded", EXPERIENCE, "KL_ERROR_BOUND = 0.2", "KL_ERROR_BOUND = 1.0"),
    Mutation("16", "the number of answers does not count", EXPERIENCE, "error * answers / control.horizon", "error / control.horizon"),
    Mutation("17", "k3 is the reward's penalty", SETTINGS, "(\"k1\" if self.placement == \"reward\" else \"k3\")", "\"k3\""),
    Mutation("17", "the ratio is not bounded", LOSSES, "(log_probs - old_log_probs).clamp(-LOG_RATIO_BOUND, LOG_RATIO_BOUND).exp()", "(log_probs - old_log_probs).exp()"),
    Mutation("17", "k3 is not bounded", LOSSES, "(other - log_probs).clamp(-LOG_RATIO_BOUND, LOG_RATIO_BOUND)", "(other - log_probs)"),
    Mutation("18", "reward whitening removes the mean", LOSSES, "white if shift_mean else white + mean", "white"),
    Mutation("18", "advantage whitening keeps the mean", LOSSES, "white if shift_mean else white + mean", "white + mean"),
    Mutation("18", "the sample's variance is used", LOSSES, "masked_mean((values - mean) ** 2, mask)", "((values - mean) ** 2 * mask).sum() / (mask.sum() - 1)"),
    Mutation("19", "every epoch has one order", SOURCE, "\"minibatches\", self._iteration, epoch)", "\"minibatches\", self._iteration)"),
    Mutation("19", "the policy loss is optimistic", LOSSES, "return torch.maximum(free, clipped)", "return torch.minimum(free, clipped)"),
    Mutation("19", "the value loss is optimistic", LOSSES, "0.5 * torch.maximum((values", "0.5 * torch.minimum((values"),
    Mutation("19", "the value loss is not halved", LOSSES, "0.5 * torch.maximum((values", "torch.maximum((values"),
    Mutation("19", "the value loss has weight 1", UPDATE, "how.value_weight * value.sum()", "value.sum()"),
    Mutation("19", "lambda is 1", SETTINGS, "lam: float = Field(default=0.95", "lam: float = Field(default=1.0"),
    Mutation("20", "epsilon is 1e-8", SETTINGS, "learning_rate=1.5e-4, eps=1e-5,", "learning_rate=1.5e-4, eps=1e-8,"),
    Mutation("20", "epsilon does not reach Adam", OPTIMISE, "eps=cfg.eps, ", ""),
    Mutation("20", "the rate stays", SETTINGS, "learning_rate=1.5e-4, eps=1e-5, schedule=\"linear\"", "learning_rate=1.5e-4, eps=1e-5"),
    Mutation("20", "the rate falls with every minibatch", "training/fit.py", "rate_factor(optimiser.cfg, *source.position)", "rate_factor(optimiser.cfg, optimiser.steps_done, 8)"),
    Mutation("21", "gradients are not clipped", OPTIMISE, "nn.utils.clip_grad_norm_(masters, self.cfg.clip)", "nn.utils.clip_grad_norm_(masters, 1e9)"),
    Mutation("22", "each micro-batch has its own mean", "training/fit.py", "(loss.total / weight).backward()", "(loss.total / max(1.0, objective.weight(batch))).backward()"),
    Mutation("23", "logits are kept", "training/lm.py", "_TokenScores.apply(hidden, weight, targets, temperature)", "_scores((hidden @ weight.t()).float() / temperature, targets)"),
    Mutation("24", "every pair is an element of its own", JUDGEMENTS, "groups.setdefault(row.prompt, AnswerGroup(prompt))", "groups.setdefault((row.prompt, number), AnswerGroup(prompt))"),
    Mutation("24", "two epochs are the default", SETTINGS, "batching: Batching = Batching(epochs=1, rows=16)", "batching: Batching = Batching(epochs=2, rows=16)"),
    Mutation("24", "mixed-in rows weigh by their number", SOURCE, "mix.weight * answer_tokens / tokens)", "mix.weight)"),
    Mutation("25", "prompts come in one order", SOURCE, "generator(self._seed, \"prompts\", lap)", "generator(self._seed, \"prompts\")"),
    Mutation("25", "prompts are drawn with replacement", SOURCE, "chosen.append(order[place])", "chosen.append(generator(self._seed, at).randrange(size))"),
]  # fmt: skip


def mutated(mutation, folder):
    """A copy of the package's source with `mutation` in it."""
    source = folder / "src"
    shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("*.safetensors", "__pycache__"))
    path = source / "alidade" / mutation.file
    text = path.read_text()
    if text.count(mutation.old) != 1:
        raise ValueError(f"{mutation.file} has {text.count(mutation.old)} times: {mutation.old}")
    path.write_text(text.replace(mutation.old, mutation.new))
    return source


def run_tests(source, detail, said):
    """Run the tests of `detail` on the package in `source`; pytest's exit code is put into `said`."""
    import pytest

    sys.path.insert(0, str(source))
    import alidade

    assert alidade.__file__.startswith(str(source)), "the mutated package is not the one under test"
    with contextlib.redirect_stdout(io.StringIO()):
        said.value = pytest.main(
            [
                str(TESTS),
                "-k",
                f"test_{detail}",
                "-x",
                "-q",
                "-p",
                "no:cacheprovider",
                "-W",
                "ignore::pytest.PytestAssertRewriteWarning",
            ]
        )


def survives(mutation, context):
    """Whether the tests of the detail pass without it."""
    with tempfile.TemporaryDirectory() as folder:
        said = context.Value("i", -1)
        process = context.Process(target=run_tests, args=(mutated(mutation, Path(folder)), mutation.detail, said))
        process.start()
        process.join()
        if said.value not in (SURVIVED, 1):
            raise RuntimeError(f"the tests of {mutation.detail} ended with {said.value}: {mutation.what}")
        return said.value == SURVIVED


def main():
    """Print a row per mutation, and fail where one survives."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "transformers", "peft", "pytest"])
    asked = [mutation for mutation in MUTATIONS if not sys.argv[1:] or mutation.detail in sys.argv[1:]]
    survivors = 0
    for mutation in asked:
        survived = survives(mutation, context)
        survivors += survived
        sys.stdout.write(f"{mutation.detail}  {'SURVIVED' if survived else 'killed':<9} {mutation.what}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{len(asked) - survivors} of {len(asked)} mutations killed\n")
    sys.exit(1 if survivors else 0)


if __name__ == "__main__":
    main()
