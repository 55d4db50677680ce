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
