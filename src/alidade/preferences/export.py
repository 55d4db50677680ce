"""Records as rows of TRL's columns, and back without loss.

What TRL has no column for (id, annotator, which answer stood left) stands in one more column, `alidade`, which TRL passes
over and our readers know. So a set of records can leave for another trainer and come back as the same records.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from alidade.records import Comparison, Conversation, Demonstration, Feedback, Message

OWN = "alidade"
Turns = list[dict[str, str]]


def trl_columns(row: Demonstration | Comparison | Feedback) -> dict[str, Any]:
    """A record as one row of TRL's conversational prompt-completion, preference or unpaired preference kind.

    The likelier answer is `chosen`, and an answer as likely desirable as not has the `label` true; the probability that
    `chosen` is better, or the answer desirable, is `label_prob`.
    """
    asked = [{"role": message.role, "content": message.text} for message in row.prompt.messages]
    own = row.model_dump(mode="json", exclude={"prompt", "answer", "left", "right"})
    if isinstance(row, Comparison):
        likely = max(row.label_prob, 1 - row.label_prob)
        own["left"] = "chosen" if row.chosen == row.left else "rejected"
        sides = {"chosen": _turn(row.chosen), "rejected": _turn(row.rejected)}
        return {"prompt": asked, **sides, "label_prob": likely, OWN: own}
    label = {"label": row.label_prob >= 0.5, "label_prob": row.label_prob} if isinstance(row, Feedback) else {}
    return {"prompt": asked, "completion": _turn(row.answer), **label, OWN: own}


def exported_demonstration(cells: Mapping[str, Any]) -> Iterator[Demonstration]:
    """The record that `trl_columns` wrote as this row."""
    yield Demonstration(prompt=_conversation(cells["prompt"]), answer=_said(cells["completion"]), **cells[OWN])


def exported_feedback(cells: Mapping[str, Any]) -> Iterator[Feedback]:
    """The record that `trl_columns` wrote as this row."""
    yield Feedback(prompt=_conversation(cells["prompt"]), answer=_said(cells["completion"]), **cells[OWN])


def exported_comparison(cells: Mapping[str, Any]) -> Iterator[Comparison]:
    """The record that `trl_columns` wrote as this row."""
    own = dict(cells[OWN])
    sides = ("chosen", "rejected") if own.pop("left") == "chosen" else ("rejected", "chosen")
    left, right = (_said(cells[side]) for side in sides)
    yield Comparison(prompt=_conversation(cells["prompt"]), left=left, right=right, **own)


def _turn(answer: str) -> Turns:
    return [{"role": "assistant", "content": answer}]


def _said(turns: Turns) -> str:
    (turn,) = turns
    return turn["content"]


def _conversation(turns: Turns) -> Conversation:
    return Conversation(
        messages=tuple(Message.model_validate({"role": t["role"], "text": t["content"]}) for t in turns)
    )
