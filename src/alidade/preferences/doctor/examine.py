"""All checks over one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from alidade.preferences.doctor.answers import equal_pairs, length, unusable_rows
from alidade.preferences.doctor.complaint import Complaint
from alidade.preferences.doctor.duplicates import repeated_rows, shared_prompts
from alidade.preferences.doctor.joins import misjoined_rows
from alidade.preferences.doctor.labels import (
    failures_as_ratings,
    impossible_labels,
    ratings_against_choice,
    tens_for_ones,
    tied_ratings,
)
from alidade.preferences.doctor.prompts import truncated_prompts
from alidade.preferences.doctor.roles import markers_in_texts, order_of_turns
from alidade.preferences.doctor.sheet import Sheet, open_sheet

Check = Callable[[Sheet], Iterator[Complaint]]
CHECKS: tuple[Check, ...] = (
    unusable_rows,
    impossible_labels,
    equal_pairs,
    tied_ratings,
    ratings_against_choice,
    failures_as_ratings,
    tens_for_ones,
    misjoined_rows,
    truncated_prompts,
    markers_in_texts,
    order_of_turns,
    shared_prompts,
    repeated_rows,
    length,
)


@dataclass(frozen=True)
class Examined:
    """What was found in a file, faults first."""

    format: str
    rows: int
    complaints: tuple[Complaint, ...]

    @property
    def faults(self) -> int:
        """How many of the complaints are faults."""
        return sum(one.is_fault for one in self.complaints)


def examine(path: Path | str, against: Path | str | None = None) -> Examined:
    """Every complaint about a file; `against` is a file whose prompts it must not share, or that it was made from.

    Raises:
        DataError: when a file cannot be read at all.
    """
    sheet = open_sheet(Path(path), Path(against) if against else None)
    found = [complaint for check in CHECKS for complaint in check(sheet)]
    return Examined(sheet.format, len(sheet.cases), tuple(sorted(found, key=lambda one: not one.is_fault)))
