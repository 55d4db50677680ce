from statistics import fmean

import pytest
from tests.simulated_votes import answers, cast, doublings

from alidade.preferences import tally
from alidade.preferences.contrasts import contrasts
from alidade.preferences.group_tests import _power, group_differences
from alidade.preferences.groups import group_labels, members
from alidade.preferences.taste import reliable, taste

ROWS = answers(60)


def split_in_two(people):
    return {f"a{who:03}": {"taste": "long" if who % 2 else "short"} for who in range(people)}


def longer(who):
    return 0.7 if who % 2 else -0.7


def test_a_group_too_small_is_never_shown():
    groups = {f"a{who:03}": {"age": "old" if who < 4 else "young" if who < 9 else "middle"} for who in range(16)}
    votes = cast(ROWS, 16)
    assert {group: len(names) for group, names in members((v.annotator for v in votes), groups, "age").items()} == {
        "middle": 7,
        "young": 5,
    }
    assert "old" not in group_differences(votes, contrasts(ROWS, votes), groups).model_dump_json()
    assert {one.group for one in group_labels(votes, groups, "age")} == {"middle", "young"}


def test_a_question_with_one_group_large_enough_is_withheld():
    groups = {f"a{who:03}": {"age": "old" if who < 3 else "young"} for who in range(12)}
    votes = cast(ROWS, 12)
    found = group_differences(votes, contrasts(ROWS, votes), groups)
    assert (found.tests, found.leans, found.agreement, found.withheld) == ((), (), (), ("age",))
    assert group_labels(votes, groups, "age") == ()


def test_people_who_did_not_vote_do_not_fill_a_group():
    groups = {f"a{who:03}": {"age": "old"} for who in range(20)}
    assert members(["a001", "a002"], groups, "age") == {}


def test_a_planted_difference_is_found_in_the_lean_and_the_agreement():
    votes = cast(ROWS, 20, lean=longer)
    found = group_differences(votes, contrasts(ROWS, votes), split_in_two(20))
    p = {one.what: one.p_adjusted for one in found.tests}
    assert p["length"] < 0.01
    assert p["agreement"] < 0.05
    assert p["refusal"] > 0.05
    (agreed,) = found.agreement
    assert agreed.within.mean > agreed.between.mean
    lengths = {
        one.group: lean.chance for one in found.leans for lean in one.sensitivity.leans if lean.trait == "length"
    }
    assert lengths["short"].high < 0.5 < lengths["long"].low


@pytest.mark.slow
def test_where_nothing_is_planted_the_family_errs_no_oftener_than_it_says(monkeypatch):
    monkeypatch.setattr("alidade.preferences.group_tests.DRAWS", 200)
    rows, alarms, smallest = ROWS[:20], 0, []
    for seed in range(60):
        votes = cast(rows, 14, lean=lambda who, seed=seed: ((who * 7 + seed) % 5 - 2) / 4, seed=seed)
        found = group_differences(votes, contrasts(rows, votes), split_in_two(14), seed=seed)
        alarms += any(one.p_adjusted < 0.05 for one in found.tests)
        smallest += [one.p for one in found.tests]
    assert alarms <= 7  # of 60 at .05: more is a chance of .012
    assert 0.43 < fmean(smallest) < 0.57


@pytest.mark.slow
def test_the_power_stated_is_about_the_share_of_pools_in_which_the_effect_is_found(monkeypatch):
    monkeypatch.setattr("alidade.preferences.group_tests.DRAWS", 200)
    rows, found, stated = ROWS[:30], 0, []
    for seed in range(60):
        votes = cast(rows, 16, lean=lambda who: 0.5 if who % 2 else 0.0, spread=0.0, seed=seed)
        (test,) = [
            one
            for one in group_differences(votes, contrasts(rows, votes), split_in_two(16), seed=seed).tests
            if one.what == "length"
        ]
        found += test.p < 0.05 / 4
        stated.append(test.power)
    assert abs(found / 60 - fmean(stated)) < 0.2


def test_a_statistic_without_spread_has_no_power():
    from alidade.preferences.group_tests import _Found

    assert _power(_Found("q", "agreement", [5, 5], 1.0, 0.0), 0.05) == 0


def test_labels_of_one_group_alone_flip_more_pairs_than_as_many_people_at_random():
    votes = cast(ROWS, 20, lean=lambda who: 1.5 if who % 4 == 0 else -0.5)
    groups = {f"a{who:03}": {"taste": "long" if who % 4 == 0 else "short"} for who in range(20)}
    found = {one.group: one for one in group_labels(votes, groups, "taste")}
    long = found["long"]
    assert (long.people, long.pairs, long.votes) == (5, 60, 300)
    assert long.flips.mean > long.by_chance.high
    assert long.shift.mean > found["short"].shift.mean
    of_long = [vote for vote in votes if groups[vote.annotator]["taste"] == "long"]
    alone = {row.id: row.label_prob for row in tally(ROWS, of_long).comparisons}
    every = {row.id: row.label_prob for row in tally(ROWS, votes).comparisons}
    told = [name for name in alone if 0.5 not in (alone[name], every[name])]
    flipped = [name for name in told if (alone[name] > 0.5) != (every[name] > 0.5)]
    assert long.flips.mean == pytest.approx(len(flipped) / len(told))


def test_who_tosses_coins_is_not_reliable():
    votes = cast(ROWS, 9, spread=6.0, slip=lambda who, place: 1.0 if who == 0 else 0.0)
    assert reliable(votes, {}) == {f"a{who:03}" for who in range(1, 9)}


def test_a_split_by_taste_for_length_is_named_and_shown():
    contested = ROWS[:40]
    agreed = answers(40, seed=9)
    agreed = [
        row.model_copy(update={"prompt": row.prompt.model_copy(update={"id": f"sure {row.prompt.id}"})})
        for row in agreed
    ]
    votes = [
        *cast(contested, 12, lean=lambda who: 2.0 if who % 2 else -2.0, spread=0.0),
        *cast(agreed, 12, spread=60.0, seed=5),
    ]
    found = taste(votes, contrasts([*contested, *agreed], votes), reliable(votes, {}))
    assert found.reliable == 12
    assert found.contested > 10
    assert found.best == "length"
    best = found.dimensions[0]
    assert 0 < len(best.examples) <= 5
    rows = {row.prompt.id: row for row in contested}
    assert all(doublings(rows[one.prompt_id]) for one in best.examples)


def test_a_split_by_what_was_asked_is_named_so():
    votes = []
    for attribute, seed in (("helpful", 1), ("harmless", 2)):
        votes += [one.model_copy(update={"attribute": attribute}) for one in cast(ROWS, 8, spread=60.0, seed=seed)]
    found = taste(votes, contrasts(ROWS, votes), reliable(votes, {}))
    assert found.best == "attribute"
    assert found.dimensions[0].predicts.mean > 0.95


def test_no_dimension_is_named_where_none_tells_the_split():
    agreed = [
        row.model_copy(update={"prompt": row.prompt.model_copy(update={"id": f"sure {row.prompt.id}"})}) for row in ROWS
    ]
    votes = [*cast(ROWS, 12, spread=0.0), *cast(agreed, 12, spread=60.0)]
    found = taste(votes, contrasts([*ROWS, *agreed], votes), reliable(votes, {}))
    assert found.contested > 20
    assert found.best is None
