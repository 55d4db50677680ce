"""Coverage: what each principle did is counted, and a principle that does nothing does not pass the gate."""

from __future__ import annotations

import pytest
from tests.planted_judgements import judged, revised, step

from alidade.constitution.coverage import coverage, uncovered

# `sure` decides and turns every label, `meek` never decides, `rare` is asked once.
ROWS = [judged(f"c{n}", sure=0.95, meek=0.45, other=0.2) for n in range(8)] + [judged("c8", sure=0.9, rare=0.8)]


def by_name(found):
    return {one.principle: one for one in found}


def test_a_principle_decides_where_it_is_further_than_the_margin_from_one_half():
    found = by_name(coverage(ROWS))
    assert (found["sure"].decided.mean, found["meek"].decided.mean, found["rare"].decided.n) == (1, 0, 1)
    assert by_name(coverage(ROWS, margin=0.04))["meek"].decided.mean == 1
    assert by_name(coverage(ROWS, margin=0.06))["meek"].decided.mean == 0


def test_what_only_picks_the_answer_shown_first_decides_nothing():
    found = by_name(coverage([judged("c", first=(0.9, 0.1), other=0.7)], margin=0))
    assert found["first"].decided.mean == 0
    assert found["first"].flipped.mean == 0


def test_a_label_is_turned_where_it_is_on_another_side_without_the_principle():
    found = by_name(coverage(ROWS))
    assert found["sure"].flipped.mean == pytest.approx(8 / 9)  # (.45 + .2) / 2 is right, (.95 + .45 + .2) / 3 is left
    assert found["meek"].flipped.mean == 0
    alone = by_name(coverage([judged("c", sure=0.9)]))["sure"]
    assert (alone.flipped, alone.drawn, alone.changed) == (None, None, None)


def test_a_step_that_copies_or_fails_has_changed_nothing():
    rows = [
        revised("a", "x", step("good", "y"), step("copies", "y"), step("fails", "z", fault="cut")),
        revised("b", "x", step("good", "x y"), step("good", "x y"), step("fails", "", fault="empty")),
    ]
    found = by_name(coverage(revised=rows))
    assert found["good"].changed.mean == pytest.approx(2 / 3)
    assert found["copies"].changed.mean == found["fails"].changed.mean == 0
    assert (found["good"].drawn.mean, found["good"].drawn.n) == (0.5, 6)
    assert found["good"].asked is None


def test_judgements_and_revisions_are_counted_together_and_the_gate_names_who_is_below():
    rows = [revised("a", "x", step("meek", "y"), step("meek", "z"))]
    found = coverage(ROWS, rows, known=["never", "sure"])
    assert {one.principle: one.effects for one in found} == {"never": 0, "rare": 1, "meek": 2, "other": 8, "sure": 9}
    assert next(one.principle for one in found) == "never"
    assert uncovered(found, 2) == ["never", "rare"]
    assert uncovered(found, 1) == ["never"]
    never = found[0]
    assert never.decided is None
    assert (never.asked.mean, never.asked.n) == (0, 9)


def test_rows_of_one_prompt_are_a_cluster():
    half = [0.9, 0.5] * 10
    apart = coverage([judged(f"c{n}", one=prob) for n, prob in enumerate(half)])[0].decided
    together = coverage([judged(f"c{n}", f"prompt {prob}", one=prob) for n, prob in enumerate(half)])[0].decided
    assert apart.mean == together.mean == 0.5
    assert together.high - together.low > 2 * (apart.high - apart.low)


def test_nothing_to_cover_is_refused():
    with pytest.raises(ValueError, match="nothing to cover"):
        coverage()
    with pytest.raises(ValueError, match=r"below 0\.5"):
        coverage(ROWS, margin=0.5)
    with pytest.raises(ValueError, match="at least 1"):
        uncovered(coverage(ROWS), 0)
