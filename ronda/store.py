"""The store as every process opens it: with the connections that the settings allow, its tables up to date."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from cloud.storage.database import Database
from ronda.settings import Settings


@contextlib.asynccontextmanager
async def opened_store(url: str, settings: Settings) -> AsyncIterator[Database]:
    """The database at `url`, migrated. Raises: RondaError when it is away or does not let us in."""
    database = Database(url, connections=settings.database_pool_size)
    await database.open()
    try:
        await database.migrate()
        yield database
    finally:
        await database.close()
