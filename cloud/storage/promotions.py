"""Which model judges which device: every promotion with what it was fitted on and what its bytes must hash to."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Select, case, func, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.storage.database import Database
from cloud.storage.tables import ModelVersion
from cloud.storage.tables import Promotion as Table
from contract.events import ModelPromotedEvent, ModelRef


class Fitted(msgspec.Struct, frozen=True, kw_only=True):
    """A model of a device: its registered `name`, its bytes, and the `rows` readings that it was fitted on."""

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


class Promotion(Fitted, frozen=True, kw_only=True):
    """A model became champion.

    `mirrored`: the registry's alias says the same; not yet, when the store was told first.
    """

    promoted_at_ms: int
    mirrored: bool = True

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

    async def promote(self, promotion: Promotion) -> Promotion:
        """Keep the promotion, and retire the champion before it. An earlier version again is a roll-back.

        Of several at once the last one is in force. Returns it as kept: later than every other of its device, whatever
        the clock was set to.
        """
        async with self._database.begin() as connection:
            await connection.execute(_ONE_AT_A_TIME, {"asset": f"{promotion.site}/{promotion.device}"})
            others = select(func.max(Table.promoted_at_ms)).where(
                Table.site == promotion.site, Table.device == promotion.device, Table.version != promotion.version
            )
            newest_ms = await connection.scalar(others)
            at_ms = promotion.promoted_at_ms if newest_ms is None else max(promotion.promoted_at_ms, newest_ms + 1)
            kept = msgspec.structs.replace(promotion, promoted_at_ms=at_ms)
            await _write(connection, kept)
            await _move_champion(connection, kept)
        return kept

    async def mark_mirrored(self, promotion: Promotion) -> None:
        """The registry's alias was moved to this promotion, unless it was promoted anew meanwhile."""
        this = (Table.site == promotion.site, Table.device == promotion.device, Table.version == promotion.version)
        change = update(Table).where(*this, Table.promoted_at_ms == promotion.promoted_at_ms).values(mirrored=True)
        async with self._database.begin() as connection:
            await connection.execute(change)

    async def current(self, site: str, device: str) -> Promotion | None:
        """The promotion in force for one device, or None."""
        history = await self.history(site, device)
        return history[0] if history else None

    async def all_current(self) -> list[Promotion]:
        """The promotions in force, one per device."""
        newest = select(Table.__table__).ext(distinct_on(Table.site, Table.device))
        return await self._found(newest.order_by(Table.site, Table.device, *_NEWEST_FIRST))

    async def unmirrored(self) -> list[Promotion]:
        """Those in force that the registry has not heard of."""
        return [promotion for promotion in await self.all_current() if not promotion.mirrored]

    async def history(self, site: str, device: str) -> list[Promotion]:
        """All promotions of one device, newest first."""
        wanted = select(Table.__table__).where(Table.site == site, Table.device == device)
        return await self._found(wanted.order_by(*_NEWEST_FIRST))

    async def _found(self, query: Select[*tuple[Any, ...]]) -> list[Promotion]:
        async with self._database.begin() as connection:
            return [Promotion(**row._asdict()) for row in await connection.execute(query)]


_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended('promotions ' || :asset, 0))")
_NEWEST_FIRST = (Table.promoted_at_ms.desc(), Table.version.desc())


async def _write(connection: AsyncConnection, promotion: Promotion) -> None:
    row = msgspec.structs.asdict(promotion)
    key = [Table.site, Table.device, Table.version]
    await connection.execute(insert(Table).values(row).on_conflict_do_update(index_elements=key, set_=row))


async def _move_champion(connection: AsyncConnection, promotion: Promotion) -> None:
    """One that was registered elsewhere, such as by hand in MLflow, is known from its promotion on."""
    row = msgspec.structs.asdict(promotion)
    known = {name: value for name, value in row.items() if name not in {"promoted_at_ms", "mirrored"}}
    new = insert(ModelVersion).values(
        **known, created_at_ms=promotion.promoted_at_ms, code_version="", status="champion"
    )
    await connection.execute(new.on_conflict_do_nothing())
    mine = (ModelVersion.site == promotion.site, ModelVersion.device == promotion.device)
    this = ModelVersion.version == promotion.version
    moved = case((this, "champion"), (ModelVersion.status == "champion", "retired"), else_=ModelVersion.status)
    await connection.execute(update(ModelVersion).where(*mine).values(status=moved))
