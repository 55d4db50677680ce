import random

import pytest
from tests.simulated_votes import answers, cast

from alidade.preferences.drift import RUN_LENGTH, START, THRESHOLD, _reference, chart, cusum, drift
from alidade.preferences.pace import fatigue, places, speed
from alidade.preferences.tally import Pair


def run_length(rate, reference, rng, most=20_000):
    path, length = 0.0, 0
    while length < most:
        block = cusum_from(path, [rng.random() < rate for _ in range(500)], reference)
        for place, height in enumerate(block):
            if height > THRESHOLD:
                return length + place + 1
        path, length = block[-1], length + 500
    return most


def cusum_from(start, misses, reference):
    from math import log

    risen = 3 * reference / (1 + 2 * reference)
    steps = {True: log(risen / reference), False: log((1 - risen) / (1 - reference))}
    found, height = [], start
    for missed in misses:
        height = max(0.0, height + steps[missed])
        found.append(height)
    return found


def test_the_chart_follows_its_formula():
    misses = [random.Random(1).random() < 0.3 for _ in range(50)]
    assert cusum(misses, 0.2) == pytest.approx(cusum_from(0.0, misses, 0.2), abs=1e-3)


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.4])
def test_who_does_not_drift_gives_a_false_alarm_once_in_the_stated_run_length_or_less_often(rate):
    rng = random.Random(0)
    lengths = [run_length(rate, rate, rng) for _ in range(20)]  # cut at 20,000, so the mean is too low if anything
    assert sum(lengths) / len(lengths) >= RUN_LENGTH


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.4])
def test_with_the_reference_taken_from_the_start_few_who_do_not_drift_are_named_in_500_trials(rate):
    rng, alarms = random.Random(0), 0
    for _ in range(200):
        trials = [rng.random() < rate for _ in range(START + 500)]
        alarms += chart("a", "gold", trials[START:], _reference(trials[:START], rate)).alarm is not None
    assert alarms <= 20  # 500 in 5,000 is .1


def test_planted_drift_is_found_where_it_began_and_nothing_without_it():
    rows = answers(400)
    votes = cast(rows, 8, spread=6.0, slip=lambda who, place: 0.9 if who == 3 and place >= 200 else 0.1)
    gold = {Pair(row.prompt.id, 0, 1, "overall"): "left" for row in rows}
    for vote in cast(rows, 1, spread=60.0):
        gold[Pair(vote.prompt_id, 0, 1, "overall")] = "left" if (vote.choice == "left") == (vote.left == 0) else "right"
    found = drift(votes, gold)
    named = {(one.annotator, one.against): one for one in found.charts if one.alarm}
    assert set(named) == {("a003", "gold"), ("a003", "others")}
    one = named["a003", "gold"]
    assert abs(one.since + START - 200) < 25
    assert one.after.low > one.before.high
    assert found.false_alarms == pytest.approx(sum(one.n for one in found.charts) / RUN_LENGTH)
    calm = drift(cast(rows, 8, spread=6.0, slip=lambda who, place: 0.1), gold)
    assert not [one for one in calm.charts if one.alarm]


def test_votes_without_times_are_not_watched():
    votes = [vote.model_copy(update={"at": None}) for vote in cast(answers(100), 3)]
    found = drift(votes, {})
    assert (found.charts, found.untimed) == ((), 3)
    assert fatigue(votes) is None


def test_a_session_ends_with_a_pause_of_more_than_half_an_hour():
    vote = cast(answers(1), 1)[0]
    votes = [vote.model_copy(update={"at": at}) for at in (0.0, 1800.0, 3601.0, 3700.0)]
    assert [place for _, place in places(votes)] == [1, 2, 1, 2]


def test_fatigue_is_found_where_it_was_planted():
    rows = answers(120)
    tired = fatigue(cast(rows, 12, spread=6.0, slip=lambda who, place: min(0.9, place / 100)))
    assert tired.sessions == 12
    assert tired.positions[0].agreement.low > tired.positions[-1].agreement.high
    assert tired.trend.high < 0
    fresh = fatigue(cast(rows, 12, spread=6.0, slip=lambda who, place: 0.2))
    assert fresh.trend.low < 0 < fresh.trend.high


def test_quick_votes_are_counted_and_compared():
    rows = answers(80)
    votes = cast(rows, 10, spread=6.0, slip=lambda who, place: 0.9 if place % 4 == 0 else 0.1)
    timed = [vote.model_copy(update={"seconds": 1.0 if number % 4 == 0 else 10.0}) for number, vote in enumerate(votes)]
    found = speed(timed)
    assert found.quick.mean == 0.25
    assert found.quick_agreement.high < found.other_agreement.low
    assert found.median.mean == 10.0
    assert set(found.annotators) == {vote.annotator for vote in votes}
    assert speed([vote.model_copy(update={"seconds": None}) for vote in votes]) is None
