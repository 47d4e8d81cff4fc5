"""Readings by the minute and by the hour: exactly those that are stored, however late they come."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from cloud.storage.database import Database
from cloud.storage.readings import ReadingStore
from cloud.storage.rollup_due import due, merged, newest
from cloud.storage.rollups import RollUps
from cloud.storage.seqs import Run
from contract.events import ValidatedDataEvent
from contract.identity import UNCOUNTED_BOOT
from tests.support.readings import METRICS, START_MS, block

_MINUTE_MS, _HOUR_MS = 60_000, 3_600_000
_FROM_READINGS = """
SELECT site, device, measured_at_ms / {ms} * {ms} AS at_ms, place, count(*), min(value), max(value),
       round(sum(value)::numeric, 3)
FROM readings CROSS JOIN LATERAL unnest("values") WITH ORDINALITY AS each (value, place)
WHERE value IS NOT NULL
GROUP BY site, device, at_ms, place
ORDER BY site, device, at_ms, place
"""
_FROM_ROLL_UPS = """
SELECT site, device, from_ms, place, n, low, high, round(total::numeric, 3)
FROM {table} CROSS JOIN LATERAL unnest(counts, lows, highs, sums) WITH ORDINALITY AS each (n, low, high, total, place)
WHERE n > 0
ORDER BY site, device, from_ms, place
"""


@pytest.fixture
def store(database: Database) -> ReadingStore:
    return ReadingStore(database)


@pytest.fixture
def roll_ups(database: Database) -> RollUps:
    return RollUps(database)


async def _rows(database: Database, query: str) -> list[Any]:
    async with database.begin() as connection:
        return list(await connection.execute(text(query)))


async def _check(database: Database) -> int:
    """Minutes and hours against SQL of our own over the readings. Returns how many readings there are."""
    for table, ms in (("readings_by_minute", _MINUTE_MS), ("readings_by_hour", _HOUR_MS)):
        there = await _rows(database, _FROM_ROLL_UPS.format(table=table))
        assert there == await _rows(database, _FROM_READINGS.format(ms=ms)), table
    [[counted]] = await _rows(database, "SELECT coalesce(sum(readings), 0) FROM readings_by_hour")
    assert [(counted,)] == await _rows(database, "SELECT count(*) FROM readings")
    return int(counted)


async def test_minutes_and_hours_add_up_to_what_is_stored(
    store: ReadingStore, roll_ups: RollUps, database: Database
) -> None:
    await store.store([block(range(4000))], [])
    assert await roll_ups.bring_up_to_date() == 68
    assert await _check(database) == 4000
    assert await roll_ups.bring_up_to_date() == 0


async def test_a_late_reading_corrects_its_minute_and_its_hour(
    store: ReadingStore, roll_ups: RollUps, database: Database
) -> None:
    await store.store([block([*range(100), *range(200, 9000)])], [])
    await roll_ups.bring_up_to_date()
    await store.store([block(range(100, 200))], [])
    assert await roll_ups.bring_up_to_date() == 2
    assert await _check(database) == 9000


async def test_a_repeat_makes_nothing_due(store: ReadingStore, roll_ups: RollUps) -> None:
    await store.store([block(range(100))], [])
    await roll_ups.bring_up_to_date()
    await store.store([block(range(100))], [])
    assert await roll_ups.hand_over() == 0


async def test_what_was_not_measured_is_not_zero(store: ReadingStore, roll_ups: RollUps, database: Database) -> None:
    await store.store([block([0, 1])], [])
    more = block([2], metrics=[METRICS[0], "flow_lpm"], values=[[7.0], [1180.0]])
    await store.store([more], [])
    await roll_ups.bring_up_to_date()
    assert await _check(database) == 3
    [row] = await _rows(database, "SELECT counts, lows, highs, sums FROM readings_by_minute WHERE readings = 3")
    assert row.counts == [3, 2, 2, 1]
    assert row.lows == [0.0, 0.1, 0.2, 1180.0]
    assert row.sums == pytest.approx([8.0, 1.2, 1.4, 1180.0])


async def test_a_device_that_gets_another_sensor_later_keeps_its_older_minutes(
    store: ReadingStore, roll_ups: RollUps, database: Database
) -> None:
    await store.store([block(range(60))], [])
    await roll_ups.bring_up_to_date()
    await store.store([block([4000], metrics=["flow_lpm"], values=[[1180.0]])], [])
    await roll_ups.bring_up_to_date()
    assert await _check(database) == 61


async def test_readings_scattered_over_years_are_added_up_and_what_is_due_stays_short(
    store: ReadingStore, roll_ups: RollUps, database: Database
) -> None:
    rng = random.Random(7)
    times = [START_MS - rng.randrange(2 * 365 * 24) * _HOUR_MS - n for n in range(400)]
    await store.store([block(range(400), measured_at_ms=times)], [])
    [[runs]] = await _rows(database, "SELECT count(*) FROM boots, unnest(due)")
    assert runs <= 50
    await roll_ups.bring_up_to_date()
    assert await _check(database) == 400


async def test_times_that_no_accepted_reading_has_are_stored_and_left_out(
    store: ReadingStore, roll_ups: RollUps, database: Database
) -> None:
    odd = [-(2**63) + 1, -1, 0, 946_684_799_999, 4_102_444_800_000, 2**63 - 1]
    await store.store([block(range(len(odd)), measured_at_ms=odd)], [])
    assert await roll_ups.bring_up_to_date() == 0
    assert await _rows(database, "SELECT 1 FROM readings_by_minute") == []


async def test_devices_boots_and_uncounted_readings_are_added_up_together(
    store: ReadingStore, roll_ups: RollUps, database: Database
) -> None:
    blocks: list[ValidatedDataEvent] = [
        block(range(100)),
        block(range(100), boot="0123456789abcdef"),
        block(range(100), boot=UNCOUNTED_BOOT),
        block(range(50), device="meter-1", metrics=["power_kw"], values=[[float(n) for n in range(50)]]),
    ]
    for each in blocks:
        await store.store([each], [])
        await roll_ups.hand_over()  # several entries about the same minutes
    await roll_ups.bring_up_to_date()
    assert await _check(database) == 350


async def test_whoever_dies_over_it_leaves_it_to_the_next(
    store: ReadingStore, roll_ups: RollUps, database: Database
) -> None:
    await store.store([block(range(5000))], [])
    await roll_ups.hand_over()
    async with database.copying() as connection:
        # One that has the list in hand, and whose connection is cut.
        await connection.fetch("SELECT pg_advisory_xact_lock($1)", 0x726F6C6C75)
        assert await roll_ups.work_off() == 0
        await connection.execute("DELETE FROM roll_ups_due")
        await connection.execute("ROLLBACK")
        await connection.execute("BEGIN")
    await roll_ups.bring_up_to_date()
    assert await _check(database) == 5000


async def test_nothing_is_missed_while_readings_are_stored(database: Database, database_url: str) -> None:
    """Hand over and add up at every moment of several writers' transactions."""
    writers = [Database(database_url) for _ in range(3)]
    await asyncio.gather(*(each.open() for each in writers))
    done = asyncio.Event()

    async def write(number: int, door: Database) -> None:
        rng = random.Random(number)
        for first in range(0, 600, 20):
            late = rng.randrange(100) * _MINUTE_MS
            times = [START_MS + 1000 * seq - late for seq in range(first, first + 20)]
            blocks = [
                block(range(first, first + 20), device=f"pump-{n}", boot=f"{number:016x}", measured_at_ms=times)
                for n in range(3)
            ]
            await ReadingStore(door).store(blocks, [])

    async def add_up() -> None:
        while not done.is_set():
            await RollUps(database).bring_up_to_date()

    async with asyncio.timeout(60):
        adding = asyncio.create_task(add_up())
        await asyncio.gather(*(write(number, door) for number, door in enumerate(writers)))
        done.set()
        await adding
    await RollUps(database).bring_up_to_date()
    assert await _check(database) == 3 * 3 * 600
    await asyncio.gather(*(each.close() for each in writers))


@pytest.mark.parametrize(
    ("times", "minutes"),
    [
        ([], "{}"),
        ([START_MS], "{[29396666,29396667)}"),
        ([START_MS, START_MS + _MINUTE_MS, START_MS + 100 * _MINUTE_MS], "{[29396666,29396668),[29396766,29396767)}"),
        ([-1, 0, 4_102_444_800_000], "{}"),
    ],
)
def test_the_minutes_of_readings(times: Sequence[int], minutes: str) -> None:
    assert due(times) == minutes


def test_scattered_minutes_become_few_stretches_that_hold_them_all() -> None:
    rng = np.random.default_rng(7)
    for span in (10_000, 1_000_000, 40_000_000):
        minutes = rng.integers(16_000_000, 16_000_000 + span, 5000)
        found = [
            Run(*map(int, part.strip("[)").split(",")))
            for part in due((minutes * _MINUTE_MS).tolist())[1:-1].split("),")
        ]
        assert len(found) <= 50
        assert all(any(run.low <= minute < run.high for run in found) for minute in minutes)


def test_the_newest_minutes_come_first() -> None:
    assert newest([Run(0, 10), Run(20, 30)], 15) == [Run(20, 30), Run(5, 10)]
    assert newest([Run(0, 10)], 100) == [Run(0, 10)]


def test_hours_that_touch_are_one_stretch() -> None:
    assert merged([Run(61, 70), Run(3, 5), Run(65, 121)], 60) == [Run(0, 180)]
    assert merged([Run(3, 5), Run(8, 9)]) == [Run(3, 5), Run(8, 9)]
