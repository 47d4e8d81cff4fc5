"""What is old goes by whole months, once it was counted against its minutes; what was stored stays accounted for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from cloud.storage.database import Database
from cloud.storage.readings import ReadingStore
from cloud.storage.resolution import Resolution
from cloud.storage.retention import DAY_MS, Fate, Keep, Outcome, Retention, What, month_of
from cloud.storage.rollups import RollUps
from contract.events import ValidatedDataEvent
from contract.identity import UNCOUNTED_BOOT
from tests.support.readings import DEVICE, METRICS, SITE, block, rejected

# Noon of 15 January, March, May and July 2025 (UTC); "now" is 1 September.
_MONTHS_MS = [1_736_942_400_000, 1_742_040_000_000, 1_747_310_400_000, 1_752_580_800_000]
_NOW_MS = 1_756_684_800_000
_90_DAYS = Keep(90, 0, 0)
_EVERYTHING = Keep(30, 60, 0)


@pytest.fixture
def store(database: Database) -> ReadingStore:
    return ReadingStore(database)


def _at(month: int, seqs: Sequence[int], **changes: Any) -> ValidatedDataEvent:
    """Ten-second readings of a month, received as they were measured."""
    times = [_MONTHS_MS[month] + 10_000 * seq for seq in seqs]
    return block(seqs, **{"measured_at_ms": times, "received_at_ms": times[-1] + 40} | changes)


async def _fill(store: ReadingStore, database: Database) -> None:
    for month in range(4):
        await store.store([_at(month, range(100 * month, 100 * month + 100))], [])
    await RollUps(database).bring_up_to_date()


async def _apply(database: Database, keep: Keep = _90_DAYS, now_ms: int = _NOW_MS) -> list[tuple[What, Fate, int]]:
    outcomes: list[Outcome] = await Retention(database).apply(keep, now_ms)
    return [(each.old.what, each.fate, each.old.rows) for each in outcomes]


async def _one(database: Database, query: str) -> Any:
    async with database.begin() as connection:
        return await connection.scalar(text(query))


async def test_months_that_are_old_enough_go_and_what_is_younger_stays(store: ReadingStore, database: Database) -> None:
    await _fill(store, database)
    gone = await _apply(database)
    assert gone == [(What.READINGS, Fate.GONE, 100)] * 3
    assert await store.count() == 100
    assert (await store.readings(SITE, DEVICE, limit=1000)).measured_at_ms[0] == _MONTHS_MS[3] + 3_000_000
    assert await _apply(database) == []


async def test_the_ledger_adds_up_as_before(store: ReadingStore, database: Database) -> None:
    await _fill(store, database)
    await store.store([], [rejected(400)])
    before = await store.ledger()
    await _apply(database)
    assert await store.ledger() == before
    assert await _one(database, "SELECT sum(readings) FROM retired_readings") == 300
    assert await _one(database, "SELECT sum(stored) FROM boots") == 300 + await store.count()


async def test_a_repeat_of_what_is_gone_is_not_stored_and_not_counted_again(
    store: ReadingStore, database: Database
) -> None:
    await _fill(store, database)
    await _apply(database)
    ledger = await store.ledger()
    again = await store.store([_at(0, range(100), received_at_ms=_NOW_MS)], [])
    assert (again.stored, again.repeats, again.conflicts) == (0, 100, [])
    assert again.watermarks[SITE, DEVICE].through == 399
    assert (await store.ledger(), await store.count()) == (ledger, 100)


async def test_a_repeat_from_a_device_that_does_not_count_is_known_by_its_minute(
    store: ReadingStore, database: Database
) -> None:
    old = _at(0, range(100), boot=UNCOUNTED_BOOT)
    await store.store([old], [])
    await RollUps(database).bring_up_to_date()
    await _apply(database)
    elsewhen = _at(0, range(5000, 5010), boot=UNCOUNTED_BOOT, received_at_ms=_NOW_MS)
    again = await store.store([_at(0, range(100), boot=UNCOUNTED_BOOT, received_at_ms=_NOW_MS), elsewhen], [])
    assert (again.stored, again.repeats) == (10, 100)


async def test_nothing_goes_before_it_was_added_up(store: ReadingStore, database: Database) -> None:
    await store.store([_at(0, range(100))], [])
    assert await _apply(database) == [(What.READINGS, Fate.NOT_ADDED_UP, 0)]
    assert await store.count() == 100
    await RollUps(database).bring_up_to_date()
    assert await _apply(database) == [(What.READINGS, Fate.GONE, 100)]


async def test_minutes_that_somebody_lost_are_made_again_first(store: ReadingStore, database: Database) -> None:
    await store.store([_at(0, range(100)), _at(0, range(100), device="pump-08")], [])
    await RollUps(database).bring_up_to_date()
    async with database.begin() as connection:
        await connection.execute(text("DELETE FROM readings_by_minute WHERE device = 'pump-08' AND readings = 6"))
    assert [fate for _, fate, _ in await _apply(database)] == [Fate.NOT_ADDED_UP]
    await RollUps(database).bring_up_to_date()
    assert await _apply(database) == [(What.READINGS, Fate.GONE, 200)]
    assert await _one(database, "SELECT sum(readings) FROM readings_by_minute") == 200


async def test_an_old_recording_that_came_lately_stays_as_long_as_if_it_were_new(
    store: ReadingStore, database: Database
) -> None:
    await store.store([_at(0, range(100), received_at_ms=_NOW_MS - 10 * DAY_MS)], [])
    await RollUps(database).bring_up_to_date()
    assert [fate for _, fate, _ in await _apply(database)] == [Fate.ARRIVED_LATELY]
    assert await _apply(database, now_ms=_NOW_MS + 81 * DAY_MS) == [(What.READINGS, Fate.GONE, 100)]


async def test_a_new_reading_of_a_month_that_is_gone_is_added_to_what_was_kept(
    store: ReadingStore, database: Database
) -> None:
    await _fill(store, database)
    await _apply(database)
    late = _at(0, range(1000, 1006), measured_at_ms=[_MONTHS_MS[0] + n for n in range(6)], received_at_ms=_NOW_MS)
    assert (await store.store([late], [])).stored == 6
    for _ in range(2):  # added up again, it is the same
        await RollUps(database).bring_up_to_date()
        async with database.begin() as connection:
            await connection.execute(text("UPDATE boots SET due = '{[28949040,28949041)}'"))
    for table in ("readings_by_minute", "readings_by_hour"):
        assert await _one(database, f"SELECT sum(readings) FROM {table}") == 406
    later = _NOW_MS + 91 * DAY_MS
    assert (What.READINGS, Fate.GONE, 6) in await _apply(database, now_ms=later)
    assert await _one(database, "SELECT sum(readings) FROM retired_readings") == 406
    again = await store.store([late], [])
    assert (again.stored, again.repeats) == (0, 6)


async def test_minutes_go_after_their_readings_and_hours_stay(store: ReadingStore, database: Database) -> None:
    await _fill(store, database)
    outcomes = await _apply(database, _EVERYTHING)
    assert outcomes[:4] == [(What.READINGS, Fate.GONE, 100)] * 4
    assert outcomes[4][:2] == (What.MINUTES, Fate.GONE)
    assert await _one(database, "SELECT count(*) FROM readings_by_minute WHERE from_ms < 1751328000000") == 0
    assert await _one(database, "SELECT sum(readings) FROM readings_by_minute") == 100
    assert await _one(database, "SELECT sum(readings) FROM readings_by_hour") == 400


async def test_minutes_stay_as_long_as_their_readings_do(store: ReadingStore, database: Database) -> None:
    await store.store([_at(0, range(100), received_at_ms=_NOW_MS)], [])
    await RollUps(database).bring_up_to_date()
    assert [fate for _, fate, _ in await _apply(database, _EVERYTHING)] == [Fate.ARRIVED_LATELY, Fate.HELD_UP]


async def test_minutes_do_not_go_before_their_hours_are_right(store: ReadingStore, database: Database) -> None:
    await _fill(store, database)
    async with database.begin() as connection:
        await connection.execute(text("DELETE FROM readings_by_hour WHERE from_ms < 1740000000000"))
    assert (await _apply(database, _EVERYTHING))[-1][:2] == (What.MINUTES, Fate.NOT_ADDED_UP)
    await RollUps(database).bring_up_to_date()
    assert (await _apply(database, _EVERYTHING))[-1][:2] == (What.MINUTES, Fate.GONE)
    assert await _one(database, "SELECT sum(readings) FROM readings_by_hour") == 400


async def test_a_late_reading_of_minutes_that_are_gone_is_added_to_their_hour(
    store: ReadingStore, database: Database
) -> None:
    await _fill(store, database)
    await _apply(database, _EVERYTHING)
    late = _at(0, range(1000, 1006), measured_at_ms=[_MONTHS_MS[0] + n for n in range(6)], received_at_ms=_NOW_MS)
    await store.store([late], [])
    await RollUps(database).bring_up_to_date()
    assert await _one(database, "SELECT sum(readings) FROM readings_by_hour") == 406
    assert await _one(database, f"SELECT sum(readings) FROM readings_by_hour WHERE from_ms = {_MONTHS_MS[0]}") == 106


async def test_hours_go_last(store: ReadingStore, database: Database) -> None:
    await _fill(store, database)
    outcomes = await _apply(database, Keep(30, 30, 90))
    assert outcomes[-1][:2] == (What.HOURS, Fate.GONE)
    assert await _one(database, "SELECT sum(readings) FROM readings_by_hour") == 100


async def test_a_chart_of_what_is_gone_is_drawn_from_what_is_left(store: ReadingStore, database: Database) -> None:
    await _fill(store, database)
    await _apply(database)
    hour = {"from_ms": _MONTHS_MS[0], "to_ms": _MONTHS_MS[0] + 3_600_000}
    drawn = await store.drawn(SITE, DEVICE, **hour, points=2000, most=100_000)
    assert (drawn.resolution, len(drawn.block)) == (Resolution.MINUTES, 0)
    assert drawn.rolled is not None
    assert drawn.rolled.readings == 100
    assert drawn.rolled.lows.shape == (17, len(METRICS))
    year = await store.drawn(SITE, DEVICE, from_ms=None, to_ms=None, points=2000, most=100_000)
    assert year.rolled is not None
    assert year.rolled.readings + len(year.block) == 400
    await _apply(database, _EVERYTHING)
    drawn = await store.drawn(SITE, DEVICE, **hour, points=2000, most=100_000)
    assert (drawn.resolution, drawn.rolled is not None and drawn.rolled.readings) == (Resolution.HOURS, 100)


async def test_a_month_in_use_is_left_for_the_next_time_and_nobody_waits(
    store: ReadingStore, database: Database, database_url: str
) -> None:
    await _fill(store, database)
    reader = await asyncpg.connect(database_url, ssl=False)
    async with asyncio.timeout(30), reader.transaction():
        await reader.fetch("SELECT count(*) FROM readings")
        assert {fate for _, fate, _ in await _apply(database)} == {Fate.BUSY}
        assert (await store.store([_at(3, range(400, 500))], [])).stored == 100
    await reader.close()
    assert {fate for _, fate, _ in await _apply(database)} == {Fate.GONE}


async def test_what_is_stored_while_months_go_is_there_or_counted(database: Database, database_url: str) -> None:
    """Late readings of a month that is being dropped: each is there or known to be gone, and none is both."""
    writer = Database(database_url)
    await writer.open()
    store = ReadingStore(writer)
    await store.store([_at(0, range(1000))], [])
    await RollUps(database).bring_up_to_date()
    stop = asyncio.Event()

    async def drop() -> None:
        while not stop.is_set():
            await _apply(database, now_ms=_NOW_MS)
            await RollUps(database).bring_up_to_date()

    async with asyncio.timeout(60):
        dropping = asyncio.create_task(drop())
        for first in range(1000, 2000, 20):
            # Received long ago, so that nothing keeps the month.
            await store.store([_at(0, range(first, first + 20), received_at_ms=_MONTHS_MS[1])], [])
            await store.store([_at(0, range(first - 20, first), received_at_ms=_MONTHS_MS[1])], [])
        stop.set()
        await dropping
    await writer.close()
    there, gone = (
        await ReadingStore(database).count(),
        await _one(database, "SELECT sum(readings) FROM retired_readings"),
    )
    assert (there + (gone or 0), await _one(database, "SELECT sum(stored) FROM boots")) == (2000, 2000)
    await RollUps(database).bring_up_to_date()
    assert await _one(database, "SELECT sum(readings) FROM readings_by_minute") == 2000


async def test_nothing_is_old_where_everything_is_kept_for_ever(store: ReadingStore, database: Database) -> None:
    await _fill(store, database)
    assert await Retention(database).old(Keep(0, 0, 0), _NOW_MS) == []
    [first, *_] = await Retention(database).old(_90_DAYS, _NOW_MS)
    assert first.what is What.READINGS
    assert await store.count() == 400


async def test_the_learner_counts_what_is_there(store: ReadingStore, database: Database) -> None:
    await _fill(store, database)
    await _apply(database)
    assert await store.devices_ready_to_learn(101) == []
    [learner] = await store.devices_ready_to_learn(100)
    assert (learner.device, learner.stored) == (DEVICE, 100)


def test_the_month_of_a_time() -> None:
    assert month_of(_NOW_MS) == _NOW_MS
    assert month_of(_NOW_MS - 1) == 1_754_006_400_000
