import random

import pytest
from tests.simulated_votes import answers, cast

from alidade.errors import DataError
from alidade.preferences.values import (
    EVERYONE,
    Leads,
    Pair,
    as_far_by_chance,
    as_low_by_chance,
    electorates,
    flatters,
    pairs_of,
    values,
)

ROWS = answers(30)
VOTES = cast(ROWS, 14)
GROUPS = {
    f"a{who:03}": {"taste": "long" if who % 2 else "short", "age": "old" if who < 4 else "young"} for who in range(12)
}
PAIRS = [Pair(prompt_id=f"p{n}", asked="?", left="a long answer to it " * 3, right=f"short {n}") for n in range(60)]


def test_every_model_learns_from_as_many_votes_and_from_its_own_group_only():
    found = electorates([vote for vote in VOTES if vote.id != "1/3"], GROUPS, "taste", deals=2, seed=0)
    every = [*found.groups.values(), found.everyone, *(one for deal in found.deals for one in deal.values())]
    assert {len(one.votes) for one in every} == {6 * 30 - 1}
    assert {vote.annotator for vote in found.groups["long"].votes} == {f"a{who:03}" for who in range(1, 12, 2)}
    assert not {"a012", "a013"} & {vote.annotator for one in every for vote in one.votes}


def test_dealing_out_again_keeps_the_people_and_the_sizes_of_groups():
    found = electorates(VOTES, GROUPS, "taste", deals=3, seed=0)
    for deal in found.deals:
        people = [{vote.annotator for vote in one.votes} for one in deal.values()]
        assert [one.people for one in deal.values()] == [6, 6]
        assert not people[0] & people[1]
        assert {sum(GROUPS[name]["taste"] == "long" for name in inside) for inside in people} == {3}
    assert len({frozenset(vote.annotator for vote in deal["long"].votes) for deal in found.deals}) > 1
    assert found == electorates(VOTES, GROUPS, "taste", deals=3, seed=0)


def test_a_question_with_one_group_large_enough_is_refused():
    with pytest.raises(DataError, match="fewer than two groups have 5 people"):
        electorates(VOTES, GROUPS, "age", deals=1, seed=0)


def held_against_chance(opposed, dealt):
    """Two groups whose models part on so many pairs, and dealt ones on so many."""
    one = [1.0] * len(PAIRS)
    other = [-2.0 if place < opposed else 1.0 for place in range(len(PAIRS))]
    deals = [{"x": one, "y": [-1.0 if place < number else 1.0 for place in range(len(PAIRS))]} for number in dealt]
    found = electorates(
        VOTES, {name: {"q": "x" if n % 2 else "y"} for n, name in enumerate(GROUPS)}, "q", deals=len(deals), seed=0
    )
    leads = Leads({"x": one, "y": other}, one, deals)
    return values("q", found, PAIRS, leads)


def test_groups_that_part_more_than_people_at_random_are_found_and_shown():
    (parting,) = held_against_chance(30, [3, 6, 4, 5]).partings
    assert parting.agree.mean == 0.5
    assert parting.p_adjusted < 0.05
    assert len(parting.examples) == 5
    assert all(split.one_prefers_left for split in parting.examples)
    (length,) = parting.gaps
    assert (length.trait, length.gap.mean) == ("length", 0.5)
    assert length.p_adjusted < 0.05


@pytest.mark.parametrize(("opposed", "dealt"), [(5, [5, 6, 4]), (12, [3, 20, 3]), (2, [4, 4, 5])])
def test_groups_that_part_no_more_than_people_at_random_are_not_found(opposed, dealt):
    (parting,) = held_against_chance(opposed, dealt).partings
    assert parting.p_adjusted > 0.05


def test_of_random_values_as_many_are_called_unlikely_as_should_be():
    draw = random.Random(0)
    rows = [[draw.gauss(0, 0.02) for _ in range(6)] for _ in range(4000)]
    assert 0.04 < sum(as_low_by_chance(first, rest) < 0.05 for first, *rest in rows) / len(rows) < 0.06
    assert 0.04 < sum(as_far_by_chance(first, rest) < 0.05 for first, *rest in rows) / len(rows) < 0.06


def test_what_a_model_likes_is_told_by_the_pairs_that_differ():
    found = {one.name: one.likes for one in held_against_chance(15, [3, 4]).models}
    assert set(found) == {"x", "y", EVERYONE}
    assert set(found["x"]) == {"length"}
    assert (found["x"]["length"].mean, found["y"]["length"].mean) == (1.0, 0.75)


def test_what_chance_alone_would_like_is_the_range_of_the_dealt_models():
    found = held_against_chance(15, [3, 6]).likes_by_chance["length"]
    assert (found.low, found.high, found.n) == (0.9, 1.0, 4)


def test_pairs_are_of_different_answers_to_one_prompt():
    assert len(pairs_of(ROWS)) == 30
    assert flatters("Great question! Here it is.")
    assert not flatters("Here it is.")
