"""TRL's preference rows, conversational and with the prompt in a column of its own.

Beside TRL's columns stand `label_prob`, `n_votes`, `annotators`, `strength`, `attribute`, `source` and `id`, which it passes over.
"""

from __future__ import annotations

from statistics import fmean
from typing import Any

from alidade.preferences.export import trl_columns
from alidade.preferences.interchange.bundle import Preferences, Written, as_comparisons
from alidade.records import Comparison, Vote


def trl(given: Preferences) -> Written:
    """Comparisons as `prompt`, `chosen` and `rejected`: those that come back are the same in every field."""
    out = Written()
    out.leave_beside(given)
    out.rows += [{**trl_columns(row), **_cast(row, votes)} for row, votes in as_comparisons(given, out)]
    return out


def _cast(row: Comparison, votes: list[Vote]) -> dict[str, Any]:
    """Who judged: `strength` is the mean of the strengths that were given, of votes for the chosen answer less those against."""
    annotators = [vote.annotator for vote in votes] if votes else [row.annotator] if row.annotator else []
    low = min((min(vote.left, vote.right) for vote in votes), default=0)
    lean = [
        vote.strength * (1 if ((vote.choice == "left") == (vote.left == low)) == (row.label_prob >= 0.5) else -1)
        for vote in votes
        if vote.strength is not None and vote.choice != "tie"
    ]
    return {"annotators": annotators, "n_votes": len(votes) or None, "strength": fmean(lean) if lean else None}
