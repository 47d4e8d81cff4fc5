"""Do the readings of an hour look like those a model learned from? Two measures per channel, which must agree.

The reference is what a model keeps of its healthy rows: eleven deciles per channel. Both measures look at the shares of
an hour's readings between them, so they are lower bounds of what the rows themselves would give.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# Ten bins that held a tenth of the healthy readings each.
BINS = 10
_INNER = np.arange(1, BINS) / BINS
# The bands of a scorecard's population stability index: below 0.1 nothing, above 0.25 a shift that asks for a look
# (Siddiqi, "Credit Risk Scorecards", 2006, p. 136).
MAJOR_SHIFT = 0.25
# Those bands know no sample size, yet without any shift the index is (1/n + 1/m) times a chi-square with BINS - 1
# degrees of freedom (Yurdakul, "Statistical Properties of Population Stability Index", 2018; Yurdakul & Naranjo,
# J. Risk Model Validation 14(4), 2020). Beyond its 99.9 % point chance is no explanation.
_CHI2_9_999 = 27.88
# A channel wanders when more than a tenth of its variance is slower than two minutes: the knee at which the detector
# widens its limits, too. How far such a temperature goes within a day, neither an hour nor half an hour shows.
_WANDERS = 0.1
# The same level for Kolmogorov and Smirnov; with two hours in a row, once in 10,000 channels and years.
_LEVEL = 0.001


class Shift(msgspec.Struct, frozen=True, kw_only=True):
    """One channel of an hour against its healthy deciles.

    `psi`: population stability index, 0 when alike. `ks`: largest difference of the two distributions (0 to 1), and
    `p_value`: how often chance alone gives one as large. `drifted`: both are beyond chance, and the first is major.
    """

    name: str
    psi: float
    ks: float
    p_value: float
    drifted: bool


def shift(name: str, below: Ints, upto: Ints, readings: int, effective: float, learned: float) -> Shift:
    """The shift of a channel of which `below` (9) readings lie below and `upto` (9) at or below each inner decile.

    `effective` and `learned`: how many independent readings the hour's and the healthy ones are worth (1 or more).
    """
    reached = shares_reached(below, upto, readings)
    psi = stability_index(np.diff(reached, prepend=0.0, append=1.0), readings)
    ks = float(np.abs(reached - _INNER).max())
    p_value = smirnov(ks, effective, learned)
    by_chance = (1 / effective + 1 / learned) * _CHI2_9_999
    return Shift(
        name=name,
        psi=round(psi, 4),
        ks=round(ks, 4),
        p_value=float(f"{p_value:.3g}"),
        drifted=psi > max(MAJOR_SHIFT, by_chance) and p_value < _LEVEL,
    )


def shares_reached(below: Ints, upto: Ints, readings: int) -> Floats:
    """The share of readings up to each inner decile (9).

    Readings exactly on a decile, as a coarse sensor has many, count to whichever side agrees best: the deciles alone do
    not say how many stood there in health.
    """
    return np.asarray(np.clip(_INNER, below / readings, upto / readings))


def stability_index(shares: Floats, readings: int) -> float:
    """The population stability index of `shares` (10) against a tenth each; an empty bin counts as half a reading."""
    seen = np.maximum(shares, 0.5 / readings)
    return float(((seen - 1 / BINS) * np.log(seen * BINS)).sum())


def smirnov(difference: float, n: float, m: float) -> float:
    """How often samples of n and m independent readings differ by as much (Massey, JASA 46, 1951, p. 68-78).

    The limiting distribution with the correction for small samples of Stephens (JRSS B 32, 1970, p. 115-122).
    """
    size = math.sqrt(n * m / (n + m))
    reach = (size + 0.12 + 0.11 / size) * difference
    # Below, the alternating series converges too slowly, and the answer is 1 to three digits.
    if reach < 0.3:
        return 1.0
    terms = ((-1) ** (j - 1) * math.exp(-2 * (j * reach) ** 2) for j in range(1, 101))
    return min(max(2 * math.fsum(terms), 0.0), 1.0)


def effective_readings(means: Floats, variance: float, readings: int) -> float:
    """How many independent readings `readings` that follow each other are worth, 1 to `readings`.

    Var(reading) ÷ Var(mean of all), the latter from the `means` of stretches (s) of the same length: their variance
    times their autocorrelation time, summed up by the initial positive sequence (Geyer, "Practical Markov Chain Monte
    Carlo", Statistical Science 7, 1992, p. 477). What never moved, and the slow part of what wanders, was seen once.
    """
    centred = means - means.mean()
    spread = float(centred @ centred) / len(means)
    if variance <= 0 or spread <= 0:
        return 1.0
    wandering = spread / variance
    of_mean = spread * _autocorrelation_time(centred) / len(means)
    most = 1 / wandering if wandering > _WANDERS else float(readings)
    return max(min(variance / of_mean, most), 1.0)


def _autocorrelation_time(centred: Floats) -> float:
    """In stretches, 1 or more: pairs of neighbouring lags are added up for as long as their sum is above 0."""
    lags = np.correlate(centred, centred, mode="full")[len(centred) - 1 :]
    pairs = (lags[: len(lags) // 2 * 2].reshape(-1, 2).sum(axis=1) / lags[0]).tolist()
    total = 0.0
    for pair in pairs:
        if pair <= 0:
            break
        total += pair
    return max(2 * total - 1, 1.0)
