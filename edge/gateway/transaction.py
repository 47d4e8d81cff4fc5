"""All or nothing, and what failed for want of disk is tried again later."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from types import TracebackType

from edge.gateway.errors import OutboxError


class transaction:  # noqa: N801  # reads as the statement that it is
    """`with transaction(connection, undo):`. After a failure `undo` brings memory back to what the file says."""

    def __init__(self, connection: sqlite3.Connection, undo: Callable[[], None]) -> None:
        self._connection, self._undo = connection, undo

    def __enter__(self) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise _away(error) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._connection.execute("COMMIT")
                return
        except sqlite3.Error as failed:
            error = failed
        # SQLite itself has rolled back already when the disk was full.
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("ROLLBACK")
        self._undo()
        if isinstance(error, sqlite3.Error):
            raise _away(error) from error


def _away(error: sqlite3.Error) -> OutboxError:
    return OutboxError(f"the outbox cannot be written: {error}; make room on its disk, or set lower limits")
