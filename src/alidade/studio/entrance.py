"""Pages for coming in, and for what one sets for oneself."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from alidade.errors import AlidadeError
from alidade.preferences.votebook.people import TOKEN, invited_role, join, log_in, log_out, new_key, set_person
from alidade.studio.access import COOKIE, Book, Bounds, Sending, Visiting
from alidade.studio.labelling import Sent
from alidade.studio.pages import go, page, status_of

entrance = APIRouter(include_in_schema=False)
Name = Annotated[str, Form(max_length=200)]
Password = Annotated[str, Form(max_length=1000)]
QUESTIONS = ("language", "age", "gender", "region", "expertise")  # offered, never asked for


@entrance.get("/login")
def login_page() -> Response:
    """The form to log in."""
    return page("login", problem="", name="")


@entrance.post("/login")
def login(request: Request, book: Book, limits: Bounds, name: Name = "", password: Password = "") -> Response:
    """Log in."""
    limits.entering.count(_address(request))
    limits.entering_as.count(f"{_address(request)} {name.strip()}")
    try:
        secret = log_in(book, name, password)
    except AlidadeError as error:
        return page("login", status=status_of(error), problem=error.what, name=name)
    return go("/", secret=secret, secure=request.url.scheme == "https")


@entrance.post("/logout")
def logout(request: Request, book: Book, visit: Sending) -> Response:
    """Log out."""
    log_out(book, request.cookies.get(COOKIE, ""))
    return go("/login", secret="")


@entrance.get("/join/{secret}")
def join_page(request: Request, book: Book, limits: Bounds, secret: str) -> Response:
    """The form to take up an invitation."""
    limits.entering.count(_address(request))
    return page("join", secret=secret, role=invited_role(book, secret), problem="", name="")


@entrance.post("/join/{secret}")
def joined(
    request: Request, book: Book, limits: Bounds, secret: str, name: Name = "", password: Password = ""
) -> Response:
    """Take up an invitation."""
    limits.entering.count(_address(request))
    role = invited_role(book, secret)
    try:
        join(book, secret, name, password)
    except AlidadeError as error:
        return page("join", status=status_of(error), secret=secret, role=role, problem=str(error), name=name)
    return go("/", secret=log_in(book, name, password), secure=request.url.scheme == "https")


@entrance.get("/account")
def account(visit: Visiting) -> Response:
    """What one sets for oneself."""
    return page("account", visit, questions=QUESTIONS, token="")


@entrance.post("/account/harmful")
def choose_harmful(book: Book, visit: Sending, sees: Annotated[str, Form(max_length=3)] = "no") -> Response:
    """See harmful queues, or not any more."""
    set_person(book, visit.person.id, sees_harmful=sees == "yes")
    return go("/")


@entrance.post("/account/groups")
def declare(book: Book, visit: Sending, form: Sent) -> Response:
    """Say of oneself what one likes to say."""
    said = {question: str(form.get(question, "")).strip()[:80].replace("\x00", "") for question in QUESTIONS}
    set_person(book, visit.person.id, groups={question: text for question, text in said.items() if text})
    return go("/account")


@entrance.post("/account/token")
def token(book: Book, visit: Sending) -> Response:
    """A token for programs, shown once."""
    return page(
        "account", visit, questions=QUESTIONS, token=new_key(book, visit.person.id, "token", "made on a page", TOKEN)
    )


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
