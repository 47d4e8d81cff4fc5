"""The log's file: its tables, the lock of the one broker that may use it, and the moving of its WAL."""

from __future__ import annotations

import contextlib
import fcntl
import io
import logging
import sqlite3
from pathlib import Path

from broker.embedded.room import reserve_of
from contract.errors import RondaError

log = logging.getLogger("ronda.broker.log")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS queue(id INTEGER PRIMARY KEY, topic TEXT, payload BLOB, retain INTEGER);
CREATE TABLE IF NOT EXISTS session(
    client TEXT PRIMARY KEY, number INTEGER UNIQUE, user TEXT, head INTEGER, attempts INTEGER, seen_s REAL);
CREATE TABLE IF NOT EXISTS subscription(client TEXT, filter TEXT, qos INTEGER, PRIMARY KEY(client, filter));
CREATE TABLE IF NOT EXISTS retained(topic TEXT PRIMARY KEY, payload BLOB, qos INTEGER);
CREATE TABLE IF NOT EXISTS dead(
    id INTEGER PRIMARY KEY AUTOINCREMENT, client TEXT, topic TEXT, payload BLOB, buried_s REAL);
"""


class LogError(RondaError):
    """The log cannot be used or written; nothing is acknowledged that is not in it."""


def locked(path: Path) -> io.TextIOWrapper:
    """The lock, until it is closed. Raises: LogError when another broker has it."""
    handle = path.open("a")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        raise LogError(f"another broker is running on {path.parent}; stop it first") from None
    return handle


def opened(path: Path) -> sqlite3.Connection:
    """The database at `path`, made when it is not there. Raises: LogError when it cannot be used.

    On a full disk the room that an earlier start has kept in reserve lets it be opened, and so emptied.
    """
    try:
        return _opened(path)
    except sqlite3.Error as error:
        if not reserve_of(path).exists():
            raise _unusable(path, error) from error
    reserve_of(path).unlink()
    log.warning("reserve.released", extra={"path": str(reserve_of(path))})
    try:
        return _opened(path)
    except sqlite3.Error as error:
        raise _unusable(path, error) from error


def _opened(path: Path) -> sqlite3.Connection:
    with contextlib.ExitStack() as stack:
        db = stack.enter_context(contextlib.closing(sqlite3.connect(path, isolation_level=None)))
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute("PRAGMA wal_autocheckpoint=0")
        # What does not fit is to fail at its commit, and not to fill the disk with half of itself before.
        db.execute("PRAGMA cache_spill=OFF")
        db.executescript(_SCHEMA)
        stack.pop_all()
        return db


def _unusable(path: Path, error: sqlite3.Error) -> LogError:
    return LogError(f"the broker's log {path} cannot be used: {error}")


def moved(path: Path, *, truncate: bool) -> None:
    """Move the WAL into the database, past the writer; `truncate`: then hold the writer up and begin the WAL anew."""
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=1.0)) as db:
            db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            if truncate:
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.Error as error:
        log.warning("log.not_moved", extra={"path": str(path), "error": str(error)})
