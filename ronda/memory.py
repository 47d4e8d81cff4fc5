"""The store as the detection agent uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TypeVar

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.agents.assets import Position
from cloud.agents.detection_ports import Kept, Published, Snapshot
from cloud.agents.fault_names import ClassifierRef
from cloud.storage.anomalies import AnomalyStore
from cloud.storage.classifiers import ClassifierStore
from cloud.storage.database import Database
from cloud.storage.detector_states import DetectorState, DetectorStateStore
from cloud.storage.devices import DeviceStore
from cloud.storage.hops import HopStore
from cloud.storage.input_drifts import save_hours
from cloud.storage.limits import LimitStore
from cloud.storage.machine_states import save_states
from cloud.storage.model_refusals import add_refusal
from cloud.storage.model_versions import ModelVersionStore
from cloud.storage.outbox import Outbox
from cloud.storage.promotions import PromotionStore
from cloud.storage.reading_blocks import Position as Place
from cloud.storage.reading_blocks import ReadingBlock
from cloud.storage.readings import ReadingStore
from cloud.storage.shadow_scores import ShadowScore, save_scores
from contract.codec import decode_events
from contract.events import (
    AnomalyDetectedEvent,
    InputDriftedEvent,
    ModelPromotedEvent,
    ModelRefusedEvent,
    Readings,
)
from detection.limits import Limit
from ronda.holes import Holes

E = TypeVar("E", AnomalyDetectedEvent, InputDriftedEvent, ModelRefusedEvent)


class DetectorMemory:
    """Champions, states, rows to catch up with, and events, for the process called `instance`.

    `elapsed_ms` is a clock that nobody sets, for how long something was waited for.
    """

    def __init__(
        self, database: Database, instance: str, clock_ms: Callable[[], float], elapsed_ms: Callable[[], float]
    ) -> None:
        self._readings = ReadingStore(database)
        self._anomalies = AnomalyStore(database)
        self._drifts = Outbox(database, InputDriftedEvent)
        self._refusals = Outbox(database, ModelRefusedEvent)
        self._states = DetectorStateStore(database)
        self._promotions = PromotionStore(database)
        self._versions = ModelVersionStore(database)
        self._classifiers = ClassifierStore(database)
        self._limits = LimitStore(database)
        self._devices = DeviceStore(database)
        self._hops = HopStore(database)
        self._holes = Holes(elapsed_ms)
        self._instance = instance
        self._clock_ms = clock_ms

    async def champions(self) -> Sequence[ModelPromotedEvent]:
        """Every machine's model in force."""
        return [promotion.event for promotion in await self._promotions.all_current()]

    async def challengers(self) -> Sequence[ModelPromotedEvent]:
        """The models that are compared with those in force."""
        return await self._versions.challengers()

    async def classifiers(self) -> Sequence[ClassifierRef]:
        """What names the faults of each site that has a classifier."""
        return [
            ClassifierRef(
                site=each.site, name=each.name, version=each.version, sha256=each.sha256, artifact_uri=each.artifact_uri
            )
            for each in await self._classifiers.all_current()
        ]

    async def limits(self) -> Mapping[tuple[str, str], Sequence[Limit]]:
        """The limits that people and standards set, by (site, device)."""
        return await self._limits.all()

    async def champions_before(self, site: str, device: str) -> Sequence[ModelPromotedEvent]:
        """Every model that was ever in force for this machine, the latest promoted first."""
        return [promotion.event for promotion in await self._promotions.history(site, device)]

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
            drift=kept.drift,
        )

    async def open_anomalies(self, site: str, device: str) -> Sequence[AnomalyDetectedEvent]:
        """What is open for this machine, each as it stands."""
        return [record.latest for record in await self._anomalies.still_open(site, device)]

    async def rows_after(self, site: str, device: str, after: Position, limit: int) -> Sequence[Readings]:
        """The next stored readings in event-time order, up to the first behind a hole that may still be filled."""
        asked = site, device, Place(*after)
        boots = {*(await self._readings.rows_after(*asked, limit=limit)).boot}
        # Before the rows that are judged: what comes between the two questions is only more than it says.
        through = await self._readings.watermarks(site, device, boots)
        found = await self._readings.rows_after(*asked, limit=limit)
        asked_about = next((row for row, boot in enumerate(found.boot) if boot not in boots), len(found))
        boots_there, seqs = found.boot[:asked_about], found.seq[:asked_about]
        blocks = list(_blocks(found, self._holes.before_first(site, device, boots_there, seqs, through)))
        # Whoever reads a traced message from the store goes on with its trace.
        traced = await self._hops.traced({block.request_id for block in blocks if block.request_id is not None})
        return [msgspec.structs.replace(block, traced=block.request_id in traced) for block in blocks]

    async def keep(self, kept: Kept) -> Sequence[str]:
        """All in one transaction, what is said also to be published. Returns the ids of new refusals."""
        now_ms = int(self._clock_ms())
        new: list[str] = []

        async def beside(connection: AsyncConnection) -> None:
            await save_states(connection, kept.states)
            await save_hours(connection, kept.hours)
            await save_scores(connection, [ShadowScore(**msgspec.structs.asdict(tally)) for tally in kept.tallies])
            for drifted in kept.drifted:
                await self._drifts.add(connection, drifted, now_ms=now_ms)
            for refusal in kept.refusals:
                if await add_refusal(connection, refusal):
                    await self._refusals.add(connection, refusal, now_ms=now_ms)
                    new.append(refusal.id)

        states = [self._state(snapshot, now_ms) for snapshot in kept.snapshots]
        await self._anomalies.apply(kept.anomalies, states, now_ms=now_ms, beside=beside)
        return new

    def _state(self, snapshot: Snapshot, now_ms: int) -> DetectorState:
        return DetectorState(
            site=snapshot.site,
            device=snapshot.device,
            model_version=snapshot.model_version,
            boot=snapshot.position.boot,
            seq=snapshot.position.seq,
            measured_at_ms=snapshot.position.measured_at_ms,
            state=snapshot.state,
            drift=snapshot.drift,
            instance=self._instance,
            updated_at_ms=now_ms,
        )

    async def unpublished(self) -> Sequence[Published]:
        """Events that were kept and perhaps never published."""
        anomalies = await _waiting(self._anomalies.outbox, AnomalyDetectedEvent)
        drifts = await _waiting(self._drifts, InputDriftedEvent)
        return [*anomalies, *drifts, *await _waiting(self._refusals, ModelRefusedEvent)]

    async def published(self, ids: Sequence[str]) -> None:
        """The events with these ids reached the broker."""
        await self._anomalies.outbox.mark_published(ids, now_ms=int(self._clock_ms()))

    async def units(self, site: str, device: str) -> Mapping[str, str]:
        """Metric → unit, as registered."""
        return {metric.name: metric.unit for metric in await self._devices.metrics(site, device) or ()}


async def _waiting(outbox: Outbox, kind: type[E]) -> list[E]:
    return [event for message in await outbox.unpublished() for event in decode_events(kind, message.payload)]


def _blocks(rows: ReadingBlock, count: int) -> Iterator[Readings]:
    """The first `count`, as the chain would have sent them: in runs of one boot, flag, request and set of metrics."""

    def kind(row: int) -> tuple[object, ...]:
        there = tuple(column[row] is not None for column in rows.values)
        return rows.boot[row], rows.replayed[row], rows.request_id[row], there

    for (boot, replayed, request_id, there), run in groupby(range(count), key=kind):
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
