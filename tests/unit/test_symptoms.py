"""Each symptom is named by the curves that show it, and by no others."""

import pytest

from alidade.training.symptoms import SYMPTOMS, found_in, looked_for, symptoms

HEALTHY = {
    "kl": 1.0, "entropy": 2.0, "value_loss": 0.5, "unfinished": 0.0, "proxy_reward": 0.0, "gold": 0.0, "length": 20.0,
    "length_correlation": 0.1, "empty": 0.0, "commonest": 0.05, "tied_groups": 0.2,
}  # fmt: skip
LEARNING = {"loss": 0.7, "chosen_shift": 0.0, "margin": 0.0, "desirable_shift": 0.0}
SHOWN_BY = {
    "negative KL": ({"kl": -2.0}, "KL stays below zero (-2.00 nats an answer)"),
    "exploding KL": ({"kl": 40.0}, "KL rose to 40.0 nats an answer, 2.00 a token"),
    "entropy collapse": ({"entropy": 0.1}, "entropy fell from 2.00 to 0.10 nats a token"),
    "value blow-up": ({"value_loss": 50.0}, "the value loss grew from 0.5 to 50"),
    "score follows length": ({"length_correlation": 0.7}, "score with its length rose from 0.10 to 0.70"),
    "length drift": ({"length": 60.0, "proxy_reward": 1.0}, "answers grew from 20 to 60 tokens as the reward rose"),
    "likelihood displacement": ({"chosen_shift": -9.0, "margin": 2.0}, "became 9.0 nats less likely"),
    "sinking desirable answers": ({"desirable_shift": -9.0}, "the desirable answers became 9.0 nats less likely"),
    "dead groups": ({"tied_groups": 1.0}, "in 100% of the groups all answers score the same"),
    "empty answers": ({"empty": 1.0}, "100% of the answers are empty"),
    "one answer to everything": ({"commonest": 0.95}, "95% of the answers are the same, whatever was asked"),
    "answers without end": ({"unfinished": 0.9}, "90% of the answers never stop"),
    "exploited reward": ({"proxy_reward": 2.0, "gold": -1.0}, "fell from 0.00 to -1.00"),
    "growing loss": ({"loss": 3.0}, "the loss grew from 0.7 to 3"),
}


def healthy(change):
    return LEARNING if set(change) <= set(LEARNING) else HEALTHY


@pytest.mark.parametrize("name", [one.name for one in SYMPTOMS])
def test_a_symptom_is_named_with_its_numbers_where_the_curves_show_it(name):
    change, words = SHOWN_BY[name]
    start = healthy(change)
    (found,) = found_in([start, *[{**start, **change}] * 4])
    assert found.symptom.name == name
    assert words in found.evidence
    assert symptoms([start, *[{**start, **change}] * 4]) == [str(found)]


@pytest.mark.parametrize("row", [HEALTHY, LEARNING])
def test_healthy_curves_have_no_symptom_and_say_what_was_looked_for(row):
    better = {"proxy_reward": 1.0, "gold": 0.5, "loss": 0.2, "margin": 1.0}
    curves = [row, *[{name: better.get(name, value) for name, value in row.items()}] * 5]
    assert found_in(curves) == []
    assert {one.name for one in looked_for(curves)} == {one.name for one in SYMPTOMS if set(one.columns) <= set(row)}


def test_every_symptom_is_looked_for_in_one_of_the_two():
    assert {name for row in (HEALTHY, LEARNING) for name in (one.name for one in looked_for([row] * 2))} == set(
        SHOWN_BY
    )


def test_nothing_is_said_of_a_training_too_short_to_have_a_course():
    assert looked_for([HEALTHY]) == looked_for([]) == []
    assert symptoms([{"kl": -9.0}]) == []


@pytest.mark.parametrize("name", [one.name for one in SYMPTOMS])
def test_a_symptom_in_the_middle_rows_only_is_found(name):
    change, words = SHOWN_BY[name]
    start = healthy(change)
    bare = {"iteration": 1.0}
    curves = [bare, start, bare, *[{**start, **change}] * 4, bare]
    (found,) = found_in(curves)
    assert (found.symptom.name, words in found.evidence) == (name, True)


def test_columns_that_never_stand_together_are_not_looked_for():
    assert [one.name for one in looked_for([{"kl": 1.0}, {"length": 20.0}] * 3)] == ["negative KL"]


def test_a_longer_answer_without_a_higher_reward_is_no_drift():
    assert found_in([HEALTHY, *[{**HEALTHY, "length": 60.0}] * 4]) == []
