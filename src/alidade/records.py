"""What is stored: frozen records, the words of the whole system.

Reading order: `Message` and `Conversation` (what is said), `Demonstration`, `Comparison`, `Feedback`, `Ranking` (what is learned from),
`Vote` and `RankingVote` (one person's act), `Completion` (what a model said). Records know no vendor's format and no file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Role = Literal["system", "user", "assistant"]
Attribute = Literal["helpful", "honest", "harmless", "overall"]
Source = Literal["person", "constitution", "testbed", "file"]
Choice = Literal["left", "right", "tie"]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Record(BaseModel):
    """A frozen value: two records with equal fields are equal, and unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Message(Record):
    """One turn."""

    role: Role
    text: str


class Conversation(Record):
    """Turns in order; what a model is asked to continue ends with a user's turn."""

    messages: tuple[Message, ...] = Field(min_length=1)

    @classmethod
    def ask(cls, text: str, *, system: str | None = None) -> Self:
        """A conversation of one question."""
        before = (Message(role="system", text=system),) if system is not None else ()
        return cls(messages=(*before, Message(role="user", text=text)))

    def then(self, role: Role, text: str) -> Conversation:
        """This conversation with one more turn."""
        return Conversation(messages=(*self.messages, Message(role=role, text=text)))

    @property
    def last_user_text(self) -> str:
        """The last thing the user said, or an empty string."""
        return next((message.text for message in reversed(self.messages) if message.role == "user"), "")


class Prompt(Record):
    """A conversation waiting for an answer, with what is known about it (a testbed item's id, a file's row)."""

    id: str
    conversation: Conversation
    about: Mapping[str, str] = Field(default_factory=dict)


class Demonstration(Record):
    """A prompt with a good answer."""

    id: str
    prompt: Conversation
    answer: str = Field(min_length=1)
    source: Source = "file"


class Comparison(Record):
    """Two answers to a prompt and the probability that the left one is better.

    A tie is half a win for each side in `label_prob`; `tie_prob` says how much of the label was declared a tie. `margin` is how
    much better the better answer is, on the scale of whoever judged.
    """

    id: str
    prompt: Conversation
    left: str
    right: str
    label_prob: Probability
    annotator: str = ""
    shown: Literal["left first", "right first", "unknown"] = "unknown"
    attribute: Attribute = "overall"
    guideline: str = ""
    source: Source = "file"
    tie_prob: Probability = Field(default=0.0, exclude_if=lambda value: value == 0)
    margin: float | None = Field(default=None, allow_inf_nan=False, exclude_if=lambda value: value is None)

    @model_validator(mode="after")
    def _answers_differ(self) -> Self:
        if self.left == self.right:
            raise ValueError("the two answers are equal")
        if self.tie_prob > 2 * min(self.label_prob, 1 - self.label_prob) + 1e-9:
            raise ValueError(f"a label_prob of {self.label_prob:g} leaves no room for a tie_prob of {self.tie_prob:g}")
        return self

    @property
    def chosen(self) -> str:
        """The answer more likely to be better."""
        return self.left if self.label_prob >= 0.5 else self.right

    @property
    def rejected(self) -> str:
        """The answer less likely to be better."""
        return self.right if self.label_prob >= 0.5 else self.left


class Feedback(Record):
    """One answer to a prompt and the probability that it is desirable, judged by itself (unpaired)."""

    id: str
    prompt: Conversation
    answer: str = Field(min_length=1)
    label_prob: Probability
    annotator: str = ""
    attribute: Attribute = "overall"
    guideline: str = ""
    source: Source = "file"


class Ranking(Record):
    """K answers to one prompt; `ranks[i]` is the place of `answers[i]`, 0 the best, equal places are ties."""

    id: str
    prompt: Conversation
    answers: tuple[str, ...] = Field(min_length=2)
    ranks: tuple[int, ...]
    annotator: str = ""
    attribute: Attribute = "overall"
    guideline: str = ""
    source: Source = "file"

    @model_validator(mode="after")
    def _one_rank_each(self) -> Self:
        if len(self.ranks) != len(self.answers):
            raise ValueError(f"{len(self.answers)} answers but {len(self.ranks)} ranks")
        return self


class Candidates(Record):
    """K answers a model gave to one prompt, in the order they were drawn."""

    prompt: Prompt
    answers: tuple[Completion, ...] = Field(min_length=1)


class Scores(Record):
    """What a model says each answer to `prompt_id` is worth, by the answers' numbers."""

    prompt_id: str
    scores: tuple[float, ...]


class Act(Record):
    """One annotator's act on the answers of `prompt_id`, as it was acknowledged.

    `seconds` is how long the answers had been on the annotator's screen, `at` when the act was acknowledged (seconds since
    1970-01-01 UTC); both are None where nobody measured them. `arm` says why this was asked: drawn by chance (`random`), because a
    scorer was unsure (`uncertain`), or because the answer is known (`gold`); empty where nobody says.
    """

    id: str
    prompt_id: str
    annotator: str
    attribute: Attribute = "overall"
    guideline: str = ""
    source: Source = "person"
    seconds: float | None = Field(default=None, ge=0, allow_inf_nan=False, exclude_if=lambda value: value is None)
    at: float | None = Field(default=None, allow_inf_nan=False, exclude_if=lambda value: value is None)
    arm: str = Field(default="", exclude_if=lambda value: not value)


class Vote(Act):
    """Which of two answers is better. `left` and `right` are answer numbers as shown.

    `strength` says how much better: 1 slightly, 2 clearly, 3 far; None where nobody was asked, or for a tie.
    """

    left: int
    right: int
    choice: Choice
    strength: int | None = Field(default=None, ge=1, le=3, exclude_if=lambda value: value is None)


class RankingVote(Act):
    """K answers put in order: answer number `shown[i]`, i-th on the screen, has place `ranks[i]`; 0 is the best, equal places are ties."""

    shown: tuple[int, ...] = Field(min_length=2)
    ranks: tuple[int, ...]

    @model_validator(mode="after")
    def _one_rank_each(self) -> Self:
        if len(self.ranks) != len(self.shown) or len(set(self.shown)) != len(self.shown):
            raise ValueError(f"{len(self.shown)} answers shown, each once, need as many ranks, not {len(self.ranks)}")
        return self


class Completion(Record):
    """What a model said. `finished` is false when it was cut off; `error` is set when it said nothing because of a fault."""

    text: str
    finished: bool = True
    token_count: int = 0
    error: str | None = None


class Estimate(Record):
    """A measured number with its interval (95 %) and the number of cases behind it."""

    mean: float
    low: float
    high: float
    n: int

    @model_validator(mode="after")
    def _finite(self) -> Self:
        if not all(math.isfinite(value) for value in (self.mean, self.low, self.high)):
            raise ValueError("an estimate must be finite")
        return self


Candidates.model_rebuild()
