"""One measurement of alidade: the whole training call, from rows to trained weights, with logging and checkpoints.

Tokenising, scoring the reference and the first, cold step are inside the measured time.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from alidade.models.base import Sampling
from alidade.models.engine import generate
from alidade.models.local import LocalModel, load
from alidade.preferences import read_comparisons, read_demonstrations, read_prompts
from alidade.records import Prompt
from alidade.training.experience import Networks
from alidade.training.fit import Objective, TrainingResult, TrainingRun
from alidade.training.judgements import collate_groups, group_rows
from alidade.training.objectives.dpo import DpoLoss
from alidade.training.objectives.next_token import NextTokenObjective
from alidade.training.objectives.ppo import train_ppo, value_from_reward
from alidade.training.objectives.preference import (
    PreferenceObjective,
    ReferencedGroup,
    collate_referenced,
    score_groups,
    train_preferences,
)
from alidade.training.objectives.reward import RewardObjective, train_reward
from alidade.training.objectives.sft import render_rows, train_sft
from alidade.training.packing import pack_rows
from alidade.training.reward_model import load_reward_model, new_reward_model
from alidade.training.settings import DpoConfig, GrpoConfig, PpoConfig, RewardConfig, RowLimits, SftConfig
from alidade.training.trunk import prepare
from benchmarks.training.process import run, tokens_of

GRADIENT_ROWS = 8
Settings = Mapping[str, Any]


def _policy(workload: Path) -> LocalModel:
    return load(str(workload / "policy"))


def _timed(train: Callable[[TrainingRun], TrainingResult]) -> tuple[TrainingResult, float]:
    """What a training returns, and its seconds, the writing of its history included."""
    with tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        result = train(TrainingRun(scratch=Path(scratch)))
        (Path(scratch) / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in result.history))
        return result, time.perf_counter() - start


def sft(workload: Path, settings: Settings) -> dict[str, float]:
    """Supervised fine-tuning: one pass over the rows."""
    model, count = _policy(workload), settings["size"]
    rows = read_demonstrations(workload / "demonstrations.jsonl").rows[:count]
    cfg = SftConfig.model_validate(settings["training"])
    _, seconds = _timed(lambda how: train_sft(model, rows, cfg, how))
    return {"tokens": tokens_of(workload, "demonstrations", count), "seconds": seconds}


def reward(workload: Path, settings: Settings) -> dict[str, float]:
    """A reward model from pairs: one pass, and the scores of all answers afterwards."""
    model, count = new_reward_model(_policy(workload), seed=0), settings["size"]
    rows = read_comparisons(workload / "pairs.jsonl").rows[:count]
    cfg = RewardConfig.model_validate(settings["training"])
    _, seconds = _timed(lambda how: train_reward(model, rows, [], cfg, how)[1])
    return {"tokens": tokens_of(workload, "pairs", count), "seconds": seconds}


def dpo(workload: Path, settings: Settings) -> dict[str, float]:
    """DPO from pairs: one pass, the reference's included."""
    model, count = _policy(workload), settings["size"]
    rows = read_comparisons(workload / "pairs.jsonl").rows[:count]
    loss = DpoLoss(DpoConfig.model_validate(settings["training"]))
    _, seconds = _timed(lambda how: train_preferences(model, rows, [], loss, how))
    return {"tokens": tokens_of(workload, "pairs", count), "seconds": seconds}


def generation(workload: Path, settings: Settings) -> dict[str, float]:
    """Sampling `copies` answers to each of a few prompts, after one round to warm up."""
    model = _policy(workload)
    prompts = _prompt_ids(model, workload, settings["prompts"])
    answers: list[list[int]] = []
    start = time.perf_counter()
    for turn in range(settings["size"] + 1):
        if turn == 1:
            answers, start = [], time.perf_counter()
        how = Sampling(temperature=1.0, max_new_tokens=settings["max_new_tokens"], seed=turn)
        drawn = generate(model.module, prompts, how, stop_ids=model.renderer.stop_ids, copies=settings["copies"])
        answers += [one.tokens for one in drawn]
    return {"tokens": sum(map(len, answers)), "seconds": time.perf_counter() - start}


def _prompts(workload: Path) -> list[Prompt]:
    return read_prompts(workload / "prompts.jsonl").rows


def _prompt_ids(model: LocalModel, workload: Path, count: int) -> list[list[int]]:
    return [model.renderer.prompt(prompt.conversation) for prompt in _prompts(workload)[:count]]


def vowels(prompts: list[Prompt], texts: list[str], finished: list[bool]) -> list[float]:
    """A reward that costs nothing: the share of vowels."""
    return [sum(letter in "aeiou" for letter in text) / max(1, len(text)) for text in texts]


def grpo(workload: Path, settings: Settings) -> dict[str, float]:
    """GRPO against a computed reward, with a reference."""
    policy, reference = _policy(workload), _policy(workload).module
    cfg = GrpoConfig.model_validate({**settings["training"], "iterations": settings["size"]})
    networks = Networks(policy, reference, vowels, None)
    return _reinforced(networks, workload, cfg)


def ppo(workload: Path, settings: Settings) -> dict[str, float]:
    """PPO with four networks: policy, reference, reward model, value network."""
    judge = load_reward_model(workload / "reward")
    networks = Networks(_policy(workload), _policy(workload).module, judge, value_from_reward(judge))
    return _reinforced(
        networks, workload, PpoConfig.model_validate({**settings["training"], "iterations": settings["size"]})
    )


def _reinforced(networks: Networks, workload: Path, cfg: PpoConfig) -> dict[str, float]:
    result, seconds = _timed(lambda how: train_ppo(networks, _prompts(workload), cfg, how))
    answers = cfg.drawing.prompts * cfg.drawing.answers_per_prompt
    tokens = round(sum(row["length"] for row in result.history) * answers)
    return {"tokens": tokens, "seconds": seconds}


def gradients(workload: Path, settings: Settings) -> dict[str, float]:
    """Loss and gradient of the first few rows in one batch, float32; the gradient goes to the file `settings["out"]`."""
    module, objective, batch = _batch(workload, settings["task"])
    loss = objective.loss(module, batch)
    total = loss.total / objective.weight(batch)
    total.backward()
    grads = {name: weight.grad for name, weight in module.named_parameters() if weight.grad is not None}
    save_file(grads, settings["out"])
    return {"loss": float(total)}


def _batch(workload: Path, task: str) -> tuple[torch.nn.Module, Objective, Any]:
    cpu = torch.device("cpu")
    if task == "sft":
        model = load(str(workload / "policy"), dtype=torch.float32)
        shown = read_demonstrations(workload / "demonstrations.jsonl").rows[:GRADIENT_ROWS]
        rows = [(row.ids, row.trained) for row in render_rows(model, shown, RowLimits())[0]]
        return prepare(model.module), NextTokenObjective(), pack_rows(rows)
    pairs = read_comparisons(workload / "pairs.jsonl").rows[:GRADIENT_ROWS]
    if task == "reward":
        judge = load_reward_model(workload / "reward", dtype=torch.float32)
        groups, _ = group_rows(judge.renderer, pairs, float("inf"))
        return judge.module, RewardObjective(), collate_groups(groups, cpu)
    model = load(str(workload / "policy"), dtype=torch.float32)
    groups, _ = group_rows(model.renderer, pairs, float("inf"))
    scored = score_groups(prepare(model.module), groups, 4096)
    known = [ReferencedGroup(group, row) for group, row in zip(groups, scored, strict=True)]
    return model.module, PreferenceObjective(DpoLoss(DpoConfig())), collate_referenced(known, cpu)


if __name__ == "__main__":
    tasks = (sft, reward, dpo, generation, grpo, ppo, gradients)
    run({task.__name__: task for task in tasks})
