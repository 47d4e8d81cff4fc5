"""Readings are split by time: every time has its place, places are made by whoever writes, and questions open few."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import asyncpg
import pytest
from sqlalchemy import text

from cloud.storage.database import Database
from cloud.storage.readings import ReadingStore
from contract.events import ValidatedDataEvent
from tests.support.readings import SITE, START_MS, block

_DAY_MS = 24 * 60 * 60 * 1000
_JANUARY_MS = 1_767_225_600_000
# One reading a week for 120 weeks.
_YEARS = [START_MS - 7 * _DAY_MS * week for week in range(120)]
# Beyond what the validation agent lets through: the store itself refuses no time.
_ODD = [-(2**63) + 1, -1, 0, 946_684_799_999, 946_684_800_000, 4_102_444_799_999, 4_102_444_800_000, 2**63 - 1]
_MONTHS = text("SELECT relid::regclass::text FROM pg_partition_tree('readings') WHERE isleaf ORDER BY 1")


def _measured_at(times: Sequence[int], **changes: object) -> list[ValidatedDataEvent]:
    return [block(range(len(times)), measured_at_ms=list(times), **changes)]


async def _months(database: Database) -> list[str]:
    async with database.begin() as connection:
        return list((await connection.execute(_MONTHS)).scalars())


async def test_no_time_is_refused(database: Database) -> None:
    store = ReadingStore(database)
    for number, times in enumerate((_YEARS, _ODD)):
        done = await store.store(_measured_at(times, device=f"pump-{number}"), [])
        assert (done.stored, done.conflicts) == (len(times), [])
    found = await store.readings(SITE, "pump-1", limit=100)
    assert found.measured_at_ms == sorted(_ODD)
    assert (await store.store(_measured_at(_ODD, device="pump-1"), [])).repeats == len(_ODD)


async def test_the_last_and_the_first_millisecond_of_a_month_are_told_apart(database: Database, layout: str) -> None:
    await ReadingStore(database).store(_measured_at([_JANUARY_MS - 1, _JANUARY_MS]), [])
    if layout == "partitions":
        assert await _months(database) == [
            "readings_2025_12", "readings_2026_01", "readings_from_2100", "readings_to_1999"
        ]  # fmt: skip
        async with database.begin() as connection:
            assert await connection.scalar(text("SELECT count(*) FROM readings_2026_01")) == 1


async def test_several_historians_that_need_the_same_months_wait_for_each_other_and_lose_nothing(
    database_url: str,
) -> None:
    doors = [Database(database_url) for _ in range(4)]
    await asyncio.gather(*(door.open() for door in doors))
    # Own devices, and one that all of them write about.
    work = [[*_measured_at(_YEARS, device=f"pump-{n}"), *_measured_at(_YEARS)] for n in range(len(doors))]
    async with asyncio.timeout(60):
        done = await asyncio.gather(
            *(ReadingStore(door).store(batch, []) for door, batch in zip(doors, work, strict=True))
        )
    assert sum(each.stored for each in done) == (len(doors) + 1) * len(_YEARS) == await ReadingStore(doors[0]).count()
    await asyncio.gather(*(door.close() for door in doors))


async def test_a_reader_does_not_keep_a_month_from_being_made(database: Database, database_url: str) -> None:
    reader = await asyncpg.connect(database_url, ssl=False)
    async with asyncio.timeout(30), reader.transaction():
        await reader.fetch("SELECT count(*) FROM readings")
        assert (await ReadingStore(database).store(_measured_at([_JANUARY_MS]), [])).stored == 1
    await reader.close()


async def test_a_month_that_is_being_tidied_does_not_keep_another_from_being_made(
    database: Database, database_url: str, layout: str
) -> None:
    if layout == "hypertable":
        return  # the extension's own affair
    store = ReadingStore(database)
    await store.store(_measured_at([_JANUARY_MS]), [])
    vacuum = await asyncpg.connect(database_url, ssl=False)
    async with asyncio.timeout(20), vacuum.transaction():
        # What VACUUM and ANALYZE take.
        await vacuum.execute("LOCK TABLE readings_2026_01 IN SHARE UPDATE EXCLUSIVE MODE")
        assert (await store.store([block([1], measured_at_ms=[_JANUARY_MS - 1])], [])).stored == 1
    await vacuum.close()


async def test_a_month_is_made_again_when_it_is_dropped_or_taken_out(database: Database, layout: str) -> None:
    if layout == "hypertable":
        return  # the extension's own affair
    store = ReadingStore(database)
    await store.store(_measured_at([_JANUARY_MS]), [])
    async with database.begin() as connection:
        await connection.execute(text("ALTER TABLE readings DETACH PARTITION readings_2026_01"))
    for number in (1, 2):
        assert (await store.store([block([number], measured_at_ms=[_JANUARY_MS])], [])).stored == 1
    [again] = [month for month in await _months(database) if month.startswith("readings_2026_01_")]
    async with database.begin() as connection:
        await connection.execute(text(f"DROP TABLE {again}"))
    assert (await store.store([block([3], measured_at_ms=[_JANUARY_MS])], [])).stored == 1


async def test_what_fails_leaves_no_month_behind(database: Database, layout: str) -> None:
    with pytest.raises(OverflowError):
        await ReadingStore(database).store([block([2**64], measured_at_ms=[_JANUARY_MS])], [])
    if layout == "partitions":
        assert await _months(database) == ["readings_from_2100", "readings_to_1999"]
