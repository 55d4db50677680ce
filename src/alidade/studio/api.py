"""The same for programs: a REST API with bearer tokens. Labelers see what is theirs, leads see all votes."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Path, Query, Response

from alidade.preferences.votebook.acts import Submission
from alidade.preferences.votebook.casting import Receipt, cast, undo
from alidade.preferences.votebook.chain import Event, read_events
from alidade.preferences.votebook.leases import Task, claim, save_draft
from alidade.preferences.votebook.progress import QueueProgress, queues_progress
from alidade.records import Conversation, Record
from alidade.studio.access import Book, Caller, refuse_below
from alidade.studio.labelling import Draft

api = APIRouter(prefix="/api/v1", tags=["labelling"])
WITHOUT_NUL = r"^[^\x00]+$"
QueueName = Annotated[str, Path(max_length=80, pattern=WITHOUT_NUL)]
TaskId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
Key = Annotated[str, Header(alias="Idempotency-Key", min_length=1, max_length=80, pattern="^[!-~]+$")]
ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The request cannot be used."},
    401: {"description": "No token, or an unknown one."},
    403: {"description": "This person may not do that."},
    404: {"description": "Not there, or not for this person."},
    409: {"description": "Done already, or the key stood for something else."},
    410: {"description": "Others have answered it meanwhile."},
    429: {"description": "Too many requests."},
}


class Me(Record):
    """Whose token it is."""

    name: str
    role: str


class Offered(Record):
    """A task: answers from left to right as this person is to see them; times in seconds since 1970-01-01 UTC."""

    id: str
    queue: str
    kind: str
    prompt: Conversation
    answers: tuple[str, ...]
    attributes: tuple[str, ...]
    guideline: str
    expires_at: float
    draft: Draft | None


class Acknowledged(Record):
    """An act's number in the chain, and the chain's hash there."""

    seq: int
    hash: str


class Said(Record):
    """One act as it stands in the chain."""

    seq: int
    at: float
    kind: str
    person: str
    body: dict[str, Any]
    hash: str


class Listed(Record):
    """A part of a list; `next` is what to give as `after` for the part behind it, absent at the end."""

    items: tuple[Said, ...]
    next: int | None = None


@api.get("/me", responses=ERRORS)
def me(person: Caller) -> Me:
    """Whose token this is."""
    return Me(name=person.name, role=person.role)


@api.get("/queues", responses=ERRORS)
def list_queues(book: Book, person: Caller) -> list[QueueProgress]:
    """All queues and how far they are."""
    return queues_progress(book)


@api.post(
    "/queues/{queue}/next", responses={**ERRORS, 204: {"description": "Nothing is left to do."}}, response_model=Offered
)
def next_task(book: Book, person: Caller, queue: QueueName) -> Any:
    """The next task, or the one still open."""
    asked = claim(book, person, queue)
    return Response(status_code=204) if asked is None else _offered(asked)


@api.post("/tasks/{task}/answer", responses=ERRORS)
def answer(
    book: Book,
    person: Caller,
    task: TaskId,
    key: Key,
    act: Annotated[Submission, Body(discriminator="kind")],
) -> Acknowledged:
    """Answer or skip a task. Sent again with its key, it is acknowledged again and counted once."""
    return _acknowledged(cast(book, person, task, act, key))


@api.put("/tasks/{task}/draft", status_code=204, responses=ERRORS)
def draft(book: Book, person: Caller, task: TaskId, draft: Draft) -> None:
    """Keep a draft; the task stays this person's for as long again."""
    save_draft(book, person, task, draft.model_dump(mode="json"))


@api.post("/queues/{queue}/undo", responses=ERRORS)
def take_back(book: Book, person: Caller, queue: QueueName, key: Key) -> Acknowledged:
    """Take back one's last answer in a queue; its task is open again."""
    return _acknowledged(undo(book, person, queue, key))


@api.get("/votes", responses=ERRORS)
def list_votes(
    book: Book,
    person: Caller,
    after: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    own: bool = False,
) -> Listed:
    """Acts in order, from the one behind number `after`: one's own, or everybody's for a lead."""
    if not own:
        refuse_below(person, "lead")
    rows = list(read_events(book, after, limit + 1, person.name if own else None))
    shown = tuple(_said(event) for event in rows[:limit])
    return Listed(items=shown, next=shown[-1].seq if len(rows) > limit else None)


def _offered(task: Task) -> Offered:
    return Offered(
        id=task.id,
        queue=task.queue,
        kind=task.kind,
        prompt=task.prompt,
        answers=task.answers,
        attributes=task.attributes,
        guideline=task.guideline,
        expires_at=task.expires_at,
        draft=None if task.draft is None else Draft.model_validate(task.draft),
    )


def _acknowledged(receipt: Receipt) -> Acknowledged:
    return Acknowledged(seq=receipt.seq, hash=receipt.hash)


def _said(event: Event) -> Said:
    return Said.model_validate(vars(event) | {"body": dict(event.body)})
