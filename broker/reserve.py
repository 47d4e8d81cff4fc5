"""Room that is kept beside a SQLite file: on a full disk even deleting needs some, since SQLite notes it down first."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from pathlib import Path

log = logging.getLogger("ronda.reserve")


class Reserve:
    """A file of nothing. Given up when the disk is full; the database then grows no further until it is back."""

    def __init__(self, path: Path, connection: sqlite3.Connection, octets: int) -> None:
        """`octets`: enough to move a journal into the file, and to write one that deletes."""
        self._path, self._connection, self._octets = path, connection, octets
        self._most_pages: int = connection.execute("PRAGMA max_page_count").fetchone()[0]
        self.laid = False

    def lay(self) -> bool:
        """Take the room; False when there is not so much."""
        try:
            with self._path.open("ab") as file:
                os.posix_fallocate(file.fileno(), 0, self._octets)
        except OSError:
            self.drop()
        else:
            self.laid = True
        return self.laid

    def drop(self) -> None:
        """Nobody needs it: there is plenty."""
        self._path.unlink(missing_ok=True)
        self.laid = False

    def release(self, growth: int = 0) -> None:
        """The disk is full: make room to delete in. Nothing new fits, beyond `growth` bytes, until some was deleted."""
        if self.laid:
            self.drop()
            log.warning("reserve.released", extra={"path": str(self._path)})
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
            (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
            (size,) = self._connection.execute("PRAGMA page_size").fetchone()
            self._connection.execute(f"PRAGMA max_page_count = {pages + growth // size}").fetchall()

    def restore(self) -> None:
        """Something was deleted: is there room again?"""
        if not self.laid and self.lay():
            self._connection.execute(f"PRAGMA max_page_count = {self._most_pages}").fetchall()
            log.info("reserve.restored", extra={"path": str(self._path)})
