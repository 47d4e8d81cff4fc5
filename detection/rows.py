"""Readings as whole numbers, so that a sum of them is exact in any order: row by row and batched agree to the bit."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from detection.errors import DetectionError

Ints = NDArray[np.int64]
Rows = NDArray[np.int32]
Floats = NDArray[np.float64]
Columns = Sequence[Sequence[float | None]] | Floats

# A healthy deviation has 65,536 steps: far below any sensor's noise. 30,000 deviations still fit 32 bits.
STEPS = 1 << 16
_REACH = 30_000 * STEPS
# A channel that has said nothing for longer than its last value may stand in.
SILENT = np.int32(-(2**31))
# A value that is not to be used, nor to stand in for others: silent, however long.
WITHHELD = np.int32(-(2**31) + 1)


def readings(measured_at_ms: Sequence[int] | Ints, values: Columns, metrics: Sequence[str]) -> tuple[Ints, Floats]:
    """Times (n) and columns (one of n values per metric) as arrays. Raises: DetectionError when they do not fit."""
    times, columns = np.asarray(measured_at_ms, dtype=np.int64), np.asarray(values, dtype=np.float64)
    if columns.shape != (len(metrics), len(times)):
        raise DetectionError(f"{len(metrics)} metrics at {len(times)} times do not fit columns of {columns.shape}")
    return times, columns


def scaled(values: Floats, centre: Floats, deviation: Floats) -> Rows:
    """Engineering values (n, k) → steps from the healthy centre; NaN becomes SILENT."""
    steps = np.minimum(np.maximum((values - centre) * (STEPS / deviation), -_REACH), _REACH)
    missing = np.isnan(steps)
    if not missing.any():
        return np.rint(steps).astype(np.int32)
    rows = np.rint(np.where(missing, 0.0, steps)).astype(np.int32)
    rows[missing] = SILENT
    return np.asarray(rows)


def in_steps(values: Floats, centre: Floats, per_unit: Floats) -> Floats:
    """The same for values (m) none of which is missing, as floating point; `per_unit` (m): STEPS / deviation."""
    low, high = _bounds(len(values))
    return np.rint(np.minimum(np.maximum((values - centre) * per_unit, low), high))


@lru_cache(maxsize=16)
def _bounds(count: int) -> tuple[Floats, Floats]:
    return np.full(count, -float(_REACH)), np.full(count, float(_REACH))


def arranged(values: Floats, metrics: Sequence[str], wanted: Sequence[str]) -> Floats:
    """The columns of `values` in the order of `wanted`; a metric that is absent becomes a column of NaN."""
    if list(metrics) == list(wanted):
        return values
    place = {name: column for column, name in enumerate(metrics)}
    out = np.full((len(values), len(wanted)), np.nan)
    for column, name in enumerate(wanted):
        if name in place:
            out[:, column] = values[:, place[name]]
    return out


def held(rows: Rows, last: Rows, age: Ints, limit: int) -> tuple[Rows, Ints]:
    """Let a channel's last value stand in for up to `limit` rows of silence, as a sparse sensor needs.

    `last` (k) is the row before, `age` (k) for how many rows each of its values has stood in. Returns rows and ages.
    """
    heard = rows != SILENT
    if heard.all():
        return _without_withheld(rows), np.zeros_like(age)
    if len(rows) == 1:
        ages, filled = np.where(heard, 0, age + 1), np.where(heard, rows, last)
    else:
        at = np.arange(len(rows))[:, None]
        source = np.maximum.accumulate(np.where(heard, at, -1), axis=0)
        ages = np.where(source < 0, at + 1 + age, at - source)
        filled = np.where(source < 0, last, np.take_along_axis(rows, np.maximum(source, 0), axis=0))
    filled[ages > limit] = SILENT
    return _without_withheld(filled.astype(np.int32)), np.minimum(ages[-1], limit + 1)


def _without_withheld(rows: Rows) -> Rows:
    withheld = rows == WITHHELD
    return np.where(withheld, SILENT, rows) if withheld.any() else rows


def window_sums(numbers: Ints, width: int) -> Ints:
    """Sums of `width` neighbouring rows (m, k) → (m - width + 1, k), each named by its last row."""
    if len(numbers) == width:
        return np.asarray(numbers.sum(axis=0, keepdims=True))
    total = np.cumsum(numbers, axis=0)
    sums = total[width - 1 :].copy()
    sums[1:] -= total[:-width]
    return sums


def running_total(numbers: Ints) -> Ints:
    """Sums of the first 0, 1, … m rows (m, k) → (m + 1, k): a difference of two is the sum of what lies between."""
    return np.concatenate((np.zeros((1, numbers.shape[1]), dtype=np.int64), np.cumsum(numbers, axis=0)))


def middle_of_three(rows: Rows) -> Rows:
    """Each row from the third on replaced by the median of itself and the two before (m, k) → (m - 2, k)."""
    a, b, c = rows[:-2], rows[1:-1], rows[2:]
    return np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))
