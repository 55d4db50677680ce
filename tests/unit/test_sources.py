"""Rows as steps, and the refusal to lose many of them."""

from collections import Counter

import pytest

from alidade.errors import DataError
from alidade.training.settings import Batching, RowLimits
from alidade.training.sources import ShuffledRows, Shuffling, refuse_loss


def source(count=10, seed=0, **batching):
    settings = Shuffling(Batching(**{"rows": 4, "epochs": 2, **batching}), seed, "test")
    return ShuffledRows(list(range(count)), lambda item: 3, list, settings)


def drain(rows):
    taken = []
    for step in rows:
        taken.append(step)
        rows.observe(None)
    return taken


def test_every_row_comes_once_an_epoch_in_a_fresh_order():
    taken = drain(source())
    flat = [item for step in taken for micro in step for item in micro]
    assert len(taken) == 6
    assert sorted(flat[:10]) == sorted(flat[10:]) == list(range(10))
    assert flat[:10] != flat[10:]


def test_a_step_is_cut_by_tokens_without_changing_its_rows():
    whole, cut = drain(source()), drain(source(tokens_at_once=6))
    assert [[item for micro in step for item in micro] for step in cut] == [step[0] for step in whole]
    assert [len(micro) for micro in cut[0]] == [2, 2]


def test_going_on_from_a_state_gives_the_rest():
    expected = drain(source())
    started = source()
    for _ in started:
        started.observe(None)
        if started.position[0] == 4:
            break
    resumed = source()
    resumed.load_state_dict(started.state_dict())
    assert drain(resumed) == expected[4:]


def test_another_seed_is_another_order():
    assert drain(source()) != drain(source(seed=1))


def test_losing_more_rows_than_allowed_is_refused_with_the_reasons():
    with pytest.raises(DataError, match="3 of 100 rows would be dropped: 2 empty, 1 too long") as caught:
        refuse_loss(100, Counter({"too long": 1, "empty": 2}), 0.01, "rows")
    assert "allowed_loss: 0.030" in str(caught.value)


def test_losing_few_rows_is_allowed():
    refuse_loss(100, Counter({"too long": 1}), 0.01, "rows")


@pytest.mark.parametrize("seen", [0, 2])
def test_having_no_row_left_is_refused_whatever_is_allowed(seen):
    with pytest.raises(DataError, match="no row can be trained on"):
        refuse_loss(seen, Counter({"too long": seen}), 1.0, "rows")


def test_the_longest_row_is_the_smaller_of_limit_and_context():
    assert RowLimits(max_tokens=5).longest(None) == 5
    assert RowLimits().longest(7) == 7
    assert RowLimits(max_tokens=9).longest(7) == 7
