import numpy as np
import pytest
from scipy.stats import kendalltau

from alidade.preferences.agreement import gold_accuracy
from alidade.preferences.ranking_agreement import ranking_agreements, tau_b
from alidade.preferences.tally import Pair, implied_votes
from alidade.records import RankingVote


def ranking(prompt_id, annotator, ranks, shown=None):
    shown = shown or tuple(range(len(ranks)))
    return RankingVote(
        id=f"{prompt_id}/{annotator}", prompt_id=prompt_id, annotator=annotator, shown=shown, ranks=ranks
    )


def test_tau_b_is_that_of_scipy():
    draw = np.random.default_rng(0)
    for _ in range(200):
        one, other = draw.integers(0, 4, (2, 5)).tolist()
        found, wanted = tau_b(dict(enumerate(one)), dict(enumerate(other))), kendalltau(one, other).statistic
        assert found is None if np.isnan(wanted) else found == pytest.approx(wanted)


def test_the_order_on_the_screen_does_not_matter():
    (found,) = ranking_agreements([ranking("p", "a", (0, 1, 2)), ranking("p", "b", (2, 0, 1), shown=(2, 0, 1))])
    assert found.tau.mean == found.ordered.mean == found.best.mean == found.alpha.mean == 1


def test_alpha_of_orders_is_that_of_krippendorffs_package_on_the_table_of_places():
    import krippendorff

    draw = np.random.default_rng(1)
    orders = draw.permuted(np.tile(np.arange(4), (20, 3, 1)), axis=2)
    rows = [
        ranking(f"p{item}", f"a{who}", tuple(map(int, orders[item, who]))) for item in range(20) for who in range(3)
    ]
    (found,) = ranking_agreements(rows)
    table = orders.transpose(1, 0, 2).reshape(3, -1)
    assert found.alpha.mean == pytest.approx(krippendorff.alpha(table, level_of_measurement="ordinal"))
    assert found.alpha.low < 0 < found.alpha.high
    assert found.tau.low < 0 < found.tau.high


def test_alpha_is_left_out_where_items_have_different_numbers_of_answers():
    rows = [ranking("p", name, (0, 1)) for name in "ab"] + [ranking("q", name, (0, 1, 2)) for name in "ab"]
    (found,) = ranking_agreements(rows)
    assert found.alpha is None
    assert found.tau.mean == 1


def test_only_the_first_ranking_of_an_item_is_an_opinion():
    rows = [ranking("p", "a", (0, 1)), ranking("p", "b", (0, 1)), ranking("p", "a", (1, 0))]
    (found,) = ranking_agreements(rows)
    assert found.rankings == 2
    assert found.ordered.mean == 1


def test_a_best_of_says_nothing_of_the_rest():
    votes = implied_votes([ranking("p", "a", (1, 0, 1), shown=(4, 2, 7))])
    assert [(vote.left, vote.right, vote.choice) for vote in votes] == [(4, 2, "right"), (2, 7, "left")]


def test_a_ranking_is_right_that_puts_the_gold_answer_before_all_others():
    gold = {Pair("p", 0, 1, "overall"): "right", Pair("p", 1, 2, "overall"): "left"}
    rows = [ranking("p", "a", (1, 0, 2)), ranking("p", "b", (0, 0, 1)), ranking("q", "a", (0, 1, 2))]
    found = gold_accuracy(rows, gold)
    assert {name: (one.mean, one.n) for name, one in found.annotators.items()} == {"a": (1, 1), "b": (0, 1)}
