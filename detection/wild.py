"""Single wild readings do not belong to what is normal: learned with them, limits become so wide that nothing is found.

A converter's glitch, a flipped bit: one reading far off, with its neighbours where they were. What moves and stays, a
start or a step, is no glitch.
"""

from __future__ import annotations

import numpy as np

from detection.rows import Floats

# A normal reading is ten deviations from its neighbours once in 10^23; two wild ones in a row still stand alone.
_FAR, _NEIGHBOURS = 10.0, 5
# From the median of what is left to its standard deviation, for a normal distribution.
_MAD = 1.4826
_HALF = _NEIGHBOURS // 2
# A channel that does it more often than twice in a thousand readings does it by nature, and is learned so.
_RARE = 0.002


def without_wild(values: Floats) -> Floats:
    """Readings (n, k; NaN where missing), those far from the median of their neighbours replaced by NaN."""
    if len(values) < _NEIGHBOURS:
        return values
    out = values.copy()
    for column in out.T:
        heard = np.flatnonzero(np.isfinite(column))
        if len(heard) >= _NEIGHBOURS:
            column[heard[_wild(column[heard])]] = np.nan
    return out


def _wild(readings: Floats) -> np.ndarray:
    around = np.pad(readings, _HALF, mode="edge")
    near = np.median(np.lib.stride_tricks.sliding_window_view(around, _NEIGHBOURS), axis=1)
    away = np.abs(readings - near)
    far = away > _FAR * _MAD * max(float(np.median(away)), _resolution(readings))
    return far if far.mean() <= _RARE else np.zeros_like(far)


def _resolution(readings: Floats) -> float:
    """The smallest step: over half of a coarse channel's readings are where their neighbours are."""
    steps = np.abs(np.diff(readings))
    return float(steps[steps > 0].min(initial=np.inf))
