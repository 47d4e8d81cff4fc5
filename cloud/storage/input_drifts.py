"""How far the inputs of each machine are from what its model learned, hour by hour."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.storage.database import Database
from cloud.storage.tables import InputDrift as Table
from contract.events import InputDriftedEvent

# What a page draws and a person compares; a machine keeps at most 24 rows for each day of it.
KEPT_MS = 31 * 24 * 3_600_000


class InputDriftStore:
    """Reads the hours; they are written with the detectors' states, by `DetectionStore.keep`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(self, site: str, device: str, *, limit: int = 24) -> list[InputDriftedEvent]:
        """The last hours of one machine that were compared, newest first."""
        mine = select(Table.event).where(Table.site == site, Table.device == device)
        wanted = mine.order_by(Table.through_ms.desc()).limit(limit)
        async with self._database.begin() as connection:
            rows = await connection.execute(wanted)
            return [msgspec.convert(event, InputDriftedEvent) for (event,) in rows]


async def save_hours(connection: AsyncConnection, hours: Sequence[InputDriftedEvent]) -> None:
    """Write the hours in the caller's transaction, and let go of each machine's that are a month older."""
    for hour in sorted(hours, key=lambda hour: (hour.site, hour.device, hour.through_ms)):
        row = insert(Table).values(
            id=hour.id, site=hour.site, device=hour.device, through_ms=hour.through_ms, event=hour
        )
        await connection.execute(row.on_conflict_do_nothing())
        old = (Table.site == hour.site, Table.device == hour.device, Table.through_ms < hour.through_ms - KEPT_MS)
        await connection.execute(delete(Table).where(*old))
