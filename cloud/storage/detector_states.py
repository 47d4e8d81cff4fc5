"""Where the detector of each device stands, so that after a crash no reading is skipped or judged twice."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.storage.database import Database
from cloud.storage.tables import DetectorState as Table


class DetectorState(msgspec.Struct, frozen=True, kw_only=True):
    """The detector's own bytes, for the model they belong to, and the last reading (`boot`, `seq`) in them.

    `instance`: who wrote it. `drift`: the bytes of what watches the distribution of the readings, kept with the rest.
    """

    site: str
    device: str
    model_version: str
    boot: str
    seq: int
    measured_at_ms: int
    state: bytes
    instance: str
    updated_at_ms: int
    drift: bytes | None = None


class DetectorStateStore:
    """Reads the states; they are written with the anomalies they led to, by `AnomalyStore.apply`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, site: str, device: str) -> DetectorState | None:
        """The state of one device, or None."""
        wanted = select(Table.__table__).where(Table.site == site, Table.device == device)
        async with self._database.begin() as connection:
            row = (await connection.execute(wanted)).one_or_none()
        return None if row is None else DetectorState(**row._asdict())

    async def all(self) -> list[DetectorState]:
        """The states of all devices."""
        async with self._database.begin() as connection:
            rows = await connection.execute(select(Table.__table__).order_by(Table.site, Table.device))
            return [DetectorState(**row._asdict()) for row in rows]


async def save(connection: AsyncConnection, states: Sequence[DetectorState]) -> None:
    """Write the states in the caller's transaction, each over that of its device."""
    if not states:
        return
    new = insert(Table)
    rest = [name for name in DetectorState.__struct_fields__ if name not in {"site", "device"}]
    over = new.on_conflict_do_update(
        index_elements=[Table.site, Table.device], set_={name: new.excluded[name] for name in rest}
    )
    ordered = sorted(states, key=lambda state: (state.site, state.device))
    await connection.execute(over, [msgspec.structs.asdict(state) for state in ordered])
