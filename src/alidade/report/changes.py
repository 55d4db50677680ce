"""Paired tests between evaluated models: what each changed, and how the ways side by side differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from alidade.evals import Claim, PairedTest, compare, corrected
from alidade.pipeline import Run
from alidade.report.columns import Column, Descent
from alidade.testbed.evaluation import MEASURES


@dataclass(frozen=True)
class Change:
    """The paired tests between two columns."""

    before: str
    after: str
    tests: Sequence[PairedTest]


def claims_of(measures: Sequence[str]) -> list[Claim]:
    """What each measure counts: the testbed's are known, any other counts the verdict of its own name."""
    known = {name: Claim(name, says, group, new) for name, (group, new, says) in MEASURES.items()}
    return [known.get(name, Claim(name, name)) for name in measures]


def lineage_changes(run: Run, columns: Sequence[Column]) -> list[Change]:
    """Each column against the nearest model it was trained from; all their tests are one family."""
    descent = Descent(run, columns)
    pairs = [(before, one) for place, one in enumerate(columns) if (before := descent.compared(place)) is not None]
    return _family([(one, two, [*two.measures]) for one, two in pairs])


def changes_between(columns: Sequence[Column], measures: Sequence[str]) -> list[Change]:
    """Every two of the columns on these measures; all their tests are one family."""
    return _family([(one, two, measures) for one, two in combinations(columns, 2)])


def are_in_line(changes: Sequence[Change], columns: Sequence[Column]) -> bool:
    """Whether each change is against the column just before."""
    return {(one.before, one.after) for one in changes} <= set(pairwise(column.name for column in columns))


def _family(pairs: Sequence[tuple[Column, Column, Sequence[str]]]) -> list[Change]:
    found = [compare(one.rows, two.rows, claims_of(measures)) for one, two, measures in pairs]
    family = iter(corrected([test for tests in found for test in tests]))
    return [
        Change(one.name, two.name, [next(family) for _ in tests])
        for (one, two, _), tests in zip(pairs, found, strict=True)
        if tests
    ]
