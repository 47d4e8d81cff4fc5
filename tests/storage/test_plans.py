"""A question about an hour opens that hour's partition, however many years are stored."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from cloud.api.lookups import StoreLookups
from cloud.storage.database import Database
from cloud.storage.devices import DeviceStore
from cloud.storage.reading_blocks import Position
from cloud.storage.readings import ReadingStore
from tests.support.plans import parts, plan_of
from tests.support.readings import BOOT, DEVICE, METRICS, SITE, START_MS, block

_HOUR_MS = 60 * 60 * 1000
_HOURS = 2 * 365 * 24 // 8
_TIMES = [START_MS - 8 * _HOUR_MS * hours for hours in reversed(range(_HOURS))]


@pytest.fixture
async def two_years(database: Database) -> Database:
    """Five machines with a reading every eight hours for two years."""
    store, devices = ReadingStore(database), DeviceStore(database)
    numbers = [[float(seq) for seq in range(_HOURS)]] * len(METRICS)
    for number in range(5, 10):
        device = f"pump-{number:02}"
        await devices.ensure(SITE, device, "provisioned", now_ms=START_MS)
        await store.store([block(range(_HOURS), device=device, measured_at_ms=_TIMES, values=numbers)], [])
    async with database.begin() as connection:
        await connection.execute(text("ANALYZE readings"))
    return database


async def test_questions_open_no_more_of_the_readings_than_they_ask_about(two_years: Database) -> None:
    store = ReadingStore(two_years)
    everything = await parts(two_years)
    assert everything >= 24
    middle = _TIMES[_HOURS // 2]
    chart = await plan_of(two_years, lambda: store.readings(SITE, DEVICE, from_ms=middle, to_ms=middle + 1, limit=100))
    training = await plan_of(
        two_years, lambda: store.training_rows(SITE, DEVICE, from_ms=middle, to_ms=middle + 1, limit=100)
    )
    assert (len(chart.opened), len(training.opened)) == (1, 1)
    newest = await plan_of(two_years, lambda: store.readings(SITE, DEVICE, limit=5))
    reading_on = await plan_of(two_years, lambda: store.rows_after(SITE, DEVICE, Position(middle), limit=5))
    last_seen = await plan_of(two_years, store.last_seen)
    # The rows may lie on both sides of a border, and the partition beyond 2100 is looked into.
    assert max(len(plan.opened) for plan in (newest, reading_on, last_seen)) <= 3


async def test_an_identity_is_looked_up_by_index_everywhere(two_years: Database) -> None:
    store, lookups = ReadingStore(two_years), StoreLookups(two_years)
    keys = [(BOOT, seq) for seq in range(5)]
    for ask in (
        lambda: store.find(SITE, DEVICE, BOOT, 7),
        lambda: store.by_correlation("request-1"),
        lambda: lookups.stored(SITE, DEVICE, keys),
    ):
        plan = await plan_of(two_years, ask, as_if_large=True)
        assert "Seq Scan" not in plan.scans
