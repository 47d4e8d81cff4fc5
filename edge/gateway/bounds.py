"""How much the outbox holds: when it is too much or too old, the oldest readings are given up and counted."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence

from edge.gateway.boots import Boot, Boots
from edge.gateway.mapping import Limits
from edge.gateway.rows import Dropped

# Of the file, beside the values of a reading: its row and two index entries. 67 measured over 100,000 readings, and
# what deleting leaves half empty.
ROW_BYTES = 90
# Given up at once, so that a full outbox does not search for the oldest with every message.
_AT_ONCE = 500


class Bounds:
    """The limits, and what is held."""

    def __init__(self, limits: Limits) -> None:
        self._rows, self._bytes = limits.rows, int(limits.megabytes * 2**20)
        self._age_ms = int(limits.age_h * 3_600_000)

    def open(self, connection: sqlite3.Connection) -> None:
        """Count what is there."""
        self._connection = connection
        self.load()

    def load(self) -> None:
        """As the file says."""
        query = "SELECT COUNT(*), COALESCE(SUM(LENGTH(body)), 0) FROM readings"
        self.rows, body = self._connection.execute(query).fetchone()
        self.bytes = body + ROW_BYTES * self.rows

    def grow(self, body: int) -> None:
        """A reading with so many bytes of values was kept."""
        self.rows += 1
        self.bytes += body + ROW_BYTES

    def free(self, boot: Boot, most: int) -> int:
        """Delete what the store has of this boot, at most so many readings; how many."""
        query = "SELECT n, LENGTH(body) FROM readings WHERE boot = ? AND seq <= ? ORDER BY seq LIMIT ?"
        rows = self._connection.execute(query, (boot.row, boot.through, most)).fetchall()
        self._delete(rows)
        return len(rows)

    def enforce(self, boots: Boots, now_ms: int) -> set[Boot]:
        """Give up the oldest until all limits hold; returns the boots that lost something."""
        changed: set[Boot] = set()
        while (reason := self._broken(now_ms)) is not None:
            changed |= self._drop(boots, reason, now_ms)
        return changed

    def oldest_arrival_ms(self) -> int | None:
        """When the oldest reading that is held came in."""
        found = self._connection.execute("SELECT arrived_at_ms FROM readings ORDER BY n LIMIT 1").fetchone()
        return int(found[0]) if found else None

    def drops(self, boots: Boots) -> list[tuple[str, str, int]]:
        """(device, reason, readings) of all that was given up before it was known to be stored."""
        rows = self._connection.execute("SELECT device, reason, readings FROM drops")
        return [(boots.names[device], reason, readings) for device, reason, readings in rows]

    def _broken(self, now_ms: int) -> Dropped | None:
        if self.rows > self._rows:
            return Dropped.ROWS
        if self.bytes > self._bytes:
            return Dropped.BYTES
        oldest_ms = self.oldest_arrival_ms()
        return Dropped.AGE if oldest_ms is not None and oldest_ms < now_ms - self._age_ms else None

    def _drop(self, boots: Boots, reason: Dropped, now_ms: int) -> set[Boot]:
        rows = self._connection.execute(
            "SELECT n, boot, seq, arrived_at_ms, LENGTH(body) FROM readings ORDER BY n LIMIT ?", (self._many(reason),)
        ).fetchall()
        if reason is Dropped.AGE:
            rows = [row for row in rows if row[3] < now_ms - self._age_ms]
        changed, lost = set[Boot](), Counter[int]()
        for _, row, seq, _, _ in rows:
            boot = boots.rows[row]
            boot.dropped_below = max(boot.dropped_below, seq + 1)
            changed.add(boot)
            lost[boot.device] += 1
        self._delete([(n, body) for n, _, _, _, body in rows])
        self._connection.executemany(
            "INSERT INTO drops VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET readings = readings + excluded.readings",
            [(device, reason, count) for device, count in lost.items()],
        )
        return changed

    def _delete(self, rows: Sequence[tuple[int, int]]) -> None:
        """(n, bytes of values) of each."""
        self._connection.executemany("DELETE FROM readings WHERE n = ?", [(n,) for n, _ in rows])
        self.rows -= len(rows)
        self.bytes -= sum(body + ROW_BYTES for _, body in rows)

    def _many(self, reason: Dropped) -> int:
        """Never more than a hundredth of what may be held."""
        if reason is Dropped.AGE:
            return _AT_ONCE
        return int(max(1, min(_AT_ONCE, self._rows // 100, self.rows // 100)))
