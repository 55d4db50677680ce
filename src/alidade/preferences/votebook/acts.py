"""What an annotator can send back for a task, and which of it fits which kind of task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from alidade.errors import UsageError
from alidade.records import Attribute, Choice, Record

TaskKind = Literal["pair", "attributes", "ranking", "best", "edit", "talk"]
Reason = Literal["cannot tell", "outside my knowledge", "too long", "upsetting", "broken", "other"]
LONGEST_EDIT = 40_000


class Pick(Record):
    """Which of two answers is better, as shown; `strength` 1 slightly, 2 clearly, 3 far."""

    kind: Literal["pick"] = "pick"
    choice: Choice
    strength: int | None = Field(default=None, ge=1, le=3)


class Picks(Record):
    """Which of two answers is better in each of several attributes."""

    kind: Literal["picks"] = "picks"
    choices: Mapping[Attribute, Choice] = Field(min_length=1)


class Order(Record):
    """The place of each answer from left to right, 0 the best; equal places are ties."""

    kind: Literal["order"] = "order"
    ranks: tuple[Annotated[int, Field(ge=0, le=99)], ...] = Field(min_length=2, max_length=100)


class Best(Record):
    """Which of the answers is best, counted from the left, from 0."""

    kind: Literal["best"] = "best"
    place: int = Field(ge=0, le=99)


class Edit(Record):
    """The answer as it should have been."""

    kind: Literal["edit"] = "edit"
    text: str = Field(min_length=1, max_length=LONGEST_EDIT)


class Skip(Record):
    """No answer, and why; `flagged` asks a lead to look at the item."""

    kind: Literal["skip"] = "skip"
    reason: Reason
    flagged: bool = False
    note: str = Field(default="", max_length=1000)


Submission = Pick | Picks | Order | Best | Edit | Skip
SUBMISSION: TypeAdapter[Submission] = TypeAdapter(Annotated[Submission, Field(discriminator="kind")])
FITTING: Mapping[TaskKind, type[Record]] = {
    "pair": Pick,
    "attributes": Picks,
    "ranking": Order,
    "best": Best,
    "edit": Edit,
    "talk": Pick,
}


def read_submission(sent: object) -> Submission:
    """A submission from a JSON value.

    Raises:
        UsageError: when it is none.
    """
    try:
        return SUBMISSION.validate_python(sent)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(f"not an answer to a task: {first['msg']}", where=where or None) from error


def refuse_unfitting(kind: TaskKind, act: Submission, answers: int, attributes: tuple[Attribute, ...]) -> None:
    """Raise a `UsageError` unless `act` answers a task of `kind` about so many answers."""
    if isinstance(act, Skip):
        return
    if not isinstance(act, FITTING[kind]):
        raise UsageError(f"a task of kind `{kind}` is not answered by `{act.kind}`")
    if isinstance(act, Picks) and set(act.choices) != set(attributes):
        raise UsageError(f"choose in each of: {', '.join(attributes)}")
    if isinstance(act, Order) and len(act.ranks) != answers:
        raise UsageError(f"{answers} answers need as many places, not {len(act.ranks)}")
    if isinstance(act, Best) and act.place >= answers:
        raise UsageError(f"there are {answers} answers; the last is number {answers - 1}")
