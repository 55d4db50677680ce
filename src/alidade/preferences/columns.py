"""What a cell holds: text, a list of turns, or a transcript, as a conversation and an answer.

A string is one user's turn, unless it opens with the marker of an HH transcript (a blank line and `Human:`). A list is
turns, each an object with a role and a text or a pair of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from alidade.digest import digest_of
from alidade.records import Conversation, Message, Role

ROLES: Mapping[str, Role] = {
    "system": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "bot": "assistant",
}
ROLE_KEYS = ("role", "from")
TEXT_KEYS = ("content", "value", "text")
OPENING = re.compile(r"\A\s*\n\nHuman:")
MARKER = re.compile(r"\n\n(Human|Assistant):")

type_names = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
    list: "a list",
    dict: "an object",
}


class BadRow(Exception):
    """A row that cannot be used. `reason` is what is counted; `fatal` rows are never dropped, only mended."""

    def __init__(self, reason: str, *, detail: str = "", fatal: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail
        self.fatal = fatal


def text_of(value: Any, what: str) -> str:
    """A cell's text without the white space around it.

    Raises:
        BadRow: when the cell holds no text or something else than text.
    """
    if not isinstance(value, str):
        raise BadRow(f"{what} is {type_names.get(type(value), type(value).__name__)}, not text")
    stripped = value.strip()
    if not stripped:
        raise BadRow(f"empty {what}")
    return stripped


def turns_of(value: Any, what: str) -> list[Message]:
    """A cell's turns: a string is the user's, a transcript and a list are taken apart.

    Raises:
        BadRow: when a turn has an unknown role or no text, or there is no turn at all.
    """
    if isinstance(value, str):
        return transcript_turns(value) if is_transcript(value) else [Message(role="user", text=text_of(value, what))]
    if not isinstance(value, Sequence):
        raise BadRow(f"{what} is {type_names.get(type(value), type(value).__name__)}, not text or turns")
    turns = [_turn(entry) for entry in value]
    if not turns:
        raise BadRow(f"empty {what}")
    return turns


def is_transcript(value: Any) -> bool:
    """Whether a cell is an HH transcript: text that opens with the user's marker."""
    return isinstance(value, str) and OPENING.match(value) is not None


def transcript_turns(text: str) -> list[Message]:
    r"""The turns of an HH transcript, told apart by `\n\nHuman:` and `\n\nAssistant:`.

    Turns of one role that follow each other are joined.

    Differs: a marker counts only behind a blank line, so a colon or a role's name within a turn is text.
    """
    pieces = MARKER.split(text)[1:]
    turns: list[Message] = []
    for name, said in zip(pieces[::2], pieces[1::2], strict=True):
        role: Role = "user" if name == "Human" else "assistant"
        if turns and turns[-1].role == role:
            joined = f"{turns[-1].text}\n\n{said.strip()}".strip()
            turns[-1] = Message(role=role, text=joined)
        else:
            turns.append(Message(role=role, text=said.strip()))
    return turns


def conversation_of(turns: Sequence[Message], what: str = "prompt") -> Conversation:
    """Turns as a prompt; the cue of a transcript (an assistant's turn without words) is left out.

    Raises:
        BadRow: when the prompt does not end with the user's turn or has none.
    """
    kept = list(turns)
    if kept and kept[-1].role == "assistant" and not kept[-1].text:
        kept.pop()
    if not kept or kept[-1].role != "user":
        raise BadRow(f"the {what} does not end with the user's turn")
    if not kept[-1].text.strip():
        raise BadRow(f"empty {what}")
    return Conversation(messages=tuple(kept))


def conversation_id(conversation: Conversation) -> str:
    """A short name that only equal conversations share."""
    return digest_of([[message.role, message.text] for message in conversation.messages])[:16]


def answers_in(turns: Sequence[Message]) -> Iterator[tuple[Conversation, str]]:
    """Every assistant's turn with what was said before it.

    Raises:
        BadRow: when no assistant's turn follows a user's.
    """
    found = False
    for index, turn in enumerate(turns):
        if turn.role == "assistant" and index and turns[index - 1].role == "user":
            found = True
            yield conversation_of(turns[:index]), text_of(turn.text, "answer")
    if not found:
        raise BadRow("no answer of the assistant follows a user's turn")


def answer_after(prompt: Conversation, raw_prompt: Any, value: Any) -> Any:
    """A cell's answer without the prompt that it may repeat, as turns or, before running text, as `raw_prompt`."""
    if is_transcript(value) or (not isinstance(value, str) and isinstance(value, Sequence)):
        turns = [turn for turn in turns_of(value, "answer") if turn.role != "system" or turn in prompt.messages]
        if tuple(turns[: len(prompt.messages)]) == prompt.messages:
            turns = turns[len(prompt.messages) :]
        return only_answer(turns)
    if isinstance(value, str) and isinstance(raw_prompt, str) and value.startswith(raw_prompt):
        return value.removeprefix(raw_prompt)
    return value


def only_answer(turns: Sequence[Message]) -> str:
    """The one turn of the assistant that is left when the prompt is taken away.

    Raises:
        BadRow: when there is more, or less.
    """
    if len(turns) != 1 or turns[0].role != "assistant":
        raise BadRow(
            "chosen and rejected differ before the last answer", detail="each must be the prompt and one answer"
        )
    return turns[0].text


def _turn(entry: Any) -> Message:
    if isinstance(entry, Mapping):
        role = next((entry[key] for key in ROLE_KEYS if key in entry), None)
        said = next((entry[key] for key in TEXT_KEYS if key in entry), None)
    elif isinstance(entry, Sequence) and not isinstance(entry, str) and len(entry) == 2:
        role, said = entry
    else:
        raise BadRow("a turn has no role")
    if not isinstance(role, str) or role.lower() not in ROLES:
        raise BadRow(f"a turn has an unknown role ({str(role)[:20]!r})", detail=f"known roles: {', '.join(ROLES)}")
    return Message(role=ROLES[role.lower()], text=_said(said))


def _said(value: Any) -> str:
    parts = value if isinstance(value, list) else [value]
    texts = [part.get("text") if isinstance(part, Mapping) else part for part in parts]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise BadRow("a turn has no text")
    return "\n".join(str(text) for text in texts).strip()
