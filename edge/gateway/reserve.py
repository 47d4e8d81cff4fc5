"""Room that is kept beside the outbox: on a full disk even deleting needs some, since SQLite notes it down first."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from pathlib import Path

log = logging.getLogger("ronda.edge.gateway")

# Pages of 4 kB in the journal before they are moved into the file: a megabyte, a few seconds of a busy site.
CHECKPOINT_PAGES = 250
# When moving them fails for want of room, the journal grows by as much again before it fails too: both must then fit.
_BYTES = 3 * CHECKPOINT_PAGES * 4096


class Reserve:
    """A file of nothing. Given up when the disk is full; from then on the outbox grows no further until it is back."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path, self._connection = path, connection
        self._most_pages: int = connection.execute("PRAGMA max_page_count").fetchone()[0]
        self._laid = self._lay()

    def release(self) -> None:
        """The disk is full: make room to delete in. Nothing new fits until something was deleted."""
        if self._laid:
            self._path.unlink(missing_ok=True)
            self._laid = False
            log.warning("reserve.released", extra={"path": str(self._path)})
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
            (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
            self._connection.execute(f"PRAGMA max_page_count = {pages}").fetchall()

    def restore(self) -> None:
        """Something was deleted: is there room again?"""
        if not self._laid and self._lay():
            self._laid = True
            self._connection.execute(f"PRAGMA max_page_count = {self._most_pages}").fetchall()
            log.info("reserve.restored", extra={"path": str(self._path)})

    def _lay(self) -> bool:
        try:
            with self._path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, _BYTES)
        except OSError:
            self._path.unlink(missing_ok=True)
            return False
        return True
