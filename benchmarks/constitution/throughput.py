"""`python -m benchmarks.constitution.throughput`: critiques asked of the pilot behind shared examples, three ways.

Plain transformers `generate` in left-padded batches of similar length, our engine with every prompt prefilled whole, and our
engine with the shared prefix computed once. All draw at one temperature, unfiltered, and stop at the same token; speeds count
the tokens really written. First plain generate is tried in both number types and three batch sizes on a part of the requests;
its fastest setting and our engine at its defaults then take turns on all of them, so that a slow minute of the machine meets
all three.
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
from alidade.models.local import LocalModel, load, tune_allocator
from alidade.models.prefixes import shared_prefixes
from alidade.testbed.pilot import pilot_folder
from alidade.testbed.reviews import critique
from alidade.testbed.world import world
from benchmarks.training.results import machine, ratio, speed, spread

ROOT = Path(__file__).parents[2]
GOAL = 3.0  # times the speed of plain generate
TYPES = ("float32", "bfloat16")
BATCHES = (32, 64, 128)
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
        request, found, _ = critique(where, rng).partition("\nCritique:")
        if found:
            asked[request + found] = None
    return [encode(examples + request) for request in asked]


@dataclass(frozen=True)
class Bench:
    """The model as we load it, and as transformers runs it, in both number types."""

    how: Sampling
    ours: LocalModel
    plain: Mapping[str, Any]

    @classmethod
    def of(cls, how: Sampling) -> Bench:
        """With the pilot."""
        plain = {
            name: AutoModelForCausalLM.from_pretrained(pilot_folder(), dtype=getattr(torch, name)).eval()
            for name in TYPES
        }
        return cls(how, load(pilot_folder()), plain)

    def measure(self, way: str, setting: Setting, prompts: Prompts) -> dict[str, float]:
        """One run over `prompts`: tokens written, seconds, and the processor's own seconds, which other work leaves alone."""
        kind, size = setting
        began, busy = time.perf_counter(), time.process_time()
        if way == "plain":
            tokens = self._plain(kind, size, prompts)
        else:
            stop_ids = self.ours.renderer.stop_ids
            drawn = generate(
                self.ours.module, prompts, self.how, stop_ids=stop_ids, batch_size=size, share=way == "shared"
            )
            tokens = sum(len(one.tokens) for one in drawn)
        seconds, busy = time.perf_counter() - began, time.process_time() - busy
        run = {"tokens": tokens, "seconds": round(seconds, 3), "processor_seconds": round(busy, 3)}
        print(f"  {way:7s} {kind} {size:4d} {run['tokens'] / run['seconds']:8.0f} tok/s", file=sys.stderr, flush=True)
        return run

    @torch.no_grad()
    def _plain(self, kind: str, size: int, prompts: Prompts) -> int:
        model, stops = self.plain[kind], sorted(self.ours.renderer.stop_ids)
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


def compare(bench: Bench, prompts: Prompts, tried: int, repeats: int) -> dict[str, Any]:
    """Speeds of the three ways in tokens a second, and ratios of runs that stood next to each other in time."""
    trials = {setting: bench.measure("plain", setting, prompts[:tried]) for setting in product(TYPES, BATCHES)}
    fastest = min(trials, key=lambda setting: trials[setting]["processor_seconds"] / trials[setting]["tokens"])
    default = (str(bench.ours.module.dtype).removeprefix("torch."), bench.ours.batch_size)
    settings: dict[str, Setting] = {"plain": fastest, "whole": default, "shared": default}
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in settings}
    for _ in range(repeats):
        for way, setting in settings.items():
            runs[way].append(bench.measure(way, setting, prompts))
    ratios = {f"{one} over {other}": ratio(runs[one], runs[other]) for one, other in PAIRS}
    busy = {way: [{**run, "seconds": run["processor_seconds"]} for run in some] for way, some in runs.items()}
    return {
        "speed": {way: spread([speed(run) for run in some]) for way, some in runs.items()},
        "setting": {way: {"dtype": kind, "batch_size": size} for way, (kind, size) in settings.items()},
        "ratio": ratios,
        "ratio_of_processor_time": {f"{one} over {other}": ratio(busy[one], busy[other]) for one, other in PAIRS},
        "goal": {"ratio": "shared over plain", "goal": GOAL, "holds": ratios["shared over plain"]["median"] >= GOAL},
        "plain_tried_on": tried,
        "plain_tried": {f"{kind}, {size}": run for (kind, size), run in trials.items()},
        "runs": runs,
    }


def main() -> None:
    """Measure, write the results, and print them."""
    given = arguments()
    tune_allocator()
    bench = Bench.of(Sampling(temperature=given.temperature, max_new_tokens=given.new_tokens, seed=5))
    prompts = critique_requests(lambda text: bench.ours.tokenizer(text)["input_ids"], given.requests, given.examples)
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
