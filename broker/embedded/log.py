"""The broker's memory on disk: what was acknowledged to a publisher and not yet by every durable subscriber.

One SQLite file in WAL mode. Everything that arrives in one turn of the event loop is one transaction (group commit),
committed in the loop itself: a commit is a `write()` into the page cache, shorter than two thread switches. That
survives kill -9 of the process; what a power cut takes is at most what came since the last checkpoint's fsync.
The checkpoint, the one slow step, runs in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import io
import logging
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from broker.embedded.rows import Queue, Row, StoredSession
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
# A queue row's id is the client's number and the message's sequence in one integer: every client appends at a place
# of its own in one B-tree, and what it acknowledged is deleted as one range.
_SEQ_BITS = 40
_RETAINED_BATCH = 500
# Acknowledgements wait this long for a transaction to join; lost in a crash, they only make messages come again.
_LAZY_S = 0.05
# The WAL grows to this before it is moved into the database file.
_CHECKPOINT_BYTES = 8 * 1024 * 1024
# Beyond this the writer is held up for a moment, so that the WAL starts again from its beginning.
_TRUNCATE_BYTES = 64 * 1024 * 1024
# Enough to look into what went wrong, and no second archive.
_MAX_DEAD = 1000


class LogError(RondaError):
    """The log cannot be used or written; nothing is acknowledged that is not in it."""


class Log:
    """The file. All methods are called in the event loop's thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: list[tuple[Queue, Row]] = []
        self._retained: dict[str, tuple[bytes, int] | None] = {}
        self._acknowledged: dict[int, int] = {}
        self._group: asyncio.Future[None] | None = None
        self._lazy: asyncio.TimerHandle | None = None
        self._checkpoint: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Open or create the file. Raises: LogError when another broker has it, or it cannot be read."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(self._path.with_suffix(".lock"))
        try:
            self._db = sqlite3.connect(self._path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute("PRAGMA wal_autocheckpoint=0")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            self._lock.close()
            raise LogError(f"the broker's log {self._path} cannot be used: {error}") from error

    async def close(self) -> None:
        """Write what is left and close the file."""
        if self._checkpoint is not None:
            await asyncio.wait([self._checkpoint])
        self.flush()
        self._db.close()
        self._lock.close()

    # -- messages: joined into one transaction per turn of the loop --

    def append(self, queue: Queue, row: Row) -> None:
        """Add a message to a client's queue; `queue` hears when it is on disk."""
        self._rows.append((queue, row))
        self._commit_soon()

    def retain(self, topic: str, payload: bytes, qos: int) -> None:
        """Keep the last message of a topic; an empty payload forgets it."""
        self._retained[topic] = (payload, qos) if payload else None
        self._commit_soon()

    def acknowledged(self, number: int, through: int) -> None:
        """The client has everything up to the sequence `through`."""
        self._acknowledged[number] = through
        if self._group is None and self._lazy is None:
            self._lazy = asyncio.get_running_loop().call_later(_LAZY_S, self._commit)

    async def written(self) -> None:
        """Wait until everything added so far is on disk. Raises: LogError when it could not be written."""
        if self._group is not None:
            await asyncio.shield(self._group)

    def flush(self) -> None:
        """Write everything added so far, now."""
        if self._lazy is not None:
            self._lazy.cancel()
        self._commit()

    def read(self, number: int, after: int, *, rows: int, octets: int) -> list[Row]:
        """The next messages of a client's queue after the sequence `after`, bounded by count and size."""
        low, high = (number << _SEQ_BITS) + after, (number + 1) << _SEQ_BITS
        sql = "SELECT id, topic, payload, retain FROM queue WHERE id > ? AND id < ? ORDER BY id LIMIT ?"
        found: list[Row] = []
        with contextlib.closing(self._db.execute(sql, (low, high, rows))) as cursor:
            for ident, topic, payload, retain in cursor:
                found.append(Row(ident - (number << _SEQ_BITS), topic, payload, bool(retain)))
                octets -= len(payload)
                if octets <= 0:
                    break
        return found

    def extent(self, number: int) -> tuple[int, int, int]:
        """How many messages a client's queue holds, how many bytes, and the last sequence."""
        base = number << _SEQ_BITS
        sql = "SELECT count(*), coalesce(sum(length(payload)), 0), max(id) FROM queue WHERE id > ? AND id < ?"
        count, octets, last = self._db.execute(sql, (base, base + (1 << _SEQ_BITS))).fetchone()
        return count, octets, last - base if last else 0

    def retained(self) -> Iterator[tuple[str, bytes, int]]:
        """Every kept message: topic, payload, QoS."""
        yield from self._db.execute("SELECT topic, payload, qos FROM retained")

    # -- sessions: rare, so each change is a transaction of its own, on disk when the call returns --

    def sessions(self) -> list[StoredSession]:
        """Every durable session."""
        rows = self._db.execute("SELECT client, number, user, head, attempts, seen_s FROM session").fetchall()
        return [StoredSession(*row) for row in rows]

    def add_session(self, client: str, user: str, now_s: float) -> StoredSession:
        """Start a durable session with a number that no other has."""
        (number,) = self._db.execute("SELECT coalesce(max(number), 0) + 1 FROM session").fetchone()
        session = StoredSession(client, number, user, 0, 0, now_s)
        self._db.execute("INSERT INTO session VALUES(?,?,?,?,?,?)", session)
        return session

    def remove_session(self, client: str, number: int) -> None:
        """Forget a session, its subscriptions and its queue."""
        self.flush()
        low = number << _SEQ_BITS
        with self._transaction():
            self._db.execute("DELETE FROM queue WHERE id > ? AND id < ?", (low, low + (1 << _SEQ_BITS)))
            self._db.execute("DELETE FROM subscription WHERE client = ?", (client,))
            self._db.execute("DELETE FROM session WHERE client = ?", (client,))

    def mark_seen(self, clients: Iterable[str], now_s: float) -> None:
        """Remember that these clients are here now."""
        with self._transaction():
            self._db.executemany("UPDATE session SET seen_s = ? WHERE client = ?", [(now_s, one) for one in clients])

    def mark(self, client: str, *, head: int, attempts: int, now_s: float) -> None:
        """Remember how often the first message of a queue was sent, and when the client was last here."""
        sql = "UPDATE session SET head = ?, attempts = ?, seen_s = ? WHERE client = ?"
        self._db.execute(sql, (head, attempts, now_s, client))

    def subscriptions(self, client: str) -> dict[str, int]:
        """Filter → granted QoS of a durable session."""
        return dict(self._db.execute("SELECT filter, qos FROM subscription WHERE client = ?", (client,)).fetchall())

    def add_subscription(self, client: str, wanted: str, qos: int) -> None:
        """Remember a durable session's subscription."""
        self._db.execute("INSERT OR REPLACE INTO subscription VALUES(?,?,?)", (client, wanted, qos))

    def remove_subscription(self, client: str, wanted: str) -> None:
        """Forget a durable session's subscription."""
        self._db.execute("DELETE FROM subscription WHERE client = ? AND filter = ?", (client, wanted))

    def bury(self, client: str, row: Row, now_s: float) -> None:
        """Put a message aside that its subscriber never survives; the oldest ones give way."""
        with self._transaction():
            self._db.execute(
                "INSERT INTO dead(client, topic, payload, buried_s) VALUES(?,?,?,?)",
                (client, row.topic, row.payload, now_s),
            )
            self._db.execute("DELETE FROM dead WHERE id <= (SELECT max(id) FROM dead) - ?", (_MAX_DEAD,))

    def dead(self) -> list[tuple[str, str, bytes]]:
        """The messages put aside: client, topic, payload."""
        return self._db.execute("SELECT client, topic, payload FROM dead ORDER BY id").fetchall()

    def dead_count(self) -> int:
        """How many messages are put aside."""
        (count,) = self._db.execute("SELECT count(*) FROM dead").fetchone()
        return int(count)

    # -- the file itself --

    def tidy(self) -> None:
        """Move the WAL into the database file when it has grown; in a thread, since it waits for the disk."""
        if self._checkpoint is not None and not self._checkpoint.done():
            return
        size = self._wal_bytes()
        if size > _CHECKPOINT_BYTES:
            self._checkpoint = asyncio.create_task(asyncio.to_thread(_checkpoint, self._path, size > _TRUNCATE_BYTES))

    def _wal_bytes(self) -> int:
        try:
            return self._path.with_name(self._path.name + "-wal").stat().st_size
        except FileNotFoundError:
            return 0

    def _commit_soon(self) -> None:
        if self._group is None:
            loop = asyncio.get_running_loop()
            self._group = loop.create_future()
            loop.call_soon(self._commit)

    def _commit(self) -> None:
        rows, self._rows = self._rows, []
        retained, self._retained = self._retained, {}
        acknowledged, self._acknowledged = self._acknowledged, {}
        group, self._group = self._group, None
        self._lazy = None
        try:
            self._write(rows, retained, acknowledged)
        except sqlite3.Error as error:
            log.exception("log.write_failed", extra={"messages": len(rows)})
            for queue, row in rows:
                queue.failed(row)
            _fail(group, LogError(f"the broker's log cannot be written: {error}"))
            return
        for queue, row in rows:
            queue.committed(row)
        if group is not None and not group.done():
            group.set_result(None)

    def _write(
        self,
        rows: list[tuple[Queue, Row]],
        retained: dict[str, tuple[bytes, int] | None],
        acknowledged: dict[int, int],
    ) -> None:
        if not (rows or retained or acknowledged):
            return
        with self._transaction():
            self._db.executemany(
                "INSERT INTO queue VALUES(?,?,?,?)",
                [((q.number << _SEQ_BITS) + r.seq, r.topic, r.payload, r.retain) for q, r in rows],
            )
            self._db.executemany(
                "DELETE FROM queue WHERE id > ? AND id <= ?",
                [(n << _SEQ_BITS, (n << _SEQ_BITS) + through) for n, through in acknowledged.items()],
            )
            kept = [(topic, *value) for topic, value in retained.items() if value is not None]
            self._db.executemany("INSERT OR REPLACE INTO retained VALUES(?,?,?)", kept)
            gone = [(topic,) for topic, value in retained.items() if value is None]
            self._db.executemany("DELETE FROM retained WHERE topic = ?", gone)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise


def _fail(group: asyncio.Future[None] | None, error: LogError) -> None:
    if group is not None and not group.done():
        group.set_exception(error)
        # Nobody may be waiting: QoS 0 asks for no acknowledgement.
        group.exception()


def _checkpoint(path: Path, truncate: bool) -> None:
    with contextlib.closing(sqlite3.connect(path, timeout=1.0)) as db:
        db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        if truncate:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _locked(path: Path) -> io.TextIOWrapper:
    handle = path.open("a")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        raise LogError(f"another broker is running on {path.parent}; stop it first") from None
    return handle
