"""Held-out rows, by prompt: all answers to a prompt are on one side, and all that opens with the same words.

Which side a prompt is on depends on its words, the seed and the share alone. So files read at different times,
demonstrations, comparisons and prompts, agree about a prompt as long as they are split with the same seed and share,
and rows added later move none.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from alidade.digest import digest_of
from alidade.records import Comparison, Conversation, Demonstration, Feedback, Prompt, Ranking
from alidade.seeds import derive

T = TypeVar("T", Demonstration, Comparison, Comparison | Ranking, Feedback, Prompt)
STREAM_SIZE = float(1 << 63)
WORD_CATEGORIES = ("L", "M", "N")


@dataclass(frozen=True)
class Split(Generic[T]):
    """Rows to learn from and rows kept back, each in the order they came."""

    train: list[T]
    heldout: list[T]


def normalised(text: str) -> str:
    """Text as its letters and digits in lower case with single spaces: case, coding and punctuation are gone."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    letters = "".join(char if unicodedata.category(char)[0] in WORD_CATEGORIES else " " for char in folded)
    return " ".join(letters.split())


def prompt_key(conversation: Conversation) -> str:
    """What decides a prompt's side: its first user turn, normalised; so a conversation has the key of its opening."""
    opening = next((message.text for message in conversation.messages if message.role == "user"), "")
    return digest_of(normalised(opening) or opening.strip())


def held_out(key: str, share: float, seed: int) -> bool:
    """Whether the prompt of this key is kept back; what is held out at a share is held out at every larger one."""
    return derive(seed, "held out", key) / STREAM_SIZE < share


def conversation_in(row: Demonstration | Comparison | Ranking | Feedback | Prompt) -> Conversation:
    """The conversation a row is about."""
    return row.conversation if isinstance(row, Prompt) else row.prompt


def split_by_prompt(rows: Sequence[T], share: float, seed: int) -> Split[T]:
    """Rows with `share` (0 to 1) of the prompts held out."""
    train: list[T] = []
    heldout: list[T] = []
    for row in rows:
        (heldout if held_out(prompt_key(conversation_in(row)), share, seed) else train).append(row)
    return Split(train, heldout)


def take(rows: Sequence[T], limit: int, seed: int, key: Callable[[T], str] | None = None) -> list[T]:
    """At most `limit` rows, whole prompts at a time and drawn by chance, in the order they came.

    A file is often sorted by task, so its first rows are no sample of it. A prompt whose rows would pass the limit is
    left out whole.
    """
    name = key or (lambda row: prompt_key(conversation_in(row)))
    sizes: dict[str, int] = {}
    for row in rows:
        sizes[name(row)] = sizes.get(name(row), 0) + 1
    chosen: set[str] = set()
    room = limit
    for prompt in sorted(sizes, key=lambda prompt: derive(seed, "take", prompt)):
        if sizes[prompt] <= room:
            chosen.add(prompt)
            room -= sizes[prompt]
    return [row for row in rows if name(row) in chosen]
