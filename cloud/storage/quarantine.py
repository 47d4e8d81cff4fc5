"""What was refused, with the reason and the original bytes."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Select, select

from cloud.storage.database import Database
from cloud.storage.tables import Rejected


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """One refused reading, or message where `boot` and `seq` are None."""

    id: str
    site: str
    device: str
    boot: str | None
    seq: int | None
    stage: str
    reason: str
    detail: str
    topic: str
    payload: bytes
    received_at_ms: int
    correlation_id: str | None


class Quarantine:
    """Reads what the Historian put away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(self, *, limit: int = 50) -> list[Rejection]:
        """The last refusals, newest first."""
        wanted = select(Rejected.__table__).order_by(Rejected.received_at_ms.desc(), Rejected.id)
        return await self._found(wanted.limit(limit))

    async def by_correlation(self, correlation_id: str) -> list[Rejection]:
        """What was refused of a message with this id."""
        wanted = select(Rejected.__table__).where(Rejected.correlation_id == correlation_id)
        return await self._found(wanted.order_by(Rejected.received_at_ms, Rejected.id))

    async def _found(self, query: Select[*tuple[Any, ...]]) -> list[Rejection]:
        async with self._database.begin() as connection:
            return [Rejection(**row._asdict()) for row in await connection.execute(query)]
