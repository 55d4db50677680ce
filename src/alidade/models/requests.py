"""Asking an endpoint: one JSON request, patiently repeated while its fault may pass. The key never enters a message."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from alidade.errors import ModelError
from alidade.models.base import Patience

RETRIED_STATUS = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
UNREACHABLE = "the endpoint did not answer"
MOST_SHOWN = 200  # characters of a reply in an error


@dataclass(frozen=True)
class Fault:
    """Why a request failed; `passing` says that another try may succeed."""

    what: str
    passing: bool
    asked_wait: float | None = None


def bearer(key_variable: str) -> dict[str, str]:
    """The header that carries the key in that environment variable; none where it is not set."""
    key = os.environ.get(key_variable)
    return {"Authorization": f"Bearer {key}"} if key else {}


def shown(text: str, key_variable: str) -> str:
    """The beginning of a reply, fit for a message: without the key, should the endpoint have sent it back."""
    key = os.environ.get(key_variable)
    return (text.replace(key, "***") if key else text)[:MOST_SHOWN]


def address(url: str) -> str:
    """The URL without user name and password, for messages."""
    return str(httpx.URL(url).copy_with(username=None, password=None, query=None))


def post(
    client: httpx.Client,
    url: str,
    body: dict[str, Any],
    patience: Patience,
    sleep: Callable[[float], None] = time.sleep,
) -> httpx.Response | Fault:
    """The endpoint's successful reply, or the fault of the last try.

    Raises:
        ModelError: when the URL is none.
    """
    fault = Fault(UNREACHABLE, passing=True)
    for attempt in range(patience.attempts):
        tried = _try(client, url, body, patience.key_variable)
        if isinstance(tried, httpx.Response):
            return tried
        fault = tried
        if not tried.passing or attempt == patience.attempts - 1:
            break
        sleep(_wait(attempt, tried.asked_wait, patience))
    return fault


def _wait(attempt: int, asked: float | None, patience: Patience) -> float:
    """Seconds to wait: what the server asked, else doubling, with jitter so that clients do not return together."""
    doubled = patience.first_wait * 2**attempt
    # Jitter must differ between processes that share a seed, so it comes from the system's own randomness.
    wait = doubled * random.uniform(0.5, 1.0) if asked is None else asked
    return min(wait, patience.longest_wait)


def _try(client: httpx.Client, url: str, body: dict[str, Any], key_variable: str) -> httpx.Response | Fault:
    try:
        response = client.post(url, json=body)
    except httpx.TimeoutException:
        return Fault(f"{UNREACHABLE} in time", passing=True)
    except httpx.TransportError as error:
        return Fault(f"{UNREACHABLE}: {type(error).__name__}", passing=True)
    except httpx.InvalidURL as error:
        raise ModelError(f"the endpoint's URL is not valid: {error}", where=url) from error
    if response.status_code in RETRIED_STATUS:
        return Fault(f"the endpoint said {response.status_code}", passing=True, asked_wait=_asked_wait(response))
    if not response.is_success:
        return Fault(f"the endpoint said {response.status_code}: {shown(response.text, key_variable)}", passing=False)
    return response


def _asked_wait(response: httpx.Response) -> float | None:
    try:
        return max(0.0, float(response.headers["retry-after"]))
    except (KeyError, ValueError):
        return None
