"""The last rows of one machine, oldest first, and how many follow each other: without a hole, and since an alarm."""

from __future__ import annotations

import numpy as np

from detection.rows import SILENT, Floats, Ints, Rows, held

# Rows that are kept longer than asked for, so that the others are moved up with every twentieth only.
_SPARE = 20


class Ring:
    """At least the last `capacity` rows (m, k) in steps with their times (m): those before `end` in their tables.

    `fresh` counts all rows since the last hole, `calm` those of them since the last alarm was over, `spoken` the kept
    rows since a channel was last silent.
    """

    def __init__(self, capacity: int, channels: int) -> None:
        self.capacity = capacity
        self.table: Rows = np.empty((capacity + _SPARE, channels), dtype=np.int32)
        self.clock: Ints = np.empty(capacity + _SPARE, dtype=np.int64)
        self.end = 0
        self.no_ages: Ints = np.zeros(channels, dtype=np.int64)
        self.ages = self.no_ages
        self.fresh = self.calm = self.spoken = 0

    @property
    def rows(self) -> Rows:
        """The last rows, `capacity` of them at most; a view."""
        return self.table[max(self.end - self.capacity, 0) : self.end]

    @property
    def times(self) -> Ints:
        """When these were measured; a view."""
        return self.clock[max(self.end - self.capacity, 0) : self.end]

    def interrupt(self) -> None:
        """A hole in the data: what stands before it says nothing about now, and no value is held across it."""
        self.fresh = self.calm = 0
        self.ages = np.full_like(self.ages, self.capacity)

    def fill(self, rows: Rows, limit: int) -> Rows:
        """`rows` that follow, with the last value of each channel held for up to `limit` rows of silence."""
        last = self.table[self.end - 1] if self.fresh else np.full(rows.shape[1], SILENT, dtype=np.int32)
        filled, self.ages = held(rows, last, self.ages, limit)
        return filled

    def push(self, row: Floats | Rows, at_ms: int, *, spoken: bool) -> None:
        """Append one row (k), filled before; `spoken`: every channel did."""
        if self.end == len(self.table):
            self.replace(self.rows, self.times)
        self.table[self.end], self.clock[self.end] = row, at_ms
        self.end += 1
        self.spoken = self.spoken + 1 if spoken else 0
        self.pass_by(1)

    def pass_by(self, count: int) -> None:
        """So many more rows follow each other."""
        self.fresh += count
        self.calm += count

    def replace(self, rows: Rows, times: Ints) -> None:
        """Keep the last of these rows, filled before, in place of all there were."""
        kept = min(len(rows), self.capacity)
        self.table[:kept], self.clock[:kept] = rows[len(rows) - kept :], times[len(rows) - kept :]
        self.end = kept
        silent = np.flatnonzero((self.table[:kept] == SILENT).any(axis=1))
        self.spoken = kept - 1 - int(silent[-1]) if silent.size else kept
