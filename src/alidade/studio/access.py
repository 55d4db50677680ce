"""Who is asking, and may they: sessions and tokens, forged requests, too many requests, and what a browser is told to refuse.

What asks the database runs in a thread; the rest is `async` for that reason only: a thread each would double a request's cost.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, final
from urllib.parse import urlsplit

from fastapi import Depends, Form, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from alidade.errors import NotAllowed, UsageError
from alidade.preferences.votebook import Votebook
from alidade.preferences.votebook.people import Person, Role, owner_of

COOKIE = "alidade"
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
PRIVATE = {"Cache-Control": "no-store"}
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
MOST_BYTES = 512 * 1024  # of a request's body
_BEARER = HTTPBearer(auto_error=False, description="A token made on the page `Account`.")


class LoginNeeded(UsageError):
    """Nobody is logged in."""


class TooMany(UsageError):
    """Too many requests in a short time."""


@final
class Limit:
    """At most `most` events of a name within `seconds`, counted in this process."""

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._seen: dict[str, deque[float]] = defaultdict(deque)

    def count(self, name: str) -> None:
        """Count one event.

        Raises:
            TooMany: when there were too many.
        """
        now = self._clock()
        if len(self._seen) > 10_000:
            self._seen = defaultdict(
                deque, {key: seen for key, seen in self._seen.items() if seen[-1] > now - self._seconds}
            )
        seen = self._seen[name]
        while seen and seen[0] <= now - self._seconds:
            seen.popleft()
        if len(seen) >= self._most:
            raise TooMany("too many requests", hint=f"wait {self._seconds:.0f} seconds")
        seen.append(now)


@dataclass(frozen=True)
class Limits:
    """What may be tried how often: passwords and invitations by address, requests by person."""

    entering: Limit
    entering_as: Limit
    asking: Limit


def usual_limits() -> Limits:
    """Ten tries at one name and sixty from one address in five minutes; 240 requests a person in a minute."""
    return Limits(Limit(60, 300), Limit(10, 300), Limit(240, 60))


@dataclass(frozen=True)
class Visit:
    """Somebody's request within a session; `form_key` has to come back with whatever the pages send."""

    person: Person
    form_key: str


async def book_of(request: Request) -> Votebook:
    """The votebook that this app serves."""
    return request.app.state.book


async def limits_of(request: Request) -> Limits:
    """The limits of this app."""
    return request.app.state.limits


Book = Annotated[Votebook, Depends(book_of)]
Bounds = Annotated[Limits, Depends(limits_of)]


def form_key(secret: str) -> str:
    """What a session's forms carry: only who can read its pages knows it."""
    return hashlib.sha256(f"form/{secret}".encode()).hexdigest()


def visit(request: Request, book: Book, limits: Bounds) -> Visit:
    """Who is logged in.

    Raises:
        LoginNeeded: when nobody is.
    """
    secret = request.cookies.get(COOKIE, "")
    person = owner_of(book, secret, "session") if secret else None
    if person is None:
        raise LoginNeeded("log in first")
    limits.asking.count(person.name)
    return Visit(person, form_key(secret))


Visiting = Annotated[Visit, Depends(visit)]


async def genuine_visit(visiting: Visiting, form_key: Annotated[str, Form(max_length=64)] = "") -> Visit:
    """A visit whose form came from a page of ours.

    Raises:
        NotAllowed: when it did not.
    """
    if not hmac.compare_digest(form_key.encode(), visiting.form_key.encode()):
        raise NotAllowed("this form is not from a page of yours", hint="load the page again")
    return visiting


Sending = Annotated[Visit, Depends(genuine_visit)]


def visitor_with(role: Role) -> Callable[[Visit], Awaitable[Visit]]:
    """A visit by somebody who can do what `role` can; anybody else is refused."""

    async def checked(visiting: Visiting) -> Visit:
        refuse_below(visiting.person, role)
        return visiting

    return checked


def refuse_below(person: Person, role: Role) -> None:
    """Raise `NotAllowed` for somebody who cannot do what `role` can."""
    if not person.may(role):
        raise NotAllowed(f"this is for a {role}")


def token_owner(
    book: Book, limits: Bounds, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
) -> Person:
    """Whose token came with the request.

    Raises:
        LoginNeeded: when there is none that is known.
    """
    person = owner_of(book, given.credentials, "token") if given else None
    if person is None:
        raise LoginNeeded("a bearer token is needed", hint="make one on the page `Account`")
    limits.asking.count(f"token of {person.name}")
    return person


Caller = Annotated[Person, Depends(token_owner)]


def refuse_foreign(request: Request) -> None:
    """Raise `NotAllowed` for a request that changes something and comes from another site's page."""
    if request.method in SAFE:
        return
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise NotAllowed("this request comes from another site")
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise NotAllowed("this request comes from another site")
