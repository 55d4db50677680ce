"""Statistics for reports: every number with an interval, every comparison paired, every family of tests corrected.

Pure functions; numpy and scipy are imported where they are used. Intervals are two-sided, at 95 % unless `level` says
another level.

Literature, by the keys used under `Source:`

- [W27] E. B. Wilson 1927, Probable inference, the law of succession, and statistical inference, JASA 22:209-212.
- [KG98] E. L. Korn, B. I. Graubard 1998, Confidence intervals for proportions with small expected number of positive
  counts estimated from survey data, Survey Methodology 24:193-201.
- [C77] W. G. Cochran 1977, Sampling Techniques, 3rd edition.
- [ET93] B. Efron, R. Tibshirani 1993, An Introduction to the Bootstrap.
- [H15] T. Hesterberg 2015, What teachers should know about the bootstrap, The American Statistician 69:371-386.
- [M47] Q. McNemar 1947, Note on the sampling error of the difference between correlated proportions or percentages,
  Psychometrika 12:153-157.
- [H79] S. Holm 1979, A simple sequentially rejective multiple test procedure, Scandinavian J. of Statistics 6:65-70.
- [DN03] H. A. David, H. N. Nagaraja 2003, Order Statistics, 3rd edition.
- [G17] C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger 2017, On calibration of modern neural networks, ICML.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import comb, inf, sqrt
from statistics import median, stdev
from typing import TYPE_CHECKING

from alidade.records import Estimate
from alidade.seeds import derive

if TYPE_CHECKING:
    import numpy as np

RESAMPLES = 2000
_RESAMPLES_AT_ONCE = 250  # bounds memory: this many rows of one draw per cluster


def wilson_interval(successes: float, n: float, *, level: float = 0.95) -> tuple[float, float]:
    """The score interval of a proportion; `n` may be an effective sample size.

    Raises:
        ValueError: unless 0 <= successes <= n and n > 0.

    Source: [W27]: all p with |p^ - p| <= z sqrt(p (1 - p) / n), which is
        (p^ + z^2/2n -+ z sqrt(p^ (1 - p^) / n + z^2/4n^2)) / (1 + z^2/n).
    """
    if not (n > 0 and 0 <= successes <= n):
        raise ValueError(f"{successes} successes of {n}")
    z = normal_quantile(0.5 + level / 2)
    share = successes / n
    centre = share + z * z / (2 * n)
    half = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # At 0 and n the formula gives the end exactly; rounding must not put the estimate outside its own interval.
    low = 0.0 if successes == 0 else (centre - half) / scale
    high = 1.0 if successes == n else (centre + half) / scale
    return min(low, share), max(high, share)


def proportion(successes: int, n: int) -> Estimate:
    """A share of independent cases.

    Raises:
        ValueError: for no cases.
    """
    low, high = wilson_interval(successes, n)
    return Estimate(mean=successes / n, low=low, high=high, n=n)


def clustered_proportion(values: Sequence[bool], clusters: Sequence[Hashable]) -> Estimate:
    """A share of cases of which those of one cluster (an item, a prompt) may resemble each other.

    The Wilson interval at the effective sample size n* = n / deff * (z / t)^2, at most n, with
    deff = v / (p (1 - p) / n), v = K / (K - 1) * sum over clusters of (sum of (x - p))^2 / n^2, and t of K - 1 degrees
    of freedom for K clusters. Where all cases agree no deff can be seen and it is taken as 1; one cluster counts as one
    case.

    Raises:
        ValueError: for no cases, or unless there is one cluster per value.

    Source: [KG98] for n*; [C77], section 3.12, for v.
    """
    n, successes = len(values), sum(map(bool, values))
    if len(clusters) != n:
        raise ValueError(f"{n} values but {len(clusters)} clusters")
    if n == 0:
        raise ValueError("no cases")
    share = successes / n
    effective = min(float(n), _effective_size(values, clusters, share))
    low, high = wilson_interval(share * effective, effective)
    return Estimate(mean=share, low=min(low, share), high=max(high, share), n=n)


def _effective_size(values: Sequence[bool], clusters: Sequence[Hashable], share: float) -> float:
    residuals: dict[Hashable, float] = defaultdict(float)
    for value, cluster in zip(values, clusters, strict=True):
        residuals[cluster] += bool(value) - share
    n, count = len(values), len(residuals)
    if count == 1:
        return 1.0
    variance = count / (count - 1) * sum(one * one for one in residuals.values()) / n**2
    independent = share * (1 - share) / n
    design_effect = variance / independent if independent > 0 else 1.0
    ratio = normal_quantile(0.975) / _student_quantile(0.975, count - 1)
    return n * ratio**2 / design_effect if design_effect > 0 else float(n)


def bootstrap_mean(
    values: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> tuple[float, float]:
    """The bootstrap interval of a mean: cases, or whole clusters, are drawn again with replacement.

    Percentiles are widened for few cases. Of one case or cluster nothing can be said: the interval is the mean itself.

    Raises:
        ValueError: for no cases, or unless there is one cluster per value.

    Source: [ET93], section 13.3, percentiles; [H15], expanded to Phi(-sqrt(n / (n - 1)) t), t of n - 1 degrees.
    """
    import numpy as np

    sums, sizes = _by_cluster(values, clusters)
    count = len(sums)
    if count == 1:
        mean = float(sums[0] / sizes[0])
        return mean, mean
    draw = np.random.default_rng(derive(seed, "bootstrap"))
    means = []
    for start in range(0, resamples, _RESAMPLES_AT_ONCE):
        rows = min(_RESAMPLES_AT_ONCE, resamples - start)
        drawn = draw.integers(0, count, size=(rows, count))
        means.append(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))
    tail = _normal_share(-sqrt(count / (count - 1)) * _student_quantile(0.5 + level / 2, count - 1))
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return float(low), float(high)


def mean_estimate(values: Sequence[float], clusters: Sequence[Hashable] | None = None, *, seed: int = 0) -> Estimate:
    """A mean with its bootstrap interval.

    Raises:
        ValueError: for no cases, or unless there is one cluster per value.
    """
    low, high = bootstrap_mean(values, clusters, seed=seed)
    mean = sum(values) / len(values)
    return Estimate(mean=mean, low=min(low, mean), high=max(high, mean), n=len(values))


def median_estimate(values: Sequence[float]) -> Estimate:
    """A median of independent cases with the interval of order statistics, which assumes no distribution.

    Of fewer than six cases even the smallest and the largest are no 95 % interval; they are the one given.

    Raises:
        ValueError: for no cases.

    Source: [DN03], section 7.1: the j-th smallest and the j-th largest, j the largest with P(X < j) <= 2.5 %,
        X ~ Binomial(n, 1/2).
    """
    if not len(values):
        raise ValueError("no cases")
    ordered, n = sorted(map(float, values)), len(values)
    place = _median_place(n)
    return Estimate(mean=median(ordered), low=ordered[place], high=ordered[n - 1 - place], n=n)


def _median_place(n: int) -> int:
    """How many cases lie below the lower end of a median's interval."""
    from scipy.special import bdtr

    low, high = 0, (n - 1) // 2  # the answer is in [low, high]
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if bdtr(middle, n, 0.5) <= 0.025 else (low, middle - 1)
    return low


def paired_difference(
    before: Sequence[float], after: Sequence[float], clusters: Sequence[Hashable] | None = None, *, seed: int = 0
) -> Estimate:
    """The mean of `after - before` over the same cases, with its bootstrap interval.

    Raises:
        ValueError: for no cases, or when the lengths differ.

    Source: [ET93], section 13.3, over pairs.
    """
    differences = [float(second) - float(first) for first, second in zip(before, after, strict=True)]
    return mean_estimate(differences, clusters, seed=seed)


def lead(before: Sequence[float], after: Sequence[float]) -> float:
    """How far `after` leads over the same cases: its mean difference in standard errors of that mean.

    A difference that is the same in every case is infinitely sure, and none at all is 0.

    Raises:
        ValueError: for fewer than two cases, or when the lengths differ.

    Source: [C77], section 2.6: the standard error of a mean is s / sqrt(n), s with n - 1 degrees of freedom.
    """
    differences = [float(second) - float(first) for first, second in zip(before, after, strict=True)]
    mean, error = sum(differences) / len(differences), stdev(differences) / sqrt(len(differences))
    return mean / error if error else inf * mean if mean else 0.0


def first_best(series: Sequence[Sequence[float]], margin: float = 1.0) -> int:
    """The place of the best of several measurements of the same cases, in their order.

    A later one takes over where it leads the best so far by more than `margin` standard errors, so that of measurements
    that cannot be told apart the first stays.

    Raises:
        ValueError: for no measurement, or as `lead`.
    """
    if not series:
        raise ValueError("no measurements")
    best = 0
    for place in range(1, len(series)):
        if lead(series[best], series[place]) > margin:
            best = place
    return best


def mcnemar(lost: int, gained: int) -> float:
    """The exact two-sided p-value that, of the cases that changed, as many were lost as gained.

    Raises:
        ValueError: for a negative count.

    Source: [M47], in its exact form: min(1, 2 P(X <= min(lost, gained))), X ~ Binomial(lost + gained, 1/2).
    """
    if min(lost, gained) < 0:
        raise ValueError(f"counts cannot be negative: {lost}, {gained}")
    changed = lost + gained
    tail = sum(comb(changed, count) for count in range(min(lost, gained) + 1))
    return min(1.0, 2 * tail / 2**changed)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values of a family of tests, adjusted so that rejecting those below a level keeps the family's error at it.

    Source: [H79]: the i-th smallest of m, times m - i + 1, no smaller than those before it and at most 1.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted


@dataclass(frozen=True)
class CalibrationBin:
    """Cases with a predicted probability in [low, high): the mean prediction and the share that came true."""

    low: float
    high: float
    predicted: float
    observed: float
    n: int


def calibration_bins(predicted: Sequence[float], observed: Sequence[float], bins: int = 10) -> list[CalibrationBin]:
    """Predicted probabilities in equal bins over [0, 1] beside what came true (0, 1, or a share); no bin is empty.

    Raises:
        ValueError: for a probability outside [0, 1], or when the lengths differ.
    """
    inside: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for probability, outcome in zip(predicted, observed, strict=True):
        if not 0 <= probability <= 1:
            raise ValueError(f"not a probability: {probability}")
        inside[min(int(probability * bins), bins - 1)].append((probability, outcome))
    return [
        CalibrationBin(
            low=index / bins,
            high=(index + 1) / bins,
            predicted=sum(probability for probability, _ in cases) / len(cases),
            observed=sum(outcome for _, outcome in cases) / len(cases),
            n=len(cases),
        )
        for index, cases in sorted(inside.items())
    ]


def expected_calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """The mean distance between predicted and observed over bins, weighted by their cases; 0 for no bins.

    Source: [G17], equation 3: sum over bins of n_b / n * |observed_b - predicted_b|.
    """
    total = sum(one.n for one in bins)
    return sum(one.n * abs(one.observed - one.predicted) for one in bins) / total if total else 0.0


def _by_cluster(values: Sequence[float], clusters: Sequence[Hashable] | None) -> tuple[np.ndarray, np.ndarray]:
    """Sum and size of each cluster; without clusters every case is one."""
    import numpy as np

    if not len(values):
        raise ValueError("no cases")
    if clusters is None:
        return np.asarray(values, dtype=float), np.ones(len(values))
    sums: dict[Hashable, float] = defaultdict(float)
    sizes: dict[Hashable, int] = defaultdict(int)
    for value, cluster in zip(values, clusters, strict=True):
        sums[cluster] += float(value)
        sizes[cluster] += 1
    return np.array(list(sums.values())), np.array(list(sizes.values()), dtype=float)


def normal_quantile(share: float) -> float:
    """The value below which `share` of a standard normal distribution lies."""
    from scipy.special import ndtri

    return float(ndtri(share))


def _normal_share(value: float) -> float:
    from scipy.special import ndtr

    return float(ndtr(value))


def _student_quantile(share: float, degrees: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(degrees, share))
