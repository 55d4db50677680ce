"""The known formats as a table: which columns a file must have, and how its cells become prompts, answers and labels.

To read another public set, add one line to `COMPARISONS`, `DEMONSTRATIONS` or `PROMPTS`. Feedback on single answers is in
`unpaired`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Generic, NamedTuple, TypeVar

from alidade.preferences.columns import BadRow, answers_in, conversation_of, is_transcript, text_of, turns_of
from alidade.preferences.export import OWN, exported_comparison, exported_demonstration, exported_feedback
from alidade.records import Comparison, Conversation, Demonstration, Message

T = TypeVar("T")
Cells = Mapping[str, Any]


@dataclass(frozen=True)
class Pair:
    """Two answers as a file has them; `label_prob` that the left one is better, `shown` if the order tells no label."""

    prompt: Conversation
    left: Any
    right: Any
    label_prob: float
    shown: bool = True
    annotator: str = ""
    attribute: Any = "overall"
    tie_prob: float = 0.0
    margin: float | None = None


@dataclass(frozen=True)
class Answered:
    """A prompt with a good answer."""

    prompt: Conversation
    answer: str


@dataclass(frozen=True)
class Asked:
    """A prompt, the right answer where the file knows it, and the checks (JSON) where it has some."""

    prompt: Conversation
    answer: str = ""
    checks: str = ""


@dataclass(frozen=True)
class Format(Generic[T]):
    """One kind of file: `needs` are the columns it is known by, `may` those it also uses; `named` is never guessed."""

    name: str
    needs: tuple[str, ...]
    read: Callable[[Cells], Iterator[T]]
    may: tuple[str, ...] = ()
    named: bool = False


# --- prompts ----------------------------------------------------------------------------------------------------------

PromptOf = Callable[[Cells], Conversation]


def one(column: str) -> PromptOf:
    """The prompt is one column: text, turns or a transcript."""
    return lambda cells: conversation_of(turns_of(cells[column], "prompt"))


def joined(column: str, more: str) -> PromptOf:
    """The prompt is a column and, below a blank line, a second one where that has text."""

    def read(cells: Cells) -> Conversation:
        first, second = text_of(cells[column], "prompt"), cells.get(more)
        return Conversation.ask(f"{first}\n\n{second.strip()}" if isinstance(second, str) and second.strip() else first)

    return read


def first_turn(column: str) -> PromptOf:
    """The prompt is the first of a list of a user's questions."""
    return lambda cells: Conversation.ask(text_of((cells[column] or [""])[0], "prompt"))


def with_passages(question: str, passages: str) -> PromptOf:
    """The prompt is the passages to answer from (lists of sentences), then the question."""

    def read(cells: Cells) -> Conversation:
        given = "\n\n".join(" ".join(map(str, passage)) for passage in cells[passages])
        return Conversation.ask(f"{given}\n\n{text_of(cells[question], 'prompt')}")

    return read


def before_last_answer(cells: Cells) -> Conversation:
    """The prompt of `messages`: all before the assistant's last turn, or all when the user has the last word."""
    turns = turns_of(cells["messages"] if "messages" in cells else cells["conversations"], "prompt")
    return conversation_of(turns[:-1] if turns[-1].role == "assistant" else turns)


# --- labels -----------------------------------------------------------------------------------------------------------


class Label(NamedTuple):
    """What a cell says of two answers; a tie is half a win for each side, and `tie_prob` says how much of that there is."""

    label_prob: float
    tie_prob: float = 0.0


LabelOf = Callable[[Cells], Label]
FIRST_SECOND: Mapping[Any, float] = {1: 1.0, 2: 0.0, 0: 0.5}
SIDES: Mapping[Any, float] = {"left": 1.0, "right": 0.0, "tie": 0.5}
# "Slightly better" is read as three votes in four.
FIVE_POINTS: Mapping[Any, float] = {
    "a-is-better": 1.0,
    "a-is-slightly-better": 0.75,
    "tie": 0.5,
    "b-is-slightly-better": 0.25,
    "b-is-better": 0.0,
}


def share_of(votes: Sequence[Any], meaning: Mapping[Any, float]) -> float:
    """The left answer's share of the votes; a tie is half a vote for each.

    Raises:
        BadRow: when there is no vote, or one that `meaning` does not know.
    """
    if not votes:
        raise BadRow("no votes")
    unknown = [
        vote for vote in votes if isinstance(vote, bool) or not isinstance(vote, str | int) or vote not in meaning
    ]
    if unknown:
        names = ", ".join(map(str, meaning))
        raise BadRow(f"the label is not one of {names}", detail=f"it is {str(unknown[0])[:20]!r}", fatal=True)
    return sum(meaning[vote] for vote in votes) / len(votes)


def label_of(votes: Sequence[Any], meaning: Mapping[Any, float]) -> Label:
    """The left answer's share of the votes, and the share of ties."""
    return Label(share_of(votes, meaning), sum(meaning[vote] == 0.5 for vote in votes) / len(votes))


def verdict(*columns: str, meaning: Mapping[Any, float]) -> LabelOf:
    """The label is the share of the votes in one or several columns."""
    return lambda cells: label_of([cells[column] for column in columns], meaning)


def vote_list(column: str) -> LabelOf:
    """The label is the share of the votes in a list of [worker, left | right | tie]."""
    return lambda cells: label_of([vote for _, vote in cells[column]], SIDES)


def stated(cells: Cells) -> Label:
    """The label is in the columns `label_prob` and, where there is one, `tie_prob`."""
    tie = cells.get("tie_prob")
    return Label(probability(cells["label_prob"]), 0.0 if tie is None else probability(tie, "tie_prob"))


def probability(value: Any, what: str = "label_prob") -> float:
    """A label that is a probability.

    Raises:
        BadRow: for NaN, and what is no number from 0 to 1.
    """
    number = _finite(value, what)
    if not 0 <= number <= 1:
        raise BadRow(f"{what} is not from 0 to 1", detail=f"it is {number}", fatal=True)
    return number


def truth(value: Any) -> bool:
    """A label that is true or false.

    Raises:
        BadRow: for anything else.
    """
    if not isinstance(value, bool):
        raise BadRow("the label is not true or false", fatal=True)
    return value


def _finite(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRow(f"{what} is not a number", fatal=True)
    if not math.isfinite(value):
        raise BadRow(f"{what} is {'NaN' if math.isnan(value) else 'infinite'}", fatal=True)
    return float(value)


# --- comparisons ------------------------------------------------------------------------------------------------------


def two_answers(
    prompt: PromptOf, left: str, right: str, label: LabelOf, annotator: str = ""
) -> Callable[[Cells], Iterator[Pair]]:
    """Rows of two answers and a label."""

    def read(cells: Cells) -> Iterator[Pair]:
        who = str(cells[annotator]) if annotator else ""
        said = label(cells)
        yield Pair(
            prompt(cells),
            cells[left],
            cells[right],
            said.label_prob,
            annotator=who,
            attribute=cells.get("attribute") or "overall",
            tie_prob=said.tie_prob,
            margin=_margin(cells),
        )

    return read


def ranked(prompt: PromptOf, replies: str) -> Callable[[Cells], Iterator[Pair]]:
    """Rows of replies, best first: every pair of them."""

    def read(cells: Cells) -> Iterator[Pair]:
        asked = prompt(cells)
        for better, worse in combinations(cells[replies], 2):
            yield Pair(asked, better, worse, 1.0, shown=False)

    return read


def numbered_pairs(prompt: PromptOf, answers: str, pairs: str, labels: str) -> Callable[[Cells], Iterator[Pair]]:
    """Rows of answers, a list of pairs of answer numbers (from 1) and a list of labels (1, 2, or 0 for none)."""

    def read(cells: Cells) -> Iterator[Pair]:
        asked, texts = prompt(cells), cells[answers]
        for (left, right), label in zip(cells[pairs], cells[labels], strict=True):
            said = label_of([label], FIRST_SECOND)
            yield Pair(asked, texts[left - 1], texts[right - 1], said.label_prob, tie_prob=said.tie_prob)

    return read


def chosen_rejected(cells: Cells) -> Iterator[Pair]:
    """TRL's preference rows, strings, turns or HH transcripts, the prompt in its own column or common to both answers.

    The file does not name the scale of its `margin`: whoever learns from it does.
    """
    label = probability(cells["label_prob"]) if cells.get("label_prob") is not None else 1.0
    if cells.get("prompt") is not None:
        prompt = conversation_of(turns_of(cells["prompt"], "prompt"))
        left, right = (answer_after(prompt, cells["prompt"], cells[side]) for side in ("chosen", "rejected"))
    else:
        prompt, left, right = _common_prompt(cells["chosen"], cells["rejected"])
    attribute = cells.get("attribute") or "overall"
    yield Pair(prompt, left, right, label, shown=False, attribute=attribute, margin=_margin(cells))


def _margin(cells: Cells) -> float | None:
    return None if cells.get("margin") is None else _finite(cells["margin"], "margin")


def answer_after(prompt: Conversation, raw_prompt: Any, value: Any) -> Any:
    """A cell's answer without the prompt that it may repeat, as turns or, before running text, as `raw_prompt`."""
    if is_transcript(value) or (not isinstance(value, str) and isinstance(value, Sequence)):
        turns = [turn for turn in turns_of(value, "answer") if turn.role != "system" or turn in prompt.messages]
        if tuple(turns[: len(prompt.messages)]) == prompt.messages:
            turns = turns[len(prompt.messages) :]
        return _only_answer(turns)
    if isinstance(value, str) and isinstance(raw_prompt, str) and value.startswith(raw_prompt):
        return value.removeprefix(raw_prompt)
    return value


def _common_prompt(chosen: Any, rejected: Any) -> tuple[Conversation, Any, Any]:
    if isinstance(chosen, str) and not is_transcript(chosen):
        return _common_text(chosen, text_of(rejected, "answer"))
    left, right = turns_of(chosen, "answer"), turns_of(rejected, "answer")
    shared = 0
    while shared < min(len(left), len(right)) - 1 and left[shared] == right[shared]:
        shared += 1
    return conversation_of(left[:shared]), _only_answer(left[shared:]), _only_answer(right[shared:])


def _common_text(chosen: str, rejected: str) -> tuple[Conversation, str, str]:
    shared = 0
    while shared < min(len(chosen), len(rejected)) and chosen[shared] == rejected[shared]:
        shared += 1
    # The prompt ends at white space: two answers that begin alike keep their first letters.
    shared = next((at for at in range(shared, 0, -1) if chosen[at - 1].isspace()), 0)
    return Conversation.ask(text_of(chosen[:shared], "prompt")), chosen[shared:], rejected[shared:]


def _only_answer(turns: Sequence[Message]) -> str:
    if len(turns) != 1 or turns[0].role != "assistant":
        raise BadRow(
            "chosen and rejected differ before the last answer", detail="each must be the prompt and one answer"
        )
    return turns[0].text


def hh(cells: Cells) -> Iterator[Pair]:
    """HH rows: `chosen` and `rejected` are transcripts, or `prompt` is one."""
    if not is_transcript(cells.get("prompt", cells["chosen"])):
        raise BadRow("not a transcript of '\\n\\nHuman:' and '\\n\\nAssistant:' turns")
    yield from chosen_rejected(cells)


COMPARISONS: tuple[Format[Pair | Comparison], ...] = (
    Format("preference", ("chosen", "rejected"), chosen_rejected, may=("prompt", "label_prob", "margin", "attribute")),
    Format("exported-comparison", ("prompt", "chosen", "rejected", OWN), exported_comparison, may=("label_prob",)),
    Format("hh", ("chosen", "rejected"), hh, may=("prompt",), named=True),
    Format(
        "pair",
        ("prompt", "left", "right", "label_prob"),
        two_answers(one("prompt"), "left", "right", stated),
        may=("tie_prob", "margin", "attribute"),
    ),
    Format(
        "crowd",
        ("prompt", "response_left", "response_right", "votes"),
        two_answers(one("prompt"), "response_left", "response_right", vote_list("votes")),
    ),
    Format(
        "autoj",
        ("prompt", "response_1", "response_2", "human_label"),
        two_answers(
            one("prompt"), "response_1", "response_2", verdict("human_label", meaning={0: 1.0, 1: 0.0, 2: 0.5})
        ),
    ),
    Format(
        "pandalm",
        ("instruction", "response_1", "response_2", "annotator_1", "annotator_2", "annotator_3"),
        two_answers(
            joined("instruction", "input"),
            "response_1",
            "response_2",
            verdict("annotator_1", "annotator_2", "annotator_3", meaning=FIRST_SECOND),
        ),
        may=("input",),
    ),
    Format(
        "llmbar",
        ("instruction", "output_1", "output_2", "label"),
        two_answers(joined("instruction", "input"), "output_1", "output_2", verdict("label", meaning=FIRST_SECOND)),
        may=("input",),
    ),
    Format(
        "tulu1",
        ("prompt", "completion_a", "completion_b", "preference", "annotator"),
        two_answers(
            one("prompt"), "completion_a", "completion_b", verdict("preference", meaning=FIVE_POINTS), "annotator"
        ),
    ),
    Format("oasst", ("history", "ranked_replies"), ranked(one("history"), "ranked_replies")),
    Format(
        "qa-feedback",
        ("question", "passages", "predictions", "preference_pairs", "preference"),
        numbered_pairs(with_passages("question", "passages"), "predictions", "preference_pairs", "preference"),
    ),
)


# --- demonstrations ---------------------------------------------------------------------------------------------------


def answered(prompt: PromptOf, answer: str) -> Callable[[Cells], Iterator[Answered]]:
    """Rows of a prompt and an answer (text, or the assistant's one turn)."""

    def read(cells: Cells) -> Iterator[Answered]:
        asked = prompt(cells)
        yield Answered(asked, text_of(answer_after(asked, None, cells[answer]), "answer"))

    return read


def every_answer(column: str) -> Callable[[Cells], Iterator[Answered]]:
    """Rows of turns: each of the assistant's turns is a demonstration of its own."""
    return lambda cells: (Answered(*pair) for pair in answers_in(turns_of(cells[column], "prompt")))


def labelled_good(cells: Cells) -> Iterator[Answered]:
    """Rows of TRL's unpaired kind: a demonstration where `label` is true, none where it is false."""
    if truth(cells["label"]):
        yield from answered(one("prompt"), "completion")(cells)


def chosen_answer(cells: Cells) -> Iterator[Answered]:
    """The better answer of a comparison as a demonstration."""
    for pair in chosen_rejected(cells):
        yield Answered(pair.prompt, text_of(pair.left if pair.label_prob >= 0.5 else pair.right, "answer"))


def exported_good(cells: Cells) -> Iterator[Answered]:
    """Feedback that was exported: a demonstration where it says desirable."""
    for row in exported_feedback(cells):
        if cells["label"]:
            yield Answered(row.prompt, row.answer)


def without_calculator(cells: Cells) -> Iterator[Answered]:
    """GSM8K rows without the calculator's marks, `<<48/2=24>>`; the last line keeps `#### 24`."""
    for row in answered(one("question"), "answer")(cells):
        first, *rest = row.answer.split("<<")
        yield Answered(row.prompt, first + "".join(part.partition(">>")[2] for part in rest))


DEMONSTRATIONS: tuple[Format[Answered | Demonstration], ...] = (
    Format("prompt-completion", ("prompt", "completion"), answered(one("prompt"), "completion")),
    Format("exported-demonstration", ("prompt", "completion", OWN), exported_demonstration),
    Format("unpaired", ("prompt", "completion", "label"), labelled_good),
    Format("exported-feedback", ("prompt", "completion", "label", OWN), exported_good, may=("label_prob",)),
    Format("prompt-response", ("prompt", "response"), answered(one("prompt"), "response")),
    Format("messages", ("messages",), every_answer("messages")),
    Format("sharegpt", ("conversations",), every_answer("conversations")),
    Format("turns", ("turns",), every_answer("turns")),
    Format("alpaca", ("instruction", "output"), answered(joined("instruction", "input"), "output"), may=("input",)),
    Format("question-answer", ("question", "answer"), answered(one("question"), "answer")),
    Format("gsm8k", ("question", "answer"), without_calculator, named=True),
    Format("chosen", ("chosen", "rejected"), chosen_answer, may=("prompt", "label_prob"), named=True),
)


# --- prompts ----------------------------------------------------------------------------------------------------------


def asking(prompt: PromptOf, known: str = "") -> Callable[[Cells], Iterator[Asked]]:
    """Rows of which the prompt counts, the column `known` if it holds the right answer, and the column `checks`."""
    return lambda cells: iter((Asked(prompt(cells), _stated(cells.get(known)), _listed(cells.get("checks"))),))


def _stated(value: Any) -> str:
    """A known answer as text; what is neither text nor number is no answer."""
    return str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _listed(value: Any) -> str:
    """Checks as JSON text, whether the file has them as text or as a list."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else _stated(value)


def of_pair(cells: Cells) -> Iterator[Asked]:
    """The prompt of a row with chosen and rejected."""
    return (Asked(pair.prompt) for pair in chosen_rejected(cells))


PROMPTS: tuple[Format[Asked], ...] = (
    Format("prompt", ("prompt",), asking(one("prompt"), "answer"), may=("answer", "checks")),
    Format("preference", ("chosen", "rejected"), of_pair, may=("prompt",)),
    Format("instruction", ("instruction",), asking(joined("instruction", "input")), may=("input",)),
    Format("question", ("question",), asking(one("question"), "answer"), may=("answer", "checks")),
    Format("messages", ("messages",), asking(before_last_answer)),
    Format("sharegpt", ("conversations",), asking(before_last_answer)),
    Format("turns", ("turns",), asking(first_turn("turns"))),
    Format("history", ("history",), asking(one("history"))),
    Format("behavior", ("behavior",), asking(one("behavior"))),
)
