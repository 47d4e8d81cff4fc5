"""Which model judges which device: every promotion with what it was fitted on and what its bytes must hash to."""

from __future__ import annotations

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on, insert

from cloud.storage.database import Database
from cloud.storage.tables import Promotion as Table
from contract.events import ModelPromotedEvent, ModelRef


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """A model became champion. `name` is its registered name; fitted on `rows` readings of the period given."""

    site: str
    device: str
    version: str
    name: str
    run_id: str
    sha256: str
    data_hash: str
    artifact_uri: str
    rows: int
    trained_from_ms: int
    trained_through_ms: int
    promoted_at_ms: int

    @property
    def event(self) -> ModelPromotedEvent:
        """What the bus is told."""
        return ModelPromotedEvent(
            site=self.site,
            device=self.device,
            model=ModelRef(name=self.name, version=self.version, run_id=self.run_id, sha256=self.sha256),
            artifact_uri=self.artifact_uri,
            data_hash=self.data_hash,
            trained_through_ms=self.trained_through_ms,
            promoted_at_ms=self.promoted_at_ms,
        )


class PromotionStore:
    """Keeps promotions; the newest of a device is in force."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def promote(self, promotion: Promotion) -> None:
        """Keep the promotion. An earlier version promoted again is a roll-back: it is the newest then."""
        row = msgspec.structs.asdict(promotion)
        again = (
            insert(Table)
            .values(row)
            .on_conflict_do_update(index_elements=[Table.site, Table.device, Table.version], set_=row)
        )
        async with self._database.begin() as connection:
            await connection.execute(again)

    async def current(self, site: str, device: str) -> Promotion | None:
        """The promotion in force for one device, or None."""
        history = await self.history(site, device)
        return history[0] if history else None

    async def all_current(self) -> list[Promotion]:
        """The promotions in force, one per device."""
        newest = select(Table.__table__).ext(distinct_on(Table.site, Table.device))
        newest = newest.order_by(Table.site, Table.device, Table.promoted_at_ms.desc(), Table.version.desc())
        async with self._database.begin() as connection:
            return [Promotion(**row._asdict()) for row in await connection.execute(newest)]

    async def history(self, site: str, device: str) -> list[Promotion]:
        """All promotions of one device, newest first."""
        wanted = select(Table.__table__).where(Table.site == site, Table.device == device)
        wanted = wanted.order_by(Table.promoted_at_ms.desc(), Table.version.desc())
        async with self._database.begin() as connection:
            return [Promotion(**row._asdict()) for row in await connection.execute(wanted)]
