"""The two who answer in a talk: two models, or one that is drawn from in two ways.

Who said what is kept beside the answers and shown to nobody who judges them.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import final

from alidade.errors import AlidadeError
from alidade.models.base import ChatModel, Sampling
from alidade.records import Conversation, Record
from alidade.seeds import derive

DRAWS = 2  # of both answers, where the first two are equal or one is empty


class Unanswered(AlidadeError):
    """A message got no two answers: `what` is for who wrote it and names no model, `where` for who runs the models."""


class Made(Record):
    """What made an answer: a model's digest and name, how it was drawn, and whether it came to its own end."""

    model: str
    name: str
    sampling: Sampling
    finished: bool = True


class Drawn(Record):
    """An answer, and what made it."""

    text: str
    made: Made


@dataclass(frozen=True)
class Partner:
    """A model, what it is called and known by (`alidade.models.identity`), and how it is drawn from."""

    model: ChatModel
    name: str
    digest: str
    how: Sampling


@final
class Partners:
    """Two who answer at the same time; a model is asked one thing at a time, in a thread of its own."""

    def __init__(self, left: Partner, right: Partner) -> None:
        self.partners = (left, right)
        self._threads = {id(each.model): ThreadPoolExecutor(1, "model") for each in self.partners}

    def answers(self, chat: Conversation, seed: int) -> tuple[Drawn, Drawn]:
        """Two different answers; both are drawn once more where they are equal or one is empty.

        Raises:
            Unanswered: when a model fails, or the second draw is no better.
        """
        fault = ""
        for draw in range(DRAWS):
            asked = [
                self._threads[id(each.model)].submit(_reply, each, chat, derive(seed, "answer", place, draw))
                for place, each in enumerate(self.partners)
            ]
            left, right = (each.result() for each in asked)
            if not (left.text.strip() and right.text.strip()):
                fault = "one of the models had nothing to say, twice"
            elif left.text.strip() == right.text.strip():
                fault = "both answers were the same, twice"
            else:
                return left, right
        raise Unanswered(fault)


def _reply(partner: Partner, chat: Conversation, seed: int) -> Drawn:
    how = partner.how.model_copy(update={"seed": seed})
    try:
        answer = partner.model.reply([chat], how)[0]
        fault = answer.error
    except AlidadeError as error:
        answer, fault = None, error.what
    if answer is None or fault is not None:
        raise Unanswered("one of the models did not answer", where=f"{partner.name}: {fault}")
    made = Made(model=partner.digest, name=partner.name, sampling=how, finished=answer.finished)
    return Drawn(text=answer.text, made=made)
