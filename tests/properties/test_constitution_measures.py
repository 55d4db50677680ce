"""What holds of every ledger: dropping who says what the mean says changes nothing, and nobody opposes themselves."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.planted_judgements import judged, revised, step

from alidade.constitution.ablation import ablate
from alidade.constitution.conflicts import conflict_map
from alidade.constitution.coverage import coverage
from alidade.constitution.drift import drift
from alidade.constitution.label_difference import label_difference
from alidade.constitution.opinions import label, opinions, side
from alidade.seeds import generator

PROBS = st.floats(0, 1)
ROWS = st.lists(st.lists(PROBS, min_size=2, max_size=4), min_size=1, max_size=8)
HOSTILE = st.text(
    st.sampled_from("ab .,\"'\n\u2019\u201c\u201d\u00e9\u0130\u4e2d\u0301\u200b\U0001f600I12"), max_size=40
)


def ledger(rows):
    return [judged(f"c{n}", **{f"p{place}": prob for place, prob in enumerate(row)}) for n, row in enumerate(rows)]


@settings(max_examples=25, deadline=None)
@given(ROWS)
def test_dropping_a_principle_that_says_what_the_mean_says_changes_nothing(rows):
    with_mean = [
        judged(f"c{n}", **{f"p{place}": prob for place, prob in enumerate(row)}, mean=sum(row) / len(row))
        for n, row in enumerate(rows)
    ]
    found = next(one for one in ablate(with_mean) if one.principle == "mean")
    assert (found.moved.mean, found.shift.mean) == (0, 0)
    assert all(label(opinions(row), {"mean"}) == pytest.approx(label(opinions(row))) for row in with_mean)


@settings(max_examples=50, deadline=None)
@given(ROWS, st.integers(0, 99))
def test_the_order_of_judgements_changes_no_label(rows, seed):
    for row in ledger(rows):
        turned = list(row.judgements)
        generator(seed, "turned").shuffle(turned)
        again = row.model_copy(update={"judgements": tuple(turned)})
        assert label(opinions(again)) == pytest.approx(row.comparison.label_prob, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(ROWS)
def test_turning_left_and_right_turns_shifts_and_nothing_else(rows):
    turned = [[1 - prob for prob in row] for row in rows]
    one, other = ({each.principle: each for each in ablate(ledger(these))} for these in (rows, turned))
    for name, each in one.items():
        assert other[name].shift.mean == pytest.approx(-each.shift.mean, abs=1e-8)
        assert other[name].moved.mean == pytest.approx(each.moved.mean, abs=1e-8)
    assert side(0.7) == -side(0.3)


@settings(max_examples=25, deadline=None)
@given(ROWS)
def test_principles_that_agree_are_never_opposed_and_every_opposition_has_an_outcome(rows):
    agreeing = [[max(prob, 0.5) for prob in row] for row in rows]
    assert all(one.opposed_rows == 0 for one in conflict_map(ledger(agreeing)).pairs)
    for one in conflict_map(ledger(rows)).pairs:
        assert one.opposed_rows == one.with_higher + one.with_lower + one.undecided + one.unresolved


@settings(max_examples=25, deadline=None)
@given(ROWS)
def test_a_ledger_does_not_differ_from_itself_and_effects_are_no_more_than_questions(rows):
    found = label_difference(ledger(rows), ledger(rows))
    assert (found.changes, found.changed.mean) == ((), 0)
    for one in coverage(ledger(rows)):
        assert 0 <= one.effects <= one.decided.n


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(HOSTILE, HOSTILE, HOSTILE), min_size=1, max_size=6))
def test_drift_of_any_text_is_counted_and_every_share_is_one(texts):
    rows = [revised(f"r{n}", first, step("p", then, critique)) for n, (first, critique, then) in enumerate(texts)]
    one = drift(rows)[1]
    shares = [one.texts.shared, one.texts.refusing, one.texts.openings, one.unchanged]
    shares += [one.critique.gone, one.critique.copied] if one.critique else []
    assert all(0 <= share.mean <= 1 for share in shares if share is not None)
    assert drift(rows) == drift(rows)
