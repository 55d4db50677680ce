"""Labels that a model is not sure of: what people should look at.

Source: [B22] Bai et al. 2022, arXiv 2212.08073, section 4.1, trains on all labels of the feedback model. Differs: a label near one half
that its own questions contradict says more of the judge than of the answers, so people may be asked in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from alidade.constitution.judges import flipping
from alidade.constitution.opinions import opinions, side
from alidade.constitution.prefer import Preferred
from alidade.records import Probability, Record

Reason = Literal["principles disagree", "the order flips it", "no option"]


class Doubt(Record):
    """A comparison whose label is in doubt, and why."""

    id: str
    label_prob: Probability
    reasons: tuple[Reason, ...] = Field(min_length=1)


def reasons_of(row: Preferred) -> tuple[Reason, ...]:
    """What contradicts itself in the questions behind a label: principles of each other, one principle in the two orders, or no vote."""
    sides = {side(one.left_prob) for one in opinions(row).values()}
    found: list[Reason] = []
    if {-1, 1} <= sides:
        found.append("principles disagree")
    if flipping(row):
        found.append("the order flips it")
    if any(one.fault for one in row.judgements):
        found.append("no option")
    return tuple(found)


def doubtful(rows: Sequence[Preferred], margin: float, share: float) -> tuple[list[Doubt], int]:
    """The labels within `margin` of one half that their questions contradict, the nearest to one half first, at most `share` of the rows.

    The number is of those that are left out by the share.
    """
    found = [
        Doubt(id=row.comparison.id, label_prob=row.comparison.label_prob, reasons=reasons)
        for row in rows
        if abs(row.comparison.label_prob - 0.5) <= margin and (reasons := reasons_of(row))
    ]
    found.sort(key=lambda one: (abs(one.label_prob - 0.5), -len(one.reasons), one.id))
    most = int(share * len(rows))
    return found[:most], max(0, len(found) - most)
