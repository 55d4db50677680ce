"""Pages for judging answers: the queues, a task, and what comes back for it. All of it works without JavaScript."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Annotated, Any, get_args
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from pydantic import Field
from starlette.datastructures import FormData

from alidade.errors import Conflict, LeaseLost, NotFound, UsageError
from alidade.preferences.votebook.acts import LONGEST_EDIT, Reason, Submission, TaskKind, read_submission
from alidade.preferences.votebook.casting import cast, undo
from alidade.preferences.votebook.leases import claim, save_draft
from alidade.preferences.votebook.progress import queues_progress, sitting
from alidade.preferences.votebook.queues import guideline_text, queue_named
from alidade.preferences.votebook.talks import next_turn
from alidade.records import Record
from alidade.studio.access import Book, Sending, Visiting
from alidade.studio.pages import go, page
from alidade.studio.talking import AtDesk, talk_page, waiting_page
from alidade.studio.text import differences

labelling = APIRouter(include_in_schema=False)
BREAK_AFTER, HARMFUL_BREAK_AFTER = 50 * 60, 20 * 60  # seconds without a pause
NOTES: Mapping[str, str] = {
    "undone": "Your last answer is undone. Here it is again.",
    "late": "That took longer than a task may, and others have answered it. Nothing of yours is counted; here is the next.",
    "twice": "That task was answered already. Here is the next.",
    "nothing": "There is nothing to undo.",
    "taken": "Others have answered what you skipped: it cannot be undone.",
}
Key = Annotated[str, Form(max_length=80)]


async def form_of(request: Request) -> FormData:
    """All that a form sent."""
    return await request.form()


Sent = Annotated[FormData, Depends(form_of)]


class Draft(Record):
    """What a person has so far of an answer that takes a while."""

    text: str = Field(default="", max_length=LONGEST_EDIT)
    ranks: tuple[str, ...] = Field(default=(), max_length=100)


@labelling.get("/")
def queues(book: Book, visit: Visiting) -> Response:
    """What there is to do."""
    return page("queues", visit, queues=queues_progress(book))


@labelling.get("/label/{queue}")
def task(book: Book, desk: AtDesk, visit: Visiting, queue: str, note: str = "") -> Response:
    """The next task of a queue."""
    settings = queue_named(book, queue)[1]
    if settings.harmful and not visit.person.sees_harmful:
        return page("warning", visit, queue=queue)
    talks = settings.task == "talk"
    if talks and desk.in_work(visit.person, queue):
        return waiting_page(book, visit, queue)
    asked = (next_turn if talks else claim)(book, visit.person, queue)
    pace = sitting(book, visit.person, queue)
    longest = HARMFUL_BREAK_AFTER if settings.harmful else BREAK_AFTER
    shown = {"queue": queue, "pace": pace, "needs_break": pace.seconds > longest, "note": NOTES.get(note, "")}
    shown |= {"key": secrets.token_urlsafe(16)}
    if asked is None:
        return talk_page(book, desk, visit, shown) if talks else page("done", visit, **shown)
    shown |= {"task": asked, "draft": Draft.model_validate(asked.draft or {})}
    return page("task", visit, **shown, guideline=guideline_text(book, asked.guideline), reasons=get_args(Reason))


@labelling.post("/label/{queue}")
def answer(book: Book, visit: Sending, form: Sent, queue: str, lease: Key = "", key: Key = "") -> Response:
    """An answer to a task, or a skip; then the next task."""
    kind = queue_named(book, queue)[1].task
    note = ""
    try:
        cast(book, visit.person, lease, submission_in(form, kind), key)
    except LeaseLost:
        note = "?note=late"
    except Conflict:
        note = "?note=twice"
    return go(_place(queue, note))


@labelling.post("/label/{queue}/undo")
def take_back(book: Book, visit: Sending, queue: str, key: Key = "") -> Response:
    """Take back the last answer."""
    try:
        undo(book, visit.person, queue, key)
    except NotFound:
        return go(_place(queue, "?note=nothing"))
    except Conflict:
        return go(_place(queue, "?note=taken"))
    return go(_place(queue, "?note=undone"))


@labelling.post("/draft/{lease}")
def keep(
    book: Book,
    visit: Sending,
    lease: str,
    text: Annotated[str, Form(max_length=LONGEST_EDIT)] = "",
    ranks: Annotated[str, Form(max_length=400)] = "",
) -> Response:
    """Keep a draft."""
    draft = Draft(text=text, ranks=tuple(ranks.split(",")) if ranks else ())
    save_draft(book, visit.person, lease, draft.model_dump(mode="json"))
    return Response(status_code=204)


@labelling.get("/differences/{queue}/{lease}")
def compare(book: Book, visit: Visiting, queue: str, lease: str) -> Response:
    """The two answers of one's open task, with their differences marked."""
    asked = claim(book, visit.person, queue)
    if asked is None or asked.id != lease or len(asked.answers) != 2:
        raise NotFound("no such open task")
    left, right = differences(*asked.answers)
    return page("differences", left=left, right=right)


def submission_in(form: FormData, kind: TaskKind) -> Submission:
    """What a task's form says.

    Raises:
        UsageError: when it says nothing that can be read.
    """
    if form.get("skip"):
        return read_submission(
            {
                "kind": "skip",
                "reason": form.get("reason", "other"),
                "flagged": form.get("skip") == "flag",
                "note": _line(form.get("note")),
            }
        )
    return read_submission(_READERS[kind](form))


def _pick(form: FormData) -> dict[str, Any]:
    choice, _, strength = str(form.get("choice", "")).partition(" ")
    return {"kind": "pick", "choice": choice, "strength": strength or None}


def _picks(form: FormData) -> dict[str, Any]:
    chosen = {name.removeprefix("choice-"): value for name, value in form.items() if name.startswith("choice-")}
    return {"kind": "picks", "choices": chosen}


def _order(form: FormData) -> dict[str, Any]:
    ranks = [str(rank) for rank in form.getlist("rank")]
    if not all(rank.isdecimal() and len(rank) <= 2 for rank in ranks):
        raise UsageError("every answer needs a place", hint="1 is the best; equal places are ties")
    return {"kind": "order", "ranks": _dense([int(rank) for rank in ranks])}


def _best(form: FormData) -> dict[str, Any]:
    return {"kind": "best", "place": form.get("place")}


def _edit(form: FormData) -> dict[str, Any]:
    return {"kind": "edit", "text": str(form.get("text", "")).replace("\r\n", "\n")}


_READERS: Mapping[TaskKind, Callable[[FormData], dict[str, Any]]] = {
    "pair": _pick,
    "attributes": _picks,
    "ranking": _order,
    "best": _best,
    "edit": _edit,
    "talk": _pick,
}


def _dense(ranks: list[int]) -> list[int]:
    """Places counted from 0 without gaps: 1, 1, 5 is 0, 0, 1."""
    order = sorted(set(ranks))
    return [order.index(rank) for rank in ranks]


def _line(text: object) -> str:
    return str(text or "")[:1000]


def _place(queue: str, note: str) -> str:
    return f"/label/{quote(queue, safe='')}{note}"
