"""Changes of the log's file, each a transaction: all of it or nothing, and with what room there is."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from broker.embedded.file import LogError
from broker.embedded.room import Room

log = logging.getLogger("ronda.broker.log")

Change = tuple[str, Sequence[Any]]


class Changes:
    """Writes to `db`; without room, once more when some was kept in reserve."""

    def __init__(self, db: sqlite3.Connection, room: Room) -> None:
        self._db, self._room = db, room

    def make(self, *changes: Change) -> None:
        """All of these, on disk when it returns. Raises: LogError."""
        try:
            self.within_room(lambda: self._apply(changes))
        except sqlite3.Error as error:
            raise LogError(f"the broker's log cannot be written: {error}") from error

    def note(self, *changes: Change) -> None:
        """As `make`; but whoever would empty a queue is not turned away because this cannot be noted down."""
        try:
            self.make(*changes)
        except LogError as error:
            log.warning("log.not_noted", extra={"error": str(error)})

    def within_room(self, write: Callable[[], None]) -> None:
        """`write`, and again when that helps. Raises: sqlite3.Error."""
        try:
            write()
        except sqlite3.Error as error:
            if not self._room.run_out(error):
                raise
            write()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Raises: sqlite3.Error, after which nothing has changed."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            # SQLite itself has rolled back already when the disk was full.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _apply(self, changes: Sequence[Change]) -> None:
        with self.transaction():
            for sql, parameters in changes:
                self._db.execute(sql, parameters)
