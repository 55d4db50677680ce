"""What a model is to the rest of alidade: batch in, batch out, same order.

`ChatModel` talks in conversations (evaluation, judging, red team). `TokenModel` talks in token ids and is what reinforcement
learning needs. One bad item becomes a `Completion` with `error`, never a shorter list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import Field

from alidade.records import Completion, Conversation, Record


class Sampling(Record):
    """How answers are drawn."""

    temperature: float = Field(default=1.0, ge=0, description="softmax temperature; 0 takes the likeliest token")
    max_new_tokens: int = Field(default=256, ge=1, description="longest answer, in tokens")
    seed: int = Field(default=0, description="stream of random numbers; equal seeds give equal answers")


class Patience(Record):
    """How patiently an endpoint is asked; its key is named by its variable and never stored."""

    key_variable: str = Field(default="OPENAI_API_KEY", description="environment variable that holds the API key")
    attempts: int = Field(default=6, ge=1, description="tries per item, the first included")
    timeout: float = Field(default=120.0, gt=0, description="seconds for one try")
    first_wait: float = Field(
        default=0.5, ge=0, description="seconds before the second try, doubled for each further one"
    )
    longest_wait: float = Field(
        default=60.0, gt=0, description="seconds that a wait never exceeds, also when the server asks for more"
    )


@dataclass(frozen=True)
class Sampled:
    """One drawn answer: `tokens` include the stop token when `finished`; `log_probs` are the engine's own, one per token."""

    tokens: list[int]
    log_probs: list[float]
    finished: bool


class ChatModel(Protocol):
    """Anything that answers conversations."""

    @property
    def name(self) -> str:
        """What the model is called in reports."""
        ...

    def reply(self, chats: Sequence[Conversation], how: Sampling) -> list[Completion]:
        """One completion per conversation, in the same order."""
        ...


class TokenModel(Protocol):
    """Anything that continues token ids and scores them."""

    def sample(self, prompts: Sequence[Sequence[int]], how: Sampling) -> list[Sampled]:
        """One continuation per prompt, in the same order."""
        ...

    def score(self, rows: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[list[float]]:
        """Log-probability of each continuation token of (prompt, continuation) rows, in nats at temperature 1."""
        ...
