"""The anomalies: written with the detector's state and the message to publish in one transaction, and listed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Row, Select, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.storage.database import Database
from cloud.storage.detector_states import DetectorState, save
from cloud.storage.outbox import Outbox
from cloud.storage.tables import Anomaly
from contract.events import AnomalyDetectedEvent, Phase, Severity


class AnomalyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One anomaly: `event` as it was raised, `latest` as it stands; `serial` counts in the order they became known."""

    anomaly_id: str
    site: str
    device: str
    phase: Phase
    severity: Severity
    since_ms: int
    raised_at_ms: int
    cleared_at_ms: int | None
    detected_at_ms: int
    correlation_id: str
    score: float
    peak_score: float
    event: AnomalyDetectedEvent
    latest: AnomalyDetectedEvent
    serial: int


class AnomalyStore:
    """What the detection agent decided. `outbox` has what is to be published of it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.outbox = Outbox(database, AnomalyDetectedEvent)

    async def apply(
        self,
        events: Sequence[AnomalyDetectedEvent],
        states: Sequence[DetectorState],
        *,
        now_ms: int,
        beside: Callable[[AsyncConnection], Awaitable[None]] | None = None,
    ) -> list[AnomalyDetectedEvent]:
        """Write events in order, the states that they led to, the messages, and what `beside` writes, all or nothing.

        Returns the events that were new; one that was written before changes nothing.
        """
        async with self._database.begin() as connection:
            new = [event for event in events if await self.outbox.add(connection, event, now_ms=now_ms)]
            for event in new:
                await _write(connection, event)
            await save(connection, states)
            if beside is not None:
                await beside(connection)
        return new

    async def keep_past(self, events: Sequence[AnomalyDetectedEvent]) -> None:
        """Write events of long ago in order, all or nothing, and tell nobody: there is no message to publish."""
        async with self._database.begin() as connection:
            for event in events:
                await _write(connection, event)

    async def get(self, anomaly_id: str) -> AnomalyRecord | None:
        """One anomaly, or None."""
        found = await self._found(select(Anomaly.__table__).where(Anomaly.anomaly_id == anomaly_id))
        return found[0] if found else None

    async def still_open(self, site: str, device: str) -> list[AnomalyRecord]:
        """What was not cleared yet of one device, in the order in which it became known."""
        mine = (Anomaly.site == site, Anomaly.device == device, Anomaly.phase != Phase.CLEARED)
        return await self._found(select(Anomaly.__table__).where(*mine).order_by(Anomaly.serial))

    async def by_correlation(self, correlation_id: str) -> list[AnomalyRecord]:
        """The anomalies that a reading with this id raised."""
        wanted = select(Anomaly.__table__).where(Anomaly.correlation_id == correlation_id)
        return await self._found(wanted.order_by(Anomaly.serial))

    async def _found(self, query: Select[*tuple[Any, ...]]) -> list[AnomalyRecord]:
        async with self._database.begin() as connection:
            return [_record(row) for row in await connection.execute(query)]


async def _write(connection: AsyncConnection, event: AnomalyDetectedEvent) -> None:
    """The first event of an anomaly makes its row, the later ones bring it up to date."""
    now = {
        "phase": event.phase,
        "severity": event.severity,
        "score": event.score,
        "peak_score": event.peak_score,
        "cleared_at_ms": event.measured_at_ms if event.phase is Phase.CLEARED else None,
        "latest": event,
    }
    new = insert(Anomaly).values(
        anomaly_id=event.anomaly_id,
        site=event.site,
        device=event.device,
        since_ms=event.since_ms,
        raised_at_ms=event.measured_at_ms,
        detected_at_ms=event.detected_at_ms,
        correlation_id=event.correlation_id,
        event=event,
        **now,
    )
    made = await connection.execute(new.on_conflict_do_nothing())
    if made.rowcount == 0:
        await connection.execute(update(Anomaly).where(Anomaly.anomaly_id == event.anomaly_id).values(now))


def _record(row: Row[*tuple[Any, ...]]) -> AnomalyRecord:
    return msgspec.convert(row._asdict(), AnomalyRecord)
