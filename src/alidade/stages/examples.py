"""Few-shot examples for the stages that ask by principles: from files and from what people said, none of which gives away what is asked."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from alidade.constitution.example_files import read_shots
from alidade.constitution.examples import ComparisonShot, Shots, guarded, named_talks
from alidade.errors import DataError
from alidade.preferences.collected import votes_in
from alidade.preferences.doctor.duplicates import Near
from alidade.preferences.split import normalised
from alidade.preferences.tally import implied_votes
from alidade.records import Candidates, Conversation, Demonstration
from alidade.store import read_rows

SAME_WORDS = 0.7  # share of their words in common (Jaccard) from which two short prompts are one
SHORT = 20  # words of a prompt for which three-word shingles are too coarse: one word changed breaks three of them
LEAST_WORDS = 5  # of a later turn that is held against the prompts; "Just tell me." is everybody's
_EXAMPLE = 'name a file of examples, or a folder that "alidade label export" wrote'


def read_examples(places: Sequence[str]) -> list[tuple[str, Shots]]:
    """The examples of each file or export, by its name.

    Raises:
        DataError: naming the file and the example at fault.
    """
    return [(place, corrected(Path(place)) if Path(place).is_dir() else read_shots(Path(place))) for place in places]


def corrected(folder: Path) -> Shots:
    """What people said in an export as examples: pairs that most votes decide, and answers they corrected, better than before.

    Raises:
        DataError: when the folder holds no export, or nothing in it is decided.
    """
    if not (folder / "answers.jsonl").exists():
        raise DataError("no examples here", where=str(folder), hint=_EXAMPLE)
    answered = {row.prompt.id: row for row in read_rows(folder / "answers.jsonl", Candidates)}
    found = votes_in(folder)
    won: dict[tuple[str, int, int], int] = defaultdict(int)
    for vote in (*found.votes, *implied_votes(found.rankings)):
        left, right = min(vote.left, vote.right), max(vote.left, vote.right)
        sign = 0 if vote.choice == "tie" else 1 if (vote.choice == "left") == (vote.left == left) else -1
        won[vote.prompt_id, left, right] += sign
    shots = [
        ComparisonShot(prompt=row.prompt.conversation, corrects=(texts[0],), incorrects=(texts[1],))
        for (prompt, left, right), lead in won.items()
        if lead and (row := answered.get(prompt)) is not None
        for texts in [[row.answers[number].text for number in ((left, right) if lead > 0 else (right, left))]]
    ]
    shots += _edited(folder, list(answered.values()))
    if not shots:
        raise DataError("nothing is decided in this export", where=str(folder), hint="collect votes: alidade label")
    return Shots(comparisons=tuple(shots))


def _edited(folder: Path, answered: Sequence[Candidates]) -> list[ComparisonShot]:
    path = folder / "demonstrations.jsonl"
    if not path.exists():
        return []
    before = {row.prompt.conversation: next((one.text for one in row.answers if not one.error), "") for row in answered}
    return [
        ComparisonShot(prompt=row.prompt, corrects=(row.answer,), incorrects=(was,))
        for row in read_rows(path, Demonstration)
        if (was := before.get(row.prompt, "")) and was != row.answer
    ]


def safe_examples(places: Sequence[str], asked: Sequence[Conversation]) -> tuple[Shots, list[str]]:
    """The examples of all places together, and the names of those that are left out since their prompt is among `asked`."""
    is_leak, together, refused = leak_guard(asked), Shots(), list[str]()
    for place, shots in read_examples(places):
        kept = guarded(shots, is_leak)
        together = together.with_more(kept.shots)
        refused += [f"{place}: {name}" for name in kept.refused]
    return together, refused


def leak_guard(asked: Sequence[Conversation]) -> Callable[[Conversation], bool]:
    """Whether an example's prompt is one of `asked`, or nearly one.

    Compared are the opening, the last turn of a person where it says something of its own, and all turns of the person together:
    case, coding and punctuation apart (as prompts are split), by three-word shingles (as the data doctor finds near duplicates), and
    short ones by their words, whatever the order.
    """
    texts = list(dict.fromkeys(text for talk in asked for text in _compared(talk)))
    exact, near = set(texts), Near(texts) if texts else None
    bags = [bag for text in texts if len(bag := frozenset(text.split())) <= SHORT]

    def is_leak(talk: Conversation) -> bool:
        return any(
            text in exact or (near is not None and near.like(text)) or any(_alike(text, bag) for bag in bags)
            for text in _compared(talk)
        )

    return is_leak


def _compared(talk: Conversation) -> list[str]:
    turns = [normalised(turn.text) or turn.text.strip() for turn in talk.messages if turn.role == "user"]
    last = turns[-1:] if len(re.findall(r"\w+", turns[-1] if turns else "")) >= LEAST_WORDS else []
    return list(dict.fromkeys((*turns[:1], *last, " ".join(turns))))


def _alike(text: str, other: frozenset[str]) -> bool:
    words = frozenset(text.split())
    return bool(words) and len(words & other) >= SAME_WORDS * len(words | other)


def check_examples(places: Sequence[str], wanted: Sequence[str]) -> None:
    """Read the examples, keeping nothing.

    Raises:
        DataError: when one is at fault, or none is of a kind in `wanted` (`critiques`, `comparisons`, `thoughts`).
    """
    read = read_examples(places)
    kinds = {name.partition(".")[0] for _, shots in read for name, _ in named_talks(shots)}
    if places and not kinds & set(wanted):
        raise DataError(
            f"none of these examples can be shown here: {', '.join(sorted(kinds))}",
            where=", ".join(places),
            hint=f"wanted are {' or '.join(wanted)}",
        )
