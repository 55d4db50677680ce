"""Rows that each hold one vote and the two answers it is about, gathered to answers per prompt and votes on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from alidade.errors import DataError
from alidade.preferences.interchange.bundle import Preferences, Written
from alidade.preferences.tables import Row
from alidade.records import Candidates, Completion, Prompt, Vote
from alidade.store.rows import explain_invalid

UNSEEN = "an answer nobody voted on"
# Fields of a vote that most formats have no column for; those that open an object to more columns carry them by these names.
EXTRAS = ("attribute", "guideline", "source", "strength", "seconds", "at", "arm")


class Gathering:
    """Answers and votes, as rows bring them."""

    def __init__(self) -> None:
        self._prompts: dict[str, Prompt] = {}
        self._answers: dict[str, dict[int, str]] = {}
        self._votes: list[Vote] = []
        self.beside: dict[str, Mapping[str, Any]] = {}

    def number(self, prompt_id: str, text: str) -> int:
        """The number of an answer of a file that does not number answers: by first appearance."""
        known = self._answers.setdefault(prompt_id, {})
        return next((number for number, other in known.items() if other == text), len(known))

    def answer(self, row: Row, prompt: Prompt, number: int, text: str) -> None:
        """Note an answer.

        Raises:
            DataError: when the prompt, or the answer of this number, was another one before.
        """
        known = self._answers.setdefault(prompt.id, {})
        if self._prompts.setdefault(prompt.id, prompt) != prompt or known.setdefault(number, text) != text:
            raise DataError(
                f"the prompt {prompt.id!r} or its answer {number} is another one than before",
                where=row.where,
                hint="give each prompt an id of its own",
            )

    def vote(self, row: Row, fields: Mapping[str, Any]) -> None:
        """Note a vote.

        Raises:
            DataError: when the fields are no vote.
        """
        try:
            self._votes.append(Vote.model_validate(dict(fields)))
        except ValidationError as error:
            hint = f"a vote has the fields {', '.join(Vote.model_fields)}"
            raise DataError(f"not a vote: {explain_invalid(error)}", where=row.where, hint=hint) from error

    def preferences(self) -> Preferences:
        """All answers and votes; an answer of which no row spoke stands as one with an error, so that numbers stay."""
        candidates = tuple(
            Candidates(prompt=prompt, answers=tuple(_answer(known.get(place)) for place in range(max(known) + 1)))
            for prompt in self._prompts.values()
            for known in (self._answers[prompt.id],)
        )
        return Preferences(candidates=candidates, votes=tuple(self._votes), beside=self.beside)


def extras_of(vote: Vote) -> dict[str, Any]:
    """The fields of a vote in `EXTRAS` that say something."""
    fields = Vote.model_fields
    return {name: getattr(vote, name) for name in EXTRAS if getattr(vote, name) != fields[name].get_default()}


def extras_in(cells: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a vote in `EXTRAS` that a row has; an empty cell is none."""
    return {name: cells[name] for name in EXTRAS if cells.get(name) not in {None, ""}}


def ballots(
    candidates: Iterable[Candidates], votes: Iterable[Vote], out: Written
) -> Iterator[tuple[Vote, Candidates, str, str]]:
    """Each vote with its prompt and the texts shown left and right; of answers, only their text is carried."""
    rows = list(candidates)
    asked = {row.prompt.id: row for row in rows}
    seen: set[tuple[str, int]] = set()
    for vote in votes:
        row = asked.get(vote.prompt_id)
        if row is None or max(vote.left, vote.right) >= len(row.answers) or min(vote.left, vote.right) < 0:
            out.refused["a vote on an unknown answer"] += 1
            continue
        seen |= {(vote.prompt_id, vote.left), (vote.prompt_id, vote.right)}
        yield vote, row, row.answers[vote.left].text, row.answers[vote.right].text
    for row in rows:
        out.leave(row.answers, {"text"})
        out.left[UNSEEN] += sum((row.prompt.id, place) not in seen for place in range(len(row.answers)))


def _answer(text: str | None) -> Completion:
    return Completion(text="", error=UNSEEN) if text is None else Completion(text=text)
