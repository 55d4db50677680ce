"""Anthropic's HH rows: `chosen` and `rejected` are whole transcripts, told apart by `Human:` and `Assistant:`.

Source: anthropics/hh-rlhf, README.md.
"""

from __future__ import annotations

from alidade.preferences.columns import MARKER, transcript_turns
from alidade.preferences.interchange.bundle import Preferences, Written, as_comparisons
from alidade.records import Comparison, Message

NAMES = {"user": "Human", "assistant": "Assistant"}
UNSAYABLE = "a conversation that a transcript cannot say (a system turn, a marker within a turn, a turn without text)"
TIED = "a tie, which a transcript cannot say"


def transcript(messages: tuple[Message, ...]) -> str | None:
    """Turns as an HH transcript, or None where reading it would give other turns."""
    if any(message.role not in NAMES for message in messages):
        return None
    text = "".join(f"\n\n{NAMES[message.role]}: {message.text}" for message in messages)
    plain = tuple(message.model_copy(update={"text": message.text.strip()}) for message in messages)
    is_said = all(message.text for message in plain) and len(MARKER.findall(text)) == len(messages)
    return text if is_said and tuple(transcript_turns(text)) == plain else None


def hh(given: Preferences) -> Written:
    """Comparisons as `chosen` and `rejected`; the texts lose white space at their ends when they are read."""
    out = Written()
    out.leave_beside(given)
    for row, _ in as_comparisons(given, out):
        if row.label_prob == 0.5:
            out.refused[TIED] += 1
            continue
        sides = [transcript((*row.prompt.messages, _said(answer))) for answer in (row.chosen, row.rejected)]
        if sides[0] is None or sides[1] is None or row.prompt.messages[-1].role != "user":
            out.refused[UNSAYABLE] += 1
            continue
        out.rows.append({"chosen": sides[0], "rejected": sides[1]})
        _count_left(row, out)
    return out


def _said(answer: str) -> Message:
    return Message(role="assistant", text=answer)


def _count_left(row: Comparison, out: Written) -> None:
    out.leave([row], {"prompt", "left", "right", "label_prob"})
    out.left["Comparison.label_prob"] += row.label_prob not in {0.0, 1.0}
    out.left["Comparison.left (stood right before)"] += row.label_prob < 0.5
    texts = [row.left, row.right, *(message.text for message in row.prompt.messages)]
    out.left["white space at the ends of texts"] += any(text != text.strip() for text in texts)
