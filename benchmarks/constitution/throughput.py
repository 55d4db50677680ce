"""`python -m benchmarks.constitution.throughput`: critiques asked of the pilot behind shared examples, three ways.

Plain transformers `generate` in left-padded batches of similar length, our engine with every prompt prefilled whole, and our
engine with the shared prefix computed once. All draw at one temperature, unfiltered, and stop at the same token; speeds count
the tokens really written. First each setting of each way is tried on a part of the requests; the fastest ones then take
turns on all of them, so that a slow minute of the machine meets all three.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from alidade.models.base import Sampling
from alidade.models.engine import generate
from alidade.models.local import load, tune_allocator
from alidade.models.prefixes import shared_prefixes
from alidade.testbed.pilot import pilot_folder
from alidade.testbed.reviews import critique
from alidade.testbed.world import world
from benchmarks.training.results import machine, ratio, speed, spread

ROOT = Path(__file__).parents[2]
GOAL = 3.0  # times the speed of plain generate
TYPES = ("float32", "bfloat16")
BATCHES = (32, 64, 128)
SLOTS = (64, 128, 256)
WAYS = ("plain", "whole", "shared")
PAIRS = (("shared", "plain"), ("shared", "whole"), ("whole", "plain"))
Prompts = Sequence[Sequence[int]]
Setting = tuple[str, int]


def arguments() -> argparse.Namespace:
    """What is asked for on the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.constitution.throughput", description=__doc__)
    parser.add_argument("--requests", type=int, default=512)
    parser.add_argument("--examples", type=int, default=500, help="least tokens of the shared examples")
    parser.add_argument("--tried", type=int, default=128, help="requests on which each setting is tried")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--new-tokens", type=int, default=60)
    parser.add_argument("--temperature", type=float, default=0.3)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "constitution-throughput.json")
    return parser.parse_args()


def critique_requests(encode: Callable[[str], list[int]], count: int, example_tokens: int) -> list[list[int]]:
    """`count` different requests for a critique behind the same examples."""
    where, rng = world(), random.Random(17)
    examples = ""
    while len(encode(examples)) < example_tokens:
        examples += critique(where, rng) + "\n\n"
    asked: dict[str, None] = {}
    while len(asked) < count:
        asked[critique(where, rng).split("\nCritique:")[0] + "\nCritique:"] = None
    return [encode(examples + request) for request in asked]


@dataclass(frozen=True)
class Bench:
    """The model in both number types, ours and as transformers runs it."""

    how: Sampling
    stop_ids: frozenset[int]
    ours: Mapping[str, Any]
    plain: Mapping[str, Any]

    @classmethod
    def of(cls, how: Sampling) -> Bench:
        """With the pilot."""
        ours = {name: load(pilot_folder(), dtype=name) for name in TYPES}
        plain = {
            name: AutoModelForCausalLM.from_pretrained(pilot_folder(), dtype=getattr(torch, name)).eval()
            for name in TYPES
        }
        return cls(
            how, frozenset(ours[TYPES[0]].renderer.stop_ids), {name: one.module for name, one in ours.items()}, plain
        )

    def measure(self, way: str, setting: Setting, prompts: Prompts) -> dict[str, float]:
        """One run over `prompts`: tokens written, seconds, and the processor's own seconds, which other work leaves alone."""
        kind, size = setting
        began, busy = time.perf_counter(), time.process_time()
        if way == "plain":
            tokens = self._plain(kind, size, prompts)
        else:
            drawn = generate(
                self.ours[kind], prompts, self.how, stop_ids=self.stop_ids, batch_size=size, share=way == "shared"
            )
            tokens = sum(len(one.tokens) for one in drawn)
        seconds, busy = time.perf_counter() - began, time.process_time() - busy
        run = {"tokens": tokens, "seconds": round(seconds, 3), "processor_seconds": round(busy, 3)}
        print(f"  {way:7s} {kind} {size:4d} {run['tokens'] / run['seconds']:8.0f} tok/s", file=sys.stderr, flush=True)
        return run

    @torch.no_grad()
    def _plain(self, kind: str, size: int, prompts: Prompts) -> int:
        model, stops = self.plain[kind], sorted(self.stop_ids)
        written = 0
        ordered = sorted(prompts, key=len)
        for start in range(0, len(ordered), size):
            rows = ordered[start : start + size]
            longest = max(map(len, rows))
            ids = torch.tensor([[stops[0]] * (longest - len(row)) + list(row) for row in rows])
            mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
            whole = model.generate(
                input_ids=ids,
                attention_mask=mask,
                do_sample=True,
                temperature=self.how.temperature,
                top_k=0,
                top_p=1.0,
                max_new_tokens=self.how.max_new_tokens,
                eos_token_id=stops,
                pad_token_id=stops[0],
            )
            stopped = torch.isin(whole[:, longest:], torch.tensor(stops)).int()
            # All up to the first stop token, and that one.
            written += int(((stopped.cumsum(1) - stopped) == 0).sum())
        return written


def _fastest(bench: Bench, way: str, prompts: Prompts) -> tuple[Setting, dict[str, float]]:
    """The fastest setting on `prompts` by the processor's time, and the speed of each."""
    sizes = BATCHES if way == "plain" else SLOTS
    speeds: dict[Setting, float] = {}
    for setting in product(TYPES, sizes):
        run = bench.measure(way, setting, prompts)
        speeds[setting] = run["tokens"] / run["processor_seconds"]
    return max(speeds, key=speeds.__getitem__), {f"{kind}, {size}": round(one) for (kind, size), one in speeds.items()}


def compare(bench: Bench, prompts: Prompts, tried: int, repeats: int) -> dict[str, Any]:
    """Speeds of the three ways in tokens a second, and ratios of runs that stood next to each other in time."""
    chosen = {way: _fastest(bench, way, prompts[:tried]) for way in WAYS}
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(repeats):
        for way in WAYS:
            runs[way].append(bench.measure(way, chosen[way][0], prompts))
    ratios = {f"{one} over {other}": ratio(runs[one], runs[other]) for one, other in PAIRS}
    busy = {way: [{**run, "seconds": run["processor_seconds"]} for run in some] for way, some in runs.items()}
    return {
        "speed": {way: spread([speed(run) for run in some]) for way, some in runs.items()},
        "setting": {way: dict(zip(("dtype", "batch_size"), chosen[way][0], strict=True)) for way in WAYS},
        "ratio": ratios,
        "ratio_of_processor_time": {f"{one} over {other}": ratio(busy[one], busy[other]) for one, other in PAIRS},
        "goal": {"ratio": "shared over plain", "goal": GOAL, "holds": ratios["shared over plain"]["median"] >= GOAL},
        "tried": {way: chosen[way][1] for way in WAYS},
        "runs": runs,
    }


def main() -> None:
    """Measure, write the results, and print them."""
    given = arguments()
    tune_allocator()
    bench = Bench.of(Sampling(temperature=given.temperature, max_new_tokens=given.new_tokens, seed=5))
    tokenizer = load(pilot_folder()).tokenizer
    prompts = critique_requests(lambda text: tokenizer(text)["input_ids"], given.requests, given.examples)
    groups = shared_prefixes(prompts)
    found = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "requests": len(prompts),
        "prompt_tokens": spread([len(prompt) for prompt in prompts]),
        "shared_tokens": [group.length for group in groups],
        "new_tokens": given.new_tokens,
        "temperature": given.temperature,
        **compare(bench, prompts, given.tried, given.repeats),
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({name: found[name] for name in ("speed", "ratio", "ratio_of_processor_time", "goal")}, indent=1))


if __name__ == "__main__":
    main()
