import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from alidade.stats import (
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

counts = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
shares = st.floats(0, 1)


@settings(deadline=None, max_examples=60)
@given(counts)
def test_the_wilson_interval_is_scipys(count):
    ours, theirs = wilson_interval(*count), scipy_stats.binomtest(*count).proportion_ci(method="wilson")
    assert ours == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(counts)
def test_success_and_failure_mirror_each_other_and_the_interval_holds_the_share(count):
    successes, n = count
    low, high = wilson_interval(successes, n)
    other_low, other_high = wilson_interval(n - successes, n)
    assert (other_low, other_high) == pytest.approx((1 - high, 1 - low), abs=1e-12)
    assert 0 <= low <= successes / n <= high <= 1
    assert low < high


@settings(deadline=None, max_examples=60)
@given(counts, st.integers(2, 10))
def test_more_cases_narrow_the_interval(count, times):
    successes, n = count
    first, more = wilson_interval(successes, n), wilson_interval(successes * times, n * times)
    assert more[1] - more[0] < first[1] - first[0]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=1, max_size=80))
def test_clusters_only_ever_widen(cases):
    values, clusters = [value for value, _ in cases], [cluster for _, cluster in cases]
    independent, clustered = proportion(sum(values), len(values)), clustered_proportion(values, clusters)
    assert clustered.mean == independent.mean
    assert clustered.low <= independent.low + 1e-12
    assert clustered.high >= independent.high - 1e-12
    assert 0 <= clustered.low <= clustered.mean <= clustered.high <= 1


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_scipys_exact_binomial_test_and_symmetric(lost, gained):
    expected = scipy_stats.binomtest(lost, lost + gained).pvalue if lost + gained else 1.0
    assert mcnemar(lost, gained) == pytest.approx(expected) == mcnemar(gained, lost)


@settings(deadline=None, max_examples=60)
@given(st.lists(shares, max_size=12))
def test_holm_keeps_the_order_and_never_lowers_a_p_value(p_values):
    adjusted = holm(p_values)
    assert all(before <= after <= 1 for before, after in zip(p_values, adjusted, strict=True))
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    assert [adjusted[index] for index in order] == sorted(adjusted)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(shares, st.booleans()), min_size=1, max_size=60), st.integers(1, 20))
def test_no_case_leaves_the_calibration_bins(cases, bins):
    found = calibration_bins([share for share, _ in cases], [float(outcome) for _, outcome in cases], bins)
    assert sum(one.n for one in found) == len(cases)
    assert sum(one.n * one.observed for one in found) == pytest.approx(sum(outcome for _, outcome in cases))
    assert 0 <= expected_calibration_error(found) <= 1


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=2, max_size=30), st.floats(-50, 50))
def test_the_bootstrap_moves_with_its_data_and_mirrors(values, shift):
    low, high = bootstrap_mean(values)
    moved_low, moved_high = bootstrap_mean([value + shift for value in values])
    assert (moved_low, moved_high) == pytest.approx((low + shift, high + shift), abs=1e-6)
    mirrored_low, mirrored_high = bootstrap_mean([-value for value in values])
    assert (mirrored_low, mirrored_high) == pytest.approx((-high, -low), abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=40))
def test_a_paired_difference_turned_round_changes_its_sign(pairs):
    before, after = [float(first) for first, _ in pairs], [float(second) for _, second in pairs]
    there, back = paired_difference(before, after), paired_difference(after, before)
    assert (there.mean, there.low, there.high) == pytest.approx((-back.mean, -back.high, -back.low), abs=1e-9)


def covered(trials, truth, interval):
    """The share of trials whose interval holds the truth."""
    return sum(low <= truth <= high for low, high in map(interval, trials)) / len(trials)


@pytest.mark.parametrize("truth", [0.02, 0.1, 0.5, 0.9])
def test_wilson_intervals_cover(truth):
    draw = np.random.default_rng(7)
    assert covered(draw.binomial(200, truth, size=500), truth, lambda count: wilson_interval(int(count), 200)) > 0.92


@pytest.mark.parametrize("cluster_count", [10, 60])
@pytest.mark.parametrize("truth", [0.15, 0.5, 0.9])
def test_clustered_intervals_cover_where_wilsons_do_not(truth, cluster_count):
    draw, size = np.random.default_rng(11), 200 // cluster_count
    clusters = np.repeat(np.arange(cluster_count), size)
    trials = []
    for _ in range(300):
        inclination = draw.beta(truth * 3, (1 - truth) * 3, size=cluster_count)
        trials.append(draw.random(len(clusters)) < inclination[clusters])

    def clustered(trial):
        estimate = clustered_proportion(trial.tolist(), clusters.tolist())
        return estimate.low, estimate.high

    aware = covered(trials, truth, clustered)
    blind = covered(trials, truth, lambda trial: wilson_interval(int(trial.sum()), len(trial)))
    assert aware > 0.92
    assert blind < aware


@pytest.mark.parametrize("count", [8, 60])
def test_bootstrap_intervals_cover(count):
    draw = np.random.default_rng(5)
    trials = draw.normal(1.0, 2.0, size=(250, count))

    def interval(trial):
        estimate = mean_estimate(trial.tolist(), seed=int(abs(trial[0]) * 1e6))
        return estimate.low, estimate.high

    assert covered(trials, 1.0, interval) > 0.91
