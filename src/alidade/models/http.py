"""Models behind an OpenAI-compatible endpoint: concurrent requests, patient retries, one fault per item."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx
from pydantic import Field

from alidade.errors import ModelUnavailable
from alidade.models.base import Patience, Sampling
from alidade.models.requests import UNREACHABLE, Fault, bearer, post, shown
from alidade.records import Completion, Conversation


class Endpoint(Patience):
    """Where a chat endpoint is and how patiently it is asked; the key is named by its variable and never stored."""

    url: str = Field(description="base URL, up to and without /chat/completions")
    model: str = Field(description="the model's name at the endpoint")
    concurrency: int = Field(default=8, ge=1, le=256, description="requests in flight")


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
            httpx.Client(
                timeout=self.endpoint.timeout, limits=limits, headers=bearer(self.endpoint.key_variable)
            ) as client,
            ThreadPoolExecutor(self.endpoint.concurrency) as pool,
        ):
            numbered = enumerate(chats)
            answers = list(pool.map(lambda item: self._answer(client, item[1], how, item[0]), numbered))
        if answers and all(answer.error is not None and answer.error.startswith(UNREACHABLE) for answer in answers):
            raise ModelUnavailable(
                answers[0].error or UNREACHABLE,
                where=self.endpoint.url,
                hint="check that the endpoint is up and the URL is right",
            )
        return answers

    def _answer(self, client: httpx.Client, chat: Conversation, how: Sampling, place: int) -> Completion:
        body = {
            "model": self.endpoint.model,
            "messages": [{"role": message.role, "content": message.text} for message in chat.messages],
            "temperature": how.temperature,
            "max_tokens": how.max_new_tokens,
            "seed": (how.seed + place) % (1 << 31),
        }
        url = f"{self.endpoint.url.rstrip('/')}/chat/completions"
        reply = post(client, url, body, self.endpoint, self.sleep)
        read = reply if isinstance(reply, Fault) else _read(reply, self.endpoint.key_variable)
        return Completion(text="", finished=False, error=read.what) if isinstance(read, Fault) else read


def _read(response: httpx.Response, key_variable: str) -> Completion | Fault:
    try:
        answer = response.json()
        choice = answer["choices"][0]
        text = choice["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError):
        return Fault(
            f"the endpoint's reply has no choices[0].message.content: {shown(response.text, key_variable)}",
            passing=False,
        )
    if not isinstance(text, str):
        return Fault("the endpoint's answer is no text", passing=False)
    usage = answer.get("usage") or {}
    return Completion(
        text=text.strip(),
        finished=choice.get("finish_reason") != "length",
        token_count=int(usage.get("completion_tokens") or 0),
    )
