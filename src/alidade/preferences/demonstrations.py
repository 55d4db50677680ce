"""Files of demonstrations: a prompt and a good answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from alidade.preferences.columns import answer_after, answers_in, text_of, turns_of
from alidade.preferences.comparisons import chosen_rejected
from alidade.preferences.export import OWN, exported_demonstration, exported_feedback
from alidade.preferences.layout import Cells, Format, PromptOf, joined, one, truth
from alidade.records import Conversation, Demonstration


@dataclass(frozen=True)
class Answered:
    """A prompt with a good answer."""

    prompt: Conversation
    answer: str


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
