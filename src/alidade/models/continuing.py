"""A model that continues raw text, and one that chooses among options by their probabilities: what critiques and comparisons ask of it.

A chat template would come between the words and the model, and few-shot examples are read as one document.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, final, runtime_checkable

from alidade.errors import AlidadeError
from alidade.models.base import ChatModel, Sampling
from alidade.records import Completion, Conversation

if TYPE_CHECKING:
    from alidade.models.local import LocalModel
    from alidade.progress import Progress


@runtime_checkable
class TextModel(Protocol):
    """Anything that goes on with a text."""

    @property
    def name(self) -> str:
        """What the model is called in ledgers and reports."""
        ...

    def continued(
        self, texts: Sequence[str], how: Sampling, stops: Sequence[str] = (), progress: Progress | None = None
    ) -> list[Completion]:
        """What each text goes on with, up to the first of `stops`; one completion per text, in the same order."""
        ...


class OptionModel(Protocol):
    """Anything that shows how likely each of some options comes next."""

    @property
    def name(self) -> str:
        """What the model is called in ledgers and reports."""
        ...

    def option_log_probs(self, texts: Sequence[str], options: Sequence[str]) -> list[list[float]]:
        """Log-probability of each option after each text, in nats, not normalised over the options."""
        ...


@dataclass(frozen=True)
class ContinuingModel:
    """Local weights as a `TextModel` and an `OptionModel`."""

    model: LocalModel

    @property
    def name(self) -> str:
        """The name of the weights."""
        return self.model.name

    def continued(
        self, texts: Sequence[str], how: Sampling, stops: Sequence[str] = (), progress: Progress | None = None
    ) -> list[Completion]:
        """What each text goes on with; a text that fills the model's context gets an `error`."""
        from alidade.models.engine import generate

        renderer = self.model.renderer
        ids = [renderer.bare(text) for text in texts]
        room = math.inf if self.model.context_length is None else self.model.context_length
        fitting = [place for place, row in enumerate(ids) if 0 < len(row) < room]
        # A stop that is one token ends the sampling there; others are found in the text.
        single = {row[0] for stop in stops if len(row := renderer.continuation(stop)) == 1}
        drawn = generate(
            self.model.module,
            [ids[place] for place in fitting],
            how,
            stop_ids=renderer.stop_ids | single,
            batch_size=self.model.batch_size,
            progress=progress,
        )
        said = {}
        for place, one in zip(fitting, drawn, strict=True):
            kept = [token for token in one.tokens if token not in single]
            text, is_cut = before_stops(renderer.decode(kept), stops)
            said[place] = Completion(text=text, finished=one.finished or is_cut, token_count=len(one.tokens))
        fault = Completion(text="", finished=False, error=f"the text fills the model's context of {room} tokens")
        return [said.get(place, fault) for place in range(len(texts))]

    def option_log_probs(self, texts: Sequence[str], options: Sequence[str]) -> list[list[float]]:
        """Log-probability of each option after each text, all its tokens together.

        Raises:
            DataError: when a text with an option is longer than the model's context.
        """
        renderer = self.model.renderer
        choices = [renderer.continuation(option) for option in options]
        rows = [(prompt, choice) for prompt in map(renderer.bare, texts) for choice in choices]
        sums = iter([sum(scores) for scores in self.model.score(rows)])
        return [[next(sums) for _ in options] for _ in texts]


@final
class ChatText:
    """A chat model as a `TextModel`: each text is one question of a user, and what is answered goes on with it."""

    def __init__(self, model: ChatModel) -> None:
        self._model = model

    @property
    def name(self) -> str:
        """The name of the chat model."""
        return self._model.name

    def continued(
        self, texts: Sequence[str], how: Sampling, stops: Sequence[str] = (), progress: Progress | None = None
    ) -> list[Completion]:
        """What is answered to each text, up to the first of `stops`; one completion per text, in the same order."""
        answers = self._model.reply([Conversation.ask(text.strip()) for text in texts], how)
        cut = [before_stops(answer.text, stops) for answer in answers]
        return [
            answer.model_copy(update={"text": text, "finished": answer.finished or is_cut})
            for answer, (text, is_cut) in zip(answers, cut, strict=True)
        ]


def text_model(model: ChatModel) -> TextModel:
    """A model that goes on with texts: local weights as they are, anything else by one question for each text."""
    from alidade.models.local import LocalModel

    return ContinuingModel(model) if isinstance(model, LocalModel) else ChatText(model)


def before_stops(text: str, stops: Sequence[str]) -> tuple[str, bool]:
    """The text before the first of the stops, without outer white space, and whether one was there."""
    ends = [end for stop in stops if stop and (end := text.find(stop)) >= 0]
    return (text[: min(ends)] if ends else text).strip(), bool(ends)


def normalised(log_probs: Sequence[float]) -> list[float]:
    """Probabilities of options that are all there is to choose from.

    Raises:
        AlidadeError: when no option has any probability.
    """
    most = max(log_probs)
    if not math.isfinite(most):
        raise AlidadeError("no option has a probability", hint="the model's answer is not among the options")
    shares = [math.exp(one - most) for one in log_probs]
    return [share / sum(shares) for share in shares]
