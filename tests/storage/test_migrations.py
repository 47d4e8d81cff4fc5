"""From any earlier version to this one, with what is stored."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from cloud.storage.database import Database
from cloud.storage.errors import DatabaseError
from cloud.storage.layout import missing_indexes, readings_layout, schema_version
from cloud.storage.migrate import newest_version, upgrade
from cloud.storage.model_versions import ModelVersionStore, Status
from cloud.storage.promotions import PromotionStore
from cloud.storage.readings import ReadingStore
from cloud.storage.tables import Base
from tests.support.readings import DEVICE, SITE, START_MS, block

_WEEKS_OF_ROWS = """
INSERT INTO readings
SELECT 'plant-1', 'pump-07', '9f2c41d07be3a655', seq, at_ms, at_ms + 40, ARRAY[seq, NULL, 0.5], seq % 2 = 0,
       CASE WHEN seq = 3 THEN 'request-3' END
FROM (SELECT seq, 1700000000000 + seq * 7 * 86400000::bigint AS at_ms FROM generate_series(0, 99) AS seq) AS weekly
UNION ALL
SELECT 'plant-1', 'clock', '9f2c41d07be3a655', n, at_ms, at_ms, '{1}', false, NULL
FROM unnest(ARRAY[0, -1, 9223372036854775807, -9223372036854775807]) WITH ORDINALITY AS odd (at_ms, n)
"""
_ALL = text("SELECT * FROM readings ORDER BY device, seq")


def _differences(connection: Connection) -> list[object]:
    def is_ours(name: str | None, kind: str, _: object) -> bool:
        return kind != "table" or name in Base.metadata.tables  # partitions belong to their table

    context = MigrationContext.configure(connection, opts={"compare_server_default": True, "include_name": is_ours})
    return list(compare_metadata(context, Base.metadata))


async def test_models_and_migrations_say_the_same(database: Database) -> None:
    async with database.begin() as connection:
        assert await connection.run_sync(_differences) == []


async def test_migrating_twice_changes_nothing(database: Database) -> None:
    await database.migrate()
    async with database.begin() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM alembic_version")) == 1
        assert await schema_version(connection) == newest_version()


@pytest.fixture
async def first_version(empty_url: str) -> AsyncIterator[Database]:
    """A database as the first version left it, open."""
    database = Database(empty_url)
    await database.open()
    async with database.begin() as connection:
        await connection.run_sync(upgrade, "0001")
    yield database
    await database.close()


async def test_every_reading_of_the_first_version_survives(first_version: Database, layout: str) -> None:
    async with first_version.begin() as connection:
        assert await schema_version(connection) == "0001"
        await connection.execute(text(_WEEKS_OF_ROWS))
        before = list(await connection.execute(_ALL))
    await first_version.migrate()
    async with first_version.begin() as connection:
        assert list(await connection.execute(_ALL)) == before
        assert len(before) == 104
        assert await readings_layout(connection) == layout
        assert await missing_indexes(connection) == []
        assert await schema_version(connection) == newest_version()
    store = ReadingStore(first_version)
    assert (await store.store([block([7, 1000])], [])).stored == 2
    assert (await store.readings(SITE, DEVICE, limit=1)).measured_at_ms == [START_MS + 1_000_000]


async def test_an_empty_first_version_becomes_the_same(first_version: Database, layout: str) -> None:
    await first_version.migrate()
    async with first_version.begin() as connection:
        assert await readings_layout(connection) == layout
        assert await connection.run_sync(_differences) == []


async def test_a_database_that_was_never_migrated_says_so(empty_url: str) -> None:
    database = Database(empty_url)
    await database.open()
    async with database.begin() as connection:
        assert await schema_version(connection) is None
        assert "readings_pkey" in await missing_indexes(connection)
        with pytest.raises(DatabaseError, match="are not split by time"):
            await readings_layout(connection)
    await database.close()


async def test_an_index_that_somebody_dropped_is_named(database: Database) -> None:
    async with database.begin() as connection:
        await connection.execute(text("DROP INDEX readings_request_id"))
        assert await missing_indexes(connection) == ["readings_request_id"]


@pytest.fixture
async def third_version(empty_url: str) -> AsyncIterator[Database]:
    """A database as the third version left it, open."""
    database = Database(empty_url)
    await database.open()
    async with database.begin() as connection:
        await connection.run_sync(upgrade, "0003")
    yield database
    await database.close()


_PROMOTED_TWICE = """
INSERT INTO promotions (site, device, version, name, run_id, sha256, data_hash, artifact_uri, rows, trained_from_ms,
                        trained_through_ms, promoted_at_ms)
SELECT 'plant-1', device, version, 'ronda.plant-1.' || device, 'run', 'sum', 'data', 'file:///m', 1800, 1, 2, at_ms
FROM (VALUES ('pump-07', '1', 30), ('pump-07', '2', 20), ('pump-08', '9', 5), ('pump-08', '10', 6))
    AS made (device, version, at_ms)
"""


async def test_models_of_the_third_version_keep_their_place(third_version: Database) -> None:
    async with third_version.begin() as connection:
        await connection.execute(text(_PROMOTED_TWICE))
    await third_version.migrate()
    store = ModelVersionStore(third_version)
    models = [*await store.history("plant-1", "pump-07"), *await store.history("plant-1", "pump-08")]
    assert {(model.device, model.version): model.status for model in models} == {
        ("pump-07", "1"): Status.CHAMPION,  # rolled back to
        ("pump-07", "2"): Status.RETIRED,
        ("pump-08", "10"): Status.CHAMPION,
        ("pump-08", "9"): Status.RETIRED,
    }
    in_force = await PromotionStore(third_version).all_current()
    assert [(each.version, each.mirrored) for each in in_force] == [("1", True), ("10", True)]
    async with third_version.begin() as connection:
        assert await connection.run_sync(_differences) == []
