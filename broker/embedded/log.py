"""The broker's memory on disk: what was acknowledged to a publisher and not yet by every durable subscriber.

One SQLite file in WAL mode. Everything that arrives in one turn of the event loop is one transaction (group commit),
committed in the loop itself: a commit is a `write()` into the page cache, shorter than two thread switches. That
survives kill -9 of the process; what a power cut takes is at most what came since the last checkpoint's fsync.
The checkpoint, the one slow step, runs in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from broker.embedded.changes import Changes
from broker.embedded.file import LogError, locked, moved, opened
from broker.embedded.room import PORTION_BYTES, Room
from broker.embedded.rows import Queue, Row, StoredSession

__all__ = ["Log", "LogError"]

log = logging.getLogger("ronda.broker.log")

# A queue row's id is the client's number and the message's sequence in one integer: every client appends at a place
# of its own in one B-tree, and what it acknowledged is deleted as one range.
_SEQ_BITS = 40
# Acknowledgements wait this long for a transaction to join; lost in a crash, they only make messages come again.
_LAZY_S = 0.05
# The WAL grows to this before it is moved into the database file.
_CHECKPOINT_BYTES = 8 * 1024 * 1024
# Beyond this the writer is held up for a moment, so that the WAL starts again from its beginning.
_TRUNCATE_BYTES = 64 * 1024 * 1024
# The same two on a disk with little room, where each commit moves what it can: only what got away from that.
_CAREFUL_BYTES = 16 * 1024 * 1024
# Enough to look into what went wrong, and no second archive.
_MAX_DEAD = 1000

_Rows = list[tuple[Queue, Row]]
_Retained = dict[str, tuple[bytes, int] | None]


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
        self._lock = locked(self._path.with_suffix(".lock"))
        try:
            self._db = opened(self._path)
        except LogError:
            self._lock.close()
            raise
        self.room = Room(self._path, self._db)
        self._changes = Changes(self._db, self.room)
        self.room.look()

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
        self._changes.make(("INSERT INTO session VALUES(?,?,?,?,?,?)", session))
        return session

    def remove_session(self, client: str, number: int) -> None:
        """Forget a session, its subscriptions and its queue."""
        self.flush()
        low = number << _SEQ_BITS
        self._changes.make(
            ("DELETE FROM queue WHERE id > ? AND id < ?", (low, low + (1 << _SEQ_BITS))),
            ("DELETE FROM subscription WHERE client = ?", (client,)),
            ("DELETE FROM session WHERE client = ?", (client,)),
        )

    def mark_seen(self, clients: Iterable[str], now_s: float) -> None:
        """Remember that these clients are here now."""
        self._changes.note(*[("UPDATE session SET seen_s = ? WHERE client = ?", (now_s, one)) for one in clients])

    def mark(self, client: str, *, head: int, attempts: int, now_s: float) -> None:
        """Remember how often the first message of a queue was sent, and when the client was last here."""
        sql = "UPDATE session SET head = ?, attempts = ?, seen_s = ? WHERE client = ?"
        self._changes.note((sql, (head, attempts, now_s, client)))

    def subscriptions(self, client: str) -> dict[str, int]:
        """Filter → granted QoS of a durable session."""
        return dict(self._db.execute("SELECT filter, qos FROM subscription WHERE client = ?", (client,)).fetchall())

    def add_subscription(self, client: str, wanted: str, qos: int) -> None:
        """Remember a durable session's subscription."""
        self._changes.make(("INSERT OR REPLACE INTO subscription VALUES(?,?,?)", (client, wanted, qos)))

    def remove_subscription(self, client: str, wanted: str) -> None:
        """Forget a durable session's subscription."""
        self._changes.make(("DELETE FROM subscription WHERE client = ? AND filter = ?", (client, wanted)))

    def bury(self, client: str, row: Row, now_s: float) -> None:
        """Put a message aside that its subscriber never survives; the oldest ones give way."""
        sql = "INSERT INTO dead(client, topic, payload, buried_s) VALUES(?,?,?,?)"
        self._changes.make(
            (sql, (client, row.topic, row.payload, now_s)),
            ("DELETE FROM dead WHERE id <= (SELECT max(id) FROM dead) - ?", (_MAX_DEAD,)),
        )

    def dead(self) -> list[tuple[str, str, bytes]]:
        """The messages put aside: client, topic, payload."""
        return self._db.execute("SELECT client, topic, payload FROM dead ORDER BY id").fetchall()

    def dead_count(self) -> int:
        """How many messages are put aside."""
        (count,) = self._db.execute("SELECT count(*) FROM dead").fetchone()
        return int(count)

    # -- the file itself --

    def tidy(self) -> None:
        """See whether there is room, and move the WAL into the database file when it has grown.

        In a thread, since that waits for the disk.
        """
        self.room.look()
        if self._acknowledged and self._group is None and self._lazy is None:
            self._commit()
        if self._checkpoint is not None and not self._checkpoint.done():
            return
        size, careful = self._wal_bytes(), self.room.careful
        if size > (_CAREFUL_BYTES if careful else _CHECKPOINT_BYTES):
            truncate = careful or size > _TRUNCATE_BYTES
            self._checkpoint = asyncio.create_task(asyncio.to_thread(moved, self._path, truncate=truncate))

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
        for portion in _portions(rows):
            try:
                self._changes.within_room(partial(self._write, portion, retained, acknowledged))
            except sqlite3.Error as error:
                self._failed(rows, acknowledged, error)
                _fail(group, LogError(f"the broker's log cannot be written: {error}"))
                return
            retained, acknowledged, rows = {}, {}, rows[len(portion) :]
            for queue, row in portion:
                queue.committed(row)
        self.room.spent()
        if group is not None and not group.done():
            group.set_result(None)

    def _failed(self, rows: _Rows, acknowledged: dict[int, int], error: sqlite3.Error) -> None:
        """Nobody is told that these are kept. What was acknowledged goes by itself: nothing else makes room."""
        # A full disk has said so once; a fleet that tries again would say it for ever.
        level = logging.DEBUG if self.room.scarce else logging.ERROR
        log.log(level, "log.write_failed", extra={"messages": len(rows), "error": str(error)})
        for queue, row in rows:
            queue.failed(row)
        try:
            self._write([], {}, acknowledged)
        except sqlite3.Error:
            self._acknowledged = acknowledged | self._acknowledged
        self.room.spent()

    def _write(self, rows: _Rows, retained: _Retained, acknowledged: Mapping[int, int]) -> None:
        if not (rows or retained or acknowledged):
            return
        with self._changes.transaction():
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


def _fail(group: asyncio.Future[None] | None, error: LogError) -> None:
    if group is not None and not group.done():
        group.set_exception(error)
        # Nobody may be waiting: QoS 0 asks for no acknowledgement.
        group.exception()


def _portions(rows: _Rows) -> Iterator[_Rows]:
    """The rows in parts that a full disk's reserve can take; one that may be empty when there are none."""
    start = octets = 0
    for end, (_, row) in enumerate(rows):
        octets += len(row.payload)
        if octets > PORTION_BYTES and end > start:
            yield rows[start:end]
            start, octets = end, len(row.payload)
    yield rows[start:]
