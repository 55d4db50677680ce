"""How the rows of a kind of file are laid out: its columns, where the prompt stands, and what the cell with the label says.

The kinds themselves are tables in `comparisons`, `rankings`, `unpaired`, `demonstrations` and `prompts`; to read another
public set, add one line to one of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from alidade.preferences.columns import BadRow, conversation_of, text_of, turns_of
from alidade.records import Conversation

T = TypeVar("T")
Cells = Mapping[str, Any]
PromptOf = Callable[[Cells], Conversation]


@dataclass(frozen=True)
class Format(Generic[T]):
    """One kind of file: `needs` are the columns it is known by, `may` those it also uses; `named` is never guessed."""

    name: str
    needs: tuple[str, ...]
    read: Callable[[Cells], Iterator[T]]
    may: tuple[str, ...] = ()
    named: bool = False


def one(column: str) -> PromptOf:
    """The prompt is one column: text, turns or a transcript."""
    return lambda cells: conversation_of(turns_of(cells[column], "prompt"))


def joined(column: str, more: str) -> PromptOf:
    """The prompt is a column and, below a blank line, a second one where that has text."""

    def read(cells: Cells) -> Conversation:
        first, second = text_of(cells[column], "prompt"), cells.get(more)
        return Conversation.ask(f"{first}\n\n{second.strip()}" if isinstance(second, str) and second.strip() else first)

    return read


def first_turn(column: str) -> PromptOf:
    """The prompt is the first of a list of a user's questions."""
    return lambda cells: Conversation.ask(text_of((cells[column] or [""])[0], "prompt"))


def with_passages(question: str, passages: str) -> PromptOf:
    """The prompt is the passages to answer from (lists of sentences), then the question."""

    def read(cells: Cells) -> Conversation:
        given = "\n\n".join(" ".join(map(str, passage)) for passage in cells[passages])
        return Conversation.ask(f"{given}\n\n{text_of(cells[question], 'prompt')}")

    return read


def before_last_answer(cells: Cells) -> Conversation:
    """The prompt of `messages`: all before the assistant's last turn, or all when the user has the last word."""
    turns = turns_of(cells["messages"] if "messages" in cells else cells["conversations"], "prompt")
    return conversation_of(turns[:-1] if turns[-1].role == "assistant" else turns)


class Label(NamedTuple):
    """What a cell says of two answers; a tie is half a win for each side, and `tie_prob` says how much of that there is."""

    label_prob: float
    tie_prob: float = 0.0


LabelOf = Callable[[Cells], Label]
FIRST_SECOND: Mapping[Any, float] = {1: 1.0, 2: 0.0, 0: 0.5}
SIDES: Mapping[Any, float] = {"left": 1.0, "right": 0.0, "tie": 0.5}
# "Slightly better" is read as three votes in four.
FIVE_POINTS: Mapping[Any, float] = {
    "a-is-better": 1.0,
    "a-is-slightly-better": 0.75,
    "tie": 0.5,
    "b-is-slightly-better": 0.25,
    "b-is-better": 0.0,
}


def share_of(votes: Sequence[Any], meaning: Mapping[Any, float]) -> float:
    """The left answer's share of the votes; a tie is half a vote for each.

    Raises:
        BadRow: when there is no vote, or one that `meaning` does not know.
    """
    if not votes:
        raise BadRow("no votes")
    unknown = [
        vote for vote in votes if isinstance(vote, bool) or not isinstance(vote, str | int) or vote not in meaning
    ]
    if unknown:
        names = ", ".join(map(str, meaning))
        raise BadRow(f"the label is not one of {names}", detail=f"it is {str(unknown[0])[:20]!r}", fatal=True)
    return sum(meaning[vote] for vote in votes) / len(votes)


def label_of(votes: Sequence[Any], meaning: Mapping[Any, float]) -> Label:
    """The left answer's share of the votes, and the share of ties."""
    return Label(share_of(votes, meaning), sum(meaning[vote] == 0.5 for vote in votes) / len(votes))


def verdict(*columns: str, meaning: Mapping[Any, float]) -> LabelOf:
    """The label is the share of the votes in one or several columns."""
    return lambda cells: label_of([cells[column] for column in columns], meaning)


def vote_list(column: str) -> LabelOf:
    """The label is the share of the votes in a list of [worker, left | right | tie]."""
    return lambda cells: label_of([vote for _, vote in cells[column]], SIDES)


def stated(cells: Cells) -> Label:
    """The label is in the columns `label_prob` and, where there is one, `tie_prob`."""
    tie = cells.get("tie_prob")
    return Label(probability(cells["label_prob"]), 0.0 if tie is None else probability(tie, "tie_prob"))


def probability(value: Any, what: str = "label_prob") -> float:
    """A label that is a probability.

    Raises:
        BadRow: for NaN, and what is no number from 0 to 1.
    """
    number = finite(value, what)
    if not 0 <= number <= 1:
        raise BadRow(f"{what} is not from 0 to 1", detail=f"it is {number}", fatal=True)
    return number


def truth(value: Any) -> bool:
    """A label that is true or false.

    Raises:
        BadRow: for anything else.
    """
    if not isinstance(value, bool):
        raise BadRow("the label is not true or false", fatal=True)
    return value


def finite(value: Any, what: str) -> float:
    """A number.

    Raises:
        BadRow: for NaN and infinities, and what is no number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRow(f"{what} is not a number", fatal=True)
    if not math.isfinite(value):
        raise BadRow(f"{what} is {'NaN' if math.isnan(value) else 'infinite'}", fatal=True)
    return float(value)
