"""Best of n from one draw of N answers: the estimator is the mean over every subset, ties and all."""

import math
import random
from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alidade.evals.best_of_n import best_of_n, chances, kl_bound, powers_of_two


def over_every_subset(proxy, value, n):
    """What best-of-n is worth, by going through all subsets; a tie is broken by a fair coin."""
    subsets = list(combinations(range(len(proxy)), n))
    total = Fraction(0)
    for subset in subsets:
        most = max(proxy[place] for place in subset)
        best = [place for place in subset if proxy[place] == most]
        total += sum(Fraction(value[place]) for place in best) / len(best)
    return float(total / len(subsets))


@given(
    st.lists(st.tuples(st.integers(-2, 2), st.integers(-5, 5)), min_size=1, max_size=7),
    st.integers(min_value=1, max_value=7),
)
def test_it_is_the_mean_over_every_subset(answers, n):
    proxy, value = zip(*answers, strict=True)
    n = min(n, len(answers))
    assert best_of_n(proxy, value, n) == pytest.approx(over_every_subset(proxy, value, n), abs=1e-12)


def test_the_best_of_one_is_the_mean_and_the_best_of_all_the_best():
    assert best_of_n([3, 1, 2], [10.0, 20.0, 60.0], 1) == pytest.approx(30)
    assert best_of_n([3, 1, 2], [10.0, 20.0, 60.0], 3) == 10


def test_chances_add_up_to_one_for_many_answers():
    proxy = [random.Random(0).choice((0.0, 0.5, place)) for place in range(256)]
    for n in powers_of_two(256):
        assert math.fsum(chances(proxy, n)) == pytest.approx(1, abs=1e-12)


def test_answers_that_tie_share_what_they_have_in_any_order():
    assert chances([1, 1, 0], 2) == pytest.approx([0.5, 0.5, 0])
    assert chances([0, 1, 1], 2) == pytest.approx([0, 0.5, 0.5])


@pytest.mark.parametrize("n", [0, 4])
def test_more_answers_than_were_drawn_or_none_is_refused(n):
    with pytest.raises(ValueError, match="best of"):
        chances([1, 2, 3], n)


def test_kl_of_the_best_of_n():
    assert kl_bound(1) == 0
    assert kl_bound(2) == pytest.approx(math.log(2) - 0.5)
    with pytest.raises(ValueError, match="best of 0"):
        kl_bound(0)


def test_the_bound_is_the_kl_where_all_scores_differ_and_above_it_where_they_tie():
    # Of 3000 equally likely answers the one ranked r is best of n with ((r / 3000) ** n - ((r - 1) / 3000) ** n).
    many, n = 3000, 8
    chance = [(rank / many) ** n - ((rank - 1) / many) ** n for rank in range(1, many + 1)]
    assert sum(p * math.log(p * many) for p in chance if p) == pytest.approx(kl_bound(n), abs=2e-3)
    two = [0.5**n, 1 - 0.5**n]
    assert sum(p * math.log(p * 2) for p in two) < kl_bound(n) / 1.5


def test_every_n_up_to_all():
    assert powers_of_two(8) == [1, 2, 4, 8]
    assert powers_of_two(6) == [1, 2, 4, 6]
    assert powers_of_two(1) == [1]
