"""A detection agent with surroundings that remember: models, a store, a clock that stands still."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import numpy as np

from cloud.agents.anomaly_detection import AnomalyDetectionAgent
from cloud.agents.assets import Position
from cloud.agents.detection_ports import EarlierFormatError, Kept, Published, Snapshot
from cloud.agents.fault_names import ClassifierRef
from cloud.agents.shadow import Budget, Tally
from contract.errors import RondaError, TransientError
from contract.events import (
    AnomalyDetectedEvent,
    Event,
    InputDriftedEvent,
    MachineStateEvent,
    ModelPromotedEvent,
    ModelRef,
    ModelRefusedEvent,
    ModelRole,
    Phase,
    Readings,
    ValidatedDataEvent,
)
from detection.classifier import Classifier
from detection.fit import fit
from detection.limits import Limit
from detection.model import Model
from tests.support.machines import METRICS, START_MS, UNITS, healthy, times

LEARNED = 900
BOOT = "9f2c41d07be3a655"
SITE, DEVICE = "plant-1", "pump-07"
MODEL = fit(healthy(LEARNED), times(LEARNED), METRICS).model


def rows(count: int, *, sick_from: int | None = None, seed: int = 2) -> np.ndarray:
    """Healthy rows (count, 4), the vibration tripled from `sick_from` on."""
    values = healthy(count, seed)
    if sick_from is not None:
        values[sick_from:, 0] *= 3
    return values


def block(
    values: np.ndarray, first_seq: int = 0, *, traced: bool = False, replayed: bool = False
) -> ValidatedDataEvent:
    seq = list(range(first_seq, first_seq + len(values)))
    return ValidatedDataEvent(
        site=SITE,
        device=DEVICE,
        boot=BOOT,
        received_at_ms=START_MS,
        metrics=METRICS,
        seq=seq,
        measured_at_ms=[START_MS + (LEARNED + number) * 1000 for number in seq],
        values=values.T.tolist(),
        traced=traced,
        replayed=replayed,
    )


def promotion(
    version: str = "1",
    promoted_at_ms: int = START_MS,
    *,
    trained_through_ms: int = START_MS + (LEARNED - 1) * 1000,
    role: ModelRole = ModelRole.CHAMPION,
    artifact_uri: str = "memory:",
) -> ModelPromotedEvent:
    return ModelPromotedEvent(
        site=SITE,
        device=DEVICE,
        model=ModelRef(name="ronda.plant-1.pump-07", version=version, run_id="r", sha256="s"),
        artifact_uri=artifact_uri,
        data_hash="d",
        trained_through_ms=trained_through_ms,
        promoted_at_ms=promoted_at_ms,
        role=role,
    )


class Files:
    """One healthy model under every address, unless a version is tampered with, away, or slow to come."""

    def __init__(self) -> None:
        self.models: dict[str, Model] = {}
        self.tampered: set[str] = set()
        self.outdated: set[str] = set()
        self.copies: dict[str, Model] = {}
        self.away: set[str] = set()
        self.slow: dict[str, asyncio.Event] = {}
        self.asked: list[str] = []
        self.classifier = Classifier(channels=METRICS, signatures=[])

    async def load(self, promotion: ModelPromotedEvent) -> Model:
        version = promotion.model.version
        self.asked.append(version)
        if version in self.slow:
            await self.slow[version].wait()
        if version in self.away:
            raise TransientError("the registry is away")
        if version in self.tampered:
            raise RondaError("the model was changed after its promotion")
        if version in self.outdated:
            raise EarlierFormatError("the model has format 1, this program reads 2")
        return self.models.get(version, MODEL)

    async def own_copy(self, promotion: ModelPromotedEvent) -> Model | None:
        return self.copies.get(promotion.model.version)

    async def load_classifier(self, ref: ClassifierRef) -> Classifier:
        self.asked.append(f"faults {ref.version}")
        if ref.version in self.away:
            raise TransientError("the registry is away")
        if ref.version in self.tampered:
            raise RondaError("the classifier was changed after its promotion")
        return self.classifier


class Store:
    """Remembers what was kept, and hands out what was stored."""

    def __init__(self) -> None:
        self.stored: list[ValidatedDataEvent] = []
        self.snapshots: dict[tuple[str, str], Snapshot] = {}
        self.events: dict[str, AnomalyDetectedEvent] = {}
        self.promoted: list[ModelPromotedEvent] = []
        self.challenging: list[ModelPromotedEvent] = []
        self.history: list[ModelPromotedEvent] = []
        self.states: list[MachineStateEvent] = []
        self.hours: list[InputDriftedEvent] = []
        self.tallies: list[Tally] = []
        self.refusals: dict[str, ModelRefusedEvent] = {}
        self.limited: dict[tuple[str, str], list[Limit]] = {}
        self.named: list[ClassifierRef] = []
        self.away = 0
        # Commits that succeed, and whose answer never comes.
        self.unanswered = 0
        self.units_away = 0
        self.anomalies_away = 0
        self.waiting: list[Published] = []

    async def champions(self) -> Sequence[ModelPromotedEvent]:
        return self.promoted

    async def snapshot(self, site: str, device: str) -> Snapshot | None:
        return self.snapshots.get((site, device))

    async def open_anomalies(self, site: str, device: str) -> Sequence[AnomalyDetectedEvent]:
        if self.anomalies_away:
            self.anomalies_away -= 1
            raise TransientError("the database is away")
        latest = {event.anomaly_id: event for event in self.events.values()}
        mine = [event for event in latest.values() if (event.site, event.device) == (site, device)]
        return [event for event in mine if event.phase is not Phase.CLEARED]

    async def rows_after(self, site: str, device: str, after: Position, limit: int) -> Sequence[Readings]:
        return [each for each in self.stored if Position(each.measured_at_ms[0], each.boot, each.seq[0]) > after]

    async def champions_before(self, site: str, device: str) -> Sequence[ModelPromotedEvent]:
        return sorted(self.history, key=lambda each: -each.promoted_at_ms)

    async def keep(self, kept: Kept) -> Sequence[str]:
        if self.away:
            self.away -= 1
            raise TransientError("the database is away")
        self.snapshots |= {(each.site, each.device): each for each in kept.snapshots}
        self.events |= {event.id: event for event in kept.anomalies}
        self.states += kept.states
        self.hours += kept.hours
        self.tallies += kept.tallies
        new = [refusal.id for refusal in kept.refusals if refusal.id not in self.refusals]
        self.refusals |= {refusal.id: refusal for refusal in kept.refusals}
        if self.unanswered:
            self.unanswered -= 1
            self.waiting = [*self.waiting, *kept.refusals]
            raise TransientError("the database went away with the answer")
        return new

    async def unpublished(self) -> Sequence[Published]:
        return self.waiting

    async def published(self, ids: Sequence[str]) -> None:
        self.waiting = [event for event in self.waiting if event.id not in ids]

    async def challengers(self) -> Sequence[ModelPromotedEvent]:
        return self.challenging

    async def limits(self) -> Mapping[tuple[str, str], Sequence[Limit]]:
        return self.limited

    async def classifiers(self) -> Sequence[ClassifierRef]:
        return self.named

    async def units(self, site: str, device: str) -> Mapping[str, str]:
        if self.units_away:
            self.units_away -= 1
            raise TransientError("the database is away")
        return UNITS


class Clock:
    """Stands still until told; somebody may set it."""

    def __init__(self) -> None:
        self.now = float(START_MS)
        self._set_by = 0.0

    def __call__(self) -> float:
        return self.now

    def set_by(self, ms: float) -> None:
        """It jumps, and no time passes."""
        self.now += ms
        self._set_by += ms

    def elapsed(self) -> float:
        """What nobody can set."""
        return self.now - self._set_by - START_MS


class Bench:
    """An agent with its remembering surroundings."""

    def __init__(self) -> None:
        self.files, self.store, self.clock = Files(), Store(), Clock()
        self.agent = self.restarted()

    def restarted(self, budget: Budget | None = None) -> AnomalyDetectionAgent:
        self.agent = AnomalyDetectionAgent(self.files, self.store, self.clock, self.clock.elapsed, budget=budget)
        return self.agent


def anomalies(events: Sequence[Event]) -> list[AnomalyDetectedEvent]:
    return [event for event in events if isinstance(event, AnomalyDetectedEvent)]
