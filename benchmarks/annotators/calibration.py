"""How far stated chances are from true ones, before and after one temperature from a few gold pairs."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from alidade.stats import calibration_bins, expected_calibration_error

GOLD = 60


def error(said: np.ndarray, true: np.ndarray) -> float:
    """The calibration error in ten bins."""
    return expected_calibration_error(calibration_bins(said.tolist(), true.tolist()))


def after_gold(said: np.ndarray, true: np.ndarray, seed: int) -> float:
    """The calibration error of the pairs that are no gold pairs, after the temperature that suits those best."""
    gold = np.random.default_rng(seed).permutation(len(said)) < GOLD

    def loss(temperature: float) -> float:
        again = expit(logit(said[gold]) / temperature)
        return -float(np.mean(true[gold] * np.log(again) + (1 - true[gold]) * np.log(1 - again)))

    best = minimize_scalar(loss, bounds=(0.2, 5.0)).x
    return error(expit(logit(said[~gold]) / best), true[~gold])
