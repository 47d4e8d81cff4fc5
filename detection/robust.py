"""Is there a trend, and how steep? Rank statistics that a few wild values do not move, honest about slow noise.

Theil, H.: A rank-invariant method of linear and polynomial regression analysis, 1950. Sen, P. K.: Estimates of the
regression coefficient based on Kendall's tau, J. Am. Stat. Assoc. 63, 1968. Gilbert, R. O.: Statistical Methods for
Environmental Pollution Monitoring, 1987, chapter 16 (variance with ties, interval of the slope). Hamed, K. H., Rao,
A. R.: A modified Mann-Kendall trend test for autocorrelated data, J. Hydrology 204, 1998 (variance correction).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detection.rows import Floats

# What is left of values that lie exactly on a curve is the rounding of sixteen digits, no noise.
_ROUNDING = 1e-24


class Slope(NamedTuple):
    """The middle of all slopes between two points, and its interval."""

    middle: float
    low: float
    high: float


class Pairs:
    """All pairs of n points, for Mann-Kendall's test and Theil-Sen's slope; `inflation` widens the variance of both."""

    def __init__(self, x: Floats, y: Floats, inflation: float) -> None:
        first, second = _pairs(len(x))
        self._rise, self._run = y[second] - y[first], x[second] - x[first]
        self._deviation = math.sqrt(_variance(y) * inflation)

    def z(self) -> float:
        """Mann-Kendall's statistic: how many standard deviations the rises outnumber the falls by."""
        total = float(np.sign(self._rise).sum())
        return (total - math.copysign(min(abs(total), 1.0), total)) / self._deviation if self._deviation else 0.0

    def slope(self, quantile: float) -> Slope:
        """The middle slope, and those that are ± `quantile` deviations of the number of pairs away from it."""
        slopes = np.sort(self._rise / self._run)
        half, last = quantile * self._deviation, len(slopes) - 1
        below, above = math.floor((last - half) / 2), math.ceil((last + half) / 2)
        middle = (slopes[last // 2] + slopes[(last + 1) // 2]) / 2
        return Slope(float(middle), float(slopes[max(below, 0)]), float(slopes[min(above, last)]))


@lru_cache(maxsize=8)
def _pairs(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    first, second = np.triu_indices(n, 1)
    return first, second


def memory(residuals: Floats, values: Floats, fitted: int) -> float:
    """How much of a residual the next one repeats (0 to 1), one standard error to the safe side.

    `fitted` numbers were fitted to the `values` to get them, which hides some of the memory (Kendall 1954; Marriott
    and Pope 1954).
    """
    n, total = len(residuals), float(residuals @ residuals)
    if total <= _ROUNDING * float(values @ values):
        return 0.0
    seen = float(residuals[1:] @ residuals[:-1]) / total
    corrected = (seen + fitted / n) / (1 - (fitted + 2) / n)
    return max(0.0, corrected + math.sqrt(max(1 - corrected**2, 0.0) / n))


def inflation(n: int, repeats: float) -> float:
    """By how much the variance of Mann-Kendall's sum grows when each value repeats that share of the one before."""
    lag = np.arange(1, n - 2)
    weights = (n - lag) * (n - lag - 1.0) * (n - lag - 2)
    return 1 + 2 / (n * (n - 1) * (n - 2)) * float(weights @ repeats**lag)


def without_step(y: Floats) -> float:
    """The sum of squares that is left of n values when the single step that explains most is taken out."""
    before = np.arange(1, len(y))
    centred = y - y.mean()
    left = np.cumsum(centred)[:-1]
    # The sum after the step is that before it with the other sign.
    explained = left**2 / before + left**2 / (len(y) - before)
    return float(centred @ centred - explained.max())


def _variance(y: Floats) -> float:
    _, ties = np.unique(y, return_counts=True)
    n = len(y)
    return (n * (n - 1) * (2 * n + 5) - float((ties * (ties - 1) * (2 * ties + 5)).sum())) / 18
