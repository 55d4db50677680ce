"""What a file of preferences holds, as records: comparisons, rankings, or answers and the votes on them.

Formats differ in which of the three they can say. `as_comparisons`, `as_rankings` and `as_votes` bring what there is to the
form that a format knows; what is lost on the way is counted by field.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from alidade.preferences.rankings import comparisons_in
from alidade.preferences.tally import pair_of, tally
from alidade.records import Candidates, Choice, Comparison, Completion, Conversation, Prompt, Ranking, Record, Vote

ACTS = "who voted what (kept are shares)"
SOFT = "Comparison.label_prob (only which answer is better is kept)"
SILENT = "a turn without text"


@dataclass(frozen=True)
class Preferences:
    """Records of one file. `beside` is what a file says of a vote or a prompt, by its id, that no record has a field for."""

    comparisons: tuple[Comparison, ...] = ()
    rankings: tuple[Ranking, ...] = ()
    candidates: tuple[Candidates, ...] = ()
    votes: tuple[Vote, ...] = ()
    beside: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """How many records of each kind there are."""
        kinds = ("comparisons", "rankings", "candidates", "votes")
        return {kind: len(getattr(self, kind)) for kind in kinds if getattr(self, kind)}


@dataclass
class Written:
    """Rows for a file; `left` counts, by field, the values that it has no place for, `refused` the records, by reason."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    def leave(self, rows: Iterable[Record], carried: Iterable[str]) -> None:
        """Count the fields of `rows` that are not `carried` and say something."""
        kept = set(carried)
        for row in rows:
            for name, about in type(row).model_fields.items():
                if name not in kept and (about.is_required() or getattr(row, name) != about.get_default()):
                    self.left[f"{type(row).__name__}.{name}"] += 1

    def leave_beside(self, given: Preferences) -> None:
        """Count what the file it came from said beside the records."""
        self.left.update(f"beside: {name}" for values in given.beside.values() for name in values)


def turns(conversation: Conversation) -> list[dict[str, str]]:
    """A conversation as turns with `role` and `content`."""
    return [{"role": message.role, "content": message.text} for message in conversation.messages]


def one_question(conversation: Conversation) -> str | None:
    """The text of a conversation that is one user's turn, else None."""
    (first, *others) = conversation.messages
    return first.text if first.role == "user" and not others else None


def is_silent(row: Ranking) -> bool:
    """Whether a turn of the prompt, or an answer, has no text."""
    return not all(text.strip() for text in (*row.answers, *(message.text for message in row.prompt.messages)))


def as_comparisons(given: Preferences, out: Written) -> list[tuple[Comparison, list[Vote]]]:
    """Comparisons, those from votes with the votes they stand for; rankings become all their pairs."""
    found: list[tuple[Comparison, list[Vote]]] = [(row, []) for row in given.comparisons]
    found += [(pair, []) for row in given.rankings for pair in comparisons_in(row)]
    if given.votes:
        tallied = tally(given.candidates, given.votes, ties="keep")
        out.refused.update(tallied.dropped)
        out.left[ACTS] += tallied.votes
        cast: dict[str, list[Vote]] = {}
        for vote in given.votes:
            pair = pair_of(vote)
            suffix = "" if pair.attribute == "overall" else f".{pair.attribute}"
            cast.setdefault(f"{pair.prompt_id}/{pair.left}-{pair.right}{suffix}", []).append(vote)
        found += [(row, cast[row.id]) for row in tallied.comparisons]
    return found


def as_rankings(given: Preferences, out: Written) -> list[Ranking]:
    """Rankings; a comparison becomes a ranking of two."""
    rows = [
        row for row, _ in as_comparisons(Preferences((*given.comparisons,), (), given.candidates, given.votes), out)
    ]
    out.leave(rows, {*Ranking.model_fields, "left", "right", "label_prob", "tie_prob"})
    out.left[SOFT] += sum(_is_soft(row) for row in rows)
    return [*given.rankings, *map(_of_two, rows)]


def as_votes(given: Preferences, out: Written) -> tuple[list[Candidates], list[Vote]]:
    """Answers and votes; a comparison becomes two answers and one vote."""
    rows = [row for row, _ in as_comparisons(Preferences(given.comparisons, given.rankings), out)]
    out.leave(rows, {*Vote.model_fields, "prompt", "shown", "label_prob", "tie_prob"})
    out.left[SOFT] += sum(_is_soft(row) for row in rows)
    asked = [
        Candidates(
            prompt=Prompt(id=row.id, conversation=row.prompt),
            answers=(Completion(text=row.left), Completion(text=row.right)),
        )
        for row in rows
    ]
    return [*given.candidates, *asked], [*given.votes, *map(_vote, rows)]


def _is_soft(row: Comparison) -> bool:
    return row.label_prob not in {0.0, 1.0} and not (row.label_prob == 0.5 and row.tie_prob == 1.0)


def _of_two(row: Comparison) -> Ranking:
    ranks = (0, 0) if row.label_prob == 0.5 else (0, 1) if row.label_prob > 0.5 else (1, 0)
    return Ranking(
        id=row.id,
        prompt=row.prompt,
        answers=(row.left, row.right),
        ranks=ranks,
        annotator=row.annotator,
        attribute=row.attribute,
        guideline=row.guideline,
        source=row.source,
    )


def _vote(row: Comparison) -> Vote:
    mirrored = row.shown == "right first"
    first: Choice = "right" if mirrored else "left"
    second: Choice = "left" if mirrored else "right"
    return Vote(
        id=row.id,
        prompt_id=row.id,
        annotator=row.annotator,
        left=int(mirrored),
        right=int(not mirrored),
        choice="tie" if row.label_prob == 0.5 else first if row.label_prob > 0.5 else second,
        attribute=row.attribute,
        guideline=row.guideline,
        source=row.source,
    )
