"""The past of a few sensors in little room: means of minute medians, in blocks that grow wider as the past grows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from detection.errors import DetectionError
from detection.rows import Floats, Ints, arranged
from detection.sealed import numbers

MINUTE_MS = 60_000
# Enough points for a trend, few enough that a sensor's past is less than a kilobyte.
MOST_BLOCKS = 128
# Eleven days in all, then the oldest is forgotten: what a trend may be prolonged by is no longer than that.
_WIDEST_MINUTES = 128
# Two a second: more readings of one minute say nothing more about its median.
_MINUTE_ROWS = 128

_Rows = NDArray[np.float32]
_Counts = NDArray[np.uint16]


class Packed(msgspec.Struct, frozen=True, kw_only=True):
    """All of it: arrays as little-endian bytes, and the block that is not whole yet."""

    metrics: list[str]
    minute: int | None
    open: bytes
    width: int
    number: int | None
    sums: list[float]
    counts: list[int]
    numbers: bytes
    means: bytes
    weights: bytes


class Blocks:
    """The past of `metrics` (k): block number `numbers[i]` × `width` minutes after 1970 has the means (n, k).

    What is kept is rounded as it comes in, so that it makes no difference where the rows were cut.
    """

    def __init__(self, metrics: Sequence[str]) -> None:
        self.metrics = list(metrics)
        self.width = 1
        self._minute: int | None = None
        self._open: _Rows = np.empty((0, len(metrics)), dtype=np.float32)
        self._number: int | None = None
        self._sums, self._counts = [0.0] * len(metrics), [0] * len(metrics)
        self._numbers: Ints = np.empty(0, dtype=np.int64)
        self._means: _Rows = np.empty((0, len(metrics)), dtype=np.float32)
        self._weights: _Counts = np.empty((0, len(metrics)), dtype=np.uint16)

    def add(self, times: Ints, rows: Floats) -> Iterator[tuple[int, int]]:
        """Take in rows (n, k) that are not older than those before; yields (row, minute) whenever a minute is over."""
        if not len(times):
            return
        minutes, small = times // MINUTE_MS, rows.astype(np.float32)
        edges = [0, *(np.flatnonzero(np.diff(minutes)) + 1).tolist(), len(times)]
        for start, stop in pairwise(edges):
            minute, before = int(minutes[start]), self._minute
            if before is not None and minute != before:
                self._close(before)
                yield start, before
            self._minute = minute
            self._open = np.concatenate((self._open, small[start:stop]))[:_MINUTE_ROWS]

    def past(self, metric: str) -> tuple[Ints, Floats]:
        """The middle of each whole block in which the sensor spoke (n, epoch ms), and its mean (n)."""
        width_ms = self.width * MINUTE_MS
        means = self._means[:, self.metrics.index(metric)].astype(np.float64)
        there = ~np.isnan(means)
        return self._numbers[there] * width_ms + width_ms // 2, means[there]

    def packed(self) -> Packed:
        """What to go on from."""
        return Packed(
            metrics=self.metrics,
            minute=self._minute,
            open=self._open.astype("<f4").tobytes(),
            width=self.width,
            number=self._number,
            sums=list(self._sums),
            counts=list(self._counts),
            numbers=self._numbers.astype("<i8").tobytes(),
            means=self._means.astype("<f4").tobytes(),
            weights=self._weights.astype("<u2").tobytes(),
        )

    def resume(self, packed: Packed) -> None:
        """Go on from there; a metric that was not watched has no past. Raises: DetectionError for one that is none."""
        columns = len(packed.metrics)
        if not len(packed.sums) == len(packed.counts) == columns:
            raise DetectionError(f"the past does not fit its own {columns} sensors; start afresh")
        self._minute, self.width, self._number = packed.minute, packed.width, packed.number
        sums = dict(zip(packed.metrics, zip(packed.sums, packed.counts, strict=True), strict=True))
        self._sums = [sums.get(metric, (0.0, 0))[0] for metric in self.metrics]
        self._counts = [sums.get(metric, (0.0, 0))[1] for metric in self.metrics]
        count, rows = len(packed.numbers) // 8, len(packed.open) // 4 // max(columns, 1)
        self._numbers = numbers(packed.numbers, "<i8", count).astype(np.int64)
        self._open = self._mine(numbers(packed.open, "<f4", rows, columns), packed).astype(np.float32)
        self._means = self._mine(numbers(packed.means, "<f4", count, columns), packed).astype(np.float32)
        weights = self._mine(numbers(packed.weights, "<u2", count, columns), packed)
        self._weights = np.nan_to_num(weights).astype(np.uint16)

    def _mine(self, table: NDArray[Any], packed: Packed) -> Floats:
        return arranged(table.astype(np.float64), packed.metrics, self.metrics)

    def _close(self, minute: int) -> None:
        """A minute is over: its medians join the block that it belongs to."""
        medians, self._open = _medians(self._open), self._open[:0]
        number = minute // self.width
        if self._number is not None and number != self._number:
            self._finish(self._number)
            number = minute // self.width
        self._number = number
        for column, median in enumerate(medians):
            if not math.isnan(median):
                self._sums[column] += median
                self._counts[column] += 1

    def _finish(self, number: int) -> None:
        """A block is whole; after blocks grew wider it may be the second half of the last one."""
        pairs = zip(self._sums, self._counts, strict=True)
        means = np.array([[total / count if count else math.nan for total, count in pairs]], dtype=np.float32)
        self._numbers = np.append(self._numbers, number)
        self._means = np.concatenate((self._means, means))
        self._weights = np.concatenate((self._weights, np.array([self._counts], dtype=np.uint16)))
        self._sums, self._counts = [0.0] * len(self.metrics), [0] * len(self.metrics)
        if len(self._numbers) > 1 and self._numbers[-2] == number:
            self._join(self._numbers)
        while len(self._numbers) >= MOST_BLOCKS:
            self._make_room()

    def _make_room(self) -> None:
        """Blocks of twice the width, or, where they are wide enough, without the oldest."""
        if self.width >= _WIDEST_MINUTES:
            self._numbers, self._means, self._weights = self._numbers[1:], self._means[1:], self._weights[1:]
            return
        self.width *= 2
        self._join(self._numbers // 2)

    def _join(self, numbers: Ints) -> None:
        """Blocks that have the same number now become one."""
        first = np.flatnonzero(np.diff(numbers, prepend=numbers[0] - 1))
        weights = self._weights.astype(np.int64)
        totals = np.add.reduceat(np.where(weights > 0, self._means, 0) * weights, first, axis=0)
        sums = np.add.reduceat(weights, first, axis=0)
        means = np.where(sums > 0, totals / np.maximum(sums, 1), np.nan)
        self._numbers, self._means, self._weights = numbers[first], means.astype(np.float32), sums.astype(np.uint16)


def _medians(rows: _Rows) -> list[float]:
    """Per column the median of what is there, NaN where nothing is."""
    if len(rows) == 1:
        return rows[0].tolist()  # type: ignore[no-any-return]  # NumPy's own type is looser
    ordered = np.sort(rows, axis=0)
    there = (~np.isnan(ordered)).sum(axis=0)
    column = np.arange(rows.shape[1])
    low = ordered[np.maximum(there - 1, 0) // 2, column].astype(np.float64)
    high = ordered[np.minimum(there // 2, len(rows) - 1), column]
    return ((low + high) / 2).tolist()  # type: ignore[no-any-return]  # NumPy's own type is looser
