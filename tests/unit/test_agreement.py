import krippendorff
import numpy as np
import pytest

from alidade.preferences.acts import choice_of, first_votes, others_choice, polls
from alidade.preferences.agreement import _alpha, agreements, gold_accuracy, repeats
from alidade.preferences.tally import Pair
from alidade.records import Vote
from alidade.stats import median_estimate


def vote(prompt_id, annotator, left, right, choice, **more):
    fields = {"id": "v", "prompt_id": prompt_id, "annotator": annotator, "left": left, "right": right, "choice": choice}
    return Vote.model_validate({**fields, **more})


def test_alpha_is_that_of_krippendorffs_own_example():
    # Krippendorff 2011, Computing Krippendorff's Alpha-Reliability, section C: four observers, twelve units, alpha .743
    table = ["123321412---", "1233224125-3", "-3332342251-", "12332441251-"]
    counts = np.array([[sum(row[unit] == code for row in table) for code in "12345"] for unit in range(12)])
    found = _alpha(counts, "nominal", np.arange(5))
    assert found == pytest.approx(0.743, abs=5e-4)
    assert found == krippendorff.alpha(value_counts=counts, level_of_measurement="nominal")


def test_two_people_and_four_pairs_by_hand():
    said = {"p": "LL", "q": "LL", "r": "RR", "s": "LR"}
    words = {"L": "left", "R": "right"}
    votes = [vote(p, f"a{who}", 0, 1, words[one]) for p, both in said.items() for who, one in enumerate(both)]
    (found,) = agreements(votes)
    assert (found.items, found.annotators, found.votes) == (4, 2, 8)
    assert found.pairwise.mean == 0.75
    # 8 values, 5 left and 3 right: observed disagreement 2/8, expected 2*5*3 / (8*7)
    assert found.alpha.mean == pytest.approx(1 - (2 / 8) / (30 / 56))
    assert found.alpha.low <= found.alpha.mean <= found.alpha.high


def test_the_side_an_answer_was_shown_on_does_not_matter():
    votes = [
        vote("p", "a", 0, 1, "left"),
        vote("p", "b", 1, 0, "right"),
        vote("q", "a", 1, 0, "left"),
        vote("q", "b", 0, 1, "right"),
    ]
    assert [choice_of(one) for one in votes] == ["left", "left", "right", "right"]
    (found,) = agreements(votes)
    assert found.alpha.mean == found.pairwise.mean == 1


def test_attributes_and_guidelines_are_told_apart_and_ties_can_be_left_out():
    votes = [
        vote("p", "a", 0, 1, "left", attribute="helpful", guideline="1"),
        vote("p", "b", 0, 1, "left", attribute="helpful", guideline="1"),
        vote("p", "a", 0, 1, "tie", attribute="harmless", guideline="2"),
        vote("p", "b", 0, 1, "right", attribute="harmless", guideline="2"),
        vote("p", "c", 0, 1, "right", attribute="harmless", guideline="1"),
    ]
    found = {one.name: one for one in agreements(votes)}
    assert set(found) == {"all", "attribute: helpful", "attribute: harmless", "guideline: 1", "guideline: 2"}
    assert found["all"].items == 2
    assert found["attribute: harmless"].pairwise.mean == 0
    assert found["attribute: harmless"].decided is None
    assert found["attribute: helpful"].alpha is None


def test_only_the_first_vote_is_an_opinion_and_repeats_are_counted_by_side():
    votes = [
        vote("p", "a", 0, 1, "left", at=2.0),
        vote("p", "a", 0, 1, "right", at=3.0),
        vote("p", "a", 1, 0, "right", at=4.0),
        vote("p", "a", 1, 0, "right", at=1.0),
        vote("p", "b", 0, 1, "left", at=5.0),
    ]
    assert [one.at for one in first_votes(votes)] == [1.0, 5.0]
    (poll,) = polls(votes).values()
    assert poll == {"a": "left", "b": "left"}
    found = repeats(votes)
    assert (found.straight.mean, found.straight.n) == (1.0, 1)
    assert (found.mirrored.mean, found.mirrored.n) == (0.5, 2)
    assert found.annotators["a"].mean == pytest.approx(2 / 3)


def test_most_of_the_others_or_nobody():
    poll = {"a": "left", "b": "right", "c": "right", "d": "left"}
    assert others_choice(poll, "a") == "right"
    assert others_choice(poll, "c") == "left"
    assert others_choice({"a": "left", "b": "right", "c": "left"}, "b") == "left"
    assert others_choice({"a": "left", "b": "right", "c": "left"}, "a") is None
    assert others_choice({"a": "left"}, "a") is None


def test_gold_is_by_answer_number():
    votes = [
        vote("p", "a", 1, 0, "left"),
        vote("p", "b", 1, 0, "right"),
        vote("q", "a", 0, 1, "tie"),
        vote("r", "a", 0, 1, "left"),
    ]
    found = gold_accuracy(votes, {Pair("p", 0, 1, "overall"): "right", Pair("q", 0, 1, "overall"): "left"})
    assert {name: (one.mean, one.n) for name, one in found.annotators.items()} == {"a": (0.5, 2), "b": (0.0, 1)}
    assert (found.every.mean, found.every.n) == (pytest.approx(1 / 3), 3)


def test_the_interval_of_a_median_is_that_of_order_statistics():
    nine = median_estimate([9, 1, 8, 2, 7, 3, 6, 4, 5])
    assert (nine.low, nine.mean, nine.high, nine.n) == (2, 5, 8, 9)  # P(X < 2) = 10 / 512, P(X < 3) = 46 / 512
    three = median_estimate([3, 1, 2])
    assert (three.low, three.mean, three.high) == (1, 2, 3)
    with pytest.raises(ValueError, match="no cases"):
        median_estimate([])
