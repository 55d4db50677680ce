"""The only place that turns conversations into token ids and says which of them are trained.

With a chat template, the model's own is used, and checked: the prompt must be a prefix of the whole, the answer must
stand in it unchanged, and a stop token must end it. Without one, turns are written as ``User: ..`` and ``Assistant:
..``, each on its own line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Protocol

from alidade.errors import DataError, ModelError
from alidade.records import Conversation, Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CUES = {"system": "System:", "user": "User:", "assistant": "Assistant:"}
_NEXT_TURN = re.compile(r"\n(User|Assistant):")
SPLIT_HINT = (
    "a chat template that cannot be split into prompt and answer cannot be trained on; give the tokenizer another"
)


def before_next_turn(text: str) -> str:
    """An answer up to where a base model, which never says that it is done, starts somebody's next turn (decision 3)."""
    turn = _NEXT_TURN.search(text)
    return text[: turn.start()].strip() if turn else text


@dataclass(frozen=True)
class Rendered:
    """A row of token ids; `trained[i]` says whether the loss counts `ids[i]`."""

    ids: list[int]
    trained: list[bool]


class _Frame(Protocol):
    """How turns become ids: the plain frame or a chat template."""

    stop_ids: frozenset[int]

    def prompt(self, messages: Sequence[Message]) -> list[int]: ...

    def answer(self, messages: Sequence[Message], text: str) -> list[int]: ...


class Renderer:
    """Conversations to token ids and back, for one tokenizer.

    Raises:
        ModelError: when the tokenizer has no end-of-text token, or its chat template cannot be split into prompt and
            answer.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, stop_ids: Iterable[int] = ()) -> None:
        self._text = _Text(tokenizer)
        self._frame: _Frame = _Template(self._text) if tokenizer.chat_template else _PlainFrame(self._text)
        self.stop_ids = frozenset(stop_ids) | self._frame.stop_ids

    def prompt(self, conversation: Conversation) -> list[int]:
        """Ids up to and including the cue for the assistant's turn.

        Raises:
            DataError: when the conversation does not end with a user's turn.
        """
        last = conversation.messages[-1].role
        if last != "user":
            raise DataError(
                f"the conversation ends with the {last}'s turn", hint="what a model answers ends with the user's turn"
            )
        return self._frame.prompt(conversation.messages)

    def answer(self, conversation: Conversation, text: str) -> list[int]:
        """Ids of the answer `text` to `conversation`, its stop token included."""
        return self._frame.answer(conversation.messages, text)

    def row(self, conversation: Conversation, answer: str) -> Rendered:
        """Prompt and answer as one row, of which exactly the answer and its stop token are trained."""
        prompt, ids = self.prompt(conversation), self.answer(conversation, answer)
        return Rendered(prompt + ids, [False] * len(prompt) + [True] * len(ids))

    def bare(self, text: str) -> list[int]:
        """Ids of raw text without any frame, as a document begins."""
        return self._text.lead + self._text.encode(text)

    def continuation(self, text: str) -> list[int]:
        """Ids of raw text that goes on with another."""
        return self._text.encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of an answer's ids up to its stop token, without special tokens and outer white space."""
        return self._text.decode(list(takewhile(lambda one: one not in self.stop_ids, ids))).strip()

    @cached_property
    def pad_id(self) -> int:
        """An id that is no stop token, for programs that must pad; alidade itself never pads."""
        own = self._text.tokenizer.pad_token_id
        if own is not None and own not in self.stop_ids:
            return own
        return next(one for one in range(len(self.stop_ids) + 1) if one not in self.stop_ids)


class _Text:
    """A tokenizer that reads control tokens as such only where we wrote them."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer: Any = tokenizer
        if tokenizer.eos_token_id is None:
            raise ModelError(
                "the tokenizer has no end-of-text token",
                where=str(tokenizer.name_or_path) or None,
                hint='an answer must be able to end: set "eos_token" in tokenizer_config.json',
            )
        self.end: int = int(tokenizer.eos_token_id)  # pyright: ignore[reportArgumentType]
        whole, plain = self.tokenizer.encode("x"), self.encode("x")
        self.lead: list[int] = whole[: whole.index(plain[0])] if plain[0] in whole else []

    def encode(self, text: str, *, control: bool = False) -> list[int]:
        """Ids of `text`; names of control tokens in it are plain text unless `control`."""
        return self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=not control) if text else []

    def decode(self, ids: Sequence[int], *, control: bool = False) -> str:
        return self.tokenizer.decode(ids, skip_special_tokens=not control, clean_up_tokenization_spaces=False)

    @cached_property
    def control_tokens(self) -> dict[str, int]:
        added = {token.content: one for one, token in self.tokenizer.added_tokens_decoder.items() if token.special}
        return {text: one for text, one in added.items() if text}


class _PlainFrame:
    """``User: ..`` and ``Assistant: ..`` lines; end-of-text ends an answer, and a new line begins the next turn."""

    def __init__(self, text: _Text) -> None:
        self._text = text
        self.stop_ids = frozenset({text.end})

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        ids = list(self._text.lead)
        written = ""
        for message in messages:
            if message.role == "assistant":
                ids += self._text.encode(written + CUES["assistant"]) + self._said(message.text)
                written = "\n"
            else:
                written += f"{CUES[message.role]} {message.text}\n"
        return ids + self._text.encode(written + CUES["assistant"])

    def answer(self, messages: Sequence[Message], text: str) -> list[int]:
        return self._said(text)

    def _said(self, text: str) -> list[int]:
        return [*self._text.encode(f" {text}" if text else ""), self._text.end]


class _Template:
    """The tokenizer's own chat template, checked at every use."""

    def __init__(self, text: _Text) -> None:
        self._text = text
        self.stop_ids = frozenset({text.end})
        # Some models end a turn with a token of its own, which only the template knows.
        self.stop_ids |= {self._turn_end()}

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        return self._text.encode(self._write(messages, cue=True), control=True)

    def answer(self, messages: Sequence[Message], text: str) -> list[int]:
        rest, ids = self._rest(messages, text)
        before, found, _ = rest.partition(text)
        if not found or before.strip():
            trimmed = text.strip() in rest
            raise ModelError(
                "the chat template trims or rewrites the answer",
                where=self._where(text),
                hint="strip white space around the answers" if trimmed else SPLIT_HINT,
            )
        length = next((place for place, one in enumerate(ids) if one in self.stop_ids), None)
        if length is None:
            raise ModelError(
                "the chat template does not end the answer with a stop token", where=self._where(text), hint=SPLIT_HINT
            )
        return ids[: length + 1]

    def _rest(self, messages: Sequence[Message], text: str) -> tuple[str, list[int]]:
        """What the template writes behind the prompt, as text and as ids."""
        prompt = self._write(messages, cue=True)
        whole = self._write([*messages, Message(role="assistant", text=text)], cue=False)
        if not whole.startswith(prompt):
            raise ModelError(
                "the chat template changes the prompt once it is answered", where=self._where(text), hint=SPLIT_HINT
            )
        rest = whole[len(prompt) :]
        prompt_ids, whole_ids = (self._text.encode(one, control=True) for one in (prompt, whole))
        if whole_ids[: len(prompt_ids)] == prompt_ids:
            return rest, whole_ids[len(prompt_ids) :]
        # A token may straddle prompt and answer; a model that was given the prompt writes the answer's own tokens.
        ids = self._text.encode(rest, control=True)
        if self._text.decode(prompt_ids + ids, control=True) != self._text.decode(whole_ids, control=True):
            raise ModelError(
                "prompt and answer cannot be told apart by their tokens", where=self._where(text), hint=SPLIT_HINT
            )
        return rest, ids

    def _write(self, messages: Sequence[Message], *, cue: bool) -> str:
        turns = [{"role": message.role, "content": message.text} for message in messages]
        self._refuse_control_tokens(messages)
        try:
            return self._text.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=cue)
        except Exception as error:  # a template raises whatever its author chose
            roles = ", ".join(message.role for message in messages)
            raise ModelError(f"the chat template refused the turns {roles}: {error}", hint=SPLIT_HINT) from error

    def _refuse_control_tokens(self, messages: Sequence[Message]) -> None:
        for message in messages:
            for token in self._text.control_tokens:
                if token in message.text:
                    raise DataError(
                        f"the {message.role}'s text contains the control token {token!r}",
                        where=repr(message.text[:80]),
                        hint="the model would take it for the end of a turn; remove it from the text",
                    )

    def _turn_end(self) -> int:
        rest, ids = self._rest([Message(role="user", text="one")], "two")
        control = set(self._text.control_tokens.values()) | self.stop_ids
        after = [one for one in ids if one in control]
        if "two" not in rest or not after:
            raise ModelError(
                "the chat template does not end the answer with a stop token", where=self._where("two"), hint=SPLIT_HINT
            )
        return after[0]

    def _where(self, answer: str) -> str:
        name = str(self._text.tokenizer.name_or_path)
        return f"{name or 'chat template'}, answer {answer[:60]!r}"
