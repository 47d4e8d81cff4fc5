"""The door: any spelling of an address, migrations by many at once, and what may be tried again told apart."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text

from cloud.storage.database import Database
from cloud.storage.database_url import read_address
from cloud.storage.errors import DatabaseError
from cloud.storage.postgres import EmbeddedPostgres
from cloud.storage.postgres_process import processes_in
from cloud.storage.readings import ReadingStore
from contract.errors import TransientError
from tests.support.readings import block


@pytest.mark.parametrize(
    "scheme", ["postgresql", "postgres", "postgresql+asyncpg", "postgresql+psycopg", "postgresql+psycopg2"]
)
def test_every_usual_scheme_is_understood(scheme: str) -> None:
    url = read_address(f"{scheme}://ronda:p%40ss@db.example:5433/plant").url
    assert url.render_as_string(hide_password=False) == "postgresql+asyncpg://ronda:p%40ss@db.example:5433/plant"


def test_what_providers_append_does_no_harm() -> None:
    address = read_address("postgresql://db/plant?sslmode=require&channel_binding=require&application_name=x")
    assert (dict(address.url.query), address.application_name, address.pooler) == ({}, "x", False)


def test_an_option_that_would_do_nothing_is_refused() -> None:
    with pytest.raises(DatabaseError, match=r"^DATABASE_URL: there is no option 'sslmod' here$"):
        read_address("postgresql://db/plant?sslmod=require")


@pytest.mark.parametrize("wrong", ["", "mysql://db/plant", "db.example:5432", "postgresql://db:port/plant"])
def test_what_is_no_address_is_said_in_one_line(wrong: str) -> None:
    with pytest.raises(DatabaseError, match=r"^DATABASE_URL [^\n]*postgresql://[^\n]*$"):
        read_address(wrong)


async def test_processes_that_migrate_at_once_do_not_disturb_each_other(empty_url: str) -> None:
    doors = [Database(empty_url) for _ in range(4)]
    async with asyncio.timeout(30):
        await asyncio.gather(*(door.open() for door in doors))
        await asyncio.gather(*(door.migrate() for door in doors))
    assert (await ReadingStore(doors[0]).store([block([0])], [])).stored == 1
    await asyncio.gather(*(door.close() for door in doors))


async def test_a_wrong_password_is_not_tried_again(postgres: str) -> None:
    database = Database(postgres.replace("ronda:", "ronda:x", 1))
    with pytest.raises(DatabaseError, match="password authentication failed"):
        await database.open()
    await database.close()


async def test_a_database_that_is_not_there_is_not_tried_again(postgres: str) -> None:
    database = Database(f"{postgres.rpartition('/')[0]}/nowhere")
    with pytest.raises(DatabaseError, match='database "nowhere" does not exist'):
        await database.open()
    await database.close()


async def test_nobody_listening_may_be_tried_again(unused_tcp_port: int) -> None:
    database = Database(f"postgresql://ronda:x@127.0.0.1:{unused_tcp_port}/ronda")
    with pytest.raises(TransientError, match="the database is away"):
        await database.open()
    await database.close()


async def test_a_mistake_of_ours_is_seen_as_it_is(database: Database) -> None:
    with pytest.raises(Exception, match="syntax error"):
        async with database.begin() as connection:
            await connection.execute(text("SELEKT"))


async def test_a_value_that_no_column_can_hold_is_a_mistake_not_a_failure_that_passes(database: Database) -> None:
    with pytest.raises(OverflowError):
        await ReadingStore(database).store([block([2**64])], [])


async def test_the_pool_is_bounded_and_waits(database_url: str) -> None:
    database = Database(database_url, connections=2)
    await database.open()

    async def busy() -> None:
        async with database.begin() as connection:
            await connection.execute(text("SELECT pg_sleep(0.05)"))

    async with asyncio.timeout(30):
        await asyncio.gather(*(busy() for _ in range(10)))
    await database.close()
    await database.close()


async def test_a_statement_that_takes_too_long_is_ended_and_may_be_tried_again(database_url: str) -> None:
    database = Database(database_url, statement_within_s=0.05)
    await database.open()
    with pytest.raises(TransientError, match="canceling statement due to statement timeout"):
        async with database.begin() as connection:
            await connection.execute(text("SELECT pg_sleep(30)"))
    await database.migrate()
    await database.close()


async def test_a_connection_that_was_cut_is_replaced_before_it_is_used(database: Database, database_url: str) -> None:
    other = await asyncpg.connect(database_url, ssl=False)
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> $1"
    await other.fetch(cut, other.get_server_pid())
    await other.close()
    async with database.begin() as connection:
        assert await connection.scalar(text("SELECT current_setting('application_name')")) == "ronda"


async def test_a_database_that_is_not_open_says_so() -> None:
    with pytest.raises(RuntimeError, match="the database is not open"):
        async with Database("postgresql://db/plant").begin():
            pass


async def test_kill_9_of_the_server_amid_the_work_is_transient_and_costs_nothing(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres")
    database = Database(await server.start())
    await database.open()
    await database.migrate()
    store = ReadingStore(database)
    acknowledged: list[int] = []
    with pytest.raises(TransientError):
        await _store_until_killed(store, acknowledged, tmp_path / "postgres" / "cluster")
    with pytest.raises(TransientError):
        await store.count()
    await server.start()
    tried = [block(range(10 * n, 10 * n + 10)) for n in range(acknowledged[-1] + 2)]
    again = await store.store(tried, [])
    assert again.repeats >= 10 * len(acknowledged)
    assert await store.count() == 10 * len(tried) == again.repeats + again.stored
    await database.close()
    await server.stop()


async def _store_until_killed(store: ReadingStore, acknowledged: list[int], folder: Path) -> None:
    async with asyncio.timeout(30):
        for number in range(10_000):
            await store.store([block(range(10 * number, 10 * number + 10))], [])
            acknowledged.append(number)
            if number == 20:
                for pid in processes_in(folder):
                    os.kill(pid, signal.SIGKILL)
