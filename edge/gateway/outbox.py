"""Readings on disk, from the moment that the gateway answers for them until the cloud has stored them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from broker.reserve import Reserve
from contract.events import Watermark
from edge.gateway.boots import Boot, Boots
from edge.gateway.bounds import Bounds
from edge.gateway.counts import Counts
from edge.gateway.errors import OutboxError
from edge.gateway.gathering import Gathered
from edge.gateway.pacing import Turn
from edge.gateway.rows import Arrival, Batch, Counted, Freed, Held, Kept, Mark, Refusal
from edge.gateway.schema import RESERVE_BYTES, opened
from edge.gateway.transaction import transaction

_COLUMNS = "n, boot, seq, measured_at_ms, arrived_at_ms, flags, correlation_id, body"
# Deleted in one commit.
_AT_ONCE = 500


class Outbox:
    """The file. Every call blocks, so a thread of its own makes them: one writer, many readings a commit."""

    def __init__(self, path: Path, bounds: Bounds, new_boot: Callable[[], str], now_ms: Callable[[], int]) -> None:
        self._path, self.bounds, self._new_boot, self._now_ms = path, bounds, new_boot, now_ms

    def open(self) -> None:
        """Open or make the file. Raises: GatewayError."""
        self._connection, self.own_boot = opened(self._path, self._new_boot)
        self.boots = Boots(self._connection, self.own_boot, self._now_ms)
        self.counts = Counts(self._connection)
        self.bounds.open(self._connection)
        self._reserve = Reserve(self._path.with_suffix(".reserve"), self._connection, RESERVE_BYTES)
        self._reserve.lay()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def unfinished(self) -> list[Gathered]:
        """What was being gathered."""
        rows = self._connection.execute("SELECT state FROM gathering")
        return [msgspec.msgpack.decode(state, type=Gathered) for (state,) in rows]

    def keep(
        self, arrivals: Sequence[Arrival], refused: Sequence[Refusal] = (), gathered: Iterable[Gathered] | None = None
    ) -> Kept:
        """Keep these, counting those that nobody counted; afterwards the bounds hold. Raises: OutboxError."""
        kept, changed, now_ms = Kept({}, [], {}), set[Boot](), self._now_ms()
        with self._writing():
            for arrival in arrivals:
                boot = self.boots.get(arrival.device, arrival.boot)
                boot.claimed = max(boot.claimed, arrival.oldest or 0)
                changed.add(boot)
                self._keep_one(arrival, boot, now_ms, kept)
            changed |= self.bounds.enforce(self.boots, now_ms)
            self.boots.save(changed)
            self.counts.refuse(refused, now_ms)
            self.counts.save()
            if gathered is not None:
                self._gather(gathered)
        return kept

    def free(self, watermarks: Sequence[tuple[str, Watermark]]) -> Freed:
        """Delete what the store has. One that went back is believed: the store was restored. Raises: OutboxError."""
        known = [(device, mark, self.boots.find(device, mark.boot)) for device, mark in watermarks]
        reached = [(device, mark) for device, mark, boot in known if boot is not None]
        try:
            readings = self._free(reached)
        except OutboxError:
            self._reserve.release()
            readings = self._free(reached)
        if readings:
            self._reserve.restore()
        awaited = [(device, mark) for device, mark, boot in known if boot is not None and boot.counted]
        return Freed(readings, {device: self._first(device) for device, _ in reached}, awaited)

    def _free(self, watermarks: Sequence[tuple[str, Watermark]]) -> int:
        """A part a commit, so that little room is enough; what a failure leaves behind is sent again, and deleted."""
        readings = 0
        for device, mark in watermarks:
            part = _AT_ONCE
            while part == _AT_ONCE:
                with self._writing():
                    boot = self.boots.get(device, mark.boot)
                    boot.through = mark.through
                    part = self.bounds.free(boot, _AT_ONCE)
                    self.boots.save({boot})
                    self.counts.add("stored", part)
                    self.counts.save()
                readings += part
        return readings

    def _first(self, device: str) -> int:
        query = "SELECT n FROM readings WHERE device = ? ORDER BY n LIMIT 1"
        found = self._connection.execute(query, (self.boots.devices[device],)).fetchone()
        return int(found[0]) if found else 0

    def take(self, turns: Sequence[Turn]) -> list[Batch | None]:
        """What each turn sends: neighbours of one boot with one mark; None where there is nothing."""
        now_ms = self._now_ms()
        return [self._taken(turn, now_ms) for turn in turns]

    def devices(self) -> dict[str, tuple[int, int]]:
        """Device → the first and the last reading held of it."""
        rows = self._connection.execute("SELECT device, MIN(n), MAX(n) FROM readings GROUP BY device")
        return {self.boots.names[device]: (first, last) for device, first, last in rows}

    def arrived_before(self, at_ms: int) -> int:
        """The last reading that came before this time, 0 for none."""
        query = "SELECT n FROM readings WHERE arrived_at_ms < ? ORDER BY n DESC LIMIT 1"
        found = self._connection.execute(query, (at_ms,)).fetchone()
        return found[0] if found else 0

    def _writing(self) -> transaction:
        return transaction(self._connection, self._forget)

    def _forget(self) -> None:
        self.boots.load()
        self.counts.load()
        self.bounds.load()

    def _keep_one(self, arrival: Arrival, boot: Boot, now_ms: int, kept: Kept) -> None:
        if boot.counted and arrival.seq is not None:
            if arrival.seq <= boot.through:
                self.counts.add("repeated", 1)
                kept.again[arrival.device] = Watermark(boot=boot.boot, through=boot.through)
                return
            seq = arrival.seq
        else:
            seq, boot.next_seq = boot.next_seq, boot.next_seq + 1
        mark = arrival.mark
        cursor = self._connection.execute(
            "INSERT OR IGNORE INTO readings (device, boot, seq, measured_at_ms, arrived_at_ms, flags, correlation_id,"
            " body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (boot.device, boot.row, seq, arrival.measured_at_ms, now_ms, mark.flags, mark.correlation_id, arrival.body),
        )
        if cursor.rowcount:
            self.bounds.grow(len(arrival.body))
            n = int(cursor.lastrowid or 0)
            first, _ = kept.spans.get(arrival.device, (n, n))
            kept.spans[arrival.device] = (first, n)
            kept.counted.append(Counted(arrival, boot.boot, seq))
            self.counts.add("kept", 1)
        else:
            self.counts.add("repeated" if self._same(boot, seq, arrival) else "contradicted", 1)

    def _same(self, boot: Boot, seq: int, arrival: Arrival) -> bool:
        query = "SELECT measured_at_ms, body FROM readings WHERE boot = ? AND seq = ?"
        return bool(
            self._connection.execute(query, (boot.row, seq)).fetchone() == (arrival.measured_at_ms, arrival.body)
        )

    def _gather(self, gathered: Iterable[Gathered]) -> None:
        self._connection.execute("DELETE FROM gathering")
        self._connection.executemany(
            "INSERT INTO gathering VALUES (?, ?)", [(each.device, msgspec.msgpack.encode(each)) for each in gathered]
        )

    def _taken(self, turn: Turn, now_ms: int) -> Batch | None:
        device = self.boots.devices[turn.device]
        query = f"SELECT {_COLUMNS} FROM readings WHERE device = ? AND n > ? AND n <= ? ORDER BY n LIMIT ?"  # noqa: S608  # our own column names
        rows = [_held(*row) for row in self._connection.execute(query, (device, turn.after, turn.until, turn.limit))]
        if not rows:
            return None
        boot, mark = self.boots.rows[rows[0].boot], rows[0].mark
        alike = next((i for i, row in enumerate(rows) if row.boot != boot.row or row.mark != mark), len(rows))
        rows = rows[:1] if mark.whole else rows[:alike]
        (first,) = self._connection.execute("SELECT MIN(seq) FROM readings WHERE boot = ?", (boot.row,)).fetchone()
        oldest = boot.oldest(first, latest=self.boots.latest.get(device) is boot, now_ms=now_ms)
        return Batch(turn.device, boot.boot, oldest, rows)


def _held(
    n: int, boot: int, seq: int, measured: int, arrived: int, flags: int, correlation_id: str | None, body: bytes
) -> Held:
    return Held(n, boot, seq, measured, arrived, Mark.of(flags, correlation_id), body)
