"""The web app, put together: pages, API, and what holds for every request."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alidade import __version__
from alidade.errors import AlidadeError, NotFound, UsageError
from alidade.preferences.partners import Partners
from alidade.preferences.votebook import Votebook
from alidade.studio.access import HEADERS, MOST_BYTES, PRIVATE, Limits, refuse_foreign, usual_limits
from alidade.studio.api import api
from alidade.studio.entrance import entrance
from alidade.studio.labelling import labelling
from alidade.studio.leading import leading
from alidade.studio.pages import STATIC, static_file, told
from alidade.studio.talking import Desk, talking


def create_app(book: Votebook, limits: Limits | None = None, partners: Mapping[str, Partners] | None = None) -> FastAPI:
    """The studio over a votebook; `partners` answer in the queues of talks that they are named by."""
    app = FastAPI(
        title="alidade studio", version=__version__, docs_url=None, redoc_url=None, openapi_url="/api/v1/openapi.json"
    )
    app.state.book, app.state.limits = book, limits or usual_limits()
    app.state.desk = Desk(book, partners or {})
    for router in (entrance, labelling, talking, leading, api):
        app.include_router(router)
    app.add_api_route("/static/{name}", _static, include_in_schema=False)
    app.add_middleware(_Guard)
    app.add_exception_handler(AlidadeError, told)
    app.add_exception_handler(RequestValidationError, _unreadable)
    return app


@final
class _Guard:
    """Refuses what comes from other sites or is too long; tells the browser what a page may not do."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

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
            refuse_foreign(request)
            _refuse_long(request)
        except AlidadeError as error:
            return await (await told(request, error))(scope, receive, send_guarded)
        return await self._app(scope, receive, send_guarded)


def _refuse_long(request: Request) -> None:
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > MOST_BYTES or "transfer-encoding" in request.headers:
        raise UsageError("the request is too long", hint=f"at most {MOST_BYTES // 1024} KiB, and its length named")


async def _unreadable(request: Request, error: Exception) -> Response:
    """What a form or a body lacks, in words and without what was sent."""
    assert isinstance(error, RequestValidationError)
    faults = [{"where": ".".join(map(str, fault["loc"])), "error": fault["msg"]} for fault in error.errors()]
    if request.url.path.startswith("/api/"):
        return JSONResponse({"error": "the request cannot be read", "faults": faults}, 422)
    return await told(request, UsageError(faults[0]["error"], where=faults[0]["where"]))


def _static(name: str) -> Response:
    if name not in STATIC:
        raise NotFound("no such file")
    text, kind = static_file(name)
    return PlainTextResponse(text, media_type=kind, headers={"Cache-Control": "public, max-age=31536000, immutable"})


def serve(book: Votebook, host: str, port: int, partners: Mapping[str, Partners] | None = None) -> None:
    """Serve the studio until interrupted; `partners` as for `create_app`."""
    import uvicorn

    # The loop waits for the interpreter behind every busy thread, up to so long each; the usual is 5 ms.
    sys.setswitchinterval(0.0005)
    uvicorn.run(create_app(book, partners=partners), host=host, port=port, log_level="warning", server_header=False)
