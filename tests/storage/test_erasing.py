"""A device that is erased is in no table any more, whatever the table; the others are."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import ARRAY, BigInteger, Boolean, Double, LargeBinary, Table, Text, func, insert, select
from sqlalchemy.dialects.postgresql import INT8MULTIRANGE, JSONB, Range

from cloud.storage.database import Database
from cloud.storage.devices import DeviceStore
from cloud.storage.erasing import Erasing
from cloud.storage.readings import ReadingStore
from cloud.storage.rollups import RollUps
from cloud.storage.tables import Base
from contract.identity import UNCOUNTED_BOOT
from tests.support.readings import DEVICE, SITE, START_MS, block, rejected

OTHER = "pump-08"
_DAY_MS = 24 * 60 * 60 * 1000
_PREFIX = f"ronda/v1/{SITE}/{DEVICE}/"
_VALUES: dict[type, Any] = {
    BigInteger: 1, Text: "x", Boolean: True, Double: 1.0, LargeBinary: b"x", JSONB: {}, ARRAY: [],
    INT8MULTIRANGE: [Range(1, 2)],
}  # fmt: skip


def _row(table: Table, device: str) -> dict[str, Any]:
    """A row of any table, that is `device`'s."""
    row = {
        column.name: _VALUES[type(column.type)]
        for column in table.columns
        if column.identity is None and column.server_default is None
    }
    texts = {column.name: device for column in table.primary_key.columns if isinstance(column.type, Text)}
    named = {"site": SITE, "device": device}
    return row | texts | {name: value for name, value in named.items() if name in table.columns}


def _tables() -> list[Table]:
    named = [table for table in Base.metadata.sorted_tables if {"site", "device"} <= set(table.columns.keys())]
    assert len(named) > 20
    return named


@pytest.fixture
async def filled(database: Database) -> Database:
    """Two devices, with a row in every table, and readings of three days."""
    store = ReadingStore(database)
    for device in (DEVICE, OTHER):
        times = [START_MS + n * _DAY_MS // 10 for n in range(30)]
        await store.store([block(range(30), device=device, measured_at_ms=times)], [rejected(40, device=device)])
        await store.store([block([1, 2], device=device, boot=UNCOUNTED_BOOT, measured_at_ms=[-1, 2**63 - 1])], [])
    await RollUps(database).bring_up_to_date()
    async with database.begin() as connection:
        for device in (DEVICE, OTHER):
            for table in _tables():
                if not await connection.scalar(select(func.count()).select_from(table).where(table.c.device == device)):
                    await connection.execute(insert(table).values(_row(table, device)))
            outbox = Base.metadata.tables["outbox"]
            message = {"topic": f"ronda/v1/{SITE}/{device}/anomaly", "id": device}
            await connection.execute(insert(outbox).values(_row(outbox, device) | message))
    return database


async def _has(database: Database, device: str) -> dict[str, int]:
    """Table → rows of this device, by SQL over every table that says whose its rows are."""
    found = {}
    async with database.begin() as connection:
        for table in _tables():
            mine = select(func.count()).select_from(table).where(table.c.site == SITE, table.c.device == device)
            found[table.name] = int(await connection.scalar(mine) or 0)
        outbox = Base.metadata.tables["outbox"]
        mine = select(func.count()).select_from(outbox).where(outbox.c.topic.contains(f"/{device}/"))
        found["outbox"] = int(await connection.scalar(mine) or 0)
    return {name: rows for name, rows in found.items() if rows}


async def test_nothing_of_the_device_is_left_and_everything_of_the_others(filled: Database) -> None:
    before = await _has(filled, OTHER)
    assert len(before) == len(_tables()) + 1
    mine = await _has(filled, DEVICE)
    gone = await Erasing(filled, SITE, DEVICE).erase([_PREFIX])
    assert gone == {name: rows for name, rows in mine.items() if name != "devices"}
    assert await _has(filled, DEVICE) == {"devices": 1}
    assert await _has(filled, OTHER) == before
    assert await Erasing(filled, SITE, DEVICE).erase([_PREFIX]) == {}


@pytest.mark.parametrize("steps", [1, 3, 7, 15, 25])
async def test_cut_short_anywhere_it_is_finished_by_the_next(filled: Database, steps: int) -> None:
    class Cut(Database):
        left = steps

        def begin(self) -> Any:
            self.left -= 1
            if self.left < 0:
                raise asyncio.CancelledError
            return filled.begin()

    with pytest.raises(asyncio.CancelledError):
        await Erasing(Cut(""), SITE, DEVICE).erase([_PREFIX])
    assert "boots" in await _has(filled, DEVICE), "as long as something is left, the ledger says so"
    await Erasing(filled, SITE, DEVICE).erase([_PREFIX])
    assert await _has(filled, DEVICE) == {"devices": 1}


async def test_the_register_keeps_the_name_alone(filled: Database) -> None:
    devices = DeviceStore(filled)
    await devices.revoke(SITE, DEVICE, now_ms=START_MS)
    await Erasing(filled, SITE, DEVICE).forget()
    left = await devices.get(SITE, DEVICE)
    assert left is not None
    assert (left.metrics, left.learn_rows, left.revoked_at_ms) == (None, None, START_MS)


@pytest.mark.parametrize("in_a_folder", [True, False])
async def test_its_entries_leave_the_archives_of_the_quarantine(
    database: Database, tmp_path: Path, *, in_a_folder: bool
) -> None:
    lines = [{"site": SITE, "device": device, "id": str(n)} for n, device in enumerate([DEVICE, OTHER, DEVICE])]
    content = gzip.compress(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    archives, folder = Base.metadata.tables["quarantine_archives"], tmp_path if in_a_folder else None
    async with database.begin() as connection:
        kept = {"name": "one.jsonl.gz", "rows": 3, "content": None if in_a_folder else content}
        await connection.execute(insert(archives).values(_row(archives, "") | kept))
    if folder is not None:
        (folder / "one.jsonl.gz").write_bytes(content)
    assert await Erasing(database, SITE, DEVICE).archives(folder) == 2
    async with database.begin() as connection:
        row = (await connection.execute(select(archives))).one()
    there = row.content if folder is None else (folder / "one.jsonl.gz").read_bytes()
    assert [msgspec.json.decode(line) for line in gzip.decompress(there).splitlines()] == [lines[1]]
    assert row.rows == 1
    assert await Erasing(database, SITE, DEVICE).archives(folder) == 0
