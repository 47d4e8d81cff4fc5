"""Judges every machine by its own model and says when one leaves its normal state, with the evidence."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, tzinfo
from functools import partial
from typing import Protocol

import msgspec

from cloud.agents.agent import Agent, Input
from cloud.agents.assets import Asset, Position
from cloud.agents.evidence import anomaly_event
from cloud.agents.tracing import hops
from contract.errors import RondaError, TransientError
from contract.events import (
    AnomalyDetectedEvent,
    Event,
    HopEvent,
    ModelPromotedEvent,
    ModelRef,
    Readings,
    ValidatedDataEvent,
)
from contract.identity import PARTITIONS
from detection.detector import Detector
from detection.errors import DetectionError
from detection.model import Model

log = logging.getLogger("ronda.agents.detection")

# A crash re-reads from the store what was judged since; ten seconds of a plant are read in a moment.
KEEP_EVERY_MS = 10_000
# An announcement can be lost between the trainer and the bus; the store knows every champion.
LOOK_TICKS = 10
# Rows read at once while catching up: half an hour at 1 Hz.
CATCH_UP_ROWS = 2_000


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Where the detector of one machine stands: what a restart goes on from."""

    site: str
    device: str
    model_version: str
    position: Position
    state: bytes


class Models(Protocol):
    """Where models come from."""

    async def load(self, promotion: ModelPromotedEvent) -> Model:
        """The promoted model. Raises: RondaError when its bytes are not what was promoted."""


class Memory(Protocol):
    """The store, as the detector uses it."""

    async def champions(self) -> Sequence[ModelPromotedEvent]:
        """Every machine's model in force."""

    async def snapshot(self, site: str, device: str) -> Snapshot | None:
        """Where this machine's detector stood last."""

    async def rows_after(self, site: str, device: str, after: Position, limit: int) -> Sequence[Readings]:
        """At most `limit` stored readings later than `after`, in event-time order."""

    async def keep(self, snapshots: Sequence[Snapshot], events: Sequence[AnomalyDetectedEvent]) -> None:
        """Both in one transaction, the events also to be published; repeats change nothing."""

    async def unpublished(self) -> Sequence[AnomalyDetectedEvent]:
        """Events that were kept and perhaps never published, because the process died in between."""

    async def published(self, events: Sequence[AnomalyDetectedEvent]) -> None:
        """These reached the broker."""

    async def units(self, site: str, device: str) -> Mapping[str, str]:
        """Metric → unit, as registered."""


Key = tuple[str, str]


class AnomalyDetectionAgent(Agent):
    """Scores batches in event-time order; what it missed it reads from the store, so nothing is skipped or doubled."""

    name = "anomaly-detection"
    consumes = (ValidatedDataEvent, ModelPromotedEvent)
    produces = (AnomalyDetectedEvent,)

    def __init__(
        self,
        models: Models,
        memory: Memory,
        clock_ms: Callable[[], float],
        *,
        zone: tzinfo = UTC,
        partitions: Sequence[int] | None = None,
    ) -> None:
        self._zone = zone
        self._owned = frozenset(range(PARTITIONS) if partitions is None else partitions)
        self._models = models
        self._memory = memory
        self._clock_ms = clock_ms
        self._assets: dict[Key, Asset] = {}
        self._unjudged: dict[Key, Readings] = {}
        # Raised but not yet kept: they outlive a retry, whose rows the detectors have judged already.
        self._found: list[Event] = []
        self._outgoing: list[AnomalyDetectedEvent] = []
        self._refused: dict[Key, ModelRef] = {}
        self._ticks = 0

    async def start(self) -> Sequence[Event]:
        """Load every champion, and publish what a crash left between the commit and the broker."""
        await self._load_champions()
        left = await self._memory.unpublished()
        self._outgoing += left
        return [*left, *await self._settle()]

    async def handle(self, batch: Sequence[Input]) -> Sequence[Event]:
        """Take up new models, and judge the blocks of machines that have one."""
        for event in batch:
            if isinstance(event, ModelPromotedEvent):
                await self._promoted(event)
            elif isinstance(event, ValidatedDataEvent):
                await self._block(event)
        return await self._settle()

    async def tick(self) -> Sequence[Event]:
        """Catch up where something is missing, and keep what changed."""
        self._ticks += 1
        if self._ticks % LOOK_TICKS == 0:
            await self._load_champions()
        for asset in [asset for asset in self._assets.values() if asset.behind is not None]:
            await self._catch_up(asset)
        if self._outgoing:
            await self._memory.published(self._outgoing)
            self._outgoing = []
        return await self._settle()

    async def stop(self) -> None:
        """Keep every machine's state, so that the next start has nothing to read again."""
        await self._memory.keep([_snapshot(asset) for asset in self._assets.values() if asset.changed], [])

    async def _load_champions(self) -> None:
        for promotion in await self._memory.champions():
            await self._promoted(promotion)

    async def _promoted(self, promotion: ModelPromotedEvent) -> None:
        """Swap the model between two batches; a model that cannot be trusted leaves the old one in place."""
        key = (promotion.site, promotion.device)
        if promotion.partition not in self._owned or not self._is_news(promotion):
            return
        try:
            model = await self._models.load(promotion)
        except RondaError as error:
            if not isinstance(error, TransientError):
                self._refused[key] = promotion.model
            fields = {"asset": "/".join(key), "version": promotion.model.version, "why": str(error)}
            log.exception("model.refused", extra=fields)
            return
        asset = self._assets[key] = await self._asset(promotion, model)
        missed = self._unjudged.pop(key, None)
        if missed is not None:
            asset.fall_behind(missed)
        log.info("model.loaded", extra={"asset": "/".join(key), "version": promotion.model.version})
        await self._catch_up(asset)

    def _is_news(self, promotion: ModelPromotedEvent) -> bool:
        """Is this a later promotion than the one in use, and not one that was refused already?

        What the broker retained may be older than what the store said at the start.
        """
        key = (promotion.site, promotion.device)
        asset = self._assets.get(key)
        if self._refused.get(key) == promotion.model:
            return False
        return asset is None or (asset.model != promotion.model and promotion.promoted_at_ms >= asset.promoted_at_ms)

    async def _asset(self, promotion: ModelPromotedEvent, model: Model) -> Asset:
        """The machine where it was left; a new model begins behind its own data, and an open anomaly stays open."""
        site, device = promotion.site, promotion.device
        left = self._left(site, device) or await self._memory.snapshot(site, device)
        begin = Position(promotion.trained_through_ms)
        if left is not None:
            begin = left.position if left.model_version == promotion.model.version else max(begin, left.position)
        begun = partial(Detector, model, device=device, units=await self._memory.units(site, device), tz=self._zone)
        try:
            detector = begun(state=None if left is None else left.state)
        except DetectionError:
            # Of an older version, or damaged: the window fills again within seconds.
            log.exception("state.refused", extra={"asset": f"{site}/{device}"})
            detector = begun()
        return Asset(promotion, detector, begin)

    def _left(self, site: str, device: str) -> Snapshot | None:
        asset = self._assets.get((site, device))
        return None if asset is None else _snapshot(asset)

    async def _block(self, block: ValidatedDataEvent) -> None:
        asset = self._assets.get((block.site, block.device))
        if asset is None:
            # Stored meanwhile; read from there once there is a model.
            self._unjudged[block.site, block.device] = block
        elif asset.behind is not None or not asset.follows(block):
            asset.fall_behind(block)
            await self._catch_up(asset)
        else:
            self._judge(asset, block)

    async def _catch_up(self, asset: Asset) -> None:
        while True:
            blocks = await self._memory.rows_after(asset.site, asset.device, asset.position, CATCH_UP_ROWS)
            for block in blocks:
                self._judge(asset, block)
            if sum(map(len, blocks)) < CATCH_UP_ROWS:
                break
        asset.come_level()

    def _judge(self, asset: Asset, block: Readings) -> None:
        changes = asset.judge(block)
        now_ms = self._clock_ms()
        events = [anomaly_event(asset, block, change, int(now_ms)) for change in changes]
        self._found += [*events, *self._hops(asset, block, events, now_ms)]

    def _hops(
        self, asset: Asset, block: Readings, events: Sequence[AnomalyDetectedEvent], now_ms: float
    ) -> list[HopEvent]:
        scored = hops(
            [block],
            self.name,
            "scored",
            now_ms,
            {"last_score": round(asset.detector.score, 3), "model": asset.model.version},
        )
        return scored + [
            hop for event in events for hop in hops([block], self.name, event.phase, now_ms, {"score": event.score})
        ]

    async def _settle(self) -> list[Event]:
        """Keep events with the states that caused them in one transaction; a state without an event now and then."""
        now_ms = self._clock_ms()
        events = [event for event in self._found if isinstance(event, AnomalyDetectedEvent)]
        caused = {(event.site, event.device) for event in events}
        due = [
            asset
            for key, asset in self._assets.items()
            if asset.changed and (key in caused or now_ms - asset.kept_at_ms > KEEP_EVERY_MS)
        ]
        if due or events:
            await self._memory.keep([_snapshot(asset) for asset in due], events)
            for asset in due:
                asset.changed, asset.kept_at_ms = False, now_ms
        self._outgoing += events
        found, self._found = self._found, []
        return found


def _snapshot(asset: Asset) -> Snapshot:
    return Snapshot(
        site=asset.site,
        device=asset.device,
        model_version=asset.model.version,
        position=asset.position,
        state=asset.detector.state(),
    )
