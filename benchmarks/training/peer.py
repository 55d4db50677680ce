"""One measurement of TRL, in the peer's own virtual environment; nothing of alidade is imported but `process`.

The time runs from the end of the first optimiser step to the end of the last: loading, tokenising and the cold first step are
left out, in the peer's favour. Nothing is reported to any service and no checkpoint is written.
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from datasets import Dataset
from safetensors.torch import save_file
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GenerationConfig,
    TrainerCallback,
)

from benchmarks.training.process import read_lines, run, tokens_of

GRADIENT_ROWS = 8
Settings = Mapping[str, Any]
CALM = {"use_cpu": not torch.cuda.is_available(), "report_to": "none", "save_strategy": "no", "disable_tqdm": True}


class Clock(TrainerCallback):
    """The moment each optimiser step ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Note the time."""
        self.ends.append(time.perf_counter())

    @property
    def seconds(self) -> float:
        """From the end of the first step to the end of the last."""
        return self.ends[-1] - self.ends[0]

    @property
    def share(self) -> float:
        """The share of the steps that was timed."""
        return 1 - 1 / len(self.ends)


def _tokenizer(workload: Path) -> Any:
    return AutoTokenizer.from_pretrained(workload / "policy")


def _trained(trainer: Any, tokens: int) -> dict[str, float]:
    clock = Clock()
    trainer.add_callback(clock)
    trainer.train()
    return {"tokens": round(tokens * clock.share), "seconds": clock.seconds}


def _sft(workload: Path, options: Mapping[str, Any], rows: int, out: str) -> Any:
    from trl import SFTConfig, SFTTrainer

    data = Dataset.from_list(read_lines(workload / "demonstrations.jsonl", rows))
    args = SFTConfig(output_dir=out, num_train_epochs=1, **CALM, **options)
    return SFTTrainer(str(workload / "policy"), args=args, train_dataset=data, processing_class=_tokenizer(workload))


def _reward(workload: Path, options: Mapping[str, Any], rows: int, out: str) -> Any:
    from trl import RewardConfig, RewardTrainer

    data = Dataset.from_list(read_lines(workload / "pairs.jsonl", rows))
    args = RewardConfig(output_dir=out, num_train_epochs=1, **CALM, **options)
    return RewardTrainer(str(workload / "reward"), args=args, train_dataset=data, processing_class=_tokenizer(workload))


def _dpo(workload: Path, options: Mapping[str, Any], rows: int, out: str) -> Any:
    from trl import DPOConfig, DPOTrainer

    data = Dataset.from_list(read_lines(workload / "pairs.jsonl", rows))
    args = DPOConfig(output_dir=out, num_train_epochs=1, **CALM, **options)
    return DPOTrainer(str(workload / "policy"), args=args, train_dataset=data, processing_class=_tokenizer(workload))


TRAINERS = {"sft": (_sft, "demonstrations"), "reward": (_reward, "pairs"), "dpo": (_dpo, "pairs")}


def supervised(task: str) -> Any:
    """The measurement of a task that trains on given rows."""

    def measure(workload: Path, settings: Settings) -> dict[str, float]:
        build, name = TRAINERS[task]
        with tempfile.TemporaryDirectory() as out:
            trainer = build(workload, settings["options"], settings["size"], out)
            return _trained(trainer, tokens_of(workload, name, settings["size"]))

    return measure


def generation(workload: Path, settings: Settings) -> dict[str, float]:
    """`generate` on left-padded prompts, `batch` rows at a time, or the continuous batching of transformers."""
    dtype = getattr(torch, settings["dtype"])
    model = AutoModelForCausalLM.from_pretrained(workload / "policy", dtype=dtype).eval()
    tokenizer = _tokenizer(workload)
    chats = [row["prompt"] for row in read_lines(workload / "prompts.jsonl", settings["prompts"])]
    prompts = [tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False) for chat in chats]
    rows = [prompt for prompt in prompts for _ in range(settings["copies"])]
    how = GenerationConfig(
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        max_new_tokens=settings["max_new_tokens"],
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    drawn = _continuous if settings["batch"] == "continuous" else _padded
    tokens, start = 0, time.perf_counter()
    for turn in range(settings["size"] + 1):
        torch.manual_seed(turn)
        if turn == 1:
            tokens, start = 0, time.perf_counter()
        tokens += sum(drawn(model, rows, how, settings["batch"]))
    return {"tokens": tokens, "seconds": time.perf_counter() - start}


def _padded(model: Any, rows: list[list[int]], how: GenerationConfig, batch: int) -> Iterator[int]:
    """The length of each answer, stop token included."""
    for start in range(0, len(rows), batch):
        block = rows[start : start + batch]
        longest = max(map(len, block))
        ids = torch.tensor([[how.pad_token_id] * (longest - len(row)) + row for row in block])
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in block])
        with torch.no_grad():
            answers = model.generate(input_ids=ids, attention_mask=mask, generation_config=how)[:, longest:]
        yield from _lengths(answers, how.eos_token_id)


def _lengths(answers: torch.Tensor, stop: int) -> list[int]:
    ended = answers == stop
    first = ended.int().argmax(dim=1) + 1
    return torch.where(ended.any(dim=1), first, answers.shape[1]).tolist()


def _continuous(model: Any, rows: list[list[int]], how: GenerationConfig, batch: str) -> Iterator[int]:
    found = model.generate_batch(inputs=rows, generation_config=how, progress_bar=False)
    yield from (len(one.generated_tokens) for one in found.values())


def vowels(completions: list[Any], **_: Any) -> list[float]:
    """A reward that costs nothing: the share of vowels."""
    texts = [chat[0]["content"] for chat in completions]
    return [sum(letter in "aeiou" for letter in text) / max(1, len(text)) for text in texts]


def grpo(workload: Path, settings: Settings) -> dict[str, float]:
    """GRPO against a computed reward; tokens are those of the answers of all iterations but the first."""
    from trl import GRPOConfig, GRPOTrainer

    counts: list[int] = []

    def counted(completions: list[Any], completion_ids: list[list[int]], **known: Any) -> list[float]:
        counts.append(sum(map(len, completion_ids)))
        return vowels(completions)

    data = Dataset.from_list(read_lines(workload / "prompts.jsonl"))
    clock = Clock()
    with tempfile.TemporaryDirectory() as out:
        per_draw = settings["options"][
            "steps_per_generation"
        ]  # optimiser steps on one draw; the first draw is not counted
        steps = per_draw * (settings["size"] + 1)
        args = GRPOConfig(output_dir=out, max_steps=steps, **CALM, **settings["options"])
        trainer = GRPOTrainer(
            str(workload / "policy"),
            reward_funcs=counted,
            args=args,
            train_dataset=data,
            processing_class=_tokenizer(workload),
            callbacks=[clock],
        )
        trainer.train()
    return {"tokens": sum(counts[1:]), "seconds": clock.ends[-1] - clock.ends[per_draw - 1]}


def ppo(workload: Path, settings: Settings) -> dict[str, float]:
    """PPO of the last TRL that had it, with four networks."""
    sys.path.insert(0, os.environ["ALIDADE_PEER_PPO"])
    from trl.experimental.ppo import PPOConfig, PPOTrainer, ppo_trainer

    counts: list[int] = []
    truncate = ppo_trainer.truncate_response

    def counted(stop: int, pad: int, responses: torch.Tensor) -> torch.Tensor:
        kept = truncate(stop, pad, responses)
        counts.append(int((kept != pad).sum()))
        return kept

    ppo_trainer.truncate_response = counted
    tokenizer = _tokenizer(workload)
    tokenizer.padding_side = "left"
    chats = [row["prompt"] for row in read_lines(workload / "prompts.jsonl")]
    ids = [tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False) for chat in chats]
    judges = [_classifier(workload) for _ in range(2)]
    policies = [AutoModelForCausalLM.from_pretrained(workload / "policy", dtype=torch.float32) for _ in range(2)]
    clock = Clock()
    with tempfile.TemporaryDirectory() as out:
        options = {**CALM, **settings["options"]}
        iterations = settings["size"] + 1
        episodes = iterations * options["per_device_train_batch_size"] * options["gradient_accumulation_steps"]
        args = PPOConfig(output_dir=out, total_episodes=episodes, stop_token="eos", num_sample_generations=0, **options)
        trainer = PPOTrainer(
            args,
            tokenizer,
            policies[0],
            policies[1],
            judges[0],
            Dataset.from_list([{"input_ids": row} for row in ids]),
            judges[1],
            callbacks=[clock],
        )
        trainer.train()
    chunks = len(counts) // iterations
    return {"tokens": sum(counts[chunks:]), "seconds": clock.seconds}


def _classifier(workload: Path) -> Any:
    return AutoModelForSequenceClassification.from_pretrained(workload / "reward", num_labels=1, dtype=torch.float32)


def gradients(workload: Path, settings: Settings) -> dict[str, float]:
    """Loss and gradient of the first few rows in one batch, float32; the gradient goes to the file `settings["out"]`."""
    options = {
        "bf16": False,
        "gradient_checkpointing": False,
        "per_device_train_batch_size": GRADIENT_ROWS,
        "model_init_kwargs": {"dtype": "float32"},
    }
    build, _ = TRAINERS[settings["task"]]
    with tempfile.TemporaryDirectory() as out:
        trainer = build(workload, options, GRADIENT_ROWS, out)
        batch = trainer._prepare_inputs(next(iter(trainer.get_train_dataloader())))
        loss = trainer.compute_loss(trainer.model, batch)
        loss.backward()
    named = itertools.chain(trainer.model.named_parameters())
    save_file({name: weight.grad for name, weight in named if weight.grad is not None}, settings["out"])
    return {"loss": float(loss)}


if __name__ == "__main__":
    run(
        {
            **{task: supervised(task) for task in TRAINERS},
            "generation": generation,
            "grpo": grpo,
            "ppo": ppo,
            "gradients": gradients,
        }
    )
