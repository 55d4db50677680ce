"""Unpaired feedback: answers judged one by one, as files have them and as comparisons imply them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from alidade.preferences.comparisons import Pair
from alidade.preferences.demonstrations import answered
from alidade.preferences.export import OWN, exported_feedback
from alidade.preferences.layout import Cells, Format, one, probability, truth
from alidade.preferences.rankings import PAIRED
from alidade.records import Comparison, Conversation, Feedback


@dataclass(frozen=True)
class Judged:
    """An answer as a file has it, and the probability that it is desirable."""

    prompt: Conversation
    answer: Any
    label_prob: float
    annotator: str = ""


def unpaired(row: Comparison) -> tuple[Feedback, Feedback]:
    """A comparison as feedback on its two answers: the better one is desirable, the other is not.

    Source: Ethayarajh et al. 2024, arXiv 2402.01306.
    Differs: a soft label stays soft; an answer is desirable with the probability that it is the better one.
    """

    def half(side: str, answer: str, label_prob: float) -> Feedback:
        return Feedback(
            id=f"{row.id}.{side}",
            prompt=row.prompt,
            answer=answer,
            label_prob=label_prob,
            annotator=row.annotator,
            attribute=row.attribute,
            guideline=row.guideline,
            source=row.source,
        )

    return half("left", row.left, row.label_prob), half("right", row.right, 1 - row.label_prob)


def labelled(cells: Cells) -> Iterator[Judged]:
    """TRL's unpaired rows: `label` is true or false, unless `label_prob` says how probably it is true."""
    known = cells.get("label_prob")
    label_prob = float(truth(cells["label"])) if known is None else probability(known)
    for row in answered(one("prompt"), "completion")(cells):
        yield Judged(row.prompt, row.answer, label_prob)


def both_answers(
    read: Callable[[Cells], Iterator[Pair | Comparison]],
) -> Callable[[Cells], Iterator[Judged | Feedback]]:
    """Rows of two answers and a label, as feedback on each of the two."""

    def judged(cells: Cells) -> Iterator[Judged | Feedback]:
        for pair in read(cells):
            if isinstance(pair, Comparison):
                yield from unpaired(pair)
            else:
                yield Judged(pair.prompt, pair.left, pair.label_prob, pair.annotator)
                yield Judged(pair.prompt, pair.right, 1 - pair.label_prob, pair.annotator)

    return judged


FEEDBACK: tuple[Format[Judged | Feedback], ...] = (
    Format("unpaired", ("prompt", "completion", "label"), labelled, may=("label_prob",)),
    Format("exported-feedback", ("prompt", "completion", "label", OWN), exported_feedback, may=("label_prob",)),
    *(Format(known.name, known.needs, both_answers(known.read), known.may, known.named) for known in PAIRED),
)
