"""What holds for every request: no foreign ones, no long ones, and headers that tell the browser what a page may not do."""

from __future__ import annotations

import ipaddress
from typing import final
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alidade.errors import AlidadeError, NotAllowed, NotFound, UsageError
from alidade.studio.access import HEADERS, MOST_BYTES, PRIVATE, refuse_foreign
from alidade.studio.pages import STATIC, static_file, told


@final
class Guard:
    """Refuses what comes from other sites or is too long; tells the browser what a page may not do.

    With `host`, also what was sent to another name: a site that has its name lead to this machine cannot ask then.
    """

    def __init__(self, app: ASGIApp, host: str | None = None) -> None:
        self._app, self._host = app, host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request = Request(scope)
        told_always = HEADERS if request.url.path.startswith("/static/") else {**HEADERS, **PRIVATE}

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in told_always.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            if self._host is not None:
                _refuse_misled(request, self._host)
            refuse_foreign(request)
            _refuse_long(request)
        except AlidadeError as error:
            return await (await told(request, error))(scope, receive, send_guarded)
        return await self._app(scope, receive, send_guarded)


def _refuse_misled(request: Request, host: str) -> None:
    """A number, `localhost` and the name that is served are nobody else's names."""
    try:
        name = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
        if name not in ("localhost", host.lower()):
            ipaddress.ip_address(name)
    except ValueError:
        raise NotAllowed("this request is for another host", hint="open the address that the command printed") from None


def _refuse_long(request: Request) -> None:
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > MOST_BYTES or "transfer-encoding" in request.headers:
        raise UsageError("the request is too long", hint=f"at most {MOST_BYTES // 1024} KiB, and its length named")


async def unreadable(request: Request, error: Exception) -> Response:
    """What a form or a body lacks, in words and without what was sent."""
    assert isinstance(error, RequestValidationError)
    faults = [{"where": ".".join(map(str, fault["loc"])), "error": fault["msg"]} for fault in error.errors()]
    if request.url.path.startswith("/api/"):
        return JSONResponse({"error": "the request cannot be read", "faults": faults}, 422)
    return await told(request, UsageError(faults[0]["error"], where=faults[0]["where"]))


def static(name: str) -> Response:
    """A file that pages load.

    Raises:
        NotFound: when there is none.
    """
    if name not in STATIC:
        raise NotFound("no such file")
    text, kind = static_file(name)
    return PlainTextResponse(text, media_type=kind, headers={"Cache-Control": "public, max-age=31536000, immutable"})
