"""Records as rows of TRL's columns, and back without loss.

What TRL has no column for (id, annotator, which answer stood left) stands in one more column, `alidade`, which TRL passes
over and our readers know. So a set of records can leave for another trainer and come back as the same records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from alidade.preferences.columns import BadRow
from alidade.records import Comparison, Conversation, Demonstration, Feedback, Message

OWN = "alidade"
# What stands beside TRL's columns of a comparison for people and other programs; `OWN` says it all, for us.
BESIDE = ("label_prob", "margin", "attribute", "source", "id", "annotators", "n_votes", "strength")
Turns = list[dict[str, str]]
R = TypeVar("R", Demonstration, Comparison, Feedback)


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
        beside: dict[str, Any] = {"attribute": row.attribute, "source": row.source, "id": row.id}
        if row.margin is not None:
            beside["margin"] = row.margin
        sides = {"chosen": _turn(row.chosen), "rejected": _turn(row.rejected)}
        return {"prompt": asked, **sides, "label_prob": likely, **beside, OWN: own}
    label = {"label": row.label_prob >= 0.5, "label_prob": row.label_prob} if isinstance(row, Feedback) else {}
    return {"prompt": asked, "completion": _turn(row.answer), **label, OWN: own}


def exported_demonstration(cells: Mapping[str, Any]) -> Iterator[Demonstration]:
    """The record that `trl_columns` wrote as this row.

    Raises:
        BadRow: when the row is not as it was written.
    """
    yield _unchanged(cells, lambda own: Demonstration(prompt=_asked(cells), answer=_said(cells["completion"]), **own))


def exported_feedback(cells: Mapping[str, Any]) -> Iterator[Feedback]:
    """The record that `trl_columns` wrote as this row.

    Raises:
        BadRow: when the row is not as it was written.
    """
    yield _unchanged(cells, lambda own: Feedback(prompt=_asked(cells), answer=_said(cells["completion"]), **own))


def exported_comparison(cells: Mapping[str, Any]) -> Iterator[Comparison]:
    """The record that `trl_columns` wrote as this row.

    Raises:
        BadRow: when the row is not as it was written.
    """

    def build(own: dict[str, Any]) -> Comparison:
        sides = ("chosen", "rejected") if own.pop("left") == "chosen" else ("rejected", "chosen")
        left, right = (_said(cells[side]) for side in sides)
        return Comparison(prompt=_asked(cells), left=left, right=right, **own)

    yield _unchanged(cells, build)


def _unchanged(cells: Mapping[str, Any], build: Callable[[dict[str, Any]], R]) -> R:
    """The record, if writing it gives these cells again: a label that was changed in one place is never guessed."""
    try:
        # Parquet fills a field that some rows lack with None.
        row = build({name: value for name, value in dict(cells[OWN]).items() if value is not None})
        if all(cells.get(name) == value for name, value in trl_columns(row).items()):
            return row
    except (KeyError, TypeError, ValueError) as error:
        raise _changed() from error
    raise _changed()


def _changed() -> BadRow:
    hint = f"remove the column `{OWN}` from a file that was changed after it was written"
    return BadRow(f"the column `{OWN}` says something else than the others", detail=hint, fatal=True)


def _turn(answer: str) -> Turns:
    return [{"role": "assistant", "content": answer}]


def _said(turns: Turns) -> str:
    (turn,) = turns
    return turn["content"]


def _asked(cells: Mapping[str, Any]) -> Conversation:
    turns = cells["prompt"]
    return Conversation(
        messages=tuple(Message.model_validate({"role": t["role"], "text": t["content"]}) for t in turns)
    )
