"""The counting is itself put to the test: it sees what is lost, doubled or refused, and which alarms are wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from cloud.storage.database import Database
from cloud.storage.readings import ReadingStore
from contract.identity import UNCOUNTED_BOOT
from tests.faults.account import Beyond, Count, alarms, beyond, count
from tests.faults.machine import Window
from tests.faults.senders import Span
from tests.support.readings import BOOT, DEVICE, block, rejected

SPAN = Span(DEVICE, BOOT, 0, 9)


@pytest.fixture
async def sql(database: Database, database_url: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A connection to a store with the readings 0 to 9 of one boot."""
    await ReadingStore(database).store([block(range(10))], [])
    connection = await asyncpg.connect(database_url, ssl=False)
    yield connection
    await connection.close()


async def test_what_is_stored_once_is_neither_lost_nor_doubled(sql: asyncpg.Connection[Any]) -> None:
    assert await count(sql, [SPAN]) == Count(readings=10)


async def test_a_missing_reading_is_lost(sql: asyncpg.Connection[Any]) -> None:
    await sql.execute("DELETE FROM readings WHERE seq IN (3, 7)")
    assert await count(sql, [SPAN]) == Count(readings=10, lost=2)


async def test_a_reading_of_another_boot_or_device_replaces_none(sql: asyncpg.Connection[Any]) -> None:
    await sql.execute("UPDATE readings SET boot = 'ffffffffffffffff' WHERE seq = 3")
    await sql.execute("UPDATE readings SET device = 'pump-08' WHERE seq = 4")
    assert await count(sql, [SPAN]) == Count(readings=10, lost=2)


async def test_the_same_identity_at_two_times_is_doubled(sql: asyncpg.Connection[Any]) -> None:
    columns = "site, device, boot, seq, received_at_ms, values, replayed"
    await sql.execute(
        f"INSERT INTO readings ({columns}, measured_at_ms) "
        f"SELECT {columns}, measured_at_ms + 1 FROM readings WHERE seq = 5"
    )
    assert await count(sql, [SPAN]) == Count(readings=10, doubled=1)


async def test_a_refused_reading_is_not_lost(sql: asyncpg.Connection[Any], database: Database) -> None:
    await ReadingStore(database).store([], [rejected(10)])
    assert await count(sql, [Span(DEVICE, BOOT, 0, 10)]) == Count(readings=11, refused=1)


async def _numbered(sql: asyncpg.Connection[Any], *numbers: int) -> None:
    """The stored readings are those of a device that does not count, and say these numbers."""
    await sql.execute("DELETE FROM readings WHERE seq >= $1", len(numbers))
    for seq, number in enumerate(numbers):
        await sql.execute("UPDATE readings SET boot = $1, values[1] = $2 WHERE seq = $3", UNCOUNTED_BOOT, number, seq)


async def test_who_does_not_count_is_held_to_what_it_said(sql: asyncpg.Connection[Any]) -> None:
    await _numbered(sql, 0, 1, 3, 3, 4)
    assert await count(sql, [Span(DEVICE, UNCOUNTED_BOOT, 0, 4)]) == Count(readings=5, lost=1, doubled=1)


async def test_beyond_the_gateway_what_its_broker_took_is_missing_or_came_again(sql: asyncpg.Connection[Any]) -> None:
    await _numbered(sql, 0, 2, 2, 2, 7)
    found = await beyond(sql, {DEVICE: 4}, excused=1)
    assert found == Beyond(acknowledged=4, missing=2, again=2, excused=1)


async def test_alarms_are_held_against_the_injected_truth(sql: asyncpg.Connection[Any]) -> None:
    windows = [Window(row, 1000 * row, 1000 * row + 40_000) for row in (100, 300, 500)]
    for number, at_ms in enumerate((111_000, 511_000, 512_000, 250_000)):
        await sql.execute(
            "INSERT INTO anomalies (anomaly_id, site, device, phase, severity, since_ms, raised_at_ms, detected_at_ms, "
            "correlation_id, score, peak_score, event, latest) "
            "VALUES ($1, 'plant-1', $2, 'raised', 'warning', $3, $3, $3, 'c', 2, 2, '{}', '{}')",
            str(number),
            DEVICE,
            at_ms,
        )
    found = await alarms(sql, DEVICE, windows)
    assert (found.expected, found.missed, found.doubled, found.false) == (3, [300], [500], [250])
