"""How sure a figure is: 95 % intervals of shares, counts, medians and of scores that are pooled over files."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
# A bootstrap interval's end is itself uncertain by about 2 % of the interval's length with a thousand draws.
DRAWS = 1000

Case = TypeVar("Case")


class Interval(NamedTuple):
    """A figure and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


def share(hits: int, trials: int) -> Interval:
    """A share of trials (Wilson, "Probable inference", JASA 1927): sensible at 0 and 1 too. NaN without trials."""
    if not trials:
        return Interval(math.nan, 0.0, 1.0)
    z, observed = float(stats.norm.ppf((1 + CONFIDENCE) / 2)), hits / trials
    middle = (observed + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * math.sqrt(observed * (1 - observed) / trials + z**2 / (4 * trials**2))
    return Interval(observed, max(middle - half, 0.0), min(middle + half, 1.0))


def rate(events: int, exposure: float) -> Interval:
    """Events per unit of exposure, exact for a Poisson count (Garwood, Biometrika 1936)."""
    tail = (1 - CONFIDENCE) / 2
    low = float(stats.chi2.ppf(tail, 2 * events)) / 2 if events else 0.0
    high = float(stats.chi2.ppf(1 - tail, 2 * events + 2)) / 2
    return Interval(events / exposure, low / exposure, high / exposure)


def quantile(values: Sequence[float], at: float) -> Interval:
    """A quantile, `at` 0 to 1, between two order statistics (Conover, "Practical Nonparametric Statistics", 3.2)."""
    if not values:
        return Interval(math.nan, math.nan, math.nan)
    ordered, count = sorted(values), len(values)
    low, high = stats.binom.ppf([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], count, at).astype(int)
    return Interval(float(np.quantile(ordered, at)), ordered[max(low - 1, 0)], ordered[min(high, count - 1)])


def resampled(cases: Sequence[Case], figure: Callable[[Sequence[Case]], float], seed: int = 0) -> Interval:
    """A figure of whole cases (files), by bootstrap over them: rows of one file are not independent of each other."""
    draw = np.random.default_rng(seed)
    found = [figure([cases[i] for i in draw.integers(len(cases), size=len(cases))]) for _ in range(DRAWS)]
    low, high = np.nanquantile(found, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(figure(cases), float(low), float(high))
