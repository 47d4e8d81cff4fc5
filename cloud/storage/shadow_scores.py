"""Challengers beside their champions, hour by hour: how many readings each found beyond the limit."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.storage.database import Database
from cloud.storage.tables import ShadowScore as Table


class ShadowScore(msgspec.Struct, frozen=True, kw_only=True):
    """At most an hour: `rows` readings that both judged, and how many were beyond the limit of both and of each."""

    site: str
    device: str
    version: str
    champion: str
    from_ms: int
    through_ms: int
    rows: int
    beyond_both: int
    beyond_champion: int
    beyond_challenger: int


class ShadowScoreStore:
    """Reads the hours; they are written with the detectors' states, by `DetectionStore.keep`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, site: str, device: str, version: str) -> list[ShadowScore]:
        """The hours of one challenger, oldest first."""
        mine = (Table.site == site, Table.device == device, Table.version == version)
        wanted = select(Table.__table__).where(*mine).order_by(Table.from_ms, Table.champion)
        async with self._database.begin() as connection:
            return [ShadowScore(**row._asdict()) for row in await connection.execute(wanted)]


async def save_scores(connection: AsyncConnection, scores: Sequence[ShadowScore]) -> None:
    """Write the hours in the caller's transaction; one that is known stays as it is."""
    if scores:
        rows = [msgspec.structs.asdict(score) for score in scores]
        await connection.execute(insert(Table).on_conflict_do_nothing(), rows)
