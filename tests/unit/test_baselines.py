import pytest

from alidade.preferences.baselines import accuracy, beside_baselines, length_only, majority
from alidade.records import Comparison, Conversation


def row(name: str, left: str, right: str, label_prob: float, shown: str = "left first") -> Comparison:
    return Comparison.model_validate(
        {
            "id": f"{name}/0-1",
            "prompt": Conversation.ask(name),
            "left": left,
            "right": right,
            "label_prob": label_prob,
            "shown": shown,
        }
    )


LONGER_WINS = [row(str(n), "a" * 5, "b", 1.0) for n in range(4)] + [row(str(n), "a", "b" * 5, 0.2) for n in range(4, 8)]


def test_the_longer_answer_is_chosen_where_it_wins_in_training():
    found = length_only(LONGER_WINS, LONGER_WINS)
    assert (found.mean, found.n) == (1.0, 8)


def test_the_shorter_answer_is_chosen_where_it_wins_in_training():
    shorter_wins = [pair.model_copy(update={"label_prob": 1 - pair.label_prob}) for pair in LONGER_WINS]
    assert length_only(shorter_wins, shorter_wins).mean == 1.0
    assert length_only(shorter_wins, LONGER_WINS).mean == 0.0


def test_answers_of_one_length_count_half():
    assert length_only(LONGER_WINS, [row("x", "a", "b", 1.0), row("y", "aa", "b", 1.0)]).mean == 0.75


def test_rows_without_a_better_answer_are_not_counted():
    assert length_only(LONGER_WINS, [*LONGER_WINS, row("x", "a", "bb", 0.5)]).n == 8
    assert length_only(LONGER_WINS, [row("x", "a", "bb", 0.5)]) is None


def test_the_side_that_won_more_often_in_training_is_chosen():
    train = [row(str(n), "a", "b", label) for n, label in enumerate((0.0, 0.0, 1.0))]
    heldout = [row(str(n), "a", "b", label) for n, label in enumerate((0.0, 0.1, 0.9, 0.4))]
    assert majority(train, heldout).mean == 0.75


def test_chosen_and_rejected_columns_give_the_majority_nothing_to_go_by():
    rows = [row(str(n), "a", "b", 1.0, "unknown") for n in range(6)]
    assert majority(rows, rows).mean == 0.5


def test_accuracy_counts_the_signs_that_agree_with_the_labels():
    rows = [row("p", "a", "b", 1.0), row("p", "a", "c", 0.0), row("q", "a", "b", 0.5), row("r", "a", "b", 0.3)]
    found = accuracy(rows, [2.0, 1.0, 5.0, -0.1])
    assert found.mean == pytest.approx(2 / 3)
    assert found.n == 3


def test_an_accuracy_stands_beside_both_baselines():
    leads = [1.0] * 4 + [-1.0] * 3 + [1.0]
    found = beside_baselines(LONGER_WINS, LONGER_WINS, leads)
    assert {name: one.mean for name, one in found.items()} == {"accuracy": 7 / 8, "length_only": 1.0, "majority": 0.5}


def test_without_a_held_out_preference_there_is_nothing_to_stand_beside():
    tie = row("tie", "a", "b", 0.5)
    assert beside_baselines(LONGER_WINS, [tie], [1.0]) == {}
