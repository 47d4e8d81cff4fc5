"""The door to the database: opened once, bounded, migrated by itself, and clear about what may be tried again."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import msgspec
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from cloud.storage.database_url import normalise_url
from cloud.storage.failures import failure

# The agents of one process share it; the embedded server allows 30 for all processes together.
_CONNECTIONS = 5
_CONNECT_WITHIN_S = 10.0
# "ronda" as a number: the key under which processes that migrate at the same time wait for each other.
_MIGRATION_LOCK = 0x726F6E6461


class Database:
    """The store's connections. `open` checks that it can be reached, `migrate` brings the tables up to date."""

    def __init__(self, url: str, *, connections: int = _CONNECTIONS) -> None:
        self._url = url
        self._connections = connections
        self._opened: AsyncEngine | None = None

    async def open(self) -> None:
        """Connect once. Raises: TransientError when it is away, DatabaseError when it will not let us in."""
        if self._opened is None:
            self._opened = create_async_engine(
                normalise_url(self._url),
                pool_size=self._connections,
                max_overflow=0,
                pool_timeout=_CONNECT_WITHIN_S,
                pool_pre_ping=True,
                connect_args={"timeout": _CONNECT_WITHIN_S},
                json_serializer=_json,
                json_deserializer=msgspec.json.decode,
            )
        async with self.begin():
            pass

    async def close(self) -> None:
        """Close every connection. May be called twice."""
        if self._opened is not None:
            await self._opened.dispose()
            self._opened = None

    async def migrate(self) -> None:
        """Bring the tables up to date; of processes that do so at once, the later ones find nothing left to do."""
        from cloud.storage.migrate import upgrade

        async with self.begin() as connection:
            await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
            await connection.run_sync(upgrade)

    @contextlib.asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A transaction. Raises: TransientError when the database is away, DatabaseError when it refuses us."""
        with _told_apart():
            async with self._engine.begin() as connection:
                yield connection

    @contextlib.asynccontextmanager
    async def copying(self) -> AsyncIterator[asyncpg.Connection[Any]]:
        """A transaction on the driver itself, for COPY. Raises as `begin` does."""
        with _told_apart():
            async with self._engine.connect() as connection:
                raw: Any = (await connection.get_raw_connection()).driver_connection
                async with raw.transaction():
                    yield raw

    @property
    def _engine(self) -> AsyncEngine:
        if self._opened is None:
            raise RuntimeError("the database is not open")
        return self._opened


@contextlib.contextmanager
def _told_apart() -> Iterator[None]:
    """What passes by itself and what a person must mend, as errors of ours; our own mistakes as they are."""
    try:
        yield
    except (TimeoutError, SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        told = failure(error)
        if told is None:
            raise
        raise told from error


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
