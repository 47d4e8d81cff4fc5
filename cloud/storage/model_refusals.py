"""Models that were promoted and not put to use, each with the reason."""

from __future__ import annotations

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.storage.database import Database
from cloud.storage.tables import ModelRefusal as Table
from contract.events import ModelRefusedEvent


class ModelRefusalStore:
    """Reads the refusals; they are written with the detectors' states, by `DetectionStore.keep`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, site: str, device: str) -> list[ModelRefusedEvent]:
        """The refusals of one machine's models, newest first."""
        mine = select(Table.event).where(Table.site == site, Table.device == device)
        async with self._database.begin() as connection:
            rows = await connection.execute(mine.order_by(Table.at_ms.desc(), Table.id))
            return [msgspec.convert(event, ModelRefusedEvent) for (event,) in rows]


async def add_refusal(connection: AsyncConnection, refusal: ModelRefusedEvent) -> bool:
    """Write it in the caller's transaction. Returns False when the same bytes were refused for the same before."""
    row = insert(Table).values(
        id=refusal.id,
        site=refusal.site,
        device=refusal.device,
        version=refusal.model.version,
        event=refusal,
        at_ms=refusal.at_ms,
    )
    return (await connection.execute(row.on_conflict_do_nothing())).rowcount == 1
