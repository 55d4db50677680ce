"""One answer, criticised and revised while somebody watches: each text is told as it arrives.

What is made is what `Reviser` makes of the same answer and seed: it makes every step here, too. For each it is asked anew, and finds what
its model said in the steps before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import final

from alidade.constitution.principles import Constitution, Principle
from alidade.constitution.revise import Answered, Reviser, RevisionSettings, RevisionStep, draw_principle
from alidade.constitution.wording import WORDINGS, Wording
from alidade.errors import UsageError
from alidade.models.base import ChatModel, Sampling
from alidade.models.continuing import TextModel
from alidade.models.render import before_next_turn
from alidade.progress import Progress
from alidade.records import Completion, Conversation, Prompt

_PROMPT_ID = "asked"  # names the streams of chance: equal seeds draw equal principles for whatever is asked


@dataclass(frozen=True)
class Method:
    """By what, and how, an answer is criticised and revised."""

    constitution: Constitution
    wording: Wording
    settings: RevisionSettings
    seed: int

    def __post_init__(self) -> None:
        if not self.constitution.critics:
            raise UsageError(
                f"no principle of `{self.constitution.id}` can be drawn",
                hint="give one a `critique` and a `revision` among its requests, and a weight above 0",
            )

    def principle(self, number: int) -> Principle:
        """The principle that is drawn at a step, from 0 up."""
        return draw_principle(self.constitution.critics, self.seed, _PROMPT_ID, number)


def wording_named(name: str) -> Wording:
    """A form of asking.

    Raises:
        UsageError: when there is none of that name.
    """
    if name not in WORDINGS:
        raise UsageError(f"unknown wording `{name}`", hint=f"there are {', '.join(sorted(WORDINGS))}")
    return WORDINGS[name]


def asked(prompt: str, answer: str) -> Answered:
    """A person's prompt with the answer to revise."""
    return Answered(prompt=Prompt(id=_PROMPT_ID, conversation=Conversation.ask(prompt)), answer=answer)


def first_answer(model: ChatModel, prompt: str, method: Method) -> str:
    """What a model answers at first, up to where it starts somebody's next turn.

    Raises:
        UsageError: when it cannot.
    """
    settings = method.settings
    how = Sampling(temperature=settings.temperature, max_new_tokens=settings.max_new_tokens, seed=method.seed)
    said = model.reply([Conversation.ask(prompt)], how)[0]
    if said.error:
        raise UsageError(f"the model cannot answer: {said.error}", hint="ask something shorter")
    return before_next_turn(said.text)


def unfold(
    row: Answered, critic: TextModel, method: Method, heard: Callable[[Completion], None] | None = None
) -> Iterator[RevisionStep]:
    """The steps from an answer on, one by one; `heard` is told of each text as soon as it is there."""
    model = _Remembering(critic, heard)
    for number in range(1, method.settings.steps + 1):
        settings = method.settings.model_copy(update={"steps": number})
        model.rewind()
        yield Reviser(model, method.constitution, method.wording, settings).revise([row], method.seed)[0].steps[-1]


@final
class _Remembering:
    """A model that, asked the same again from the start, says what it said."""

    def __init__(self, model: TextModel, heard: Callable[[Completion], None] | None) -> None:
        self.name = model.name
        self._model, self._heard = model, heard
        self._said: list[list[Completion]] = []
        self._place = 0

    def rewind(self) -> None:
        """Begin again with the first thing said."""
        self._place = 0

    def continued(
        self, texts: Sequence[str], how: Sampling, stops: Sequence[str] = (), progress: Progress | None = None
    ) -> list[Completion]:
        """What was said at this place, or what the model says now."""
        if self._place == len(self._said):
            self._said.append(self._model.continued(texts, how, stops, progress))
            for completion in self._said[-1] if self._heard else ():
                assert self._heard
                self._heard(completion)
        self._place += 1
        return self._said[self._place - 1]
