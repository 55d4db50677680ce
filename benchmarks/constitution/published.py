"""`python -m benchmarks.constitution.published DATA`: the measures that need no large model, on the paper's published samples.

DATA holds `constitution/cai_critique_revision.jsonl.gz`, `constitution/cai_samples.jsonl.gz` and `preferences/hhh_438.jsonl.gz`
(supplement of arXiv 2212.08073). Of the samples, words are counted and nobody judges. Of the comparisons the pilot is the judge: it has
read nothing of what they speak of, so its agreement with people should be that of a coin, and the measures should say so.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
from pathlib import Path
from typing import Any

from alidade.constitution.ablation import ablate
from alidade.constitution.conflicts import conflict_map
from alidade.constitution.coverage import coverage
from alidade.constitution.document import find_constitution
from alidade.constitution.drift import drift
from alidade.constitution.judges import judge_cards
from alidade.constitution.prefer import Feedback, Pair, PreferenceSettings
from alidade.constitution.revise import Revised, RevisionStep
from alidade.constitution.wording import REVIEWS
from alidade.models.continuing import ContinuingModel
from alidade.models.local import load
from alidade.records import Conversation, Message, Prompt
from alidade.testbed.pilot import pilot_folder

ROOT = Path(__file__).parents[2]
_TURN = re.compile(r"\n\n(Human|Assistant): ?")
_LONGEST = 1200  # characters of prompt and answers together that the pilot can read twice over


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a packed file of JSON lines."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def talk(text: str) -> Conversation:
    """The turns of a transcript that ends with the cue for an answer."""
    parts = _TURN.split(text.removesuffix("\n\nAssistant:"))[1:]
    turns = zip(parts[::2], parts[1::2], strict=True)
    return Conversation(
        messages=tuple(Message(role="user" if who == "Human" else "assistant", text=said) for who, said in turns)
    )


def chains(data: Path) -> list[Revised]:
    """The published critiques and revisions."""
    return [
        Revised(
            prompt=Prompt(id=f"chain-{number}", conversation=talk(row["prompt"])),
            initial=row["initial"][0],
            steps=tuple(RevisionStep(principle_digest="published", **step) for step in row["steps"]),
        )
        for number, row in enumerate(read(data / "constitution" / "cai_critique_revision.jsonl.gz"))
    ]


def samples(data: Path) -> dict[str, Any]:
    """What the answers of each published model are like, in words; each prompt's answers are a cluster."""
    rows = read(data / "constitution" / "cai_samples.jsonl.gz")
    found = {}
    for model in sorted({row["model"] for row in rows}):
        answers = [
            Revised(
                prompt=Prompt(id=f"{row['prompt_set']}-{number}", conversation=talk(row["prompt"])),
                initial=answer,
                steps=(),
            )
            for number, row in enumerate(rows)
            if row["model"] == model
            for answer, _ in row["answers"]
        ]
        found[model] = drift(answers)[0].model_dump(mode="json")
    return found


def comparisons(data: Path) -> dict[str, Any]:
    """Every principle of the pilot's constitution asked of people's comparisons, and what the measures make of it."""
    pairs, people = [], {}
    for number, row in enumerate(read(data / "preferences" / "hhh_438.jsonl.gz")):
        if len(row["prompt"]) + len(row["chosen"]) + len(row["rejected"]) > _LONGEST:
            continue
        chosen_left = number % 2 == 0
        left, right = (row["chosen"], row["rejected"]) if chosen_left else (row["rejected"], row["chosen"])
        pairs.append(Pair(id=f"hhh-{number}", prompt=talk(row["prompt"]), left=left, right=right))
        people[pairs[-1].id] = float(chosen_left)
    constitution = find_constitution("pilot")
    settings = PreferenceSettings(shots=0, principles_per_pair=len(constitution.judges))
    rows = Feedback(ContinuingModel(load(pilot_folder())), constitution, REVIEWS, settings).compare(pairs, seed=0)
    return {
        "pairs": len(pairs),
        "cards": [card.model_dump(mode="json") for card in judge_cards(rows, people)],
        "coverage": [
            one.model_dump(mode="json") for one in coverage(rows, known=[one.id for one in constitution.judges])
        ],
        "ablation": [one.model_dump(mode="json") for one in ablate(rows, people, constitution)],
        "conflicts": conflict_map(rows, constitution).model_dump(mode="json"),
    }


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(prog="benchmarks.constitution.published", description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "constitution-published.json")
    given = parser.parse_args()
    found = {
        "drift": [one.model_dump(mode="json") for one in drift(chains(given.data))],
        "samples": samples(given.data),
        "comparisons": comparisons(given.data),
    }
    given.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
