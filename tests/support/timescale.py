"""A TimescaleDB as a second server for tests: the one at `TIMESCALE_URL`, as its administrator.

Such as: docker run -d -e POSTGRES_PASSWORD=x -p 127.0.0.1:5433:5432 timescale/timescaledb:2.19.3-pg17-oss, and
TIMESCALE_URL=postgresql://postgres:x@127.0.0.1:5433/postgres.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import AsyncIterator

import asyncpg
from sqlalchemy.engine import make_url

VARIABLE = "TIMESCALE_URL"


def is_offered() -> bool:
    """Does the environment name one?"""
    return VARIABLE in os.environ


async def own_role() -> str:
    """The address of an empty database `ronda` on it, and of a role of that name that may no more than a customer's."""
    password = secrets.token_hex(8)
    async with _administrator() as connection:
        # Also what a run that was cut short left behind.
        left = "SELECT datname FROM pg_database WHERE datname = 'ronda' OR datname LIKE 'ronda\\_test\\_%'"
        for row in await connection.fetch(left):
            await connection.execute(f"DROP DATABASE {row['datname']} WITH (FORCE)")
        if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ronda')"):
            await connection.execute("CREATE ROLE ronda LOGIN CREATEDB")
        await connection.execute(f"ALTER ROLE ronda PASSWORD '{password}'")
        # Without what the image puts into every new database: the migration has to make the extension.
        await connection.execute("CREATE DATABASE ronda OWNER ronda TEMPLATE template0")
    ours = make_url(os.environ[VARIABLE]).set(username="ronda", password=password, database="ronda")
    return ours.render_as_string(hide_password=False)


def who_may_drop(url: str) -> str:
    """The address with which a database of the server at `url` can be dropped, though the extension works in it."""
    ours, theirs = make_url(url), make_url(os.environ.get(VARIABLE, "postgresql://"))
    return os.environ[VARIABLE] if (ours.host, ours.port) == (theirs.host, theirs.port) else url


async def keep_out() -> None:
    """Nobody may be in a database that is copied, and the extension's own worker would come back."""
    async with _administrator() as connection:
        await connection.execute("ALTER DATABASE ronda ALLOW_CONNECTIONS false")
        await connection.fetch("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = 'ronda'")


@contextlib.asynccontextmanager
async def _administrator() -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(os.environ[VARIABLE])
    try:
        yield connection
    finally:
        await connection.close()
