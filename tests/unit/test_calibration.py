"""How score gaps are judged."""

import math

import pytest

from alidade.training.calibration import Judged, calibration_bins, cross_entropy, fit_temperature, pair_report


def test_accuracy_counts_decided_pairs_only_and_no_lead_as_one_half():
    pairs = [Judged(2, 0, 0.9), Judged(-1, 0, 0.2), Judged(1, 0, 0.1), Judged(0, 0, 1.0), Judged(5, 0, 0.5)]
    report = pair_report(pairs, pairs)
    assert (report["pairs"], report["decided"]) == (5, 4)
    assert report["accuracy"] == pytest.approx(2.5 / 4)


def test_the_length_baseline_takes_its_direction_from_the_training_pairs():
    shorter_wins = [Judged(0, 3, 0.0), Judged(0, -2, 1.0)]
    held_out = [Judged(0, 5, 0.0), Judged(0, 4, 1.0), Judged(0, -1, 1.0)]
    assert pair_report(held_out, longer_from=shorter_wins)["length_only"] == pytest.approx(2 / 3)


def test_the_fitted_temperature_undoes_an_exaggeration():
    honest = [Judged(gap, 0, 1 / (1 + math.exp(-gap))) for gap in (-2.0, -0.5, 0.3, 1.0, 2.5)]
    exaggerated = [Judged(3 * pair.gap, 0, pair.label_prob) for pair in honest]
    assert fit_temperature(honest) == pytest.approx(1, rel=1e-3)
    assert fit_temperature(exaggerated) == pytest.approx(3, rel=1e-3)
    assert cross_entropy(exaggerated, 3.0) == pytest.approx(cross_entropy(honest, 1.0))


def test_bins_are_symmetric_and_hold_every_pair_twice():
    bins = calibration_bins([Judged(4.0, 0, 1.0), Judged(-0.1, 0, 0.5), Judged(300.0, 0, 1.0)])
    assert sum(cell["n"] for cell in bins) == 6
    assert bins[0]["observed"] == 0.0
    assert bins[-1]["observed"] == 1.0
    assert all(cell["low"] <= cell["predicted"] <= cell["high"] for cell in bins)


def test_nothing_decided_gives_no_accuracy():
    assert pair_report([Judged(1, 0, 0.5)], []) == {"pairs": 1, "decided": 0}
