"""Pages for those who lead: how far the work is, who takes part, what is asked of them, and what they said."""

from __future__ import annotations

import io
import zipfile
from typing import Annotated, get_args

from fastapi import APIRouter, Depends, Form
from fastapi.responses import Response

from alidade.errors import NotAllowed, UsageError
from alidade.preferences.votebook.export import export_files
from alidade.preferences.votebook.people import Role, everyone, invite, role_named, set_person
from alidade.preferences.votebook.progress import queues_progress, shares
from alidade.preferences.votebook.queues import guideline_text, newest_guideline, publish_guideline, set_open
from alidade.studio.access import Book, Sending, Visit, refuse_below, visitor_with
from alidade.studio.pages import go, page

leading = APIRouter(include_in_schema=False)
Lead = Annotated[Visit, Depends(visitor_with("lead"))]
Viewer = Annotated[Visit, Depends(visitor_with("viewer"))]


@leading.get("/progress")
def progress(book: Book, visit: Viewer) -> Response:
    """How far every queue is; for a lead, who has done what in it."""
    rows = queues_progress(book)
    by_queue = {row.name: shares(book, row.name) if visit.person.may("lead") else [] for row in rows}
    return page("progress", visit, queues=rows, shares=by_queue)


@leading.get("/people")
def people(book: Book, visit: Lead) -> Response:
    """Who takes part."""
    return page("people", visit, people=everyone(book), roles=get_args(Role), invitation="", invited="")


@leading.post("/people/invite")
def invite_one(book: Book, visit: Sending, role: Annotated[str, Form(max_length=10)] = "labeler") -> Response:
    """An invitation, shown once. A lead invites labelers and viewers, an admin anybody."""
    refuse_below(visit.person, "lead")
    known = role_named(role)
    if known in ("lead", "admin"):
        refuse_below(visit.person, "admin")
    shown = {"people": everyone(book), "roles": get_args(Role), "invitation": invite(book, known), "invited": known}
    return page("people", visit, **shown)


@leading.post("/people/{number}/active")
def activate(book: Book, visit: Sending, number: int, active: Annotated[str, Form(max_length=3)] = "no") -> Response:
    """Let somebody in again, or not any more."""
    refuse_below(visit.person, "admin")
    if number == visit.person.id:
        raise NotAllowed("nobody can shut themselves out")
    set_person(book, number, active=active == "yes")
    return go("/people")


@leading.get("/guidelines")
def guidelines(book: Book, visit: Lead) -> Response:
    """What labelers are told."""
    key = newest_guideline(book)
    return page("guidelines", visit, key=key, text=guideline_text(book, key))


@leading.post("/guidelines")
def publish(book: Book, visit: Sending, text: Annotated[str, Form(max_length=100_000)] = "") -> Response:
    """A new version of what labelers are told."""
    refuse_below(visit.person, "lead")
    if not text.strip():
        raise UsageError("the guidelines are empty")
    publish_guideline(book, text.replace("\r\n", "\n").replace("\x00", ""), visit.person.name)
    return go("/guidelines")


@leading.post("/progress/{queue}/open")
def open_or_close(
    book: Book, visit: Sending, queue: str, is_open: Annotated[str, Form(max_length=3)] = "no"
) -> Response:
    """Open or close a queue."""
    refuse_below(visit.person, "lead")
    set_open(book, queue, is_open == "yes")
    return go("/progress")


@leading.get("/export/{queue}")
def export(book: Book, visit: Lead, queue: str) -> Response:
    """All that was said in a queue, as a zip of JSON lines."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in export_files(book, queue).items():
            archive.writestr(name, text)
    headers = {"Content-Disposition": 'attachment; filename="votes.zip"'}
    return Response(packed.getvalue(), media_type="application/zip", headers=headers)
