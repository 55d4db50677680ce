import numpy as np
import pytest
from scipy.optimize import approx_fprime
from tests.simulated_votes import answers, cast

from alidade.errors import DataError
from alidade.preferences.contrasts import contrasts, is_formatted
from alidade.preferences.logistic import fit_logistic, information, loss_and_gradient
from alidade.preferences.sensitivity import decided, sensitivities, sensitivity


def rows_and_outcome(n=400, seed=0):
    draw = np.random.default_rng(seed)
    rows = np.column_stack([np.ones(n), draw.normal(size=(n, 2))])
    return rows, (draw.random(n) < 1 / (1 + np.exp(-rows @ [0.3, 1.0, -0.5]))).astype(float)


def test_the_gradient_and_the_information_are_exact():
    rows, outcome = rows_and_outcome()
    at = np.array([0.2, -0.4, 0.7])
    gradient = loss_and_gradient(at, rows, outcome)[1]
    near = approx_fprime(at, lambda x: loss_and_gradient(x, rows, outcome)[0], 1e-6)
    assert gradient == pytest.approx(near, rel=1e-4, abs=1e-3)
    curvature = approx_fprime(at, lambda x: loss_and_gradient(x, rows, outcome)[1], 1e-6)
    assert information(at, rows) == pytest.approx(curvature, rel=1e-4, abs=1e-3)


def test_repeating_every_row_within_its_cluster_does_not_narrow_the_interval():
    rows, outcome = rows_and_outcome()
    once = fit_logistic(rows, outcome, range(len(rows)))
    thrice = fit_logistic(
        np.repeat(rows, 3, axis=0), np.repeat(outcome, 3), np.repeat(np.arange(len(rows)), 3).tolist()
    )
    assert np.sqrt(np.diagonal(thrice.covariance)) == pytest.approx(np.sqrt(np.diagonal(once.covariance)), rel=0.02)
    with pytest.raises(ValueError, match="1 clusters"):
        fit_logistic(rows, outcome, ["one"] * len(rows))


def test_clustered_intervals_cover_the_truth_about_as_often_as_they_say():
    covered = 0
    for seed in range(100):
        draw = np.random.default_rng(seed)
        who = np.repeat(np.arange(40), 20)
        x = draw.normal(size=800)
        chance = 1 / (1 + np.exp(-x * (0.5 + 0.6 * draw.normal(size=40))[who]))
        one = fit_logistic(x[:, None], (draw.random(800) < chance).astype(float), who.tolist()).log_odds(0, 800)
        covered += one.low < 0.46 < one.high  # the mean effect, drawn in a little by the people's differences
    assert covered >= 88


def test_a_lean_to_length_and_to_the_left_is_found_and_none_where_none_was_planted():
    rows = answers(150)
    seen = contrasts(rows, cast(rows, 1))
    planted = sensitivity("all", decided(cast(rows, 16, lean=lambda who: 0.6, side=0.5, spread=0.0)), seen)
    leans = {one.trait: one for one in planted.leans}
    assert leans["length"].log_odds.low < 0.6 < leans["length"].log_odds.high
    assert leans["side"].log_odds.low < 0.5 < leans["side"].log_odds.high
    assert leans["length"].chance.low > 0.5
    assert planted.clusters == "annotator"
    none = sensitivity("all", decided(cast(rows, 16, spread=0.0)), seen)
    assert all(one.chance.low < 0.5 < one.chance.high for one in none.leans)


def test_an_annotator_with_few_votes_has_no_leans_of_their_own():
    rows = answers(210)
    votes = cast(rows, 3, lean=lambda who: 1.5 if who == 1 else 0.0)
    found = sensitivities(
        [vote for vote in votes if vote.annotator != "a002" or vote.prompt_id < "p15"], contrasts(rows, votes)
    )
    assert [one.name for one in found.annotators] == ["a000", "a001"]
    lengths = [lean.chance for one in found.annotators for lean in one.leans if lean.trait == "length"]
    assert lengths[1].low > 0.5
    assert {one.clusters for one in (*found.every, *found.annotators)} == {"prompt"}


def test_separated_votes_give_finite_numbers():
    rows = answers(60)
    votes = cast(rows, 3, lean=lambda who: 100.0, spread=0.0)
    found = sensitivity("all", decided(votes), contrasts(rows, votes))
    assert all(np.isfinite(one.log_odds.high) for one in found.leans)


@pytest.mark.parametrize(
    ("text", "formatted"),
    [("- a\n- b", True), ("# a", True), ("a **b** c", True), ("- a", False), ("2 * 3 * 4", False)],
)
def test_markdown_is_a_list_a_heading_or_bold(text, formatted):
    assert is_formatted(text) == formatted


def test_a_vote_about_nothing_is_an_error():
    rows = answers(3)
    with pytest.raises(DataError, match="unknown prompt"):
        contrasts(rows[:2], cast(rows, 1))
