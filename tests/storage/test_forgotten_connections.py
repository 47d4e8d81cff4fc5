"""A database that is gone without a word: a firewall forgot the connection, or the machine lost its power."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from cloud.storage.database import Database
from contract.errors import TransientError
from tests.faults.proxy import Proxy

# The statement's limit here; five seconds more are waited, once, and two for a good-bye.
_LIMIT_S, _ENDS_WITHIN_S = 0.5, 9.5


async def forgotten_while_asking(database: Database, proxy: Proxy) -> None:
    async with database.begin() as connection:
        await connection.execute(text("SELECT 1"))
        proxy.forget()
        await connection.execute(text("SELECT 1"))


async def forgotten_while_copying(database: Database, proxy: Proxy) -> None:
    async with database.copying() as connection:
        await connection.execute("CREATE TEMP TABLE copied (number int)")
        proxy.forget()
        await connection.copy_records_to_table("copied", records=[(1,)])


async def ask(database: Database) -> None:
    async with database.begin() as connection:
        assert await connection.scalar(text("SELECT 2")) == 2


@contextlib.asynccontextmanager
async def behind(database_url: str) -> AsyncIterator[tuple[Database, Proxy]]:
    """A database of one connection through a proxy; what is done there has to end in time."""
    port = int(database_url.rpartition(":")[2].partition("/")[0])
    async with Proxy(port, random.Random(1)) as proxy:
        url = database_url.replace(f":{port}/", f":{proxy.port}/")
        database = Database(url, connections=1, statement_within_s=_LIMIT_S)
        await database.open()
        began = time.monotonic()
        yield database, proxy
        assert time.monotonic() - began < _ENDS_WITHIN_S
        await database.close()


async def test_who_waits_for_a_forgotten_connection_hears_of_it_and_the_next_one_works(database_url: str) -> None:
    async with behind(database_url) as (database, proxy):
        with pytest.raises(TransientError):
            await forgotten_while_asking(database, proxy)
        await ask(database)


async def test_a_copy_into_a_forgotten_connection_ends_too(database_url: str) -> None:
    async with behind(database_url) as (database, proxy):
        with pytest.raises(TransientError):
            await forgotten_while_copying(database, proxy)
        async with database.copying() as connection:
            assert await connection.fetchval("SELECT 2") == 2


async def test_an_idle_connection_that_was_forgotten_is_replaced(database_url: str) -> None:
    async with behind(database_url) as (database, proxy):
        proxy.forget()
        with pytest.raises(TransientError):
            await ask(database)
        await ask(database)
