"""Options by vote: what a model that hides its log-probabilities chooses, time after time.

Source: [B22] Bai et al. 2022, arXiv 2212.08073, section 4.1, takes the label from the options' log-probabilities. Differs: here the options
are sampled at temperature 1, and the label is the smoothed share of the votes: (k + 1/2) / (n + 1) of two options, the mean of the Beta
distribution of Jeffreys' prior. Its variance, s (1 - s) / (n + 2) for the share s, says how much a label owes to the votes that happened
to be drawn; it is never 0, as the variance of a plain share is where all votes agree.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, final

from pydantic import Field

from alidade.models.base import Sampling
from alidade.models.continuing import ChatText, TextModel
from alidade.records import Record

if TYPE_CHECKING:
    from alidade.progress import Progress

VOTE_TOKENS = 8  # an option, and what shows that it has ended
CHAT_VOTE_TOKENS = 48  # an assistant may put its choice into a sentence


class Ballot(Record):
    """What a model chose when it was asked one question several times."""

    votes: tuple[int, ...] = Field(description="votes for each option, in the order of the options")
    strays: int = Field(ge=0, description="answers that were no option, or none at all")

    @property
    def n(self) -> int:
        """The votes that count."""
        return sum(self.votes)

    @property
    def shares(self) -> tuple[float, ...]:
        """The smoothed share of each option; equal shares where no answer was an option."""
        return tuple((one + 0.5) / (self.n + 0.5 * len(self.votes)) for one in self.votes)

    @property
    def log_probs(self) -> tuple[float, ...]:
        """The logarithms of the shares."""
        return tuple(math.log(share) for share in self.shares)

    @property
    def variance(self) -> float:
        """Of the first option's share."""
        share = self.shares[0]
        return share * (1 - share) / (self.n + 0.5 * len(self.votes) + 1)


@final
class VotingModel:
    """A model that writes as an `OptionModel`: each option's log-probability is that of its smoothed share of `votes` answers."""

    def __init__(self, model: TextModel, votes: int, seed: int = 0) -> None:
        self._model, self._votes, self._seed = model, votes, seed

    @property
    def name(self) -> str:
        """The name of the model that is asked."""
        return self._model.name

    def option_log_probs(self, texts: Sequence[str], options: Sequence[str]) -> list[list[float]]:
        """The logarithm of each option's smoothed share after each text."""
        return [list(ballot.log_probs) for ballot in self.ballots(texts, options, self._seed)]

    def ballots(
        self, texts: Sequence[str], options: Sequence[str], seed: int, progress: Progress | None = None
    ) -> list[Ballot]:
        """How each question was voted on, in the same order; a fault of the model is a stray."""
        is_chat = isinstance(self._model, ChatText)
        how = Sampling(temperature=1.0, max_new_tokens=CHAT_VOTE_TOKENS if is_chat else VOTE_TOKENS, seed=seed)
        asked = [text for text in texts for _ in range(self._votes)]
        answers = iter(self._model.continued(asked, how, (), progress))
        read = said_option if is_chat else continued_option
        found: list[Ballot] = []
        for _ in texts:
            chosen = [None if one.error else read(one.text, options) for one in islice(answers, self._votes)]
            counts = tuple(chosen.count(number) for number in range(len(options)))
            found.append(Ballot(votes=counts, strays=chosen.count(None)))
        return found


def continued_option(text: str, options: Sequence[str]) -> int | None:
    """The number of the option that a text goes on with; None where it goes on with none."""
    return _only([_begins_with(text.lstrip(), option.strip()) for option in options])


def said_option(text: str, options: Sequence[str]) -> int | None:
    """The number of the one option that an assistant's answer names; None where it names none or several.

    The letter alone counts where it is all of the answer's beginning, as in `B` or `A: it is kinder`; elsewhere it may be a word.
    """
    labels = [option.strip() for option in options]
    bare = [label.strip("()") for label in labels]
    begins = [re.match(rf"\W*{re.escape(one)}(?:[\s*_\"'`]*$|[).:,*\]])", text.strip()) is not None for one in bare]
    if (first := _only(begins)) is not None:
        return first
    return _only(
        [f"({one})" in text or re.search(rf"\b[Oo]ption {re.escape(one)}\b", text) is not None for one in bare]
    )


def _begins_with(text: str, option: str) -> bool:
    if not text.startswith(option):
        return False
    after = text[len(option) : len(option) + 1]
    return not (option[-1:].isalnum() and after.isalnum())


def _only(holds: Sequence[bool]) -> int | None:
    """The place of what alone is true."""
    return holds.index(True) if sum(holds) == 1 else None
