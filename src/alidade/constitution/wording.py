"""How a model is asked for a critique, a revision, a choice: the frames around a principle's words.

A model answers a form it has read before. `PUBLISHED` is the form of the supplement to arXiv 2212.08073; `REVIEWS` is that of the
reviews which the pilot has read. What a conversation or an answer says is put in as it is: nothing in it is a placeholder.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from alidade.records import Conversation, Record, Role


class CritiqueFrames(Record):
    """What stands before and after the pieces of a critique and its revision."""

    critique_request: str
    critique: str
    revision_request: str
    revision: str
    critique_stops: tuple[str, ...] = Field(description="texts at which a critique has ended")
    revision_stops: tuple[str, ...] = Field(description="texts at which a revision has ended")


class ChoiceFrames(Record):
    """What stands before and after the pieces of a comparison; `options` are what is scored."""

    opening: str
    turns: dict[Role, str]
    joint: str = ""
    closing: str = Field(description="after the conversation, before the question")
    question_end: str
    left: str
    right: str
    end: str = Field(description="after each answer")
    answer: str = Field(description="what the option follows")
    options: tuple[str, str]
    asks_first: bool = Field(default=True, description="whether the question stands before the answers")
    thinking: str = Field(default="", description="what the reasoning follows, where there is any")
    thought_stops: tuple[str, ...] = ()

    def prompt(self, conversation: Conversation, first: str, second: str, question: str) -> str:
        """A conversation, two answers in the order shown, and the question which to choose."""
        answers = self.left + first + self.end + self.right + second + self.end
        asked = self.closing + question + self.question_end
        return (
            self.opening
            + _talk(conversation, self.turns, self.joint)
            + (asked + answers if self.asks_first else answers + asked)
        )


class Wording(Record):
    """The frames of one form of asking; `thought` is absent where the form knows no reasoning."""

    name: str
    turns: dict[Role, str]
    joint: str = Field(default="", description="between turns")
    critique: CritiqueFrames
    choice: ChoiceFrames
    thought: ChoiceFrames | None = None
    between: str = Field(description="what parts one few-shot example from the next, and the last from the question")

    def critique_prompt(self, conversation: Conversation, answer: str, request: str) -> str:
        """A conversation with its answer, and the request to criticise it."""
        frames = self.critique
        return self._answered(conversation, answer) + frames.critique_request + request + frames.critique

    def revision_prompt(self, criticised: str, critique: str, request: str) -> str:
        """What `critique_prompt` made, the critique, and the request to revise."""
        frames = self.critique
        return f"{criticised} {critique}{frames.revision_request}{request}{frames.revision}"

    def direct_revision_prompt(self, conversation: Conversation, answer: str, request: str) -> str:
        """A conversation with its answer, and the request to revise it, without a critique."""
        frames = self.critique
        return self._answered(conversation, answer) + frames.revision_request + request + frames.revision

    def with_shots(self, shots: Sequence[str], prompt: str) -> str:
        """A prompt behind its few-shot examples."""
        return "".join(shot + self.between for shot in shots) + prompt

    def _answered(self, conversation: Conversation, answer: str) -> str:
        return _talk(conversation.then("assistant", answer), self.turns, self.joint)


def _talk(conversation: Conversation, turns: dict[Role, str], joint: str) -> str:
    return joint.join(turns[message.role] + message.text for message in conversation.messages)


_PUBLISHED_STOPS = ("\n\nHuman:", "\n\nAssistant:", "\n\nCritiqueRequest:", "\n\nRevisionRequest:")
_PUBLISHED_CHOICE = ChoiceFrames(
    opening="\n\nConsider the following conversation between a human and an assistant:",
    turns={"system": "\n\n", "user": "\n\nHuman: ", "assistant": "\n\nAssistant: "},
    closing="\n\n\n",
    question_end=" Options:",
    left="\n (A) [[[",
    right="\n (B) [[[",
    end="]]]",
    answer="\n\nThe answer is:",
    options=(" (A)", " (B)"),
)
PUBLISHED = Wording(
    name="published",
    turns=_PUBLISHED_CHOICE.turns,
    between="",
    critique=CritiqueFrames(
        critique_request="\n\nCritiqueRequest: ",
        critique="\n\nCritique:",
        revision_request="\n\nRevisionRequest: ",
        revision="\n\nRevision:",
        critique_stops=_PUBLISHED_STOPS,
        revision_stops=_PUBLISHED_STOPS,
    ),
    choice=_PUBLISHED_CHOICE,
    thought=_PUBLISHED_CHOICE.model_copy(
        update={
            "opening": "\n\nHuman: Consider the following conversation between a human (H) and an assistant (A):",
            "turns": {"system": "\n\n", "user": "\n\nH: ", "assistant": "\n\nA: "},
            "thinking": "\n\nAssistant: Let's think step by step:",
            "thought_stops": ("\n\nHuman:", "\n\nAssistant:"),
            "answer": "\n\nHuman:\nSo the answer is:",
        }
    ),
)
_REVIEWS_CHOICE = ChoiceFrames(
    opening="",
    turns={"system": "", "user": "Question: ", "assistant": "Answer: "},
    joint="\n",
    closing="\nRequest: ",
    question_end="",
    left="\nAnswer A: ",
    right="\nAnswer B: ",
    end="",
    answer="\nChoice:",
    options=(" A", " B"),
    asks_first=False,
)
REVIEWS = Wording(
    name="reviews",
    turns=_REVIEWS_CHOICE.turns,
    joint="\n",
    between="\n\n",
    critique=CritiqueFrames(
        critique_request="\nRequest: ",
        critique="\nCritique:",
        revision_request="\nRequest: ",
        revision="\nRevision:",
        critique_stops=("\n",),
        revision_stops=("\nQuestion:", "\nRequest:"),
    ),
    choice=_REVIEWS_CHOICE,
    thought=_REVIEWS_CHOICE.model_copy(update={"thinking": "\nThought:", "thought_stops": ("\n",)}),
)
WORDINGS = {wording.name: wording for wording in (PUBLISHED, REVIEWS)}
