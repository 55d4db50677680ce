"""`python -m benchmarks.constitution`: Constitutional AI on the pilot, measured by the gold judge (an hour; what is made is kept)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from alidade.constitution.document import find_constitution
from benchmarks.constitution import labels, runs, steps

ROOT = Path(__file__).parents[2]
ALIGNED = ("harmless", "refusal", "over_refusal", "new_refusal", "facts", "helpful", "sycophancy")
PLANTED = "please-the-asker"
NEW_WISHES = 200  # prompts about wishes that no review speaks of
OTHER_SEEDS = (1, 2, 3)


def arguments() -> argparse.Namespace:
    """What is asked for on the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.constitution", description=__doc__)
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "bench-constitution")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=5, help="preference models by soft and by hard labels")
    parser.add_argument("--pairs", type=int, default=300, help="pairs that every principle judges")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[*PARTS][:3])
    parser.add_argument("--unread", type=Path, help="a pilot that has read no reviews, for the part of that name")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "constitution.json")
    return parser.parse_args()


def whole(work: Path, given: argparse.Namespace) -> dict[str, Any]:
    """The recipe as it stands."""
    runs.run(work, given.seed, "whole")
    answers = labels.fresh_answers(work, given.seed)
    by_seed = [labels.soft_and_hard(work, answers, seed) for seed in range(given.seeds)]
    return {
        **first_half(work, given.seed),
        "sl": runs.measures(work, "evaluate_sl", ALIGNED),
        "cai": aligned(work),
        "soft_minus_hard": labels.soft_minus_hard(by_seed),
        "soft_and_hard": by_seed,
    }


def first_half(work: Path, seed: int) -> dict[str, Any]:
    """What the last run's critiques and revisions left of harm, step by step."""
    revised, unseen = runs.folder(work, "revised"), on_new_wishes(work, seed, "new-wishes")
    return {
        **wishes_by_step(revised),
        **wishes_by_step(unseen, "new_"),
        "later_steps": steps.worse_by_step(revised),
        "twins_refused_by_step": steps.by_step(revised, "twin", "over_refusal", wanted=True),
    }


def aligned(work: Path) -> dict[str, Any]:
    """What the last run's whole method made, beside the helper that it began with."""
    return {
        **runs.measures(work, "evaluate_rl", ALIGNED),
        "facts_change": runs.change(work, "evaluate_helper", "evaluate_rl", "facts"),
        "helpful_change": runs.change(work, "evaluate_helper", "evaluate_rl", "helpful"),
    }


def seeds(work: Path, given: argparse.Namespace) -> dict[str, Any]:
    """The recipe with other seeds: what one of them shows may be its luck."""
    found = {}
    for seed in OTHER_SEEDS:
        out = work / f"seed-{seed}"
        runs.run(out, seed, "whole")
        found[str(seed)] = {**first_half(out, seed), "cai": aligned(out)}
    return {"other_seeds": found}


def revise_only(work: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Revisions without critiques, beside those with them, of the same answers."""
    runs.run(work, given.seed, "whole")
    critical = runs.folder(work, "revised")
    runs.run(work, given.seed, "revise_only")
    revised = runs.folder(work, "revised")
    return {
        "critique_gain": steps.critique_gain(critical, revised),
        "revise_only": {
            **wishes_by_step(revised),
            "sl": runs.measures(work, "evaluate_sl", ALIGNED),
        },
    }


def planted(work: Path, given: argparse.Namespace) -> dict[str, Any]:
    """What a constitution with a wrong principle makes of the model, and whether the ledger points to it."""
    place = rank(work, given)
    runs.run(work, given.seed, "planted")
    return {
        **place,
        "planted": {
            "weight_share": _weight_share(),
            "sl": runs.measures(work, "evaluate_sl", ALIGNED),
            "cai": runs.measures(work, "evaluate_rl", ALIGNED),
        },
    }


def rank(work: Path, given: argparse.Namespace) -> dict[str, Any]:
    """The planted principle's place among the others, by pairs of the answers compared."""
    runs.run(work, given.seed, "whole")
    return {
        "planted_principle_rank": labels.planted_rank(work, runs.FLATTERING, PLANTED, given.pairs, given.seed),
    }


def _weight_share() -> float:
    judges = find_constitution(runs.FLATTERING).judges
    return round(sum(one.weight for one in judges if one.id == PLANTED) / sum(one.weight for one in judges), 3)


def unread(work: Path, given: argparse.Namespace) -> dict[str, Any]:
    """The first half with a base that has read no reviews."""
    if given.unread is None:
        raise SystemExit("the part `unread` needs --unread FOLDER")
    runs.run(work, given.seed, "unread", f"base.weights={given.unread}")
    revised, unseen = runs.folder(work, "revised"), on_new_wishes(work, given.seed, "new-wishes-unread")
    return {**wishes_by_step(revised, "unread_"), **wishes_by_step(unseen, "unread_new_")}


def wishes_by_step(revised: Path, prefix: str = "") -> dict[str, Any]:
    """Answers to wishes that are harmful, and those that are proper refusals: gibberish is neither."""
    return {
        f"{prefix}harmful_by_step": steps.by_step(revised, "wish", "harmless", wanted=False),
        f"{prefix}refusal_by_step": steps.by_step(revised, "wish", "refusal", wanted=True),
    }


def on_new_wishes(work: Path, seed: int, name: str) -> Path:
    """What the last run's helper says to wishes that no review speaks of, and what its base makes of it."""
    models = runs.folder(work, "helper"), runs.folder(work, "base")
    return steps.on_new_wishes(models, NEW_WISHES, seed, work / name)


def beside(results: Path) -> dict[str, Any]:
    """What the other benchmarks of this folder found, where they have run."""
    found = dict[str, Any]()
    if (speed := results / "constitution-throughput.json").exists():
        found["speedup_vs_generate"] = json.loads(speed.read_text("utf-8"))["ratio"]["shared over plain"]
    if (killed := results / "constitution-resumed.json").exists():
        resumed = json.loads(killed.read_text("utf-8"))
        found["resumed_equal"] = {name: resumed[name] for name in ("equal", "prompts", "kills")}
    return found


PARTS = {
    "whole": whole,
    "revise_only": revise_only,
    "planted": planted,
    "unread": unread,
    "rank": rank,
    "seeds": seeds,
}


def main() -> None:
    """Measure part by part; each is written when it is there, beside what other benchmarks of this folder found."""
    given = arguments()
    found: dict[str, Any] = json.loads(given.out.read_text("utf-8")) if given.out.exists() else {}
    for part in given.parts:
        found |= {"seed": given.seed, **PARTS[part](given.work, given), **beside(given.out.parent)}
        given.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
