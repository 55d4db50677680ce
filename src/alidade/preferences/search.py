"""The top of a smooth function whose curvature is about known: steps by that, mended by what the slopes of past steps tell."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

Array = np.ndarray
REMEMBERED = 20
STEPS = 10
ENOUGH = 1e-4  # of the gain that the slope promises
SHORTEST = 2.0**-20
LONGEST = 8.0  # that any number moves in a step: all are log-odds or logs, and where votes say little a curvature promises the moon


def highest(
    at: Callable[[Array], tuple[float, Array]], start: Array, spread_by: Callable[[Array], Array], precise: float
) -> Array:
    """Where `at` (value and slopes) is highest, from `start`; `spread_by` is about the inverse of its curvature times a vector.

    It ends where a step promises a gain of less than `precise`.

    Source: Nocedal and Wright 2006, Numerical Optimization, algorithm 7.4 (L-BFGS).
    """
    place, (value, slopes) = start, at(start)
    past: deque[tuple[Array, Array, float]] = deque(maxlen=REMEMBERED)
    for _ in range(STEPS):
        step = _step(slopes, past, spread_by)
        step *= min(1.0, LONGEST / max(float(np.abs(step).max()), LONGEST))
        promised = float(slopes @ step)
        if promised / 2 < precise:
            break
        length = 1.0
        further, (higher, after) = place + step, at(place + step)
        # What overflows is no number, and not high enough either.
        while not higher >= value + ENOUGH * length * promised:
            length /= 2
            if length < SHORTEST:
                return place
            further = place + length * step
            higher, after = at(further)
        moved, bent = further - place, slopes - after
        if moved @ bent > 0:
            past.append((moved, bent, 1 / float(moved @ bent)))
        place, value, slopes = further, higher, after
    return place


def _step(slopes: Array, past: deque[tuple[Array, Array, float]], spread_by: Callable[[Array], Array]) -> Array:
    left, shares = slopes, []
    for moved, bent, share in reversed(past):
        shares.append(share * float(moved @ left))
        left = left - shares[-1] * bent
    step = spread_by(left)
    if past:
        _, bent, share = past[-1]
        step = step / (share * float(bent @ spread_by(bent)))
    for moved, bent, share in past:
        step = step + (shares.pop() - share * float(bent @ step)) * moved
    return step
