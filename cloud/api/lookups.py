"""Questions about many things at once, each answered by one query."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Row, Select, func, select, text
from sqlalchemy.dialects.postgresql import distinct_on

from cloud.api.ports import Address, AnomalyFilter, Key
from cloud.storage.anomalies import AnomalyRecord
from cloud.storage.database import Database
from cloud.storage.input_drifts import InputDriftStore
from cloud.storage.machine_states import MachineStateStore
from cloud.storage.model_refusals import ModelRefusalStore
from cloud.storage.tables import Anomaly, DetectorState, InputDrift, Notification
from contract.events import InputDriftedEvent, MachineStateEvent, ModelRefusedEvent, NotificationSentEvent, Phase

# One round trip however many readings a client waits for. The metrics give the stored values their names.
_STORED = text("""
SELECT r.boot, r.seq, r.measured_at_ms, r.values, d.metrics
FROM unnest(CAST(:boots AS text[]), CAST(:seqs AS bigint[])) AS wanted (boot, seq)
JOIN readings r ON r.site = :site AND r.device = :device AND r.boot = wanted.boot AND r.seq = wanted.seq
JOIN devices d ON d.site = r.site AND d.device = r.device
""")
ACTIVE = "active"


class StoreLookups:
    """The API's own questions to the store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def alive(self) -> None:
        """Raises: TransientError when the database is away."""
        await self._rows(select(1))

    async def stored(
        self, site: str, device: str, keys: Sequence[Key]
    ) -> Mapping[Key, tuple[int, Mapping[str, float]]]:
        """(measured_at_ms, values) of those readings that are stored."""
        boots, seqs = [boot for boot, _ in keys], [seq for _, seq in keys]
        about = {"site": site, "device": device, "boots": boots, "seqs": seqs}
        async with self._database.begin() as connection:
            rows = await connection.execute(_STORED, about)
            return {(row.boot, row.seq): (row.measured_at_ms, _named(row.metrics, row.values)) for row in rows}

    async def anomalies(self, wanted: AnomalyFilter, limit: int) -> Sequence[AnomalyRecord]:
        """Newest first."""
        query = select(Anomaly.__table__).order_by(Anomaly.serial.desc()).limit(limit)
        for condition in _conditions(wanted):
            query = query.where(condition)
        return [_record(row) for row in await self._rows(query)]

    async def models_in_use(self) -> Mapping[Address, str]:
        """The version of the model that the detection agent judges each device with."""
        rows = await self._rows(select(DetectorState.site, DetectorState.device, DetectorState.model_version))
        return {(row.site, row.device): row.model_version for row in rows}

    async def newest_anomalies(self) -> Mapping[Address, AnomalyRecord]:
        """Each device's last one."""
        last = select(func.max(Anomaly.serial)).group_by(Anomaly.site, Anomaly.device)
        rows = await self._rows(select(Anomaly.__table__).where(Anomaly.serial.in_(last)))
        return {(row.site, row.device): _record(row) for row in rows}

    async def machine_states(self) -> Mapping[Address, MachineStateEvent]:
        """How each machine is, of which something was said."""
        return {(state.site, state.device): state for state in await MachineStateStore(self._database).all()}

    async def model_refusals(
        self, site: str | None = None, device: str | None = None
    ) -> Mapping[tuple[str, str, str], ModelRefusedEvent]:
        """Per site, device and version: the last time that the model was not put to use."""
        return await ModelRefusalStore(self._database).newest(site, device)

    async def drifting(self) -> Mapping[Address, Sequence[str]]:
        """The channels of each machine that drifted in the last hour that was compared."""
        newest = select(InputDrift.event).ext(distinct_on(InputDrift.site, InputDrift.device))
        newest = newest.order_by(InputDrift.site, InputDrift.device, InputDrift.through_ms.desc())
        hours = [msgspec.convert(event, InputDriftedEvent) for (event,) in await self._rows(newest)]
        return {
            (hour.site, hour.device): [channel.name for channel in hour.channels if channel.drifted] for hour in hours
        }

    async def drift(self, site: str, device: str, limit: int) -> Sequence[InputDriftedEvent]:
        """The last hours of one machine whose inputs were compared, newest first."""
        return await InputDriftStore(self._database).newest(site, device, limit=limit)

    async def notifications_of(self, anomaly_ids: Sequence[str]) -> Mapping[str, Sequence[NotificationSentEvent]]:
        """The receipts of each anomaly, oldest first."""
        query = select(Notification.event).where(Notification.anomaly_id.in_(anomaly_ids))
        found: dict[str, list[NotificationSentEvent]] = {}
        for event in await self._receipts(query.order_by(Notification.sent_at_ms, Notification.id)):
            found.setdefault(event.anomaly_id, []).append(event)
        return found

    async def notifications_since(self, sent_at_ms: int, limit: int) -> Sequence[NotificationSentEvent]:
        """The newest `limit` receipts from then on, oldest first."""
        query = select(Notification.event).where(Notification.sent_at_ms >= sent_at_ms)
        newest = await self._receipts(query.order_by(Notification.sent_at_ms.desc(), Notification.id).limit(limit))
        return newest[::-1]

    async def _receipts(self, query: Select[*tuple[Any, ...]]) -> list[NotificationSentEvent]:
        return [msgspec.convert(event, NotificationSentEvent) for (event,) in await self._rows(query)]

    async def _rows(self, query: Select[*tuple[Any, ...]]) -> list[Any]:
        async with self._database.begin() as connection:
            return list(await connection.execute(query))


def _conditions(wanted: AnomalyFilter) -> Iterator[Any]:
    if wanted.site is not None:
        yield Anomaly.site == wanted.site
    if wanted.device is not None:
        yield Anomaly.device == wanted.device
    if wanted.phase is not None:
        yield Anomaly.phase != Phase.CLEARED if wanted.phase == ACTIVE else Anomaly.phase == wanted.phase
    if wanted.from_ms is not None:
        yield Anomaly.raised_at_ms >= wanted.from_ms
    if wanted.to_ms is not None:
        yield Anomaly.raised_at_ms <= wanted.to_ms
    if wanted.before is not None:
        yield Anomaly.serial < wanted.before


def _named(metrics: Sequence[Mapping[str, Any]] | None, values: Sequence[float | None]) -> dict[str, float]:
    """NULL, or beyond the end: not measured."""
    pairs = zip(metrics or (), values, strict=False)
    return {metric["name"]: value for metric, value in pairs if value is not None}


def _record(row: Row[*tuple[Any, ...]]) -> AnomalyRecord:
    return msgspec.convert(row._asdict(), AnomalyRecord)
