"""The store as the detection agent uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

from cloud.agents.anomaly_detection import Snapshot
from cloud.agents.assets import Position
from cloud.storage.anomalies import AnomalyStore
from cloud.storage.database import Database
from cloud.storage.detector_states import DetectorState, DetectorStateStore
from cloud.storage.devices import DeviceStore
from cloud.storage.promotions import PromotionStore
from cloud.storage.reading_blocks import Position as Place
from cloud.storage.reading_blocks import ReadingBlock
from cloud.storage.readings import ReadingStore
from contract.codec import decode_events
from contract.events import AnomalyDetectedEvent, ModelPromotedEvent, Readings


class DetectorMemory:
    """Champions, states, rows to catch up with, and events, for the process called `instance`."""

    def __init__(self, database: Database, instance: str, clock_ms: Callable[[], float]) -> None:
        self._readings = ReadingStore(database)
        self._anomalies = AnomalyStore(database)
        self._states = DetectorStateStore(database)
        self._promotions = PromotionStore(database)
        self._devices = DeviceStore(database)
        self._instance = instance
        self._clock_ms = clock_ms

    async def champions(self) -> Sequence[ModelPromotedEvent]:
        """Every machine's model in force."""
        return [promotion.event for promotion in await self._promotions.all_current()]

    async def snapshot(self, site: str, device: str) -> Snapshot | None:
        """Where this machine's detector stood last."""
        kept = await self._states.get(site, device)
        if kept is None:
            return None
        return Snapshot(
            site=site,
            device=device,
            model_version=kept.model_version,
            position=Position(kept.measured_at_ms, kept.boot, kept.seq),
            state=kept.state,
        )

    async def rows_after(self, site: str, device: str, after: Position, limit: int) -> Sequence[Readings]:
        """The next stored readings in event-time order."""
        return list(_blocks(await self._readings.rows_after(site, device, Place(*after), limit=limit)))

    async def keep(self, snapshots: Sequence[Snapshot], events: Sequence[AnomalyDetectedEvent]) -> None:
        """Both in one transaction, the events also to be published."""
        now_ms = int(self._clock_ms())
        states = [
            DetectorState(
                site=snapshot.site,
                device=snapshot.device,
                model_version=snapshot.model_version,
                boot=snapshot.position.boot,
                seq=snapshot.position.seq,
                measured_at_ms=snapshot.position.measured_at_ms,
                state=snapshot.state,
                instance=self._instance,
                updated_at_ms=now_ms,
            )
            for snapshot in snapshots
        ]
        await self._anomalies.apply(events, states, now_ms=now_ms)

    async def unpublished(self) -> Sequence[AnomalyDetectedEvent]:
        """Events that were kept and perhaps never published."""
        waiting = await self._anomalies.outbox.unpublished()
        return [event for message in waiting for event in decode_events(AnomalyDetectedEvent, message.payload)]

    async def published(self, events: Sequence[AnomalyDetectedEvent]) -> None:
        """These reached the broker."""
        await self._anomalies.outbox.mark_published([event.id for event in events], now_ms=int(self._clock_ms()))

    async def units(self, site: str, device: str) -> Mapping[str, str]:
        """Metric → unit, as registered."""
        return {metric.name: metric.unit for metric in await self._devices.metrics(site, device) or ()}


def _blocks(rows: ReadingBlock) -> Iterator[Readings]:
    """Runs of neighbours of one boot, one flag, one request and the same metrics, as the chain would have sent them."""

    def kind(row: int) -> tuple[object, ...]:
        there = tuple(column[row] is not None for column in rows.values)
        return rows.boot[row], rows.replayed[row], rows.request_id[row], there

    for (boot, replayed, request_id, there), run in groupby(range(len(rows)), key=kind):
        at = list(run)
        yield Readings(
            site=rows.site,
            device=rows.device,
            boot=str(boot),
            received_at_ms=rows.received_at_ms[at[0]],
            metrics=[name for name, is_there in zip(rows.metrics, _flags(there), strict=True) if is_there],
            seq=[rows.seq[row] for row in at],
            measured_at_ms=[rows.measured_at_ms[row] for row in at],
            values=[
                [value for row in at if (value := column[row]) is not None]
                for column, is_there in zip(rows.values, _flags(there), strict=True)
                if is_there
            ],
            replayed=bool(replayed),
            request_id=None if request_id is None else str(request_id),
        )


def _flags(there: object) -> tuple[bool, ...]:
    return there if isinstance(there, tuple) else ()
