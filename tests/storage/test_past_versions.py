"""What any earlier version stored is there after the migration, every column of it, and is read as before."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from cloud.storage.anomalies import AnomalyStore
from cloud.storage.database import Database
from cloud.storage.devices import DeviceStore
from cloud.storage.layout import missing_indexes, schema_version
from cloud.storage.migrate import newest_version, upgrade
from cloud.storage.notifications import NotificationStore
from cloud.storage.promotions import PromotionStore
from cloud.storage.quarantine import Quarantine
from cloud.storage.readings import ReadingStore
from cloud.storage.rollups import RollUps
from cloud.storage.users import UserStore
from contract.events import Watermark
from tests.storage.past_versions import PASSWORD, VERSIONS, rows_of

_COLUMNS = text("""
SELECT table_name, array_agg(column_name::text ORDER BY ordinal_position) FROM information_schema.columns
JOIN information_schema.tables USING (table_schema, table_name)
WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name <> 'alembic_version'
  AND table_name !~ '^readings_(to|from|\\d)'
GROUP BY 1 ORDER BY 1
""")
# What a migration means to change: the first user's new rights.
_CHANGED = {"users": {"scopes"}}
# In a process of its own, to be killed.
_MIGRATE = """
import asyncio, sys
from cloud.storage.database import Database

async def main():
    database = Database(sys.argv[1])
    await database.open()
    await database.migrate()

asyncio.run(main())
"""
# Where it stands still when somebody reads or writes a table: in the second, the fourth and the fifth migration.
_STANDS_AT = [
    ("readings", "ACCESS SHARE"),
    ("promotions", "ACCESS SHARE"),
    ("users", "SHARE"),
    ("boots", "ACCESS SHARE"),
]


@contextlib.asynccontextmanager
async def _as_of(url: str, version: str) -> AsyncIterator[Database]:
    """A database as this version left it, with its rows."""
    database = Database(url)
    await database.open()
    async with database.begin() as connection:
        await connection.run_sync(upgrade, version)
        if version != "0001":
            await connection.execute(text("SELECT readings_make_room(ARRAY[19675, 19676]::bigint[])"))
        for statement in rows_of(version):
            await connection.exec_driver_sql(statement)
    try:
        yield database
    finally:
        await database.close()


async def _everything(database: Database, columns: dict[str, list[str]]) -> dict[str, list[Any]]:
    """Every row of these columns of every table, in some order of its own."""
    found = {}
    async with database.begin() as connection:
        for table, names in columns.items():
            kept = [f'"{name}"' for name in names if name not in _CHANGED.get(table, ())]
            rows = await connection.exec_driver_sql(f"SELECT {', '.join(kept)} FROM {table}")
            found[table] = sorted(map(repr, rows))
    return found


async def _columns(database: Database) -> dict[str, list[str]]:
    async with database.begin() as connection:
        return {str(table): list(names) for table, names in await connection.execute(_COLUMNS)}


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_row_of_an_earlier_version_survives_and_is_read(empty_url: str, version: str) -> None:
    async with _as_of(empty_url, version) as database:
        columns = await _columns(database)
        before = await _everything(database, columns)
        assert sum(map(len, before.values())) > 200
        await database.migrate()
        assert await _everything(database, columns | {"boots": columns["boots"]}) == before
        async with database.begin() as connection:
            assert await schema_version(connection) == newest_version()
            assert await missing_indexes(connection) == []
        await _check_that_it_is_read(database)


def test_the_newest_version_is_the_only_one_that_is_not_a_past_one() -> None:
    assert [f"{number:04}" for number in range(1, int(newest_version()))] == list(VERSIONS)


async def _check_that_it_is_read(database: Database) -> None:
    store = ReadingStore(database)
    readings = await store.readings("plant-1", "pump-07", limit=1000)
    assert (len(readings), readings.metrics) == (200, ["temperature_c", "current_a"])
    assert await store.watermark("plant-1", "pump-07") == Watermark(boot="9f2c41d07be3a655", through=202)
    [entry] = await store.ledger()
    assert (entry.sent, entry.stored, entry.rejected, entry.lost, entry.pending) == (203, 200, 1, 2, 0)
    assert {each.id for each in await Quarantine(database).newest()} == {"r1", "r2"}
    [alarm] = await AnomalyStore(database).still_open("plant-1", "pump-07")
    assert alarm.event.device == "pump-07"
    assert len(await AnomalyStore(database).outbox.unpublished()) == 1
    assert (await NotificationStore(database).by_correlation("c1")) is not None
    assert [each.version for each in await PromotionStore(database).all_current()] == ["1"]
    device = await DeviceStore(database).get("plant-1", "pump-07")
    assert device is not None
    assert device.learn_rows == 600
    ana = await UserStore(database).authenticate("ana", PASSWORD)
    assert ana is not None
    assert ana.devices == ["plant-1/*"]
    await RollUps(database).bring_up_to_date()
    async with database.begin() as connection:
        added_up = await connection.scalar(
            text("SELECT sum(readings) FROM readings_by_hour WHERE from_ms > 1650000000000")
        )
    assert added_up == 200


@pytest.mark.parametrize(("table", "lock"), _STANDS_AT)
async def test_a_migration_that_is_killed_leaves_the_old_version_and_the_next_start_finishes_it(
    empty_url: str, table: str, lock: str
) -> None:
    async with asyncio.timeout(90), _as_of(empty_url, "0001") as database:
        columns = await _columns(database)
        before = await _everything(database, columns)
        other = await asyncpg.connect(empty_url, ssl=False)
        async with other.transaction():
            await other.execute(f"LOCK TABLE {table} IN {lock} MODE")
            process = await asyncio.create_subprocess_exec(sys.executable, "-c", _MIGRATE, empty_url)
            while not await other.fetchval(
                "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = $1::regclass)", table
            ):
                assert process.returncode is None
                await asyncio.sleep(0.05)
            process.kill()
            await process.wait()
        await other.close()
        async with database.begin() as connection:
            # The migration's own lock (0x726F6E6461): its connection ends once it has seen that nobody is there.
            await connection.exec_driver_sql("SELECT pg_advisory_xact_lock(491495777377)")
            assert await schema_version(connection) == "0001"
        assert await _columns(database) == columns
        assert await _everything(database, columns) == before
        await database.migrate()
        assert await _everything(database, columns) == before
        await _check_that_it_is_read(database)
