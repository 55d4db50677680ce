"""Labels of two versions: only a principle that changed changes one, and what did not change is asked once."""

from __future__ import annotations

import pytest
from tests.known_model import KnownModel, constitution, principle
from tests.planted_judgements import judged

from alidade.constitution import Requests
from alidade.constitution.label_difference import judged_by_both, label_difference
from alidade.constitution.prefer import Pair
from alidade.constitution.wording import PUBLISHED
from alidade.records import Conversation

PAIRS = [Pair(id=f"c{n}", prompt=Conversation.ask(f"Why {n}?"), left=f"left {n}", right=f"right {n}") for n in range(6)]
SAYS = {"keeps kind?": 0.9, "keeps true?": 0.6, "keeps short?": 0.2, "keeps truth?": 0.05}


def first_prob(text: str) -> float:
    left = next(prob for question, prob in SAYS.items() if question in text)
    number = int(text.split("[[[")[1].split("]]]", maxsplit=1)[0].split()[1])
    if "keeps truth?" in text and number >= 2:
        left = SAYS["keeps true?"]  # the new words matter for two of the pairs
    return left if "(A) [[[left" in text else 1 - left


def compared(old, new):
    model = KnownModel(first_prob=first_prob)
    before, after = judged_by_both(PAIRS, (old, new), (model, PUBLISHED))
    return label_difference(before, after), [text for text, _ in model.asked], (before, after)


KIND, TRUE, SHORT = map(principle, ("kind", "true", "short"))
REWORDED = principle("true", requests=Requests(comparison="Which keeps truth?"))


def test_equal_versions_give_equal_bytes_and_are_asked_once():
    found, asked, (before, after) = compared(constitution(KIND, TRUE), constitution(KIND, TRUE))
    assert found.changes == ()
    assert (found.pairs, found.changed.mean, found.shift.mean) == (6, 0, 0)
    assert len(asked) == 6 * 2 * 2
    assert before == after


def test_exactly_the_labels_that_a_reworded_principle_changes_are_shown_with_its_name():
    found, asked, _ = compared(constitution(KIND, TRUE), constitution(KIND, REWORDED))
    assert len(asked) == 6 * 2 * 3
    assert sorted(one.id for one in found.changes) == ["c0", "c1"]
    one = found.changes[0]
    assert (one.old, one.new, one.is_other_side) == (pytest.approx(0.75), pytest.approx(0.475), True)
    (cause,) = one.by
    assert (cause.principle, cause.how, cause.effect) == ("true", "changed", pytest.approx(-0.275))
    assert (cause.old, cause.new) == (pytest.approx(0.6), pytest.approx(0.05))
    assert (found.changed.mean, found.other_side.mean) == (pytest.approx(1 / 3), pytest.approx(1 / 3))


def test_a_principle_added_or_removed_is_the_cause_and_the_others_are_asked_once():
    found, asked, (_, after) = compared(constitution(KIND, TRUE), constitution(SHORT, KIND, TRUE))
    assert len(asked) == 6 * 2 * 3
    assert len(found.changes) == 6
    assert [(cause.principle, cause.how, cause.old) for cause in found.changes[0].by] == [("short", "added", None)]
    assert found.changes[0].by[0].effect == pytest.approx((0.9 + 0.6 + 0.2) / 3 - 0.75)
    assert [one.principle for one in after[0].judgements][::2] == ["short", "kind", "true"]
    back, asked, _ = compared(constitution(SHORT, KIND, TRUE), constitution(KIND, TRUE))
    assert len(asked) == 6 * 2 * 3
    assert [(cause.principle, cause.how, cause.new) for cause in back.changes[0].by] == [("short", "removed", None)]
    assert back.shift.mean == pytest.approx(-found.shift.mean)


def test_two_changes_each_say_what_undoing_them_would_do():
    found, _, _ = compared(constitution(KIND, TRUE), constitution(REWORDED, SHORT))
    by = {cause.principle: cause for cause in found.changes[0].by}
    assert {name: cause.how for name, cause in by.items()} == {"kind": "removed", "true": "changed", "short": "added"}
    assert by["true"].effect == pytest.approx((0.05 + 0.2) / 2 - (0.6 + 0.2) / 2)
    assert by["kind"].effect == pytest.approx((0.05 + 0.2) / 2 - (0.05 + 0.2 + 0.9) / 3)
    assert by["short"].effect == pytest.approx((0.05 + 0.2) / 2 - 0.05)


def test_order_titles_and_weights_change_no_label():
    titled = TRUE.model_copy(update={"title": "Another", "weight": 5.0})
    found, _, _ = compared(constitution(KIND, TRUE), constitution(titled, KIND))
    assert found.changes == ()


def test_of_two_artifacts_only_the_same_pairs_are_compared():
    old = [judged("a", one=0.9, two=0.5), judged("b", one=0.9), judged("gone", one=0.9)]
    other = judged("b", one=0.1)
    other = other.model_copy(update={"comparison": other.comparison.model_copy(update={"left": "another answer"})})
    found = label_difference(old, [judged("a", one=0.1, two=0.5), other])
    assert (found.pairs, found.only_old, found.only_new) == (1, 2, 1)
    (change,) = found.changes
    assert [(cause.principle, cause.how) for cause in change.by] == [("one", "answered anew")]
    assert change.by[0].effect == pytest.approx(-0.4)


def test_what_cannot_be_compared_is_refused():
    both = constitution(KIND), constitution(TRUE)
    judge = KnownModel(first_prob=first_prob), PUBLISHED
    with pytest.raises(ValueError, match="no pair"):
        judged_by_both([], both, judge)
    with pytest.raises(ValueError, match="one id"):
        judged_by_both([PAIRS[0], PAIRS[0]], both, judge)
    silent = constitution(principle("mute", requests=Requests()))
    with pytest.raises(ValueError, match="no principle with a comparison question"):
        judged_by_both(PAIRS, (constitution(KIND), silent), judge)
    with pytest.raises(ValueError, match="is in both"):
        label_difference([judged("a", one=0.9)], [judged("b", one=0.9)])
