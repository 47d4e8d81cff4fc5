"""The measured way of traced messages: when which station did what."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from cloud.storage.database import Database
from cloud.storage.tables import Hop
from contract.events import HopEvent

_FIELDS = ("id", "correlation_id", "site", "device", "station", "did", "at_ms", "readings", "detail")


class HopStore:
    """Keeps the hops of traced messages."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def store(self, hops: Sequence[HopEvent]) -> None:
        """Keep the hops; one that is there already is absorbed."""
        if not hops:
            return
        rows = [{name: getattr(hop, name) for name in _FIELDS} for hop in hops]
        async with self._database.begin() as connection:
            await connection.execute(insert(Hop).on_conflict_do_nothing(), rows)

    async def traced(self, correlation_ids: Collection[str]) -> set[str]:
        """Which of these left a trace."""
        if not correlation_ids:
            return set()
        wanted = select(Hop.correlation_id).where(Hop.correlation_id.in_(correlation_ids)).distinct()
        async with self._database.begin() as connection:
            return set(await connection.scalars(wanted))

    async def by_correlation(self, correlation_id: str) -> list[HopEvent]:
        """The way of one message, by time."""
        columns = [getattr(Hop, name) for name in _FIELDS[1:]]
        wanted = select(*columns).where(Hop.correlation_id == correlation_id).order_by(Hop.at_ms)
        async with self._database.begin() as connection:
            rows = await connection.execute(wanted)
            return [msgspec.convert(row._asdict(), HopEvent) for row in rows]
