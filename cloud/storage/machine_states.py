"""How each machine is: the last state that was said of it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.storage.database import Database
from cloud.storage.tables import MachineState as Table
from contract.events import MachineStateEvent


class MachineStateStore:
    """Reads the states; they are written with the detectors' own, by `DetectionStore.keep`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, site: str, device: str) -> MachineStateEvent | None:
        """One machine's state, or None when nothing was said of it yet."""
        wanted = select(Table.event).where(Table.site == site, Table.device == device)
        async with self._database.begin() as connection:
            event = await connection.scalar(wanted)
        return None if event is None else msgspec.convert(event, MachineStateEvent)

    async def all(self) -> list[MachineStateEvent]:
        """Every machine's state, by site and device."""
        async with self._database.begin() as connection:
            rows = await connection.execute(select(Table.event).order_by(Table.site, Table.device))
            return [msgspec.convert(event, MachineStateEvent) for (event,) in rows]


async def save_states(connection: AsyncConnection, states: Sequence[MachineStateEvent]) -> None:
    """Write the states in the caller's transaction, each over that of its machine."""
    if not states:
        return
    latest = {(state.site, state.device): state for state in states}
    new = insert(Table)
    names = ("event", "measured_at_ms", "at_ms")
    over = new.on_conflict_do_update(
        index_elements=[Table.site, Table.device], set_={name: new.excluded[name] for name in names}
    )
    rows = [
        {"site": site, "device": device, "event": state, "measured_at_ms": state.measured_at_ms, "at_ms": state.at_ms}
        for (site, device), state in sorted(latest.items())
    ]
    await connection.execute(over, rows)
