"""Models behind an OpenAI-compatible endpoint: concurrent requests, patient retries, one fault per item."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
from pydantic import Field

from alidade.errors import ModelError, ModelUnavailable
from alidade.models.base import Sampling
from alidade.records import Completion, Conversation, Record

RETRIED_STATUS = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})


class Endpoint(Record):
    """Where a chat endpoint is and how patiently it is asked; the key is named by its variable and never stored."""

    url: str = Field(description="base URL, up to and without /chat/completions")
    model: str = Field(description="the model's name at the endpoint")
    key_variable: str = Field(default="OPENAI_API_KEY", description="environment variable that holds the API key")
    concurrency: int = Field(default=8, ge=1, le=256, description="requests in flight")
    attempts: int = Field(default=6, ge=1, description="tries per item, the first included")
    timeout: float = Field(default=120.0, gt=0, description="seconds for one try")
    first_wait: float = Field(
        default=0.5, ge=0, description="seconds before the second try, doubled for each further one"
    )
    longest_wait: float = Field(
        default=60.0, gt=0, description="seconds that a wait never exceeds, also when the server asks for more"
    )


@dataclass(frozen=True)
class HttpModel:
    """A `ChatModel` at an OpenAI-compatible endpoint.

    Differs: `how.seed` is sent along, with the item's place added; whether equal seeds give equal answers is the
    server's affair.
    """

    endpoint: Endpoint
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)

    @property
    def name(self) -> str:
        """The model's name and its endpoint's host."""
        return f"{self.endpoint.model}@{httpx.URL(self.endpoint.url).host}"

    def reply(self, chats: Sequence[Conversation], how: Sampling) -> list[Completion]:
        """One completion per conversation, in the same order; what failed after all retries has an `error`.

        Raises:
            ModelUnavailable: when no item at all was answered and every fault was the connection's.
        """
        limits = httpx.Limits(max_connections=self.endpoint.concurrency)
        with (
            httpx.Client(timeout=self.endpoint.timeout, limits=limits, headers=self._headers()) as client,
            ThreadPoolExecutor(self.endpoint.concurrency) as pool,
        ):
            numbered = enumerate(chats)
            answers = list(pool.map(lambda item: self._answer(client, item[1], how, item[0]), numbered))
        if answers and all(answer.error is not None and answer.error.startswith(_UNREACHABLE) for answer in answers):
            raise ModelUnavailable(
                answers[0].error or _UNREACHABLE,
                where=self.endpoint.url,
                hint="check that the endpoint is up and the URL is right",
            )
        return answers

    def _headers(self) -> dict[str, str]:
        key = os.environ.get(self.endpoint.key_variable)
        return {"Authorization": f"Bearer {key}"} if key else {}

    def _answer(self, client: httpx.Client, chat: Conversation, how: Sampling, place: int) -> Completion:
        body = {
            "model": self.endpoint.model,
            "messages": [{"role": message.role, "content": message.text} for message in chat.messages],
            "temperature": how.temperature,
            "max_tokens": how.max_new_tokens,
            "seed": (how.seed + place) % (1 << 31),
        }
        fault = ""
        for attempt in range(self.endpoint.attempts):
            tried = _try(client, f"{self.endpoint.url.rstrip('/')}/chat/completions", body)
            if isinstance(tried, Completion):
                return tried
            fault = tried.what
            if not tried.passing or attempt == self.endpoint.attempts - 1:
                break
            self.sleep(self._wait(attempt, tried.asked_wait))
        return Completion(text="", finished=False, error=fault)

    def _wait(self, attempt: int, asked: float | None) -> float:
        """Seconds to wait: what the server asked, else doubling, with jitter so that clients do not return together."""
        doubled = self.endpoint.first_wait * 2**attempt
        # Jitter must differ between processes that share a seed, so it comes from the system's own randomness.
        wait = doubled * random.uniform(0.5, 1.0) if asked is None else asked
        return min(wait, self.endpoint.longest_wait)


_UNREACHABLE = "the endpoint did not answer"


@dataclass(frozen=True)
class _Fault:
    """One failed try; `passing` says that another may succeed."""

    what: str
    passing: bool
    asked_wait: float | None = None


def _try(client: httpx.Client, url: str, body: dict[str, Any]) -> Completion | _Fault:
    try:
        response = client.post(url, json=body)
    except httpx.TimeoutException:
        return _Fault(f"{_UNREACHABLE} in time", passing=True)
    except httpx.TransportError as error:
        return _Fault(f"{_UNREACHABLE}: {type(error).__name__}", passing=True)
    except httpx.InvalidURL as error:
        raise ModelError(f"the endpoint's URL is not valid: {error}", where=url) from error
    if response.status_code in RETRIED_STATUS:
        return _Fault(f"the endpoint said {response.status_code}", passing=True, asked_wait=_asked_wait(response))
    if not response.is_success:
        return _Fault(f"the endpoint said {response.status_code}: {response.text[:200]}", passing=False)
    return _read(response)


def _read(response: httpx.Response) -> Completion | _Fault:
    try:
        answer = response.json()
        choice = answer["choices"][0]
        text = choice["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError):
        return _Fault(f"the endpoint's reply has no choices[0].message.content: {response.text[:200]}", passing=False)
    if not isinstance(text, str):
        return _Fault("the endpoint's answer is no text", passing=False)
    usage = answer.get("usage") or {}
    return Completion(
        text=text.strip(),
        finished=choice.get("finish_reason") != "length",
        token_count=int(usage.get("completion_tokens") or 0),
    )


def _asked_wait(response: httpx.Response) -> float | None:
    try:
        return max(0.0, float(response.headers["retry-after"]))
    except (KeyError, ValueError):
        return None
