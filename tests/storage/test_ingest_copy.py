"""What is packed for COPY by us is stored as what the driver itself packs."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from cloud.storage.database import Database
from cloud.storage.devices import DeviceStore
from cloud.storage.ingest import ingest
from cloud.storage.readings import ReadingStore
from contract.events import ValidatedDataEvent
from contract.plausibility import Metric
from tests.support.readings import METRICS, SITE, START_MS, block

_NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
_SEQS = st.lists(st.integers(0, 2**53 - 1), min_size=1, max_size=4, unique=True)
_number = itertools.count()


@st.composite
def _blocks(draw: st.DrawFn) -> ValidatedDataEvent:
    seqs = draw(_SEQS)
    names = draw(st.lists(st.sampled_from(METRICS), min_size=1, unique=True))
    return msgspec.structs.replace(
        block(seqs),
        metrics=names,
        values=[draw(st.lists(_NUMBERS, min_size=len(seqs), max_size=len(seqs))) for _ in names],
        replayed=draw(st.booleans()),
        request_id=draw(st.none() | st.from_regex(r"[A-Za-z0-9._:-]{1,20}", fullmatch=True)),
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_blocks())
async def test_the_rows_are_the_same_either_way(database: Database, sent: ValidatedDataEvent) -> None:
    straight, looked_for = (msgspec.structs.replace(sent, device=f"pump-{next(_number)}") for _ in range(2))
    for each in (straight, looked_for):
        await DeviceStore(database).register_metrics(
            SITE, each.device, [Metric(name=name) for name in METRICS], now_ms=START_MS
        )
    async with database.copying() as connection:
        one = await ingest(connection, [straight], [])
        other = await ingest(connection, [looked_for], [], believing=False)
    assert (one.stored, one.repeats) == (other.stored, other.repeats) == (len(sent), 0)
    assert await _rows(database, straight.device) == await _rows(database, looked_for.device)
    assert await _boot(database, straight.device) == await _boot(database, looked_for.device)


async def test_a_reading_that_its_boot_does_not_know_of_is_absorbed_all_the_same(database: Database) -> None:
    store = ReadingStore(database)
    await store.store([block(range(4))], [])
    async with database.begin() as connection:
        await connection.execute(text("DELETE FROM boots"))
    again = await store.store([block(range(6))], [])
    assert (again.stored, again.repeats) == (2, 4)
    assert await store.count() == 6


async def test_a_block_of_two_years_finds_its_months(database: Database) -> None:
    store = ReadingStore(database)
    days = [START_MS + month * 31 * 86_400_000 for month in range(24)]
    assert (await store.store([block(range(24), measured_at_ms=days)], [])).stored == 24
    assert await store.count() == 24


async def _rows(database: Database, device: str) -> list[tuple[Any, ...]]:
    return await _all(database, 'SELECT boot, seq, measured_at_ms, received_at_ms, "values", replayed, request_id '
                      "FROM readings WHERE device = :device ORDER BY seq", device)  # fmt: skip


async def _boot(database: Database, device: str) -> list[tuple[Any, ...]]:
    return await _all(database, "SELECT accounted::text, stored, rejected, lost, due::text FROM boots "
                      "WHERE device = :device", device)  # fmt: skip


async def _all(database: Database, query: str, device: str) -> list[tuple[Any, ...]]:
    async with database.begin() as connection:
        return [tuple(row) for row in await connection.execute(text(query), {"device": device})]
