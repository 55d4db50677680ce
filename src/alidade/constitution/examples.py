"""Few-shot examples: one record for each way of asking, as published and as a model is shown it.

The published ones are running text in the published form ([B22] Bai et al. 2022, arXiv 2212.08073, sections 3.1 and 4.1; the files of
anthropics/ConstitutionalHarmlessnessPaper). They are kept as they are, and taken apart only to be shown in another form, without their
critique or reasoning, or to be held against other prompts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

from pydantic import Field

from alidade.constitution.wording import PUBLISHED, ChoiceFrames, Wording
from alidade.errors import DataError
from alidade.records import Conversation, Message, Record, Role

Option = Literal["A", "B"]
T = TypeVar("T")

_CUE = "\n\nHuman:"
_TURNS = {form: re.compile(rf"\n\n({form}): ?") for form in ("Human|Assistant", "H|A")}
_ROLES: dict[str, Role] = {"Human": "user", "H": "user", "Assistant": "assistant", "A": "assistant"}
_QUESTION = "\n\n{}\n (A) [[["
_SHOWN = 60


class ComparisonShot(Record):
    """A conversation, and answers to it that are right and wrong.

    `prompt` is a transcript as published (two line breaks, `Human: ...`, ..., `Assistant:`), one question in plain words, or turns.
    """

    prompt: str | Conversation
    corrects: tuple[str, ...] = Field(min_length=1)
    incorrects: tuple[str, ...] = Field(min_length=1)

    @property
    def talk(self) -> Conversation:
        """The conversation that is answered."""
        return talk_of(self.prompt)


class ReasonedShot(Record):
    """Two answers in the order shown, the reasoning about them, and the option chosen; the reasoning names (A) and (B)."""

    prompt: str | Conversation
    first: str
    second: str
    thought: str = Field(min_length=1)
    choice: Option

    @property
    def talk(self) -> Conversation:
        """The conversation that is answered."""
        return talk_of(self.prompt)


class CritiqueShot(Record):
    """An answer with its critique and revision, and the requests for both."""

    prompt: str | Conversation
    answer: str
    critique_request: str
    critique: str
    revision_request: str
    revision: str

    @property
    def talk(self) -> Conversation:
        """The conversation that is answered."""
        return talk_of(self.prompt)


class Shots(Record):
    """The examples of a file, in its order; those that are text are running text in the published form."""

    critiques: tuple[str | CritiqueShot, ...] = Field(default=(), description="critiques and revisions")
    comparisons: tuple[ComparisonShot, ...] = Field(default=(), description="comparisons without reasoning")
    thoughts: tuple[str | ReasonedShot, ...] = Field(default=(), description="comparisons with reasoning")
    chats: tuple[tuple[Message, ...], ...] = Field(default=(), description="critiques and revisions as turns")

    def __bool__(self) -> bool:
        return bool(self.critiques or self.comparisons or self.thoughts or self.chats)

    def with_more(self, other: Shots) -> Shots:
        """These examples, and those of another file behind them."""
        kinds = type(self).model_fields
        return Shots.model_validate({name: (*getattr(self, name), *getattr(other, name)) for name in kinds})


@dataclass(frozen=True)
class Guarded:
    """The examples that may be shown, and the names of those that may not."""

    shots: Shots
    refused: tuple[str, ...]


def talk_of(prompt: str | Conversation) -> Conversation:
    """The conversation of an example.

    Raises:
        DataError: when a transcript does not begin or end with a human's turn.
    """
    if isinstance(prompt, Conversation):
        return prompt
    if not prompt.startswith(_CUE):
        return Conversation.ask(prompt)
    return _transcript(prompt.removesuffix("\n\nAssistant:"), "Human|Assistant")


def critique_of(shot: str | CritiqueShot) -> CritiqueShot:
    """An example of a critique, taken apart.

    Raises:
        DataError: when the text is not in the published form.
    """
    if isinstance(shot, CritiqueShot):
        return shot
    frames = PUBLISHED.critique
    marks = (frames.critique_request, frames.critique, frames.revision_request, frames.revision)
    talk, *rest = _parted(shot.rstrip().removesuffix(_CUE), marks)
    *before, last = _transcript(talk, "Human|Assistant", ends_with="assistant").messages
    request, critique, revision_request, revision = rest
    return CritiqueShot(
        prompt=Conversation(messages=tuple(before)),
        answer=last.text,
        critique_request=request,
        critique=critique.strip(),
        revision_request=revision_request,
        revision=revision.strip(),
    )


def reasoned_of(shot: str | ReasonedShot) -> ReasonedShot:
    """An example of a comparison with reasoning, taken apart. One of the published six opens in other words, which are not kept.

    Raises:
        DataError: when the text is not in the published form.
    """
    if isinstance(shot, ReasonedShot):
        return shot
    frames = PUBLISHED.thought
    assert frames is not None, "the published form knows reasoning"
    marks = (_QUESTION, "]]]" + frames.right, "]]]" + frames.thinking, frames.answer)
    opened, first, second, thought, answer = _parted(shot, marks)
    _, turn, talk = opened.partition(frames.turns["user"])
    choice = answer.strip().strip("()")
    if choice not in get_args(Option):
        raise DataError(f"an example that chooses {answer.strip()!r}", hint="it ends with (A) or (B)")
    return ReasonedShot(
        prompt=_transcript(turn + talk, "H|A"),
        first=first,
        second=second,
        thought=thought,
        choice="A" if choice == "A" else "B",
    )


def critique_text(shot: str | CritiqueShot, wording: Wording, *, critique: bool = True) -> str:
    """An example as a model is shown it; without `critique` as in [B22] section 3.5, where the revision is asked for at once.

    Raises:
        DataError: when the example is not in the published form.
    """
    one = critique_of(shot)
    if not critique:
        return f"{wording.direct_revision_prompt(one.talk, one.answer, one.revision_request)} {one.revision}"
    asked = wording.critique_prompt(one.talk, one.answer, one.critique_request)
    return f"{wording.revision_prompt(asked, one.critique, one.revision_request)} {one.revision}"


def reasoned_text(shot: ReasonedShot, frames: ChoiceFrames, question: str, *, thought: bool = True) -> str:
    """An example with reasoning as a model is shown it, or with its choice alone."""
    space = "" if shot.thought[:1].isspace() else " "
    option = frames.options[get_args(Option).index(shot.choice)]
    asked = frames.prompt(shot.talk, shot.first, shot.second, question)
    reasoned = f"{frames.thinking}{space}{shot.thought}" if thought else ""
    return asked + reasoned + frames.answer + option


def named_talks(shots: Shots) -> Iterator[tuple[str, Conversation]]:
    """The conversation of every example that can be shown, by the example's place (`comparisons.0`).

    Raises:
        DataError: naming the example that is not in the published form.
    """
    for kind, number, talk in _talks(shots):
        yield f"{kind}.{number}", talk


def guarded(shots: Shots, is_leak: Callable[[Conversation], bool]) -> Guarded:
    """The examples without those whose conversation is a leak: a model that was shown them had seen what it is asked.

    Raises:
        DataError: naming the example that is not in the published form.
    """
    leaks = [(kind, number, talk) for kind, number, talk in _talks(shots) if is_leak(talk)]
    out = {(kind, number) for kind, number, _ in leaks}
    return Guarded(
        shots=Shots(
            critiques=_without(out, "critiques", shots.critiques),
            comparisons=_without(out, "comparisons", shots.comparisons),
            thoughts=_without(out, "thoughts", shots.thoughts),
        ),
        refused=tuple(f"{kind}.{number} ({_begins(talk)})" for kind, number, talk in leaks),
    )


def _talks(shots: Shots) -> Iterator[tuple[str, int, Conversation]]:
    readers: dict[str, list[Callable[[], Conversation]]] = {
        "critiques": [lambda one=one: critique_of(one).talk for one in shots.critiques],
        "comparisons": [lambda one=one: one.talk for one in shots.comparisons],
        "thoughts": [lambda one=one: reasoned_of(one).talk for one in shots.thoughts],
    }
    for kind, several in readers.items():
        for number, read in enumerate(several):
            try:
                yield kind, number, read()
            except DataError as error:
                raise DataError(error.what, where=f"{kind}.{number}", hint=error.hint) from error


def _without(out: set[tuple[str, int]], kind: str, shots: Sequence[T]) -> tuple[T, ...]:
    return tuple(one for number, one in enumerate(shots) if (kind, number) not in out)


def _begins(talk: Conversation) -> str:
    text = " ".join(talk.last_user_text.split())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _transcript(text: str, turns: str, ends_with: Role = "user") -> Conversation:
    before, *parts = _TURNS[turns].split(text)
    said = [Message(role=_ROLES[who], text=words) for who, words in zip(parts[::2], parts[1::2], strict=True)]
    if before.strip() or not said or said[0].role != "user" or said[-1].role != ends_with:
        hint = "turns are `Human: ...` and `Assistant: ...`, an empty line before each, the first and last a human's"
        raise DataError("an example whose conversation is not in the published form", hint=hint)
    return Conversation(messages=tuple(said))


def _parted(text: str, marks: Sequence[str]) -> list[str]:
    """The text before, between and behind marks that each come once, in order."""
    pieces: list[str] = []
    for mark in marks:
        if text.count(mark) != 1:
            raise DataError(
                "an example that is not in the published form",
                hint=f"{mark!r} comes {'more than once' if mark in text else 'nowhere, or not in its place'}",
            )
        piece, _, text = text.partition(mark)
        pieces.append(piece)
    return [*pieces, text]
