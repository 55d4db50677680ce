"""The web app, put together: pages, API, and what holds for every request."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError

from alidade import __version__
from alidade.errors import AlidadeError
from alidade.preferences.partners import Partners
from alidade.preferences.votebook import Votebook
from alidade.studio.access import Limits, usual_limits
from alidade.studio.api import api
from alidade.studio.entrance import entrance
from alidade.studio.guard import Guard, static, unreadable
from alidade.studio.labelling import labelling
from alidade.studio.leading import leading
from alidade.studio.pages import told
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
    app.add_api_route("/static/{name}", static, include_in_schema=False)
    app.add_middleware(Guard)
    app.add_exception_handler(AlidadeError, told)
    app.add_exception_handler(RequestValidationError, unreadable)
    return app


def serve(book: Votebook, host: str, port: int, partners: Mapping[str, Partners] | None = None) -> None:
    """Serve the studio until interrupted; `partners` as for `create_app`."""
    import uvicorn

    # The loop waits for the interpreter behind every busy thread, up to so long each; the usual is 5 ms.
    sys.setswitchinterval(0.0005)
    uvicorn.run(create_app(book, partners=partners), host=host, port=port, log_level="warning", server_header=False)
