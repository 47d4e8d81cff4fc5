"""The door to the database: opened once, bounded, migrated by itself, and clear about what may be tried again."""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import msgspec
from sqlalchemy import Connection, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from cloud.storage.database_url import Address, read_address
from cloud.storage.failures import failure
from cloud.storage.layout import readings_layout, schema_version

log = logging.getLogger("ronda.storage")

# The agents of one process share it; the embedded server allows 30 for all processes together.
_CONNECTIONS = 5
_CONNECT_WITHIN_S = 10.0
# A day's chart takes a second. What takes a minute is a mistake, or waits for a lock that somebody forgot.
_STATEMENT_WITHIN_S = 60.0
# The server ends a statement at its limit and says so. From whom nothing comes for this much longer is not there any
# more, though nobody told us: a firewall that forgot the connection, a machine that lost its power.
_SILENCE_S = 5.0
# Load balancers drop what is idle for an hour, and a server that took over is found by connecting anew.
_RECYCLE_S = 1800
# "ronda" as a number: the key under which processes that migrate at the same time wait for each other.
_MIGRATION_LOCK = 0x726F6E6461


class Database:
    """The store's connections. `open` checks that it can be reached, `migrate` brings the tables up to date.

    A statement that takes longer than `statement_within_s` is ended by the server; 0: none is.
    """

    def __init__(
        self, url: str, *, connections: int = _CONNECTIONS, statement_within_s: float = _STATEMENT_WITHIN_S
    ) -> None:
        self._url = url
        self._connections = connections
        self._statement_ms = int(statement_within_s * 1000)
        self._answer_within_s = statement_within_s + _SILENCE_S if statement_within_s else None
        self._pooler = False
        self._opened: AsyncEngine | None = None

    async def open(self) -> None:
        """Connect once. Raises: TransientError when it is away, DatabaseError when it will not let us in."""
        if self._opened is None:
            address = read_address(self._url)
            self._pooler = address.pooler
            self._opened = self._new_engine(address)
        async with self.begin():
            pass

    def _new_engine(self, address: Address) -> AsyncEngine:
        engine = create_async_engine(
            address.url,
            pool_size=self._connections,
            max_overflow=0,
            pool_timeout=_CONNECT_WITHIN_S,
            pool_pre_ping=True,
            pool_recycle=_RECYCLE_S,
            connect_args=self._connect_arguments(address),
            json_serializer=_json,
            json_deserializer=msgspec.json.decode,
        )
        if address.pooler:
            event.listen(engine.sync_engine, "begin", self._limit_statements)
        return engine

    def _connect_arguments(self, address: Address) -> dict[str, Any]:
        settings = {"application_name": address.application_name}
        arguments = {
            "timeout": _CONNECT_WITHIN_S,
            "command_timeout": self._answer_within_s,
            "ssl": address.tls,
            "server_settings": settings,
        }
        if not address.pooler:
            settings["statement_timeout"] = str(self._statement_ms)
            return arguments
        # Behind a pooler the next transaction has another connection, so nothing may be prepared for later, a name
        # may be taken by somebody else, and settings of the session are refused.
        return arguments | {
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": lambda: f"ronda_{uuid.uuid4().hex}",
        }

    def _limit_statements(self, connection: Connection) -> None:
        connection.exec_driver_sql(self._limit)

    @property
    def _limit(self) -> str:
        return f"SET LOCAL statement_timeout = {self._statement_ms}"

    async def close(self) -> None:
        """Close every connection. May be called twice."""
        if self._opened is not None:
            await self._opened.dispose()
            self._opened = None

    async def migrate(self) -> None:
        """Bring the tables up to date; of processes that do so at once, the later ones find nothing left to do."""
        # Millions of rows may have to move.
        patient = Database(self._url, connections=1, statement_within_s=0)
        await patient.open()
        try:
            await patient._migrate()
        finally:
            await patient.close()

    async def _migrate(self) -> None:
        from cloud.storage.migrate import upgrade

        async with self.begin() as connection:
            await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
            before = await schema_version(connection)
            await connection.run_sync(upgrade)
            now, layout = await schema_version(connection), await readings_layout(connection)
        if now != before:
            log.info("schema.migrated", extra={"before": before, "now": now, "readings": layout})

    @contextlib.asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A transaction. Raises: TransientError when the database is away, DatabaseError when it refuses us."""
        with _told_apart():
            async with self._engine.begin() as connection, _left_when_silent(connection):
                yield connection

    @contextlib.asynccontextmanager
    async def copying(self) -> AsyncIterator[asyncpg.Connection[Any]]:
        """A transaction on the driver itself, for COPY. Raises as `begin` does."""
        with _told_apart():
            async with self._engine.connect() as connection:
                raw: Any = (await connection.get_raw_connection()).driver_connection
                async with raw.transaction(), _left_when_silent(connection):
                    if self._pooler:
                        await raw.execute(self._limit)
                    yield raw

    @property
    def _engine(self) -> AsyncEngine:
        if self._opened is None:
            raise RuntimeError("the database is not open")
        return self._opened


@contextlib.asynccontextmanager
async def _left_when_silent(connection: AsyncConnection) -> AsyncIterator[None]:
    """Who did not answer is not asked to roll back, which would be waited for as long again."""
    try:
        yield
    except TimeoutError:
        await connection.invalidate()
        raise


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
