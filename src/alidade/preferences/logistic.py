"""Logistic regression whose errors are clustered: votes of one person, or on one prompt, resemble each other."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, stdtrit

from alidade.records import Estimate

Array = np.ndarray
PRIOR_SPREAD = 10.0  # keeps a coefficient finite where the rows are separated, and is not felt elsewhere


@dataclass(frozen=True)
class Logistic:
    """A fit: coefficients [k], their covariance [k, k], and the degrees of freedom of its clusters."""

    coefficients: Array
    covariance: Array
    degrees: int

    def log_odds(self, place: int, n: int) -> Estimate:
        """The coefficient at `place`, said to be of `n` cases."""
        mean = float(self.coefficients[place])
        half = float(stdtrit(self.degrees, 0.975)) * sqrt(max(float(self.covariance[place, place]), 0.0))
        return Estimate(mean=mean, low=mean - half, high=mean + half, n=n)


def loss_and_gradient(coefficients: Array, rows: Array, outcome: Array) -> tuple[float, Array]:
    """The negative log of the posterior and its slope; `rows` [n, k], `outcome` [n] of 0 and 1."""
    odds = rows @ coefficients
    loss = np.logaddexp(0.0, odds).sum() - outcome @ odds + 0.5 * coefficients @ coefficients / PRIOR_SPREAD**2
    return float(loss), rows.T @ (expit(odds) - outcome) + coefficients / PRIOR_SPREAD**2


def information(coefficients: Array, rows: Array) -> Array:
    """The second derivative of the loss."""
    chance = expit(rows @ coefficients)
    return (rows.T * (chance * (1 - chance))) @ rows + np.eye(rows.shape[1]) / PRIOR_SPREAD**2


def fit_coefficients(rows: Array, outcome: Array) -> Array:
    """The most probable coefficients."""
    found = minimize(
        loss_and_gradient,
        np.zeros(rows.shape[1]),
        args=(rows, outcome),
        jac=True,
        hess=lambda coefficients, rows, _: information(coefficients, rows),
        method="trust-exact",
    )
    return found.x


def fit_logistic(rows: Array, outcome: Array, clusters: Sequence[Hashable]) -> Logistic:
    """Coefficients with a covariance that allows any dependence within a cluster.

    Raises:
        ValueError: for fewer than two clusters.

    Source: A. C. Cameron, D. L. Miller 2015, A practitioner's guide to cluster-robust inference, J. Human Resources 50:317-372,
        section II: the sandwich times G / (G - 1) * (n - 1) / (n - k), t of G - 1 degrees of freedom for G clusters.
    """
    numbers = {cluster: place for place, cluster in enumerate(dict.fromkeys(clusters))}
    count, (n, k) = len(numbers), rows.shape
    if count < 2:
        raise ValueError(f"{count} clusters")
    coefficients = fit_coefficients(rows, outcome)
    scores = np.zeros((count, k))
    np.add.at(scores, [numbers[cluster] for cluster in clusters], scores_of(coefficients, rows, outcome))
    bread = np.linalg.inv(information(coefficients, rows))
    scale = count / (count - 1) * (n - 1) / max(n - k, 1)
    return Logistic(coefficients, scale * bread @ (scores.T @ scores) @ bread, count - 1)


def scores_of(coefficients: Array, rows: Array, outcome: Array) -> Array:
    """By how much each row would raise its own log-likelihood, per coefficient: [n, k]."""
    return rows * (outcome - expit(rows @ coefficients))[:, None]
