"""Models around models: one that remembers its answers, one that writes down what was said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from alidade.digest import digest_of
from alidade.models.base import ChatModel, Sampling
from alidade.records import Completion, Conversation


@dataclass(frozen=True)
class Cached:
    """Asks `model` only what it was not asked before; faults are never remembered.

    Equal conversations in one call are asked separately, since a sampling model answers them differently: the n-th
    repetition of a conversation is remembered as such.
    """

    model: ChatModel
    answers: dict[str, Completion] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the model inside."""
        return self.model.name

    def reply(self, chats: Sequence[Conversation], how: Sampling) -> list[Completion]:
        """One completion per conversation, in the same order."""
        keys = self._keys(chats, how)
        new = [place for place, key in enumerate(keys) if key not in self.answers]
        given = dict(zip(new, self.model.reply([chats[place] for place in new], how) if new else [], strict=True))
        self.answers.update({keys[place]: answer for place, answer in given.items() if answer.error is None})
        return [given[place] if place in given else self.answers[key] for place, key in enumerate(keys)]

    def _keys(self, chats: Sequence[Conversation], how: Sampling) -> list[str]:
        seen: dict[str, int] = {}
        keys = []
        for chat in chats:
            asked = digest_of(["chat/1", self.name, chat.model_dump(), how.model_dump()])
            seen[asked] = seen.get(asked, -1) + 1
            keys.append(f"{asked}/{seen[asked]}")
        return keys


@dataclass(frozen=True)
class Exchange:
    """One thing that was said and its answer."""

    chat: Conversation
    how: Sampling
    answer: Completion


@dataclass(frozen=True)
class Recorded:
    """Passes everything on to `model` and keeps each exchange, in order."""

    model: ChatModel
    exchanges: list[Exchange] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name of the model inside."""
        return self.model.name

    def reply(self, chats: Sequence[Conversation], how: Sampling) -> list[Completion]:
        """One completion per conversation, in the same order."""
        answers = self.model.reply(chats, how)
        self.exchanges.extend(Exchange(chat, how, answer) for chat, answer in zip(chats, answers, strict=True))
        return answers
