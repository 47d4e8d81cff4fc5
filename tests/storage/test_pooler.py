"""Behind a pooler that hands a connection to whoever has a transaction, as hosted databases offer it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from cloud.storage.database import Database
from cloud.storage.devices import DeviceStore
from cloud.storage.errors import DatabaseError
from cloud.storage.readings import ReadingStore
from contract.errors import TransientError
from tests.storage.pooler import Pooler
from tests.support.readings import METRICS, START_MS, block

_CLIENTS, _ROUNDS = 4, 10


@pytest.fixture
def pooled_url(database_url: str) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as parent:
        Path(parent).chmod(0o755)
        pooler = Pooler(Path(parent), database_url)
        pooler.start()
        yield pooler.url
        pooler.stop()


async def test_many_clients_on_two_connections_do_not_disturb_each_other(pooled_url: str) -> None:
    doors = [Database(pooled_url, connections=3) for _ in range(_CLIENTS)]
    async with asyncio.timeout(60):
        await asyncio.gather(*(door.open() for door in doors))
        await asyncio.gather(*(door.migrate() for door in doors))
        await asyncio.gather(*(_work(door, f"pump-{number}") for number, door in enumerate(doors)))
    assert await ReadingStore(doors[0]).count() == _CLIENTS * _ROUNDS * 10
    await asyncio.gather(*(door.close() for door in doors))


async def _work(door: Database, device: str) -> None:
    store, devices = ReadingStore(door), DeviceStore(door)
    for number in range(_ROUNDS):
        seqs = range(10 * number, 10 * number + 10)
        stored, found, known = await asyncio.gather(
            store.store([block(seqs, device=device)], []), store.last_seen(), devices.ensure(
                "plant-1", device, "provisioned", now_ms=START_MS
            ),
        )  # fmt: skip
        assert stored.stored == 10
        assert (known.device, len(found) <= _CLIENTS) == (device, True)
        assert (await store.readings("plant-1", device, limit=1)).metrics == list(METRICS)


async def test_a_statement_that_takes_too_long_is_ended(pooled_url: str) -> None:
    database = Database(pooled_url, statement_within_s=0.05)
    await database.open()
    with pytest.raises(TransientError, match="canceling statement due to statement timeout"):
        async with database.begin() as connection:
            await connection.execute(text("SELECT pg_sleep(30)"))
    with pytest.raises(TransientError, match="canceling statement due to statement timeout"):
        async with database.copying() as raw:
            await raw.execute("SELECT pg_sleep(30)")
    await database.close()


async def test_whether_there_is_a_pooler_is_true_or_false() -> None:
    with pytest.raises(DatabaseError, match=r"^DATABASE_URL: pgbouncer=maybe is neither true nor false$"):
        await Database("postgresql://db/plant?pgbouncer=maybe").open()
