"""Ablation: the planted principle that is against gold comes first, and one that says what the others say changes nothing."""

from __future__ import annotations

import random

import pytest
from tests.known_model import KnownModel, constitution, principle
from tests.planted_judgements import judged

from alidade.constitution.ablation import ablate, labels_for
from alidade.constitution.prefer import Feedback, Pair, PreferenceSettings
from alidade.constitution.wording import PUBLISHED
from alidade.records import Comparison, Conversation

PAIRS = [
    Pair(id=f"c{n}", prompt=Conversation.ask(f"Why {n}?"), left=f"left {n}", right=f"right {n}") for n in range(60)
]
GOLD = {one.id: 0.9 if place % 2 else 0.1 for place, one in enumerate(PAIRS)}


def first_prob(text: str) -> float:
    """Honest and kind principles are right three times of four, each on other pairs; `wrong` is against gold, and sure of it."""
    left_first = "(A) [[[left" in text
    number = int(text.split("[[[")[1].split("]]]", maxsplit=1)[0].split()[1])
    gold = GOLD[f"c{number}"]
    if "keeps wrong?" in text:
        left = 1 - gold
    else:
        is_off = number % 4 == (0 if "keeps honest?" in text else 1)
        left = 0.5 + (gold - 0.5) * (-0.5 if is_off else 0.75)
    return left if left_first else 1 - left


def planted():
    names = ("honest", "kind", "wrong")
    document = constitution(*map(principle, names))
    judge = Feedback(KnownModel(first_prob=first_prob), document, PUBLISHED, PreferenceSettings(principles_per_pair=3))
    return judge.compare(PAIRS, seed=0)


def test_the_planted_principle_against_gold_comes_first_and_its_gain_is_sure():
    found = ablate(planted(), GOLD)
    assert found[0].principle == "wrong"
    worst = found[0].agreement
    assert worst is not None
    assert worst.gain.low > 0
    assert worst.p_value < 0.001
    assert worst.without_it.mean - worst.with_it.mean == pytest.approx(worst.gain.mean)
    for other in found[1:]:
        assert other.agreement is not None
        assert other.agreement.gain.mean <= 0


def test_the_numbers_are_those_of_the_labels_without_the_principle():
    rows = [judged("a", one=0.9, two=0.3), judged("b", one=0.6, two=0.6), judged("c", one=0.8)]
    found = {each.principle: each for each in ablate(rows)}
    assert found["one"].rows == 2  # alone it cannot be left out
    assert found["one"].moved.mean == pytest.approx((0.3 + 0) / 2)
    assert found["one"].shift.mean == pytest.approx(-0.15)
    assert found["two"].shift.mean == pytest.approx(0.15)
    assert (found["one"].flipped.mean, found["two"].flipped.mean) == (0.5, 0)
    assert found["one"].agreement is None


def test_principles_count_by_their_weights_where_all_were_asked_and_once_where_they_were_drawn():
    names = ("one", "two", "three")
    document = constitution(*map(principle, names))
    heavy = document.model_copy(
        update={
            "principles": tuple(
                one.model_copy(update={"weight": 8.0 * (one.id == "one") or 1.0}) for one in document.principles
            )
        }
    )
    rows = [judged("a", one=0.9, two=0.3, three=0.3), judged("b", one=0.9, two=0.3)]
    found = {each.principle: each for each in ablate(rows[:1], constitution=heavy)}
    assert found["one"].shift.mean == pytest.approx(0.3 - (8 * 0.9 + 0.3 + 0.3) / 10)
    assert found["two"].shift.mean == pytest.approx((8 * 0.9 + 0.3) / 9 - (8 * 0.9 + 0.6) / 10)
    drawn = {each.principle: each for each in ablate(rows[1:], constitution=heavy)}
    assert drawn["one"].shift.mean == pytest.approx(0.3 - 0.6)


def test_without_people_what_moves_labels_most_comes_first():
    rows = [judged(f"c{n}", loud=0.99, calm=0.55, soft=0.45) for n in range(5)]
    assert [one.principle for one in ablate(rows)] == ["loud", "soft", "calm"]


def test_what_people_tied_is_not_counted_and_a_tied_label_is_half_an_agreement():
    rows = [judged("a", one=0.9, two=0.1), judged("b", one=0.9, two=0.9)]
    found = {each.principle: each.agreement for each in ablate(rows, {"a": 1.0, "b": 0.5, "elsewhere": 0.0})}
    assert found["one"].with_it.n == 1
    assert (found["one"].with_it.mean, found["one"].without_it.mean, found["two"].without_it.mean) == (0.5, 0, 1)


def test_p_values_are_adjusted_for_how_many_principles_were_tried():
    def worst(extra: int) -> float:
        others = {f"other{n}": 0.6 for n in range(extra)}
        rows = [judged(f"c{n}", wrong=0.01, right=0.7, **others) for n in range(6)]
        found = ablate(rows, {f"c{n}": 1.0 for n in range(6)})
        assert found[0].principle == "wrong"
        return found[0].agreement.p_value

    assert worst(0) == pytest.approx(2 * 2 / 2**6)
    assert worst(1) == pytest.approx(3 * 2 / 2**6)


def test_labels_of_others_are_matched_by_what_was_compared_in_either_order():
    rows = [judged("a", one=0.9, two=0.1), judged("b", one=0.9, two=0.1)]
    asked = rows[0].comparison
    turned = Comparison(id="elsewhere", prompt=asked.prompt, left=asked.right, right=asked.left, label_prob=0.2)
    again = asked.model_copy(update={"label_prob": 0.6})
    assert labels_for(rows, [turned, again]) == {"a": pytest.approx(0.7)}


def test_what_cannot_be_left_out_or_compared_is_refused():
    with pytest.raises(ValueError, match="none can be left out"):
        ablate([judged("a", one=0.9)])
    with pytest.raises(ValueError, match="none of the labels given"):
        ablate([judged("a", one=0.9, two=0.2)], {"b": 1.0})
    empty = judged("a", one=0.9).model_copy(update={"judgements": ()})
    with pytest.raises(ValueError, match="no judgements"):
        ablate([empty])


def test_a_random_principle_moves_labels_and_gains_nothing_for_sure():
    draw = random.Random(0)
    names = [f"c{n}" for n in range(200)]
    gold = {name: draw.choice((0.0, 1.0)) for name in names}
    rows = [
        judged(name, right=0.2 + 0.6 * gold[name], likewise=0.25 + 0.5 * gold[name], coin=draw.choice((0.4, 0.6)))
        for name in names
    ]
    coin = next(one for one in ablate(rows, gold) if one.principle == "coin")
    assert coin.agreement.gain.mean == 0
    assert coin.moved.mean > 0.05
    assert coin.agreement.p_value == 1
