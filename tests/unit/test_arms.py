import json

import numpy as np
import pytest
from tests.unit.test_label_command import ROWS, run
from tests.unit.test_votebook import answer_all, candidates, person, queue

from alidade.errors import DataError, NotFound, UsageError
from alidade.preferences.arms import doubt, doubts, least_sure_first
from alidade.preferences.assign import arm_of, places
from alidade.preferences.votebook import open_votebook
from alidade.preferences.votebook.arms import order_uncertain
from alidade.preferences.votebook.chain import read_events, verify
from alidade.preferences.votebook.collect import collect
from alidade.preferences.votebook.leases import claim
from alidade.preferences.votebook.queues import QueueSettings, add_queue, items_of


@pytest.fixture
def book(votebook_url):
    book = open_votebook(votebook_url)
    yield book
    book.close()


def gaps(count=10):
    """A scorer that is the surer the higher a prompt's number."""
    return {f"p{number}/0-1": (-1) ** number * (number + 1.0) for number in range(count)}


def test_the_least_margin_is_the_least_sure():
    assert np.argsort(-doubt(np.array([[2.0], [-0.1], [0.5]]), "margin")).tolist() == [1, 2, 0]


def test_a_label_near_a_half_is_the_least_sure():
    assert np.argsort(-doubt(np.array([[0.9], [0.45], [0.2]]), "label")).tolist() == [1, 2, 0]


def test_variance_is_that_of_the_members_gaps():
    assert doubt(np.array([[1.0, 3.0], [2.0, 2.0]]), "variance").tolist() == [1.0, 0.0]


def test_a_vote_tells_which_member_is_right_where_they_are_sure_of_opposites_and_nothing_where_all_toss_a_coin():
    told = doubt(np.array([[30.0, -30.0], [0.0, 0.0], [30.0, 30.0]]), "information")
    assert told == pytest.approx([np.log(2), 0, 0], abs=1e-9)


def test_scores_of_answers_are_as_good_as_gaps_and_an_item_of_several_answers_has_the_mean_of_its_pairs():
    asked = {"p/0-1-2": ("p", (0, 1, 2))}
    by_answer = doubts({"p/0": 1.0, "p/1": 3.0, "p/2": 2.0}, asked, "margin")
    by_pair = doubts({"p/0-1": -2.0, "p/0-2": -1.0, "p/1-2": 1.0}, asked, "margin")
    assert by_answer == by_pair == {"p/0-1-2": pytest.approx(-4 / 3)}


def test_of_equals_the_one_that_came_first_comes_first():
    assert least_sure_first(["c", "a", "b"], {"a": 1.0, "b": 2.0, "c": 1.0}) == ["b", "c", "a"]


@pytest.mark.parametrize(
    ("scores", "measure", "message"),
    [
        ({}, "margin", "no score for p/0"),
        ({"p/0": 1.0}, "margin", "no score for p/1"),
        ({"p/0-1": "high"}, "margin", "a score is a number"),
        ({"p/0-1": float("nan")}, "margin", "a score is a number"),
        ({"p/0-1": []}, "variance", "a score is a number"),
        ({"p/0-1": [[1.0]]}, "margin", "a score is a number"),
        ({"p/0-1": 2.0}, "label", "between 0 and 1"),
        ({"p/0-1": 2.0}, "variance", "members of an ensemble"),
    ],
)
def test_scores_that_do_not_fit_are_refused(scores, measure, message):
    with pytest.raises(DataError, match=message):
        doubts(scores, {"p/0-1": ("p", (0, 1))}, measure)


def test_members_must_be_as_many_for_every_pair():
    with pytest.raises(DataError, match="more members"):
        doubts({"p/0-1": 1.0, "q/0-1": [1.0, 2.0]}, {"a": ("p", (0, 1)), "b": ("q", (0, 1))}, "margin")


def test_one_answer_alone_is_nothing_to_be_unsure_of():
    with pytest.raises(DataError, match="at least two answers"):
        doubts({"p/0": 1.0}, {"p/0": ("p", (0,))}, "margin")


def test_an_arm_is_drawn_from_the_seed_and_the_key_alone_and_a_larger_share_keeps_those_of_a_smaller():
    keys = [f"p{number}/0-1" for number in range(4000)]
    half = {key for key in keys if arm_of(7, key, 0.5) == "uncertain"}
    assert len(half) == pytest.approx(2000, abs=130)
    assert {key for key in keys if arm_of(7, key, 0.2) == "uncertain"} < half
    assert {key for key in keys if arm_of(8, key, 0.5) == "uncertain"} != half


def test_the_uncertain_arm_comes_least_sure_first_in_its_own_places_and_the_random_arm_stays_as_drawn(book):
    queue(book, uncertain_share=0.5, seed=3)
    before = places(3, [f"p{number}/0-1" for number in range(10)])
    assert order_uncertain(book, "q", gaps(), "margin") == len(
        [key for key in before if arm_of(3, key, 0.5) != "random"]
    )
    ada = person(book)
    answer_all(book, ada)
    asked = [f"{vote.prompt_id}/0-1" for vote in collect(book, "q").votes]
    uncertain = [key for key in asked if arm_of(3, key, 0.5) == "uncertain"]
    assert 1 < len(uncertain) < 10
    assert uncertain == sorted(uncertain, key=lambda key: abs(gaps()[key]))
    for place, key in enumerate(before):
        assert (asked[place] == key) or arm_of(3, key, 0.5) == "uncertain"


def test_what_somebody_has_keeps_its_place_and_the_rest_can_be_ordered_again(book):
    queue(book, uncertain_share=1)
    ada = person(book)
    first = claim(book, ada, "q")
    assert order_uncertain(book, "q", gaps(), "margin") == 9
    assert claim(book, ada, "q").id == first.id
    assert order_uncertain(book, "q", {key: -abs(gap) for key, gap in gaps().items()}, "margin") == 9


def test_votes_say_which_arm_asked_for_them(book):
    queue(book, candidates(40), gold={"p0/0-1": 1}, uncertain_share=0.5, gold_share=0.3)
    answer_all(book, person(book))
    found = collect(book, "q")
    assert {vote.arm for vote in found.votes} == {"random", "uncertain"}
    assert all(vote.arm == arm_of(0, f"{vote.prompt_id}/0-1", 0.5) for vote in found.votes)
    assert {vote.arm for vote in found.checks} == {"gold"}


def test_putting_an_arm_in_order_is_an_act_in_the_chain(book):
    queue(book, uncertain_share=1)
    order_uncertain(book, "q", gaps(), "margin", "lea")
    last = list(read_events(book))[-1]
    assert (last.kind, last.person, last.body["measure"], last.body["items"]) == ("order-arm", "lea", "margin", 10)
    assert not verify(book).fault


def test_a_queue_without_the_arm_and_scores_that_miss_an_item_change_nothing(book):
    queue(book)
    with pytest.raises(UsageError, match="no item in the arm"):
        order_uncertain(book, "q", gaps(), "margin")
    add_queue(book, QueueSettings(name="r", uncertain_share=1), items_of(candidates(), "pair"))
    with pytest.raises(DataError, match="no score for p9"):
        order_uncertain(book, "r", gaps(9), "margin")
    with pytest.raises(NotFound):
        order_uncertain(book, "s", gaps(), "margin")
    assert [event.kind for event in read_events(book)] == ["queue", "queue"]


def test_the_command_orders_a_queue_and_tells_a_mistake_in_words(tmp_path, capsys):
    where, scores = tmp_path / "votes.db", tmp_path / "scores.json"
    book = open_votebook(where)
    add_queue(book, QueueSettings(name="q", uncertain_share=1), items_of(ROWS, "pair"))
    book.close()
    scores.write_text(json.dumps(gaps(6)))
    assert run("label", "order", where, "--scores", scores) == 0
    assert capsys.readouterr().out == "6 items in order, least sure first\n"
    for words, message in (
        (("--by", "hunch"), "nothing is called `hunch`"),
        (("--queue", "z"), "no queue is called z"),
        (("--by", "variance"), "members of an ensemble"),
    ):
        assert run("label", "order", where, "--scores", scores, *words) == 2
        assert message in capsys.readouterr().err
    scores.write_text("[]")
    assert run("label", "order", where, "--scores", scores) == 2
    assert "not a JSON object of scores" in capsys.readouterr().err
