"""Best of n: of n answers the one that a proxy likes best, and what it is worth, from one draw of N answers to each prompt."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import groupby
from math import comb, log
from statistics import fmean


def kl_bound(n: int) -> float:
    """Nats by which best-of-n moves away from the model it draws from, at most: log n - (n - 1) / n.

    Raises:
        ValueError: for n below 1.

    Source: Stiennon et al. 2020, arXiv 2009.01325, appendix G.3; Gao et al. 2022, arXiv 2210.10760, use it as the KL itself.
    Beirami et al. 2024, arXiv 2401.01879: it is an upper bound, exact only where no two draws have equal scores.
    """
    if n < 1:
        raise ValueError(f"best of {n}")
    return log(n) - (n - 1) / n


def powers_of_two(most: int) -> list[int]:
    """1, 2, 4, ... up to `most`, and `most` itself."""
    found = [1 << place for place in range(most.bit_length())]
    return found if found[-1] == most else [*found, most]


def chances(proxy: Sequence[float], n: int) -> list[float]:
    """The chance of each of N drawn answers to be the best by `proxy` of n of them, over all subsets of size n.

    The answer ranked r of N is the best of its subset with chance C(N - r, n - 1) / C(N, n); answers with equal scores share
    theirs. With these weights the mean of any value is an unbiased estimate of best-of-n's.

    Raises:
        ValueError: unless 1 <= n <= N.

    Source: Nakano et al. 2021, arXiv 2112.09332, appendix I, for the estimator over all subsets.
    """
    if not 1 <= n <= len(proxy):
        raise ValueError(f"best of {n} of {len(proxy)} answers")
    found, by_rank, rank = [0.0] * len(proxy), _chances_by_rank(len(proxy), n), 0
    order = sorted(range(len(proxy)), key=lambda place: -proxy[place])
    for _, tied in groupby(order, key=lambda place: proxy[place]):
        places = list(tied)
        for place in places:
            found[place] = fmean(by_rank[rank : rank + len(places)])
        rank += len(places)
    return found


@cache
def _chances_by_rank(total: int, n: int) -> tuple[float, ...]:
    return tuple(comb(total - rank, n - 1) / comb(total, n) for rank in range(1, total + 1))


def best_of_n(proxy: Sequence[float], value: Sequence[float], n: int) -> float:
    """What the best of n by `proxy` is worth in `value`, on average over all subsets of the drawn answers.

    Raises:
        ValueError: unless 1 <= n <= N, or when the lengths differ.
    """
    return sum(chance * worth for chance, worth in zip(chances(proxy, n), value, strict=True))
