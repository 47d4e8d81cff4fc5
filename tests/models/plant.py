"""A machine with a stored past, a real store and a real registry, and what trains and judges its models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from cloud.models.artifacts import Artifacts
from cloud.models.backtest import Policy
from cloud.models.championship import Championship
from cloud.models.jury import Jury
from cloud.models.registry import Registry
from cloud.models.training import Past, School
from cloud.models.trial import Backtester
from cloud.storage.anomalies import AnomalyStore
from cloud.storage.backtests import BacktestStore
from cloud.storage.database import Database
from cloud.storage.devices import DeviceStore
from cloud.storage.machine_states import save_states
from cloud.storage.model_versions import ModelVersion, ModelVersionStore
from cloud.storage.promotions import PromotionStore
from cloud.storage.readings import ReadingStore
from cloud.storage.verdicts import Judgement, Verdict, VerdictStore
from contract.events import AnomalyDetectedEvent, MachineStateEvent, ModelPromotedEvent, Phase, ValidatedDataEvent
from detection.rows import Floats
from ronda.training.force import CheckedArtifacts
from ronda.training.mirror import Mirror
from tests.support.anomalies import anomaly
from tests.support.machines import METRICS, START_MS

SITE = "plant-1"
NOW_MS = 1_763_900_000_000
MINUTE_MS = 60_000


class Plant:
    """Everything about one device's models; `heard` is what the bus was told."""

    def __init__(self, database: Database, registry: Registry, device: str, *, automatic: bool = True) -> None:
        self.device = device
        self.registry = registry
        self._database = database
        self.readings = ReadingStore(database)
        self.verdicts = VerdictStore(database)
        self.versions = ModelVersionStore(database)
        self.promotions = PromotionStore(database)
        self.backtests = BacktestStore(database)
        self.anomalies = AnomalyStore(database)
        self.devices = DeviceStore(database)
        self.heard: list[ModelPromotedEvent] = []
        self.now_ms = NOW_MS
        self.championship = Championship(
            self.promotions, self.versions, self.backtests, CheckedArtifacts(Artifacts()), self.hear, self.clock_ms
        )
        self.jury = Jury(
            Backtester(self.readings, self.verdicts),
            self.backtests,
            self.promotions,
            self.championship,
            Artifacts(),
            self.clock_ms,
            automatic=automatic,
            policy=Policy(),
        )
        self.school = School(
            self.readings, self.verdicts, self.versions, registry, code_version="test", clock_ms=self.clock_ms
        )
        self.mirror = Mirror(self.promotions, self.championship, registry)

    def clock_ms(self) -> float:
        self.now_ms += 1
        return self.now_ms

    async def hear(self, events: Sequence[ModelPromotedEvent]) -> None:
        self.heard += events

    async def store(self, values: Floats, first: int = 0) -> None:
        """Readings, one a second, from number `first` on."""
        await self.devices.ensure(SITE, self.device, "provisioned", now_ms=0)
        seqs = list(range(first, first + len(values)))
        block = ValidatedDataEvent(
            site=SITE,
            device=self.device,
            boot="9f2c41d07be3a655",
            received_at_ms=NOW_MS,
            metrics=METRICS,
            seq=seqs,
            measured_at_ms=[START_MS + 1000 * seq for seq in seqs],
            values=values.T.tolist(),
        )
        await self.readings.store([block], [])

    async def raised(self, since: int, cleared: int | None, **changes: Any) -> AnomalyDetectedEvent:
        """An alarm from second `since` to `cleared` was really raised."""
        since_ms = START_MS + since * 1000
        event = anomaly(
            device=self.device,
            anomaly_id=f"{self.device}-{since}",
            since_ms=since_ms,
            measured_at_ms=since_ms,
            **changes,
        )
        events = [event]
        if cleared is not None:
            measured_at_ms = START_MS + cleared * 1000
            events.append(msgspec.structs.replace(event, phase=Phase.CLEARED, measured_at_ms=measured_at_ms, seq=1))
        await self.anomalies.keep_past(events)
        return event

    async def said(self, state: MachineStateEvent) -> None:
        """This was the last word about how the machine is."""
        async with self._database.begin() as connection:
            await save_states(connection, [state])

    async def judged(self, event: AnomalyDetectedEvent, verdict: Judgement, cause: str | None = None) -> None:
        """A person said so."""
        await self.verdicts.give(
            Verdict(
                anomaly_id=event.anomaly_id, site=event.site, device=event.device, verdict=verdict, cause=cause,
                given_by="ana", given_at_ms=NOW_MS, model_version=event.model.version,
            )
        )  # fmt: skip

    async def first_model(self, rows: int = 900) -> ModelVersion:
        """Learned from the first rows, and in force."""
        candidate = await self.school.teach(SITE, self.device, Past(rows=rows, least=rows, oldest=True))
        _, promotion = await self.jury.settle(candidate)
        assert promotion is not None
        await self.mirror.move_alias(promotion)
        return candidate

    async def in_force(self) -> str | None:
        """The champion's version."""
        current = await self.promotions.current(SITE, self.device)
        return None if current is None else current.version
