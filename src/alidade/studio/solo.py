"""The constitution's pages, put together: one person, one file, no accounts."""

from __future__ import annotations

import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError

from alidade import __version__
from alidade.errors import AlidadeError, UsageError
from alidade.studio.exploring import exploring
from alidade.studio.guard import Guard, static, unreadable
from alidade.studio.pages import told
from alidade.studio.proposing import proposing
from alidade.studio.reading import reading
from alidade.studio.study import Study


def create_solo_app(study: Study, host: str = "127.0.0.1") -> FastAPI:
    """The pages over a study; requests for another name than `host` are refused."""

    @asynccontextmanager
    async def open_bench(_: FastAPI) -> AsyncIterator[None]:
        yield
        study.bench.close()

    app = FastAPI(
        title="alidade constitution",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=open_bench,
    )
    app.state.study = study
    for router in (reading, proposing, exploring):
        app.include_router(router)
    app.add_api_route("/static/{name}", static, include_in_schema=False)
    app.add_middleware(Guard, host=host)
    app.add_exception_handler(AlidadeError, told)
    app.add_exception_handler(RequestValidationError, unreadable)
    return app


def listen(host: str, port: int) -> socket.socket:
    """A socket at an address; port 0 is any free one.

    Raises:
        UsageError: when the address cannot be had.
    """
    made: socket.socket | None = None
    try:
        made = socket.socket(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0])
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
    except OSError as error:
        if made is not None:
            made.close()
        what = f"cannot listen: {error.strerror or error}"
        raise UsageError(what, where=f"{host}:{port}", hint="--port with another number") from error
    return made


def serve_solo(study: Study, host: str, at: socket.socket) -> None:
    """Serve the pages until interrupted."""
    import uvicorn

    # The loop waits for the interpreter behind every busy thread, up to so long each; the usual is 5 ms.
    sys.setswitchinterval(0.0005)
    config = uvicorn.Config(create_solo_app(study, host), log_level="warning", server_header=False)
    uvicorn.Server(config).run(sockets=[at])
