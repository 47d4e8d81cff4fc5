"""Room on the log's disk. With plenty nothing is done; with little some is kept in reserve; without, it is shared out.

A chain can leave a full disk only when its last agent can: the historian says what it has stored before it
acknowledges it. So without room nobody is refused everything: every queue is held to a small bound instead. The queue
that fills the disk is over it and holds its publishers back, those before it fill to it and hold back theirs, and
what the last agent says goes to queues that are empty.
"""

from __future__ import annotations

import logging
import shutil
import sqlite3
from pathlib import Path

from broker.reserve import Reserve

log = logging.getLogger("ronda.broker.log")

_MB = 1024 * 1024
# With less than this on its disk the log is careful: another program writes no more between two looks.
_PLENTY_BYTES = 1024 * _MB
# Careful, the WAL is moved into the database at each commit from 1000 pages of 4 kB on, which is SQLite's own habit.
CAREFUL_PAGES = 1000
# Written in one transaction, and a message's more: so that what the WAL holds fits into the reserve.
PORTION_BYTES = 4 * _MB
# What goes on while the disk is full, in all queues together: five services' 1 MB, and what devices are told.
_GROWTH_BYTES = 8 * _MB
# A WAL of 1000 pages, a portion with a message of 8 MB, and the growth: all of them may have to fit.
_RESERVE_BYTES = 24 * _MB
# Taken in again as before once so much more was deleted, so that the two do not alternate with every message.
_AGAIN_BYTES = _GROWTH_BYTES + 4 * _MB
# To be free beside the reserve before it is laid again: the next messages would need it at once.
_BESIDE_BYTES = 16 * _MB


class Room:
    """How much of it there is for the log at `path`."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self._path, self._db = path, db
        self._reserve = Reserve(reserve_of(path), db, _RESERVE_BYTES)
        self._out = False
        self.careful = False
        # Is every queue held to its small bound?
        self.scarce = False
        # How often the disk was full.
        self.ran_out = 0

    def look(self) -> None:
        """Now and then: lay, drop or restore the reserve, as the disk's room asks."""
        free = shutil.disk_usage(self._path.parent).free
        if self._out:
            if free >= _RESERVE_BYTES + _BESIDE_BYTES:
                self._reserve.restore()
                self._out = not self._reserve.laid
            self.spent()
        elif free >= _PLENTY_BYTES:
            self._reserve.drop()
            self._be_careful(careful=False)
        elif not self._reserve.laid:
            self._be_careful(careful=True)
            if not self._reserve.lay():
                self._share()

    def run_out(self, error: sqlite3.Error) -> bool:
        """A write failed. True when it was for want of room and may be tried again, since there is some now."""
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code not in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            return False
        helps = self._reserve.laid
        self._be_careful(careful=True)
        if not self._out:
            self._share()
        self._say(scarce=True)
        return helps

    def spent(self) -> None:
        """Something was written or deleted: does the small bound begin or end?"""
        if not self._out:
            self._say(scarce=False)
        elif (left := self._left()) < _GROWTH_BYTES:
            self._say(scarce=True)
        elif left >= _AGAIN_BYTES:
            self._say(scarce=False)

    def _share(self) -> None:
        """Give the reserve up, and grow by no more than a part of it."""
        # Without a reserve, as after a start on a full disk: what is left beyond what the WAL needs.
        found = shutil.disk_usage(self._path.parent).free - _BESIDE_BYTES
        self._reserve.release(_GROWTH_BYTES if self._reserve.laid else min(_GROWTH_BYTES, max(0, found)))
        self._out = True
        self._say(scarce=True)

    def _left(self) -> int:
        """Bytes that the database can still take without the disk's help, or within what it may grow by."""
        free, most, pages, size = (
            self._db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("freelist_count", "max_page_count", "page_count", "page_size")
        )
        return int((free + most - pages) * size)

    def _be_careful(self, *, careful: bool) -> None:
        if careful is not self.careful:
            self.careful = careful
            self._db.execute(f"PRAGMA wal_autocheckpoint = {CAREFUL_PAGES if careful else 0}").fetchall()

    def _say(self, *, scarce: bool) -> None:
        if scarce is not self.scarce:
            self.scarce = scarce
            self.ran_out += scarce
            level, event = (logging.ERROR, "disk.full") if scarce else (logging.INFO, "disk.has_room")
            log.log(level, event, extra={"path": str(self._path.parent)})


def reserve_of(path: Path) -> Path:
    """Where the log at `path` keeps its reserve."""
    return path.with_suffix(".reserve")
