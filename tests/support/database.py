"""A real PostgreSQL for tests: one server per session, and a fresh migrated database for each test.

Use it by importing the fixtures into your conftest: `from tests.support.database import *`. `database` is an open
Database, `database_url` its address, `postgres` the server.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from cloud.storage.database import Database
from cloud.storage.postgres import EmbeddedPostgres
from tests.support import timescale

__all__ = ["database", "database_url", "empty_url", "postgres"]

# A test's database dies with the test, so nothing has to survive a power cut.
_IN_A_HURRY = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "autovacuum": "off"}
_number = itertools.count(1)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the session's server; its database `ronda` is migrated and only serves as a template."""
    yield from embedded(Path(tmp_path_factory.mktemp("postgres")))


def embedded(folder: Path) -> Iterator[str]:
    """The address of a server in `folder`, with its template, for as long as it is wanted."""
    server = EmbeddedPostgres(folder, settings=_IN_A_HURRY)
    url = asyncio.run(_started(server))
    yield url
    asyncio.run(server.stop())


@pytest.fixture
async def database_url(postgres: str) -> AsyncIterator[str]:
    """The address of a fresh database with all tables."""
    name = f"ronda_test_{next(_number)}"
    await _execute(postgres, f"CREATE DATABASE {name} TEMPLATE ronda")
    yield f"{postgres.rpartition('/')[0]}/{name}"
    await _execute(timescale.who_may_drop(postgres), f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def empty_url(postgres: str) -> AsyncIterator[str]:
    """The address of a fresh database without tables."""
    name = f"ronda_test_{next(_number)}"
    await _execute(postgres, f"CREATE DATABASE {name} TEMPLATE template0")
    yield f"{postgres.rpartition('/')[0]}/{name}"
    await _execute(timescale.who_may_drop(postgres), f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A fresh database with all tables, open."""
    opened = Database(database_url)
    await opened.open()
    yield opened
    await opened.close()


async def _started(server: EmbeddedPostgres) -> str:
    url = await server.start()
    await make_template(url)
    return url


async def make_template(url: str) -> None:
    """Migrate the database that all others are copied from."""
    template = Database(url)
    await template.open()
    await template.migrate()
    await template.close()


async def _execute(server: str, statement: str) -> None:
    # Not `ronda`: a template must have nobody in it.
    connection = await asyncpg.connect(f"{server.rpartition('/')[0]}/postgres", ssl=False)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
