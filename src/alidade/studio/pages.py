"""Templates become pages; a fault becomes a page, or JSON for programs."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from alidade.digest import digest_of
from alidade.errors import AlidadeError, Conflict, LeaseLost, NotAllowed, NotFound
from alidade.studio.access import COOKIE, LoginNeeded, TooMany, Visit
from alidade.studio.text import changes, plain, rendered

STATUS: tuple[tuple[type[AlidadeError], int], ...] = (
    (LoginNeeded, 401),
    (NotAllowed, 403),
    (NotFound, 404),
    (Conflict, 409),
    (LeaseLost, 410),
    (TooMany, 429),
)
STATIC = {
    "studio.css": "text/css",
    "label.js": "text/javascript",
    "talk.js": "text/javascript",
    "study.css": "text/css",
    "study.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


@cache
def _templates() -> Environment:
    made = Environment(
        loader=PackageLoader("alidade.studio"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    made.filters |= {
        "rendered": rendered,
        "plain": plain,
        "changed": changes,
        "minutes": lambda seconds: f"{seconds / 60:.0f}",
    }
    made.globals["version"] = digest_of([static_file(name)[0] for name in STATIC])[:12]
    return made


def page(name: str, visit: Visit | None = None, /, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A template as a page, as `visit` sees it."""
    return HTMLResponse(_templates().get_template(f"{name}.html").render(visit=visit, **values), status)


@cache
def static_file(name: str) -> tuple[str, str]:
    """A file that pages load: its text and media type."""
    return files("alidade.studio").joinpath("static", name).read_text(encoding="utf-8"), STATIC[name]


def status_of(error: AlidadeError) -> int:
    """The HTTP status that says what an error says."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 400 if error.exit_code == 2 else 500)


async def told(request: Request, error: Exception) -> Response:
    """An error in words: a page for people, JSON for programs."""
    assert isinstance(error, AlidadeError)
    status = status_of(error)
    if request.url.path.startswith("/api/"):
        body = {"error": error.what, "where": error.where, "hint": error.hint}
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
        return JSONResponse({key: value for key, value in body.items() if value}, status, headers)
    if isinstance(error, LoginNeeded):
        return go("/login")
    study = getattr(request.app.state, "study", None)
    return page("fault" if study is None else "study_fault", status=status, error=error, study=study)


def go(where: str, *, secret: str | None = None, secure: bool = False) -> RedirectResponse:
    """Send the browser on; `secret` becomes its session (empty: none any more)."""
    response = RedirectResponse(where, 303)
    if secret:
        response.set_cookie(COOKIE, secret, httponly=True, samesite="strict", secure=secure, path="/")
    elif secret is not None:
        response.delete_cookie(COOKIE, path="/")
    return response
