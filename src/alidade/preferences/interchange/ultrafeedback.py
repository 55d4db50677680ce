"""UltraFeedback's rows: completions of one instruction, each with ratings in four aspects and a score over all.

A ranking says only which place an answer has; so the scores written are those that give the same places, K for the best of K.

Source: OpenBMB/UltraFeedback, README.md, "Dataset Format"; Cui et al. 2023, arXiv 2310.01377.
"""

from __future__ import annotations

from typing import Any

from alidade.preferences.interchange.bundle import SILENT, Preferences, Written, as_rankings, is_silent, one_question
from alidade.preferences.rankings import ASPECTS
from alidade.records import Ranking

TURNS = "a prompt of several turns"
AGAIN = "a second ranking of the same answers in the same aspect"


def ultrafeedback(given: Preferences) -> Written:
    """Rankings as rows; those of the same answers share one. Texts lose white space at their ends when they are read."""
    out = Written()
    out.leave_beside(given)
    rows: dict[tuple[str, tuple[str, ...]], dict[str, Any]] = {}
    for ranking in as_rankings(given, out):
        asked = one_question(ranking.prompt)
        if asked is None or is_silent(ranking):
            out.refused[TURNS if asked is None else SILENT] += 1
            continue
        row = rows.setdefault((asked, ranking.answers), _empty(asked, ranking.answers))
        aspect = _aspect(ranking)
        if not _add(row, ranking, aspect):
            out.refused[AGAIN] += 1
            continue
        carried = {"prompt", "answers", "ranks", "attribute"} | ({"guideline"} if aspect else set())
        out.leave([ranking], carried if aspect or ranking.attribute == "overall" else carried - {"attribute"})
    out.rows += rows.values()
    return out


def _aspect(ranking: Ranking) -> str:
    """The aspect that a ranking of an aspect names as its guideline, else none: it is over all."""
    return ranking.guideline if ASPECTS.get(ranking.guideline) == ranking.attribute else ""


def _empty(asked: str, answers: tuple[str, ...]) -> dict[str, Any]:
    completions = [{"model": "", "response": answer, "annotations": {}} for answer in answers]
    return {"source": "alidade", "instruction": asked, "models": [], "completions": completions}


def _add(row: dict[str, Any], ranking: Ranking, aspect: str) -> bool:
    """Write a ranking's places into the completions, unless something stands there."""
    for completion, place in zip(row["completions"], ranking.ranks, strict=True):
        score = len(ranking.answers) - place
        into = completion["annotations"] if aspect else completion
        if (aspect or "fine-grained_score") in into:
            return False
        if aspect:
            into[aspect] = {"Rating": str(score), "Rationale": ""}
        else:
            into |= {"fine-grained_score": float(score), "overall_score": float(score)}
    return True
