"""What makes room in the quarantine is moved into archives, never dropped: gzip'd JSON lines, oldest first.

The file stands on the disk before the rows go: killed in between, the same rows are archived again.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.storage.database import Database
from cloud.storage.tables import QuarantineArchive, Rejected

log = logging.getLogger("ronda.storage.quarantine")

# One archive: what a process packs in memory without being noticed. A single entry may be larger.
_MOST_ENTRIES = 1000
_MOST_BYTES = 16 << 20
# Room that is made at once, so that a full quarantine does not archive entry by entry.
_ROOM = 0.1
# "ronda" and a number: processes that archive at the same time would take the same rows.
_LOCK = 0x726F6E646101
_SIZE = "SELECT count(*), coalesce(sum(octet_length(payload)), 0)::bigint FROM rejected"


class Archived(msgspec.Struct, frozen=True, kw_only=True):
    """What one archive took: its name, None where there was nothing to take."""

    name: str | None
    entries: int


async def keep_within(database: Database, entries: int, size: int, folder: Path | None, *, now_ms: int) -> int:
    """Archive the oldest until at most `entries` of at most `size` bytes are left, and some room. Returns how many."""
    moved = 0
    while excess := await _excess(database, entries, size, begun=moved > 0):
        done = await move(database, [], folder, now_ms=now_ms, most=excess)
        if not done.entries:
            break
        moved += done.entries
    return moved


async def _excess(database: Database, entries: int, size: int, *, begun: bool) -> int:
    """How many entries are to go at once; 0 when it fits, with room to spare once we have begun."""
    room = 1 - _ROOM if begun else 1.0
    async with database.begin() as connection:
        have, taken = (await connection.execute(text(_SIZE))).one()
    if have > entries * room:
        return min(_MOST_ENTRIES, max(1, int(have - entries * (1 - _ROOM))))
    # By bytes: how many that will be is seen one archive later.
    return _MOST_ENTRIES // 10 if taken > size * room else 0


async def move(
    database: Database,
    conditions: Sequence[ColumnElement[bool]],
    folder: Path | None,
    *,
    now_ms: int,
    most: int = _MOST_ENTRIES,
) -> Archived:
    """Move the oldest entries that fulfil `conditions` into one archive, in one transaction."""
    async with database.begin() as connection:
        if not await connection.scalar(text(f"SELECT pg_try_advisory_xact_lock({_LOCK})")):
            return Archived(name=None, entries=0)
        rows = await _oldest(connection, conditions, most)
        if not rows:
            return Archived(name=None, entries=0)
        ids = [row["id"] for row in rows]
        name = archive_name(rows)
        content = await asyncio.to_thread(packed, rows)
        if folder is not None:
            await asyncio.to_thread(_written, folder, name, content)
        new = insert(QuarantineArchive).values(
            name=name,
            rows=len(rows),
            first_ms=rows[0]["received_at_ms"],
            last_ms=rows[-1]["received_at_ms"],
            archived_at_ms=now_ms,
            content=content if folder is None else None,
        )
        await connection.execute(new.on_conflict_do_nothing())
        await connection.execute(delete(Rejected).where(Rejected.id.in_(ids)))
    log.info("quarantine.archived", extra={"archive": name, "entries": len(ids), "bytes": len(content)})
    return Archived(name=name, entries=len(ids))


async def _oldest(
    connection: AsyncConnection, conditions: Sequence[ColumnElement[bool]], most: int
) -> list[dict[str, Any]]:
    """As many as one archive takes; the Historian waits before it settles one of them, and then finds it gone."""
    order = (Rejected.received_at_ms, Rejected.id)
    upto = func.sum(func.octet_length(Rejected.payload)).over(order_by=order).label("upto")
    first = select(Rejected.id, upto).where(*conditions).order_by(*order).limit(most).subquery()
    least = select(func.min(first.c.upto)).scalar_subquery()
    some = select(first.c.id).where((first.c.upto <= _MOST_BYTES) | (first.c.upto == least))
    query = select(*Rejected.__table__.c).where(Rejected.id.in_(some)).order_by(*order).with_for_update()
    return [row._asdict() for row in await connection.execute(query)]


def archive_name(rows: Sequence[dict[str, Any]]) -> str:
    """The same rows give the same name: `1763800000000-1763800012345-3f2a9c01.jsonl.gz`."""
    digest = hashlib.sha256("\n".join(row["id"] for row in rows).encode()).hexdigest()[:8]
    return f"{rows[0]['received_at_ms']}-{rows[-1]['received_at_ms']}-{digest}.jsonl.gz"


def packed(rows: Sequence[dict[str, Any]]) -> bytes:
    """One entry a line; `payload` is Base64."""
    return gzip.compress(b"".join(msgspec.json.encode(row) + b"\n" for row in rows), mtime=0)


def _written(folder: Path, name: str, content: bytes) -> None:
    """On the disk, whole, under its name, readable by its owner alone."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = folder / f".{name}.new"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / name)
    held = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(held)
    finally:
        os.close(held)
