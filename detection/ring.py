"""The last rows of one machine, oldest first, and how many of them follow each other without a hole."""

from __future__ import annotations

import numpy as np

from detection.rows import SILENT, Ints, Rows, held


class Ring:
    """At most `capacity` rows (m, k) in steps with their times (m); `fresh` counts all rows since the last hole."""

    def __init__(self, capacity: int, channels: int) -> None:
        self.capacity = capacity
        self.rows: Rows = np.empty((0, channels), dtype=np.int32)
        self.times: Ints = np.empty(0, dtype=np.int64)
        self.ages: Ints = np.zeros(channels, dtype=np.int64)
        self.fresh = 0

    def interrupt(self) -> None:
        """A hole in the data: what stands before it says nothing about now, and no value is held across it."""
        self.fresh = 0
        self.ages = np.full_like(self.ages, self.capacity)

    def fill(self, rows: Rows, limit: int) -> Rows:
        """`rows` that follow, with the last value of each channel held for up to `limit` rows of silence."""
        last = self.rows[-1] if self.fresh else np.full(rows.shape[1], SILENT, dtype=np.int32)
        filled, self.ages = held(rows, last, self.ages, limit)
        return filled

    def extend(self, rows: Rows, times: Ints) -> None:
        """Append rows that were filled before."""
        self.rows = np.concatenate((self.rows, rows))[-self.capacity :]
        self.times = np.concatenate((self.times, times))[-self.capacity :]
        self.fresh += len(rows)
