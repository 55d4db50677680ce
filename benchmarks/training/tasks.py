"""What is measured: per task our settings and the peer's options, each side with its best speed and its least memory.

How much one measurement covers (rows, rounds of sampling, iterations) is not said here: `Bench` fits it to the time there is,
but for options that sort by length, which need all rows to show what they can do.

Rows of a step are chosen so that neither side has larger steps in tokens than the other's best option by more than noise: 14 of our
demonstrations are as many tokens as two of the peer's packed rows of 1,024.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Options = Mapping[str, Any]
DEFAULT = "default"  # the peer's options as they come
FP32 = {"bf16": False}
BF16 = {"bf16": True}
FREE = {"gradient_checkpointing": False}  # the peer's default is to recompute activations
PAIRS = {"per_device_train_batch_size": 8}
RATE = {"learning_rate": 1e-6}
LEAST_ROWS = 32
SORTED = {"train_sampling_strategy": "group_by_length"}
WHOLE = {"whole": True}


@dataclass(frozen=True)
class Task:
    """One measurement on both sides. `ours` and `peer` map a setting's name to what its worker gets; `goals` are ratios.

    Ours are `speed` and `memory`; the peer's `DEFAULT` is as it comes. `sizes` are the least and the most that one measurement covers.
    """

    name: str
    sizes: tuple[int, int]
    ours: Mapping[str, Options]
    peer: Mapping[str, Options]
    goals: Mapping[str, float] = field(default_factory=dict)
    peer_module: str = "trl 1.16"


def _sft(rows: int) -> Task:
    def peer(**options: Any) -> Options:
        return {"options": {**RATE, **options}}

    pairs = {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 2}
    packed = {"per_device_train_batch_size": 2, "packing": True, "max_length": 1024}
    training = {"batching": {"rows": 14}, "optimiser": RATE}
    frugal = {"batching": {"rows": 14, "tokens_at_once": 512, "checkpointing": True}, "optimiser": RATE}
    return Task(
        "sft",
        (LEAST_ROWS, rows),
        {"speed": {"training": training}, "memory": {"training": frugal}},
        {
            DEFAULT: peer(**pairs),
            "by length": peer(**pairs, **FREE, **FP32, **SORTED) | WHOLE,
            "packing": peer(**packed, **FREE, **FP32),
            "packing, bf16": peer(**packed, **FREE, **BF16),
            "packing, checkpointing": peer(**packed, **FP32),
        },
        {"ratio_best": 1.7, "ratio_default": 3.0},
    )


def _from_pairs(name: str, rows: int, goal: float) -> Task:
    def peer(**options: Any) -> Options:
        return {"options": {**PAIRS, **RATE, **options}}

    training = {"batching": {"rows": 8}, "optimiser": RATE}
    frugal = {"batching": {"rows": 8, "tokens_at_once": 512, "checkpointing": True}, "optimiser": RATE}
    more = {}
    if name == "dpo":
        more = {"reference first, fp32": peer(**FREE, **FP32, precompute_ref_log_probs=True)}
    return Task(
        name,
        (LEAST_ROWS, rows),
        {"speed": {"training": training}, "memory": {"training": frugal}},
        {
            DEFAULT: peer(),
            "fp32": peer(**FREE, **FP32),
            "by length, fp32": peer(**FREE, **FP32, **SORTED) | WHOLE,
            "bf16": peer(**FREE, **BF16),
            "checkpointing, fp32": peer(**FP32),
            **more,
        },
        {"ratio_best": goal},
    )


def _generation(rounds: int) -> Task:
    common = {"prompts": 8, "copies": 8, "max_new_tokens": 128}
    peer = {
        f"{batch}, {dtype}": {**common, "batch": batch, "dtype": dtype}
        for dtype in ("float32", "bfloat16")
        for batch in (16, 64)
    }
    peer["continuous, float32"] = {**common, "batch": "continuous", "dtype": "float32"}
    return Task("generation", (1, rounds), {"speed": common}, peer, {"ratio_best": 3.5})


def _grpo(iterations: int) -> Task:
    """Draws of 128 answers, four steps of 32 on each; the default draws 32 for every step."""

    def peer(**options: Any) -> dict[str, Any]:
        shared = {"num_generations": 8, "max_completion_length": 128, "per_device_train_batch_size": 32, "beta": 0.04}
        return {**shared, **RATE, **options}

    training = {
        "drawing": {"prompts": 16, "answers_per_prompt": 8, "max_new_tokens": 128},
        "updating": {"epochs": 1, "minibatches": 4, "target_kl": None},
        "optimiser": RATE,
    }
    frugal = {**training, "updating": {**training["updating"], "tokens_at_once": 1024, "checkpointing": True}}
    together = {"steps_per_generation": 4}
    return Task(
        "grpo",
        (1, iterations),
        {"speed": {"training": training}, "memory": {"training": frugal}},
        {
            DEFAULT: {"options": peer(steps_per_generation=1)},
            "drawn together, fp32": {"options": peer(**FREE, **FP32, **together)},
            "drawn together, bf16": {"options": peer(**FREE, **BF16, **together)},
            "fp32": {"options": peer(**FREE, **FP32, steps_per_generation=1)},
            "checkpointing, fp32": {"options": peer(**FP32, steps_per_generation=1)},
        },
        {"ratio_best": 5.0},
    )


def _ppo(iterations: int) -> Task:
    """64 answers an iteration, four epochs of one step."""

    def peer(batch: int, **options: Any) -> Options:
        accumulated = 64 // batch
        shared = {"per_device_train_batch_size": batch, "gradient_accumulation_steps": accumulated}
        more = {"num_mini_batches": 1, "num_ppo_epochs": 4, "response_length": 128, "temperature": 1.0}
        return {"options": {**shared, **more, **RATE, **options}}

    training = {
        "drawing": {"prompts": 64, "max_new_tokens": 128},
        "updating": {"epochs": 4, "minibatches": 1, "target_kl": None, "value_learning_rate": 1e-6},
        "optimiser": RATE,
    }
    frugal = {**training, "updating": {**training["updating"], "tokens_at_once": 1024, "checkpointing": True}}
    return Task(
        "ppo",
        (1, iterations),
        {"speed": {"training": training}, "memory": {"training": frugal}},
        {
            DEFAULT: peer(16),
            "fp32": peer(16, **FREE, **FP32),
            "bf16": peer(16, **FREE, **BF16),
            "fp32, micro-batches of 4": peer(4, **FREE, **FP32, local_rollout_forward_batch_size=16),
        },
        {"ratio_best": 12.0},
        peer_module="trl 1.12 (the last with PPO)",
    )


def tasks(rows: int, rounds: int, iterations: int) -> list[Task]:
    """All tasks, with at most `rows` rows to train on, `rounds` of sampling and `iterations` of reinforcement."""
    return [
        _sft(rows),
        _from_pairs("reward", rows, 3.0),
        _from_pairs("dpo", rows, 3.0),
        _generation(rounds),
        _grpo(iterations),
        _ppo(iterations),
    ]
