"""Watches whether a machine's inputs still are what its model learned from, hour by hour in the data's own time.

The state is counts and sums of whole numbers: rows one by one, in blocks or after a restart give the same to the bit.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from detection.errors import DetectionError
from detection.input_drift import BINS, Floats, Ints, Shift, effective_readings, shift
from detection.rows import arranged
from detection.sealed import numbers, opened, sealed

Flags = NDArray[np.bool_]

FORMAT = 1
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
# Two minutes: long against the noise of any sensor, short enough that 30 of them show an hour's wandering.
SLOTS = 30
_SLOT_MS = HOUR_MS // SLOTS
# Of less than half an hour nothing is said: 15 stretches are few enough for an autocorrelation.
_LEAST_SLOTS = SLOTS // 2
# A channel's healthy range from its first to its ninth decile has 256 steps, and 4,096 such ranges are the farthest
# that is told apart: squares of 20-bit numbers, added up for an hour at any rate, fit 64 bits.
_STEPS, _REACH = 256, 1 << 20
# Rows that are counted together; a small block costs the arithmetic of a large one.
_TOGETHER = 256


class Hour(msgspec.Struct, frozen=True, kw_only=True):
    """What an hour of healthy running shows. `raised`: a channel drifted for two hours in a row; at most once a day."""

    from_ms: int
    through_ms: int
    readings: int
    channels: list[Shift]
    raised: bool


class _State(msgspec.Struct, kw_only=True):
    """`below`, `upto` (k, 9) and `counts`, `sums` (30, k) as little-endian whole numbers; `squares` (k)."""

    format: int = FORMAT
    reference: str
    hour: int | None
    first_ms: int
    last_ms: int
    rows: int
    below: bytes
    upto: bytes
    counts: bytes
    sums: bytes
    squares: bytes
    drifting: list[str]
    raised_ms: int | None


class DriftWatch:
    """Compares each hour of a machine with `deciles` (metric → 11 rising numbers, of `learned_rows` healthy rows).

    `state` of another reference, or damaged, is as none: the hour begins anew.
    """

    def __init__(
        self, deciles: Mapping[str, Sequence[float]], learned_rows: int, *, state: bytes | None = None
    ) -> None:
        self._metrics = list(deciles)
        edges = np.asarray([deciles[name] for name in self._metrics], dtype=np.float64)
        if edges.shape != (len(self._metrics), BINS + 1) or not np.isfinite(edges).all():
            raise DetectionError(f"each channel has {BINS + 1} deciles; these have the shape {edges.shape}")
        self._learned_rows = learned_rows
        self._edges, self._middle = edges[:, 1:BINS], edges[:, BINS // 2]
        spread = edges[:, BINS - 1] - edges[:, 1]
        self._unit = np.where(spread > 0, spread, 1.0) / _STEPS
        self._reference = hashlib.sha256(msgspec.json.encode([self._metrics, edges.tolist()])).hexdigest()[:16]
        self._waiting: list[tuple[Ints, Floats]] = []
        self._waiting_rows = 0
        self._hour: int | None = None
        self._drifting: list[str] = []
        self._raised_ms: int | None = None
        self._clear()
        if state is not None:
            self._resume(state)

    def process(self, measured_at_ms: Ints, values: Floats, metrics: Sequence[str], counts: Flags) -> list[Hour]:
        """Take n readings at `measured_at_ms` (n): a column of n `values` per metric, NaN where missing.

        `counts` (n, bool): those of a running, healthy machine; the others only let time pass. Rows of an hour that is
        over are too late. Returns the hours that ended.
        """
        ended: list[Hour] = []
        for hour, rows in self._by_hour(measured_at_ms):
            if self._hour is not None and hour > self._hour:
                ended += self._end()
            self._hour = hour
            taken = counts[rows]
            if taken.any():
                part = arranged(values[:, rows].T, metrics, self._metrics)
                self._take(measured_at_ms[rows][taken], part[taken])
        return ended

    def state(self) -> bytes:
        """All that the next hour's answer depends on."""
        self._count()
        return sealed(
            _State(
                reference=self._reference, hour=self._hour, first_ms=self._first_ms, last_ms=self._last_ms,
                rows=self._rows, below=_packed(self._below, "<i4"), upto=_packed(self._upto, "<i4"),
                counts=_packed(self._counts, "<i4"), sums=_packed(self._sums, "<i8"),
                squares=_packed(self._squares, "<i8"), drifting=self._drifting, raised_ms=self._raised_ms,
            )
        )  # fmt: skip

    def _resume(self, payload: bytes) -> None:
        with contextlib.suppress(DetectionError):
            state = opened(payload, _State, "the state of watched inputs")
            if (state.format, state.reference) == (FORMAT, self._reference):
                self._go_on(state)

    def _go_on(self, state: _State) -> None:
        """Raises: DetectionError before anything is taken over, for tables of another size."""
        k = len(self._metrics)
        below, upto = _table(state.below, "<i4", k, BINS - 1), _table(state.upto, "<i4", k, BINS - 1)
        counts, sums = _table(state.counts, "<i4", SLOTS, k), _table(state.sums, "<i8", SLOTS, k)
        squares = _table(state.squares, "<i8", k)
        self._below, self._upto, self._counts, self._sums, self._squares = below, upto, counts, sums, squares
        self._hour, self._rows = state.hour, state.rows
        self._first_ms, self._last_ms = state.first_ms, state.last_ms
        self._drifting, self._raised_ms = state.drifting, state.raised_ms

    def _clear(self) -> None:
        k = len(self._metrics)
        self._below, self._upto = np.zeros((2, k, BINS - 1), dtype=np.int64)
        self._counts, self._sums = np.zeros((2, SLOTS, k), dtype=np.int64)
        self._squares = np.zeros(k, dtype=np.int64)
        self._rows, self._first_ms, self._last_ms = 0, 0, 0

    def _by_hour(self, times: Ints) -> Iterator[tuple[int, Ints | slice]]:
        """(hour, places of its rows) in order, without what is late."""
        if not len(times):
            return
        if int(times.min()) // HOUR_MS == int(times.max()) // HOUR_MS == self._hour:
            yield self._hour, slice(None)
            return
        hours = times // HOUR_MS
        front = np.maximum.accumulate(hours if self._hour is None else np.maximum(hours, self._hour))
        kept = np.flatnonzero(hours == front)
        for rows in np.split(kept, np.flatnonzero(np.diff(hours[kept])) + 1):
            if len(rows):
                yield int(hours[rows[0]]), rows

    def _take(self, times: Ints, values: Floats) -> None:
        first_ms, last_ms = int(times.min()), int(times.max())
        self._first_ms = min(self._first_ms, first_ms) if self._rows else first_ms
        self._last_ms = max(self._last_ms, last_ms)
        self._rows += len(times)
        self._waiting.append((times, values))
        self._waiting_rows += len(times)
        if self._waiting_rows >= _TOGETHER:
            self._count()

    def _count(self) -> None:
        """Bring the rows that wait into the counts."""
        if not self._waiting:
            return
        times = np.concatenate([times for times, _ in self._waiting])
        values = np.concatenate([values for _, values in self._waiting])
        self._waiting, self._waiting_rows = [], 0
        self._below += (values[:, :, None] < self._edges).sum(axis=0)
        self._upto += (values[:, :, None] <= self._edges).sum(axis=0)
        heard = np.isfinite(values)
        steps = np.where(heard, np.clip((values - self._middle) / self._unit, -_REACH, _REACH), 0.0)
        whole = np.rint(steps).astype(np.int64)
        slots = times % HOUR_MS // _SLOT_MS
        np.add.at(self._counts, slots, heard)
        np.add.at(self._sums, slots, whole)
        self._squares += (whole**2).sum(axis=0)

    def _end(self) -> list[Hour]:
        """The open hour as it was, if there was enough of it."""
        self._count()
        channels = [found for k in range(len(self._metrics)) if (found := self._shift(k)) is not None]
        hour = Hour(
            from_ms=self._first_ms, through_ms=self._last_ms, readings=self._rows, channels=channels, raised=False
        )
        self._clear()
        if not channels:
            return []
        return [msgspec.structs.replace(hour, raised=self._is_raised(hour))]

    def _is_raised(self, hour: Hour) -> bool:
        drifted = [channel.name for channel in hour.channels if channel.drifted]
        lasting = set(drifted) & set(self._drifting)
        self._drifting = drifted
        rested = self._raised_ms is None or hour.through_ms - self._raised_ms >= DAY_MS
        if not lasting or not rested:
            return False
        self._raised_ms = hour.through_ms
        return True

    def _shift(self, channel: int) -> Shift | None:
        counts, sums = self._counts[:, channel], self._sums[:, channel]
        there = counts > 0
        if there.sum() < _LEAST_SLOTS:
            return None
        n = int(counts.sum())
        variance = self._squares[channel] / n - (sums.sum() / n) ** 2
        effective = effective_readings(sums[there] / counts[there], float(variance), n)
        # Worth as much as the hour's, reading for reading, and at most as much: however long a machine learned, what
        # wanders within a day was seen once.
        learned = max(effective * min(self._learned_rows / n, 1.0), 1.0)
        return shift(self._metrics[channel], self._below[channel], self._upto[channel], n, effective, learned)


def _packed(numbers: Ints, kind: str) -> bytes:
    return numbers.astype(kind).tobytes()


def _table(payload: bytes, kind: str, *shape: int) -> Ints:
    return numbers(payload, kind, *shape).astype(np.int64)
