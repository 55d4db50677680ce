import subprocess
import sys

import pytest

from alidade.records import Estimate
from alidade.stats import (
    CalibrationBin,
    bootstrap_mean,
    calibration_bins,
    clustered_proportion,
    expected_calibration_error,
    holm,
    mcnemar,
    mean_estimate,
    paired_difference,
    proportion,
    wilson_interval,
)


def test_the_wilson_interval_of_81_in_263_is_the_published_one():
    low, high = wilson_interval(81, 263)  # Newcombe 1998, table I, method 3
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


def test_the_wilson_interval_of_none_and_of_all_touches_the_end_and_has_width():
    assert wilson_interval(0, 20)[0] == 0 < wilson_interval(0, 20)[1] < 0.17
    assert 0.83 < wilson_interval(20, 20)[0] < wilson_interval(20, 20)[1] == 1


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (-1, 5), (6, 5)])
def test_impossible_counts_are_refused(successes, n):
    with pytest.raises(ValueError, match="successes"):
        wilson_interval(successes, n)


def test_a_proportion_names_its_n():
    assert proportion(3, 4) == Estimate(mean=0.75, low=wilson_interval(3, 4)[0], high=wilson_interval(3, 4)[1], n=4)


def test_cases_that_agree_within_their_clusters_widen_the_interval():
    values = [number % 2 == 0 for number in range(40)]
    apart = clustered_proportion(values, range(40))
    alike = clustered_proportion(values, [number % 2 * 100 + number // 8 for number in range(40)])
    assert alike.mean == apart.mean == 0.5
    assert alike.n == apart.n == 40
    assert alike.high - alike.low > 1.5 * (apart.high - apart.low)


def test_clusters_that_cancel_out_never_make_the_interval_narrower_than_independent_cases():
    values = [True, False] * 50
    clustered = clustered_proportion(values, [number // 2 for number in range(100)])
    assert clustered == proportion(50, 100)


def test_few_clusters_say_less_even_when_all_cases_agree():
    every = [True] * 100
    low_of = {
        count: clustered_proportion(every, [number % count for number in range(100)]).low for count in (1, 5, 100)
    }
    assert low_of[1] < low_of[5] < low_of[100] < 1
    assert clustered_proportion(every, range(100)).high == 1


def test_clusters_must_match_values():
    with pytest.raises(ValueError, match="3 values but 2 clusters"):
        clustered_proportion([True, True, False], ["a", "b"])
    with pytest.raises(ValueError, match="no cases"):
        clustered_proportion([], [])


def test_equal_seeds_give_equal_intervals_and_others_do_not():
    values = [0.1, 0.5, 0.3, 0.9, 0.2, 0.7]
    assert bootstrap_mean(values, seed=1) == bootstrap_mean(values, seed=1) != bootstrap_mean(values, seed=2)


def test_the_bootstrap_draws_whole_clusters():
    values = [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0] * 4
    clusters = [number // 4 for number in range(32)]
    alone, grouped = mean_estimate(values), mean_estimate(values, clusters)
    assert grouped.mean == alone.mean == 0.5
    assert grouped.high - grouped.low > 1.6 * (alone.high - alone.low)


def test_one_case_is_an_interval_of_itself():
    assert mean_estimate([2.5]) == Estimate(mean=2.5, low=2.5, high=2.5, n=1)
    assert mean_estimate([1.0, 2.0], ["a", "a"]) == Estimate(mean=1.5, low=1.5, high=1.5, n=2)


def test_no_cases_have_no_mean():
    with pytest.raises(ValueError, match="no cases"):
        mean_estimate([])


def test_a_paired_difference_sees_what_unpaired_intervals_hide():
    before = [float(number) for number in range(50)]
    after = [value + 1 + 0.1 * (number % 3) for number, value in enumerate(before)]
    difference = paired_difference(before, after)
    assert 1 < difference.low < difference.mean < difference.high < 1.2
    with pytest.raises(ValueError, match="shorter"):
        paired_difference([1.0, 2.0], [1.0])


def test_mcnemar_is_the_sign_test_of_the_changed_cases():
    assert mcnemar(0, 0) == 1
    assert mcnemar(0, 6) == 2 / 64
    assert mcnemar(1, 7) == 2 * 9 / 256
    assert mcnemar(4, 4) == 1
    with pytest.raises(ValueError, match="negative"):
        mcnemar(-1, 3)


def test_holm_follows_the_worked_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_calibration_bins_hold_what_was_predicted_and_what_came_true():
    bins = calibration_bins([0.05, 0.15, 0.19, 1.0], [0, 1, 0, 1])
    assert bins == [
        CalibrationBin(0.0, 0.1, 0.05, 0.0, 1),
        CalibrationBin(0.1, 0.2, pytest.approx(0.17), 0.5, 2),
        CalibrationBin(0.9, 1.0, 1.0, 1.0, 1),
    ]
    assert expected_calibration_error(bins) == pytest.approx((0.05 + 2 * 0.33 + 0) / 4)
    assert expected_calibration_error([]) == 0
    with pytest.raises(ValueError, match="not a probability"):
        calibration_bins([1.2], [1])


def test_importing_the_statistics_loads_neither_numpy_nor_scipy():
    code = "import sys, alidade.stats; sys.exit(any(name in sys.modules for name in ('numpy', 'scipy', 'torch')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
