"""The database of MLflow's server: there before the server is, and not the one of Ronda's own tables."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg

from cloud.storage.database_url import read_address
from cloud.storage.errors import DatabaseError
from cloud.storage.failures import failure
from contract.errors import TransientError
from ronda.settings import SettingsError

_SETTING = "MLFLOW_BACKEND_STORE_URI"
_CONNECT_WITHIN_S = 10.0
# Both tools keep their state in a table `alembic_version`; one database has room for one of them.
_HAS_OURS = "SELECT to_regclass('detector_states') IS NOT NULL"
# The database that every server has, to make others from.
_MAINTENANCE = "postgres"


async def ensure_database(uri: str) -> None:
    """Make the PostgreSQL database when its server has none of that name; another kind of address is left alone.

    Raises: SettingsError when it cannot be, or is Ronda's own; TransientError when its server is away.
    """
    if not uri.startswith("postgresql"):
        return
    try:
        async with _connected(uri) as connection:
            is_ours = bool(await connection.fetchval(_HAS_OURS))
    except asyncpg.InvalidCatalogNameError:
        await _create(uri)
        return
    if is_ours:
        raise SettingsError(
            f"{_SETTING}: this is Ronda's own database; name another one, such as …/mlflow, "
            "which is made when it is not there"
        )


async def _create(uri: str) -> None:
    name = read_address(uri).url.database
    with contextlib.suppress(asyncpg.DuplicateDatabaseError):
        async with _connected(uri, _MAINTENANCE) as connection:
            quoted = await connection.fetchval("SELECT quote_ident($1)", name)
            try:
                await connection.execute(f"CREATE DATABASE {quoted}")
            except asyncpg.InsufficientPrivilegeError as error:
                raise SettingsError(f"{_SETTING}: there is no database {name!r} and we may not make it") from error


@contextlib.asynccontextmanager
async def _connected(uri: str, database: str | None = None) -> AsyncIterator[asyncpg.Connection[Any]]:
    """Raises: SettingsError, TransientError; asyncpg's errors about databases and rights as they are."""
    try:
        address = read_address(uri)
        connection = await asyncpg.connect(
            host=address.url.host,
            port=address.url.port,
            user=address.url.username,
            password=address.url.password,
            database=database or address.url.database,
            ssl=address.tls,
            timeout=_CONNECT_WITHIN_S,
        )
    except asyncpg.InvalidCatalogNameError:
        raise
    except DatabaseError as error:
        raise SettingsError(str(error).replace("DATABASE_URL", _SETTING)) from error
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        told = failure(error)
        kind = TransientError if isinstance(told, TransientError) else SettingsError
        raise kind(f"{_SETTING}: {told or error}") from error
    try:
        yield connection
    finally:
        await connection.close()
