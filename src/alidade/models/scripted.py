"""Models whose replies are written down: for tests, dry runs and rehearsals of a recipe."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alidade.errors import DataError
from alidade.models.base import Sampling
from alidade.records import Completion, Conversation, Record


class Rule(Record):
    """Conversations whose last user turn matches the pattern `ask` are answered `reply` ({0} is what matched)."""

    ask: str
    reply: str


@dataclass(frozen=True)
class ScriptedModel:
    """Answers by the first rule that matches the last user turn, case aside; no rule is the item's `error`."""

    rules: Sequence[Rule]
    name: str = "script"

    def reply(self, chats: Sequence[Conversation], how: Sampling) -> list[Completion]:
        """One completion per conversation, in the same order; words past `how.max_new_tokens` are cut."""
        return [self._answer(chat, how) for chat in chats]

    def _answer(self, chat: Conversation, how: Sampling) -> Completion:
        asked = chat.last_user_text
        for rule in self.rules:
            if found := re.search(rule.ask, asked, re.IGNORECASE):
                return _cut(rule.reply.replace("{0}", found.group(0)), how.max_new_tokens)
        return Completion(text="", finished=False, error=f"no rule of the script answers {asked[:60]!r}")


class QueuedModel:
    """Gives out its replies in order, whatever is asked; an empty queue is each further item's `error`."""

    def __init__(self, replies: Sequence[str], name: str = "queue") -> None:
        self.name = name
        self._replies = list(reversed(replies))

    def reply(self, chats: Sequence[Conversation], how: Sampling) -> list[Completion]:
        """One completion per conversation, in the same order."""
        return [
            _cut(self._replies.pop(), how.max_new_tokens)
            if self._replies
            else Completion(text="", finished=False, error="the script has no reply left")
            for _ in chats
        ]


def read_script(path: Path) -> ScriptedModel:
    """The rules of a JSONL file of {"ask": pattern, "reply": text}.

    Raises:
        DataError: when a line is no such rule, naming the line.
    """
    rules: list[Rule] = []
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise DataError(f"the script cannot be read: {error.strerror}", where=str(path)) from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            rule = Rule.model_validate(json.loads(line))
            re.compile(rule.ask)
        except (ValueError, re.error) as error:
            raise DataError(
                f"not a rule: {error}",
                where=f"{path}:{number}",
                hint='each line is {"ask": "a pattern", "reply": "a text"}',
            ) from error
        rules.append(rule)
    return ScriptedModel(rules, name=path.stem)


def _cut(text: str, words: int) -> Completion:
    parts = re.findall(r"\s*\S+", text)
    return Completion(text="".join(parts[:words]), finished=len(parts) <= words, token_count=min(len(parts), words))
