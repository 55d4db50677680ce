"""OpenAssistant's message trees: answers are siblings below the last turn of a prompt, `rank` says which is better.

Who ranked them stands among the prompt's events, in its column `events`.

Source: LAION-AI/Open-Assistant, `oasst-data/oasst_data/schemas.py`; Koepf et al. 2023, arXiv 2304.07327.
"""

from __future__ import annotations

from typing import Any

from alidade.preferences.interchange.bundle import SILENT, Preferences, Written, as_rankings, is_silent
from alidade.records import Ranking

ROLES = {"user": "prompter", "assistant": "assistant"}
SYSTEM = "a prompt with a system turn"


def oasst(given: Preferences) -> Written:
    """Rankings as trees, one of each; the texts lose white space at their ends when they are read."""
    out = Written()
    out.leave_beside(given)
    for row in as_rankings(given, out):
        if any(message.role not in ROLES for message in row.prompt.messages):
            out.refused[SYSTEM] += 1
            continue
        if is_silent(row):
            out.refused[SILENT] += 1
            continue
        out.rows.append(_tree(row))
        out.leave([row], {"id", "prompt", "answers", "ranks", "annotator"})
    return out


def _tree(row: Ranking) -> dict[str, Any]:
    names = [f"{row.id}#{place}" for place in range(len(row.prompt.messages) - 1)] + [row.id]
    answers = [f"{row.id}>{place}" for place in range(len(row.answers))]
    replies = [
        _node(name, row.id, "assistant", text) | {"rank": rank}
        for name, text, rank in zip(answers, row.answers, row.ranks, strict=True)
    ]
    ranked = {"type": "ranking", "user_id": row.annotator, "ranking": list(row.ranks), "ranked_message_ids": answers}
    node: dict[str, Any] = {}
    for place, message in reversed(list(enumerate(row.prompt.messages))):
        parent = names[place - 1] if place else None
        below = replies if place == len(names) - 1 else [node]
        node = _node(names[place], parent, ROLES[message.role], message.text) | {"replies": below}
        if below is replies and row.annotator:
            node["events"] = {"ranking": [ranked]}
    return {"message_tree_id": names[0], "tree_state": "ready_for_export", "prompt": node}


def _node(name: str, parent: str | None, role: str, text: str) -> dict[str, Any]:
    return {"message_id": name, "parent_id": parent, "text": text, "role": role, "replies": []}
