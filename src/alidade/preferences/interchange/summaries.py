"""Comparisons of summaries as OpenAI published them: a post, two summaries, a worker's choice.

What a vote has no field for (batch, split, confidence, notes, policies) is kept beside it; what the format has no column for
stands in its open object `extra`.

Source: openai/summarize-from-feedback, README.md, "Comparisons"; Stiennon et al. 2020, arXiv 2009.01325.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from alidade.preferences.comparisons import summary_prompt
from alidade.preferences.interchange.bundle import Preferences, Written, as_votes, one_question
from alidade.preferences.interchange.gathering import Gathering, ballots, extras_in, extras_of
from alidade.preferences.tables import Row
from alidade.records import Prompt, Vote

TIED = "a tie, which the format cannot say"
TURNS = "a prompt of several turns"


def summaries(given: Preferences) -> Written:
    """Votes as rows of `info`, `summaries`, `choice`, `worker` and `extra`."""
    out = Written()
    candidates, votes = as_votes(given, out)
    for vote, row, left, right in ballots(candidates, votes, out):
        asked = one_question(row.prompt.conversation)
        if vote.choice == "tie" or asked is None:
            out.refused[TIED if vote.choice == "tie" else TURNS] += 1
            continue
        about = {"id": row.prompt.id, **row.prompt.about}
        if summary_prompt(about) != row.prompt.conversation:
            out.left["Prompt.about"] += bool(row.prompt.about)
            about = {"id": row.prompt.id, "post": asked}
        out.rows.append(_row(vote, about, (left, right), dict(given.beside.get(vote.id, {}))))
    return out


def read_summaries(rows: Iterable[Row]) -> Preferences:
    """Answers and votes from rows of summaries."""
    found = Gathering()
    for row in rows:
        _read_row(found, row)
    return found.preferences()


def _row(vote: Vote, about: Mapping[str, str], texts: tuple[str, str], beside: dict[str, Any]) -> dict[str, Any]:
    shown = zip(texts, beside.pop("summaries", ({}, {})), strict=True)
    own = {"vote": vote.id, "answers": [vote.left, vote.right], **extras_of(vote)}
    return {
        "info": about,
        "summaries": [{"text": text, **more} for text, more in shown],
        "choice": int(vote.choice == "right"),
        "worker": vote.annotator,
        **{name: value for name, value in beside.items() if name != "extra"},
        "extra": {**beside.get("extra", {}), **own},
    }


def _read_row(found: Gathering, row: Row) -> None:
    cells = row.values
    about = {name: str(value) for name, value in cells["info"].items() if value is not None}
    prompt_id = about.pop("id")
    prompt = Prompt(id=prompt_id, conversation=summary_prompt(about), about={} if set(about) == {"post"} else about)
    shown, extra = cells["summaries"], dict(cells.get("extra") or {})
    first, second = (one["text"] for one in shown)
    numbers: list[int] = list(extra.pop("answers", ()))
    for text in () if numbers else (first, second):
        numbers.append(number := found.number(prompt_id, text))
        found.answer(row, prompt, number, text)
    for number, text in zip(numbers, (first, second), strict=True):
        found.answer(row, prompt, number, text)
    name = extra.pop("vote", f"{prompt_id}/{row.number}")
    fields = {"id": name, "prompt_id": prompt_id, "annotator": str(cells["worker"]), "left": numbers[0]}
    choice = {0: "left", 1: "right"}[cells["choice"]]
    own = extras_in(extra)
    found.vote(row, {**own, **fields, "right": numbers[1], "choice": choice})
    beside = {
        key: value for key, value in cells.items() if key not in {"info", "summaries", "choice", "worker", "extra"}
    }
    beside |= {"extra": rest} if (rest := {key: extra[key] for key in extra if key not in own}) else {}
    notes = [{key: one[key] for key in one if key != "text"} for one in shown]
    beside |= {"summaries": notes} if any(notes) else {}
    if beside:
        found.beside[name] = beside
