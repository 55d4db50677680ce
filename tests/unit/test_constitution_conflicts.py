"""The conflict map: it points to the planted principle, and says who outranked whom and who won."""

from __future__ import annotations

import pytest
from tests.known_model import principle
from tests.planted_judgements import judged

from alidade.constitution.conflicts import SHOWN, conflict_map
from alidade.constitution.principles import Constitution, Tier

DOCUMENT = Constitution(
    id="test",
    title="Test",
    version="1.0.0",
    tiers=(Tier(id="top", title="Top"), Tier(id="low", title="Low")),
    principles=(
        principle("high", tier="top"),
        principle("low", tier="low"),
        principle("equal", tier="low"),
        principle("free"),
        principle("hard", tier="low", hard=True),
    ),
)


def pair(found, first, second):
    return next(one for one in found.pairs if (one.first, one.second) == tuple(sorted((first, second))))


def test_the_planted_principle_is_against_all_others_and_stands_first():
    rows = [judged(f"c{n}", honest=0.9, kind=0.8, planted=0.1) for n in range(10)]
    rows += [judged(f"d{n}", honest=0.9, kind=0.2) for n in range(2)]
    found = conflict_map(rows)
    assert next((one.principle, one.opposed.mean) for one in found.principles) == ("planted", 1)
    assert pair(found, "honest", "planted").opposed_rows == pair(found, "kind", "planted").opposed_rows == 10
    assert (pair(found, "honest", "kind").opposed_rows, pair(found, "honest", "kind").opposed.n) == (2, 12)
    assert [(one.first, one.second) for one in found.pairs][-1] == ("honest", "kind")


def test_both_must_be_further_than_the_margin_from_one_half():
    rows = [judged("a", one=0.9, two=0.42)]
    assert pair(conflict_map(rows), "one", "two").opposed_rows == 0
    assert pair(conflict_map(rows, margin=0.05), "one", "two").opposed_rows == 1
    at_the_margin = [judged("a", one=0.9, two=0.375)]
    assert pair(conflict_map(at_the_margin, margin=0.125), "one", "two").opposed_rows == 0


def test_the_higher_principle_wins_or_loses_and_equal_rank_is_unresolved():
    rows = [
        judged("won", high=0.9, low=0.3),
        judged("lost", high=0.3, low=0.9),
        judged("even", high=0.2, low=0.8),
        judged("equal", low=0.9, equal=0.1),
    ]
    found = conflict_map(rows, DOCUMENT)
    ranked = pair(found, "high", "low")
    assert (ranked.higher, ranked.with_higher, ranked.with_lower, ranked.undecided, ranked.unresolved) == (
        "high",
        1,
        1,
        1,
        0,
    )
    tied = pair(found, "low", "equal")
    assert (tied.higher, tied.with_higher, tied.with_lower, tied.unresolved) == (None, 0, 0, 1)


def test_hard_outranks_all_and_what_has_no_tier_stands_below():
    rows = [judged("a", hard=0.9, high=0.1, low=0.2, free=0.8)]
    found = conflict_map(rows, DOCUMENT)
    assert pair(found, "hard", "high").higher == "hard"
    assert pair(found, "low", "free").higher == "low"
    assert pair(conflict_map([judged("a", high=0.9, unknown=0.1)], DOCUMENT), "high", "unknown").unresolved == 1
    assert pair(conflict_map(rows), "hard", "high").higher is None


def test_examples_are_the_most_opposed():
    rows = [judged(f"c{n}", one=0.65 + n / 30, two=0.3) for n in range(9)]
    assert conflict_map(rows).pairs[0].examples == tuple(f"c{n}" for n in range(8, 8 - SHOWN, -1))


def test_one_principle_a_row_is_refused():
    with pytest.raises(ValueError, match="none can be against another"):
        conflict_map([judged("a", one=0.9), judged("b", two=0.1)])
    with pytest.raises(ValueError, match=r"below 0\.5"):
        conflict_map([judged("a", one=0.9, two=0.1)], margin=-0.1)
