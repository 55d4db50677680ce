"""Who speaks: markers left inside texts, turns in a wrong order, conversations that do not end with the assistant."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from alidade.preferences.columns import MARKER, ROLE_KEYS, ROLES, TEXT_KEYS, is_transcript
from alidade.preferences.doctor.complaint import Ailment, Complaint
from alidade.preferences.doctor.sheet import Case, Sheet

LEFT_OVER = re.compile(
    r"(?:\A|\n)\s*(?:Human|Assistant): |<\|(?:im_start|im_end|user|assistant|system|end|eot_id|start_header_id|endoftext)\|>"
    r"|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>"
)
ANSWER_COLUMNS = ("chosen", "rejected", "messages", "conversations")
Turn = tuple[str, str]

IN_ANSWER = Ailment(
    "marker-in-answer",
    "fault",
    "an answer holds a marker of turns (`Human:`, `<|im_start|>`, `[INST]`)",
    "a transcript was split in the wrong place, or a rendered conversation was taken for its text",
    "split by role marker at the start of a turn, and store texts before a template is applied",
)
IN_PROMPT = Ailment(
    "marker-in-prompt",
    "note",
    "a turn of the prompt holds a marker of turns",
    "people quote conversations; or a transcript was not taken apart",
    "look at the lines: a transcript should be turns, or open with a blank line and `Human:`",
)
LAST = Ailment(
    "not-the-assistant-last",
    "fault",
    "the conversation does not end with the assistant",
    "the last answer was cut off, or the turns are out of order",
    "end `chosen` and `rejected` with the assistant's turn",
)
EMPTY = Ailment(
    "empty-last-turn",
    "fault",
    "the last turn has no text",
    "the assistant said nothing, or the text was lost when the transcript was split",
    "remove these rows: an empty answer teaches to end at once",
)
TWICE = Ailment(
    "one-role-twice",
    "note",
    "two turns of one role follow each other",
    "a turn between them was lost or was empty, or a marker stood within a text",
    "they are read as one turn; many chat templates refuse them",
)


def markers_in_texts(sheet: Sheet) -> Iterator[Complaint]:
    """Markers of turns where only what was said should be."""
    answers = [case.line for case in sheet.cases if any(map(LEFT_OVER.search, case.answers))]
    prompts = [case.line for case in sheet.cases if _is_marked(case)]
    yield from IN_ANSWER.found(answers, len(sheet.cases))
    yield from IN_PROMPT.found(prompts, len(sheet.cases))


def order_of_turns(sheet: Sheet) -> Iterator[Complaint]:
    """Turns in a wrong order, and last turns without text."""
    last, empty, twice = [], [], []
    for case in sheet.cases:
        for name, value in case.cells.items():
            turns = _turns(value)
            if any(first == second for (first, _), (second, _) in pairwise(turns)):
                twice.append(case.line)
            if turns and name in ANSWER_COLUMNS:
                role, text = turns[-1]
                if role != "assistant":
                    last.append(case.line)
                elif not text.strip():
                    empty.append(case.line)
    yield from LAST.found(last, len(sheet.cases))
    yield from EMPTY.found(empty, len(sheet.cases))
    yield from TWICE.found(twice, len(sheet.cases))


def _is_marked(case: Case) -> bool:
    return case.prompt is not None and any(LEFT_OVER.search(message.text) for message in case.prompt.messages)


def _turns(value: Any) -> list[Turn]:
    """The turns of a cell, as they stand: nothing joined, nothing left out; none where the cell holds no turns."""
    if isinstance(value, str):
        pieces = MARKER.split(value)[1:] if is_transcript(value) else []
        return [(ROLES[name.lower()], said) for name, said in zip(pieces[::2], pieces[1::2], strict=True)]
    found = [_turn(one) for one in value] if isinstance(value, Sequence) else []
    return [turn for turn in found if turn is not None] if all(found) else []


def _turn(entry: Any) -> Turn | None:
    if not isinstance(entry, Mapping):
        return None
    role = next((entry[key] for key in ROLE_KEYS if key in entry), None)
    said = next((entry[key] for key in TEXT_KEYS if key in entry), None)
    known = ROLES.get(role.lower()) if isinstance(role, str) else None
    return (known, said) if known and isinstance(said, str) else None
