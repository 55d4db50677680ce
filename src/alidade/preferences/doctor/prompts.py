"""Prompts that were cut: a strict beginning of what was asked.

A known generator took of each first turn what stood before the next colon and space, or blank line: "Write a poem: roses" became
"Write a poem". A cut prompt is seen where the whole is near: in another column of the row, or in the file it was made from. Where it
is not, a file of many prompts in which none holds either mark is suspicious.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

from alidade.preferences.columns import is_transcript, transcript_turns
from alidade.preferences.doctor.complaint import Ailment, Complaint
from alidade.preferences.doctor.sheet import Case, Sheet

MARKS = (": ", "\n\n")
MANY = 500  # prompts among which, in published sets of people's prompts, some hold a mark
SHORTEST = 8  # characters: a shorter text begins many others by chance

CUT = Ailment(
    "truncated-prompt",
    "fault",
    "the prompt is cut off: the whole stands in the same row, or in the other file",
    "the first turn was split at a colon or a blank line and the rest thrown away",
    "take the whole turn, up to the next role marker at the start of a turn",
)
SUSPICIOUS = Ailment(
    "prompts-without-marks",
    "note",
    "no prompt holds a colon and space or a blank line",
    "prompts may have been cut there",
    "hold the file against its source: alidade data doctor FILE --against SOURCE",
)


def truncated_prompts(sheet: Sheet) -> Iterator[Complaint]:
    """Prompts of which the whole is longer."""
    wholes = sorted({text for case in sheet.against for text in _first_turns(case)})
    cut = [case.line for case in sheet.cases if _is_cut(case, wholes)]
    yield from CUT.found(cut, len(sheet.cases))
    asked = [case for case in sheet.cases if case.asked]
    marked = any(mark in case.asked for case in asked for mark in MARKS)
    if not cut and not marked and len({case.asked for case in asked}) >= MANY:
        yield from SUSPICIOUS.found((case.line for case in asked), len(sheet.cases))


def _is_cut(case: Case, wholes: list[str]) -> bool:
    prompt = case.cells.get("prompt")
    said = _turns(prompt) or [prompt if isinstance(prompt, str) else case.asked]
    text = said[0].strip()
    if len(text) < SHORTEST:
        return False
    beside = [
        first.strip() for name in ("chosen", "rejected", "messages") for first in _turns(case.cells.get(name))[:1]
    ]
    if any(whole.startswith(text) and whole != text for whole in beside):
        return True
    place = bisect_right(wholes, text)
    is_whole = place > 0 and wholes[place - 1] == text
    return not is_whole and any(
        whole.startswith(text) and _is_torn(whole, len(text)) for whole in wholes[place : place + 1]
    )


def _is_torn(whole: str, at: int) -> bool:
    """Whether a text is broken at a colon, a line's end or within a word: another question may begin with the same words."""
    return whole[at] in ":\n" or (whole[at - 1].isalnum() and whole[at].isalnum())


def _first_turns(case: Case) -> list[str]:
    """What the user said first, by the prompt and by a whole conversation beside it."""
    found = (
        [message.text.strip() for message in case.prompt.messages if message.role == "user"][:1] if case.prompt else []
    )
    return [*found, *(text for name in ("chosen", "rejected") for text in _turns(case.cells.get(name))[:1])]


def _turns(value: Any) -> list[str]:
    """What the user says in a cell that is a transcript or turns."""
    if is_transcript(value):
        return [turn.text for turn in transcript_turns(value) if turn.role == "user"]
    turns = value if isinstance(value, list) else []
    said = [turn.get("content") for turn in turns if isinstance(turn, dict) and turn.get("role") == "user"]
    return [text.strip() for text in said if isinstance(text, str)]
