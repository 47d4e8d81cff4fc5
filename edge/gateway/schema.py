"""The outbox's file: its tables, and how it is opened so that what was acknowledged survives a power cut."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from edge.gateway.errors import GatewayError

# Pages of 4 kB in the journal before they are moved into the file: a megabyte, a few seconds of a busy site.
_CHECKPOINT_PAGES = 250
# When moving them fails for want of room, the journal grows by as much again before it fails too: both must then fit.
RESERVE_BYTES = 3 * _CHECKPOINT_PAGES * 4096
_VERSION = 1
# AUTOINCREMENT: the number of a reading that is gone is not given to another one, so what was sent stays sent.
_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE devices (id INTEGER PRIMARY KEY, device TEXT NOT NULL UNIQUE);
CREATE TABLE boots (
    id INTEGER PRIMARY KEY, device INTEGER NOT NULL, boot TEXT NOT NULL, counted INTEGER NOT NULL,
    through INTEGER NOT NULL DEFAULT -1, next_seq INTEGER NOT NULL DEFAULT 0,
    claimed INTEGER NOT NULL DEFAULT 0, dropped_below INTEGER NOT NULL DEFAULT 0, UNIQUE (device, boot)
);
CREATE TABLE readings (
    n INTEGER PRIMARY KEY AUTOINCREMENT, device INTEGER NOT NULL, boot INTEGER NOT NULL, seq INTEGER NOT NULL,
    measured_at_ms INTEGER NOT NULL, arrived_at_ms INTEGER NOT NULL, flags INTEGER NOT NULL,
    correlation_id TEXT, body BLOB NOT NULL
);
CREATE UNIQUE INDEX reading_identity ON readings (boot, seq);
CREATE INDEX reading_order ON readings (device, n);
CREATE TABLE gathering (device TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE drops (
    device INTEGER NOT NULL, reason TEXT NOT NULL, readings INTEGER NOT NULL, PRIMARY KEY (device, reason)
) WITHOUT ROWID;
CREATE TABLE counts (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE refused (
    n INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, topic TEXT NOT NULL, reason TEXT NOT NULL,
    detail TEXT NOT NULL, payload BLOB NOT NULL
);
"""


def opened(path: Path, new_boot: Callable[[], str]) -> tuple[sqlite3.Connection, str]:
    """The outbox at `path`, made when it is not there, and the boot under which this file counts for ever.

    Raises: GatewayError when it is another program's, a newer version's, or not to be opened.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # One writer thread; it is opened here and used there.
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        connection.execute("PRAGMA journal_mode = WAL")
        # FULL, since a number that was given and then forgotten by a power cut would be given again, to another
        # reading: the cloud would refuse that one. All that waits is one commit, so it costs one sync for many.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA cache_size = -4096")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {2 * _CHECKPOINT_PAGES * 4096}")
        # What does not fit is to fail at its commit, and not to fill the disk with half of itself before.
        connection.execute("PRAGMA cache_spill = OFF")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            _create(connection, new_boot())
        elif version != _VERSION:
            raise GatewayError(f"{path} was written by a newer version; update this one, or name another folder")
        (boot,) = connection.execute("SELECT value FROM meta WHERE name = 'boot'").fetchone()
    except (sqlite3.Error, OSError) as error:
        raise GatewayError(f"the outbox {path} cannot be opened: {error}") from error
    return connection, str(boot)


def _create(connection: sqlite3.Connection, boot: str) -> None:
    connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {_VERSION};")
    connection.execute("INSERT INTO meta VALUES ('boot', ?)", (boot,))
    connection.execute("COMMIT")
