"""Models that are written down, for talks: quick, and with no chance in them."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from alidade.models.base import ChatModel, Sampling
from alidade.models.scripted import Rule, ScriptedModel
from alidade.preferences.partners import Partner, Partners
from alidade.records import Completion, Conversation


class Held:
    """A model that answers when it is let go, and counts how often it was asked."""

    name = "held"

    def __init__(self) -> None:
        self.go, self.asked = threading.Event(), 0

    def reply(self, chats: Sequence[Conversation], how: Sampling) -> list[Completion]:
        """One completion per conversation, once it is let go."""
        self.asked += 1
        assert self.go.wait(20)
        return [Completion(text=f"answer {self.asked}") for _ in chats]


def says(reply: str, name: str = "one") -> ScriptedModel:
    """A model that answers anything with `reply`, in which {0} is what was said."""
    return ScriptedModel([Rule(ask=r"(?s).+", reply=reply)], name)


def partners(left: ChatModel, right: ChatModel) -> Partners:
    """The two, known by `sha left` and `sha right`, at the temperatures 0.5 and 1.5."""
    return Partners(
        Partner(left, left.name, "sha left", Sampling(temperature=0.5, max_new_tokens=99)),
        Partner(right, right.name, "sha right", Sampling(temperature=1.5, max_new_tokens=99)),
    )


def two() -> Partners:
    """Two models that agree on nothing."""
    return partners(says("yes to {0}"), says("no to {0}", "other"))
