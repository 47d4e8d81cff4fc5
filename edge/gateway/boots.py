"""What the gateway knows of each device's boots: who counts, how far the store has them, and what is gone for good."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from contract.events import Watermark

# Twice the longest time after which a device sends again what was not stored: silent for longer, it will not.
_STILL_THERE_MS = 10 * 60 * 1000


class Boot:
    """One boot of one device. `counted`: the device counts by itself; else `next_seq` is what the gateway gives next.

    `through` is the watermark; the device holds nothing below `claimed`; what was dropped here lies below
    `dropped_below`.
    """

    def __init__(
        self,
        row: int,
        device: int,
        boot: str,
        *,
        counted: bool,
        through: int = -1,
        next_seq: int = 0,
        claimed: int = 0,
        dropped_below: int = 0,
        heard_at_ms: int = 0,
    ) -> None:
        self.row, self.device, self.boot, self.counted = row, device, boot, counted
        self.through, self.next_seq, self.claimed, self.dropped_below = through, next_seq, claimed, dropped_below
        self.heard_at_ms = heard_at_ms

    def oldest(self, first: int, *, latest: bool, now_ms: int) -> int | None:
        """What the cloud is told as `oldest` when `first` is the lowest held here; None: nothing is gone.

        What was dropped here is not gone as long as the device holds it: it sends it again.
        """
        device_has_it = self.counted and latest and now_ms - self.heard_at_ms < _STILL_THERE_MS
        gone = self.claimed if device_has_it else max(self.claimed, self.dropped_below)
        oldest = min(gone, first)
        return oldest if oldest > self.through + 1 else None


class Boots:
    """All boots, kept in memory as they are in the outbox."""

    def __init__(self, connection: sqlite3.Connection, own_boot: str, now_ms: Callable[[], int]) -> None:
        self._connection, self._own_boot, self._now_ms = connection, own_boot, now_ms
        self.load()

    def load(self) -> None:
        """Forget what a failed transaction changed."""
        # A device that was there before a restart is believed to be there: it has ten minutes to say something.
        now_ms = self._now_ms()
        self.devices: dict[str, int] = {}
        self.names: dict[int, str] = {}
        self.rows: dict[int, Boot] = {}
        self._of: dict[tuple[int, str], Boot] = {}
        self.latest: dict[int, Boot] = {}
        for row, device in self._connection.execute("SELECT id, device FROM devices"):
            self.devices[device], self.names[row] = row, device
        query = "SELECT id, device, boot, counted, through, next_seq, claimed, dropped_below FROM boots ORDER BY id"
        for row, device, boot, counted, through, next_seq, claimed, dropped_below in self._connection.execute(query):
            self._add(
                Boot(
                    row,
                    device,
                    boot,
                    counted=bool(counted),
                    through=through,
                    next_seq=next_seq,
                    claimed=claimed,
                    dropped_below=dropped_below,
                    heard_at_ms=now_ms,
                )
            )

    def find(self, device: str, boot: str) -> Boot | None:
        """A boot that was heard of here."""
        row = self.devices.get(device)
        return None if row is None else self._of.get((row, boot))

    def begun(self, device: str) -> bool:
        """Has a reading of this device been counted here?"""
        own = self.find(device, self._own_boot)
        return own is not None and own.next_seq > 0

    def get(self, device: str, boot: str | None) -> Boot:
        """The boot, new ones included; None: that under which the gateway counts."""
        if (row := self.devices.get(device)) is None:
            row = self._inserted("INSERT INTO devices (device) VALUES (?)", device)
            self.devices[device], self.names[row] = row, device
        name = boot or self._own_boot
        if (known := self._of.get((row, name))) is None:
            counted = boot is not None
            added = self._inserted("INSERT INTO boots (device, boot, counted) VALUES (?, ?, ?)", row, name, counted)
            known = Boot(added, row, name, counted=counted)
            self._add(known)
        known.heard_at_ms = self._now_ms()
        return known

    def marks(self) -> list[tuple[str, Watermark]]:
        """The watermark of the latest boot of each device that counts by itself."""
        return [
            (self.names[device], Watermark(boot=boot.boot, through=boot.through))
            for device, boot in self.latest.items()
            if boot.through >= 0
        ]

    def save(self, boots: set[Boot]) -> None:
        """Write what changed."""
        self._connection.executemany(
            "UPDATE boots SET through = ?, next_seq = ?, claimed = ?, dropped_below = ? WHERE id = ?",
            [(each.through, each.next_seq, each.claimed, each.dropped_below, each.row) for each in boots],
        )

    def _inserted(self, statement: str, *values: object) -> int:
        return int(self._connection.execute(statement, values).lastrowid or 0)

    def _add(self, boot: Boot) -> None:
        self.rows[boot.row] = boot
        self._of[boot.device, boot.boot] = boot
        if boot.counted:
            self.latest[boot.device] = boot
