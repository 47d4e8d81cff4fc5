"""Models that were promoted and not put to use, each with the reason."""

from __future__ import annotations

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.storage.database import Database
from cloud.storage.tables import ModelRefusal as Table
from contract.events import ModelRefusedEvent


class ModelRefusalStore:
    """Reads the refusals; they are written with the detectors' states, by `DetectionStore.keep`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(
        self, site: str | None = None, device: str | None = None
    ) -> dict[tuple[str, str, str], ModelRefusedEvent]:
        """Per (site, device, version): its last refusal, of everybody, one site or one device."""
        wanted = select(Table.event).ext(distinct_on(Table.site, Table.device, Table.version))
        wanted = wanted if site is None else wanted.where(Table.site == site)
        wanted = wanted if device is None else wanted.where(Table.device == device)
        wanted = wanted.order_by(Table.site, Table.device, Table.version, Table.at_ms.desc(), Table.id)
        async with self._database.begin() as connection:
            found = [msgspec.convert(event, ModelRefusedEvent) for (event,) in await connection.execute(wanted)]
        return {(each.site, each.device, each.model.version): each for each in found}


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
