"""Curves of proxy and gold: gains, the fitted forms, and what the report says of them."""

import math
import re

import pytest

from alidade.evals.overoptimisation import Point, fit, fitted, gains, overoptimisation
from alidade.report.overoptimisation import fits, rows, says
from alidade.stats import first_best, lead

NOISE = (-0.3, -0.1, 0.0, 0.1, 0.3)


def point(at, kl, gold, proxy=None):
    proxy = gold if proxy is None else proxy
    return Point(at, kl, [gold + noise for noise in NOISE], [proxy + noise for noise in NOISE])


@pytest.mark.parametrize(
    ("method", "alpha", "beta", "peak"),
    [("best_of_n", 1.2, 0.3, 4.0), ("ppo", 1.5, 0.75, math.exp(2.0))],
)
def test_the_papers_forms_are_found_again(method, alpha, beta, peak):
    kls = [0, 0.25, 1, 2, 4, 9]
    points = [point(place, kl, fitted(math.sqrt(kl), alpha, beta, method)) for place, kl in enumerate(kls)]
    found = fit(points, method)
    assert found["alpha"] == pytest.approx(alpha)
    assert found["beta"] == pytest.approx(beta)
    assert found["r2"] == pytest.approx(1)
    assert found["peak_kl"] == pytest.approx(peak)


def test_a_curve_that_only_rises_has_no_peak_and_two_points_have_no_fit():
    rising = [point(place, place, place**0.7) for place in range(6)]
    assert fit(rising, "best_of_n")["peak_kl"] is None or fit(rising, "best_of_n")["peak_kl"] > 5
    line = [point(place, place * place, 0.5 * place + 0.1 * place * place) for place in range(6)]
    assert fit(line, "best_of_n")["peak_kl"] is None
    assert fit(rising[:3], "ppo") is None


def test_a_form_that_does_not_fit_says_so():
    jagged = [point(place, place, (-1) ** place) for place in range(8)]
    assert fit(jagged, "best_of_n")["r2"] < 0.3


def test_gains_are_in_the_starts_standard_deviations_prompt_by_prompt():
    assert gains({"b": 3.0, "a": 2.0}, {"a": 1.0, "b": 1.0}, 2.0) == [0.5, 1.0]
    with pytest.raises(ValueError, match="all answers"):
        gains({"a": 1.0}, {"a": 1.0}, 0.0)
    with pytest.raises(KeyError):
        gains({"a": 1.0}, {"a": 1.0, "b": 1.0}, 1.0)


def test_a_lead_is_a_paired_difference_in_standard_errors():
    assert lead([0, 0, 0, 0], [1, 2, 1, 2]) == pytest.approx(1.5 / (math.sqrt(1 / 3) / 2))
    assert lead([1, 2], [1, 2]) == 0
    assert lead([1, 2], [2, 3]) == math.inf
    assert lead([2, 3], [1, 2]) == -math.inf


def test_the_first_of_those_that_cannot_be_told_apart_is_best():
    start, better, noise, best = [0, 0, 0, 0], [1, 2, 1, 2], [1.6, 1.4, 2.1, 0.9 + 0.2], [3, 4, 3, 4]
    assert first_best([start, better, noise]) == 1
    assert first_best([start, better, noise], margin=0.0) == 2
    assert first_best([start, better, noise, best, start]) == 3
    with pytest.raises(ValueError, match="no measurements"):
        first_best([])


def curve(golds, proxies=None, chosen=0, kls=None):
    proxies = proxies or golds
    points = [
        point(place, kl, gold, proxy)
        for place, (kl, gold, proxy) in enumerate(zip(kls or range(len(golds)), golds, proxies, strict=True))
    ]
    return overoptimisation(points, chosen, "ppo")


def test_peak_end_and_fall_are_those_of_the_curve():
    found = curve([0, 1, 2, 1], [0, 2, 3, 4], chosen=1)
    assert found["peak"]["at"] == 2
    assert found["chosen"]["gap"]["mean"] == pytest.approx(1)
    assert found["end"]["gap"]["mean"] == pytest.approx(3)
    assert found["fall"]["mean"] == pytest.approx(0)
    with pytest.raises(ValueError, match="was chosen"):
        curve([0, 1], chosen=7)


def test_what_is_said_follows_from_the_numbers():
    falls = says(curve([0, 2, 1], [0, 3, 4], chosen=1, kls=[0, 2, 9]), "iteration ")
    assert "iteration 1, KL 2 nats" in falls
    assert "gold is 2 (" in falls
    assert "falls by 1 (1 to 1)" in falls
    assert "promises 1 (1 to 1) more than gold gives at the chosen point, and 3 (3 to 3) more at the end" in falls
    assert "rises by 1" in says(curve([0, 1, 2], chosen=1), "n = ")
    assert "a fall could not be seen" in says(curve([0, 1, 2], chosen=2), "n = ")


def test_what_may_be_noise_is_not_called_a_change():
    start, end = [0.0, 0.0, 0.0, 0.0], [1.0, -1.0, 0.5, -0.4]
    points = [Point(0, 0, start, start), Point(1, 1, end, end), Point(2, 2, end[::-1], start)]
    said = says(overoptimisation(points, 1, "ppo"), "iteration ")
    assert "does not clearly change" in said
    assert "not clearly different from the start" in said
    assert "about what gold gives" in said
    assert "the start itself; nothing later led clearly" in says(overoptimisation(points, 0, "ppo"), "iteration ")


def sizes():
    both = {"best_of_n": curve([0, 1, 2, 2.2], [0, 2, 3, 4], chosen=2), "ppo": curve([0, 3, 1], [0, 2, 9], chosen=1)}
    return {"sizes": [{"name": "small", "comparisons": 1234, **both}, {"name": "large", "comparisons": None, **both}]}


def test_every_point_of_every_picture_is_inside_it():
    shown = rows(sizes())
    assert [[plot.title for plot in row.plots] for row in shown] == [
        ["Best of n, 1,234 comparisons", "Best of n, large"],
        ["PPO, 1,234 comparisons", "PPO, large"],
    ]
    for plot in (plot for row in shown for plot in row.plots):
        width, height = map(float, re.search(r'viewBox="0 0 (\d+) (\d+)"', plot.picture).groups())
        for points in re.findall(r'points="([^"]+)"', plot.picture):
            for x, y in (map(float, pair.split(",")) for pair in points.split()):
                assert 0 <= x <= width
                assert 0 <= y <= height
        labels = [float(y) for y in re.findall(r' y="([\d.]+)"[^>]*>(?:proxy|gold)<', plot.picture)]
        assert abs(labels[0] - labels[1]) >= 12.9


def test_a_run_without_such_curves_shows_none():
    assert rows({}) == []
    assert fits({}) == []


def test_fits_are_a_table():
    found = fits(sizes())
    assert [(row["name"], row["method"]) for row in found] == [
        ("1,234 comparisons", "Best of n"),
        ("large", "Best of n"),
    ]
