"""`python -m benchmarks.constitution.resumed`: answers revised once in one go, and once killed twice at random moments.

The prompts are the testbed's and the answers those its careless writers give, so that only `revise` works: with the pilot as its critic,
steps and tokens few by default, as the question is whether a killed run ends in the same bytes and not what the revisions say. A kill is
SIGKILL, at a moment drawn from the time the whole run took.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from alidade.records import Candidates, Completion, Prompt
from alidade.store import write_rows
from alidade.testbed.demonstrations import Care, demonstrations
from benchmarks.training.results import machine

ROOT = Path(__file__).parents[2]


def arguments() -> argparse.Namespace:
    """What is asked for on the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.constitution.resumed", description=__doc__)
    parser.add_argument("--prompts", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--new-tokens", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "constitution-resumed.json")
    return parser.parse_args()


def write_recipe(folder: Path, given: argparse.Namespace) -> Path:
    """A recipe that revises testbed answers, and the answers beside it."""
    rows = [
        Candidates(
            prompt=Prompt(id=f"prompt-{number:06d}", conversation=row.prompt), answers=(Completion(text=row.answer),)
        )
        for number, row in enumerate(demonstrations(given.prompts, Care(refused=0.0), given.seed))
    ]
    (folder / "answers").mkdir()
    write_rows(folder / "answers" / "answers.jsonl", rows)
    settings = f"{{steps: {given.steps}, max_new_tokens: {given.new_tokens}, temperature: 0.3, shots: 0}}"
    recipe = folder / "recipe.yaml"
    recipe.write_text(
        f"name: resumed\nseed: {given.seed}\nstages:\n"
        "  base: {use: pilot}\n"
        "  constitution: {use: constitution, with: {document: pilot}}\n"
        f"  answers: {{use: answers-folder, with: {{folder: {folder / 'answers'}, heldout_share: 0}}}}\n"
        "  revised:\n    use: revise\n    in: {critic: base, constitution: constitution, answers: answers}\n"
        f"    with: {{wording: reviews, revision: {settings}}}\n",
        encoding="utf-8",
    )
    return recipe


def start(recipe: Path, out: Path, *only: str) -> subprocess.Popen[bytes]:
    """A run of the recipe in a process of its own."""
    chosen = [word for name in only for word in ("--only", name)]
    command = [sys.executable, "-m", "alidade.cli", "align", str(recipe), "--out", str(out), *chosen]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def finish(process: subprocess.Popen[bytes]) -> None:
    """Wait for a run that must succeed."""
    if process.wait():
        raise SystemExit(f"a run failed with {process.returncode}")


def kill_at(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether the process was killed; not where it was done before."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True
    return False


def digests(out: Path) -> dict[str, str]:
    """The sha256 of every file of every artifact of a run."""
    root = out / "store" / "data"
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def killed_run(recipe: Path, out: Path, seconds: float, given: argparse.Namespace) -> list[float]:
    """Run the recipe to its end through as many kills as wanted; the moments of the kills, in seconds of each life."""
    rng, moments = random.Random(f"kills {given.seed}"), list[float]()
    finish(start(recipe, out, "base", "constitution", "answers"))
    for _ in range(given.kills):
        moment = seconds * rng.uniform(0.1, 0.9) / given.kills
        if not kill_at(start(recipe, out, "revised"), moment):
            raise SystemExit("the run ended before it was killed; give more prompts")
        moments.append(round(moment, 2))
        print(f"killed after {moment:.1f} s", file=sys.stderr, flush=True)
    finish(start(recipe, out, "revised"))
    return moments


def main() -> None:
    """Run, kill, compare, write the result, and print it."""
    given = arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipe = write_recipe(folder, given)
        finish(start(recipe, folder / "whole", "base", "constitution", "answers"))
        began = time.monotonic()
        finish(start(recipe, folder / "whole", "revised"))
        seconds = time.monotonic() - began
        moments = killed_run(recipe, folder / "killed", seconds, given)
        whole, killed = digests(folder / "whole"), digests(folder / "killed")
    found: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "prompts": given.prompts,
        "steps": given.steps,
        "new_tokens": given.new_tokens,
        "seconds": round(seconds, 1),
        "kills": len(moments),
        "killed_after": moments,
        "files": len(whole),
        "equal": whole == killed,
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))
    sys.exit(0 if found["equal"] else 1)


if __name__ == "__main__":
    main()
