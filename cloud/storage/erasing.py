"""Takes everything that is stored of one device out of the database, in steps that can be repeated after a kill."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.storage.database import Database
from cloud.storage.tables import Base, Device, Notification, QuarantineArchive

_DAY_MS = 24 * 60 * 60 * 1000
# What tells of the others comes last: as long as the ledger knows a device, its erasure is not over.
_LAST = ("notifications", "anomalies", "boots")
_OLDEST = text("SELECT min(measured_at_ms) FROM readings WHERE site = :site AND device = :device")
_DAY = text("DELETE FROM readings WHERE site = :site AND device = :device AND measured_at_ms <= :through_ms")
_OUTBOX = text("DELETE FROM outbox WHERE starts_with(topic, :prefix)")


class Erasing:
    """One device, whose revocation comes before all of this."""

    def __init__(self, database: Database, site: str, device: str) -> None:
        self._database = database
        self._site, self._device = site, device
        self._about = {"site": site, "device": device}

    async def message_ids(self) -> list[str]:
        """Of the mails that were sent about it."""
        mine = (Notification.site == self._site, Notification.device == self._device)
        wanted = select(Notification.message_id).where(*mine, Notification.message_id.is_not(None))
        async with self._database.begin() as connection:
            return [str(found) for found in (await connection.execute(wanted)).scalars()]

    async def erase(self, prefixes: Sequence[str]) -> dict[str, int]:
        """Delete all of its rows. Returns how many of each table; `prefixes`: how the topics of its messages begin.

        Readings go day by day, so that nobody waits for it and a kill loses a day's work.
        """
        gone = {"readings": await self._readings()}
        for name in _tables():
            async with self._database.begin() as connection:
                gone[name] = await self._table(connection, name)
        async with self._database.begin() as connection:
            gone["outbox"] = 0
            for prefix in prefixes:
                gone["outbox"] += (await connection.execute(_OUTBOX, {"prefix": prefix})).rowcount
        return {name: rows for name, rows in gone.items() if rows}

    async def forget(self) -> None:
        """Of the register the name stays, revoked: nobody else shall get it by accident."""
        mine = update(Device).where(Device.site == self._site, Device.device == self._device)
        async with self._database.begin() as connection:
            await connection.execute(mine.values(metrics=None, learn_rows=None))

    async def archives(self, folder: Path | None) -> int:
        """Take its entries out of the quarantine's archives, in the database or in `folder`. Returns how many."""
        wanted = select(QuarantineArchive.name).order_by(QuarantineArchive.name)
        async with self._database.begin() as connection:
            names = list((await connection.execute(wanted)).scalars())
        return sum([await self._archive(name, folder) for name in names])

    async def _readings(self) -> int:
        rows = 0
        while True:
            async with self._database.begin() as connection:
                oldest = await connection.scalar(_OLDEST, self._about)
                if oldest is None:
                    return rows
                through_ms = min(oldest + _DAY_MS, 2**63 - 1)
                rows += (await connection.execute(_DAY, self._about | {"through_ms": through_ms})).rowcount

    async def _table(self, connection: AsyncConnection, name: str) -> int:
        table = Base.metadata.tables[name]
        mine = delete(table).where(table.c.site == self._site, table.c.device == self._device)
        return (await connection.execute(mine)).rowcount

    async def _archive(self, name: str, folder: Path | None) -> int:
        mine = QuarantineArchive.name == name
        async with self._database.begin() as connection:
            content = await connection.scalar(select(QuarantineArchive.content).where(mine).with_for_update())
            path = None if content is not None or folder is None else folder / name
            kept, gone = _without(_read(path) if content is None else content, self._site, self._device)
            if gone:
                if path is not None:
                    _replace(path, kept)
                changed = {"rows": QuarantineArchive.rows - gone} | ({} if content is None else {"content": kept})
                await connection.execute(update(QuarantineArchive).where(mine).values(changed))
            return gone


def _tables() -> Iterator[str]:
    """Every table that says whose its rows are, but the register and the readings."""
    named = [name for name, table in Base.metadata.tables.items() if {"site", "device"} <= set(table.columns.keys())]
    yield from sorted(set(named) - {"devices", "readings", *_LAST})
    yield from _LAST


def _read(path: Path | None) -> bytes:
    return path.read_bytes() if path is not None and path.exists() else b""


def _without(content: bytes, site: str, device: str) -> tuple[bytes, int]:
    """(the archive without the device's entries, how many those were)."""
    lines = gzip.decompress(content).splitlines(keepends=True) if content else []
    kept = [line for line in lines if not _is_of(msgspec.json.decode(line), site, device)]
    return (gzip.compress(b"".join(kept), mtime=0), len(lines) - len(kept)) if len(kept) < len(lines) else (content, 0)


def _is_of(entry: Any, site: str, device: str) -> bool:
    return bool((entry["site"], entry["device"]) == (site, device))


def _replace(path: Path, content: bytes) -> None:
    half = path.with_name(f".{path.name}.erasing")
    half.write_bytes(content)
    half.replace(path)
