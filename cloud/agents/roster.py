"""Who is judged by which model, and what changes in that: champions, challengers, and those that are refused."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import tzinfo
from functools import partial

from cloud.agents.assets import Asset, Position
from cloud.agents.begun_anew import open_in
from cloud.agents.detection_ports import Memory, Models, Snapshot
from cloud.agents.inputs import input_watch
from cloud.agents.shadow import Shadow, Tally
from cloud.agents.uptake import Arrival, News, Slot, Uptake, about, news, slot_of
from contract.events import Event, ModelPromotedEvent, ModelRefusedEvent, ModelRole, Readings
from contract.identity import PARTITIONS
from detection.detector import Detector
from detection.errors import DetectionError
from detection.limits import Limit
from detection.machine import Machine
from detection.model import Model

log = logging.getLogger("ronda.agents.detection")

Key = tuple[str, str]

# A model is read in milliseconds: worth waiting for before the next batch, unless its keeper is slow.
PATIENCE_S = 0.25


class Roster:
    """The machines of the partitions `owned` (None: all), each with its model, and the machines that have none."""

    def __init__(
        self,
        models: Models,
        memory: Memory,
        clock_ms: Callable[[], float],
        elapsed_ms: Callable[[], float],
        zone: tzinfo,
        owned: Sequence[int] | None,
    ) -> None:
        self._memory = memory
        self._clock_ms = clock_ms
        self._zone = zone
        self._owned = frozenset(range(PARTITIONS) if owned is None else owned)
        self._uptake = Uptake(models, elapsed_ms)
        self._arrivals: list[Arrival] = []
        self._assets: dict[Key, Asset] = {}
        self._shadows: dict[Key, Shadow] = {}
        self._unjudged: dict[Key, Readings] = {}
        self._limits: Mapping[Key, Sequence[Limit]] = {}
        self._refusals: list[ModelRefusedEvent] = []
        self._tallies: list[Tally] = []

    def __iter__(self) -> Iterator[Asset]:
        return iter(list(self._assets.values()))

    def owns(self, event: Event) -> bool:
        """Is the machine that `event` is about one of ours?"""
        return event.partition in self._owned

    def asset(self, key: Key) -> Asset | None:
        """The machine, when it has a model."""
        return self._assets.get(key)

    def shadow(self, key: Key) -> Shadow | None:
        """The machine's challenger, when it has one."""
        return self._shadows.get(key)

    def unjudged(self, key: Key) -> Readings | None:
        """The last block of a machine without a model; None also while its model is on the way."""
        return None if self._uptake.is_wanted(Slot(*key)) else self._unjudged.get(key)

    def wait(self, block: Readings) -> None:
        """A machine without a model: stored meanwhile, and read from there once there is one."""
        self._unjudged[block.site, block.device] = block

    def limited_by(self, limits: Mapping[Key, Sequence[Limit]]) -> None:
        """The limits that people and standards set, of every machine that has any."""
        self._limits = limits
        for key, asset in self._assets.items():
            asset.machine.limited_by(limits.get(key, ()))

    def refusals(self) -> list[ModelRefusedEvent]:
        """The models that were refused since the last call."""
        found, self._refusals = self._refusals, []
        return found

    def tallies(self) -> list[Tally]:
        """The hours of challengers that ended since the last call."""
        found, self._tallies = self._tallies, []
        return found + [tally for shadow in self._shadows.values() for tally in shadow.finished()]

    async def stop(self) -> list[Tally]:
        """Let go of models on their way; the challengers' hours as far as they went."""
        await self._uptake.stop()
        for key in list(self._shadows):
            self._dismiss(key)
        return self.tallies()

    def announced(self, promotion: ModelPromotedEvent) -> None:
        """Have the model fetched, unless it is in use, was refused, or is older than what is in use."""
        if not self.owns(promotion):
            return
        slot = slot_of(promotion)
        if not promotion.artifact_uri:
            self._uptake.forget(slot)
            self._dismiss((promotion.site, promotion.device))
            return
        meaning = news(promotion, self._in_use(slot), refused=self._uptake.is_refused(promotion))
        if meaning is News.NEW:
            self._uptake.want(promotion)
        elif meaning is News.IN_USE:
            # Back to the one in use, before what was announced in between had come.
            self._uptake.forget(slot, before_ms=promotion.promoted_at_ms)
            self._confirm(promotion)

    def _in_use(self, slot: Slot) -> ModelPromotedEvent | None:
        holder = (self._assets if slot.role is ModelRole.CHAMPION else self._shadows).get((slot.site, slot.device))
        return None if holder is None else holder.promotion

    def _confirm(self, promotion: ModelPromotedEvent) -> None:
        asset = self._assets.get((promotion.site, promotion.device))
        if asset is not None and promotion.role is ModelRole.CHAMPION:
            asset.promotion = promotion

    async def take_up(self, patience_s: float) -> list[Asset]:
        """Put to use what has come; an arrival stays in line until the store has answered for it.

        Returns the machines that have another model now.
        """
        swapped: list[Asset] = []
        while True:
            self._arrivals += await self._uptake.arrived(patience_s)
            if not self._arrivals:
                return swapped
            while self._arrivals:
                swapped += await self._take(self._arrivals[0])
                del self._arrivals[0]
            # One that was refused may have an older one fetched in its place.
            patience_s = min(patience_s, PATIENCE_S)

    async def _take(self, arrival: Arrival) -> list[Asset]:
        promotion, slot = arrival.promotion, slot_of(arrival.promotion)
        swapped: list[Asset] = []
        if arrival.model is None:
            await self._fall_back(slot)
        elif news(promotion, self._in_use(slot), refused=False) is News.NEW:
            if slot.role is ModelRole.CHAMPION:
                swapped = [await self._swap(promotion, arrival.model)]
            else:
                self._challenge(promotion, arrival.model)
        # Said last, so that it is said once however often the store has to be asked.
        if arrival.outdated:
            log.warning("model.outdated", extra=about(promotion) | {"why": arrival.why})
        elif arrival.why:
            self._refuse(promotion, arrival.why)
        return swapped

    async def _fall_back(self, slot: Slot) -> None:
        """What cannot be used leaves the model in use in place, also the one of before a restart."""
        if slot.role is not ModelRole.CHAMPION or (slot.site, slot.device) in self._assets:
            return
        history = await self._memory.champions_before(slot.site, slot.device)
        before = [each for each in history if not self._uptake.is_refused(each)]
        for each in before[:1]:
            self._uptake.want(each)

    def _refuse(self, promotion: ModelPromotedEvent, why: str) -> None:
        asset = self._assets.get((promotion.site, promotion.device))
        refusal = ModelRefusedEvent(
            site=promotion.site,
            device=promotion.device,
            model=promotion.model,
            in_use=None if asset is None else asset.model,
            why=why,
            at_ms=int(self._clock_ms()),
        )
        self._refusals.append(refusal)
        log.error("model.refused", extra=about(promotion) | {"role": promotion.role, "why": why})

    def _challenge(self, promotion: ModelPromotedEvent, model: Model) -> None:
        key = promotion.site, promotion.device
        self._dismiss(key)
        self._shadows[key] = Shadow(promotion, Detector(model))
        log.info("challenger.loaded", extra=about(promotion))

    def _dismiss(self, key: Key) -> None:
        if (shadow := self._shadows.pop(key, None)) is not None:
            self._tallies += shadow.close()

    async def _swap(self, promotion: ModelPromotedEvent, model: Model) -> Asset:
        """Another model goes on where the last one stood, between two batches: nothing is skipped or judged twice."""
        key = promotion.site, promotion.device
        before = self._assets.get(key)
        asset = self._assets[key] = await self._asset(promotion, model)
        # Until the store was asked once, nobody knows what a machine that is new here has missed.
        asset.behind = Position(0) if before is None else before.behind
        if (missed := self._unjudged.pop(key, None)) is not None:
            asset.fall_behind(missed)
        if key in self._shadows and self._shadows[key].model == promotion.model:
            self._dismiss(key)
        log.info("model.loaded", extra=about(promotion) | {"position": list(asset.position)})
        return asset

    async def _asset(self, promotion: ModelPromotedEvent, model: Model) -> Asset:
        """The machine where it was left; the first model begins behind its own data, and an open anomaly stays open."""
        site, device = promotion.site, promotion.device
        left = self._left(site, device) or await self._memory.snapshot(site, device)
        begin = Position(promotion.trained_through_ms) if left is None else left.position
        same = left is not None and left.model_version == promotion.model.version
        inputs = input_watch(model, left.drift if left is not None and same else None)
        units = await self._memory.units(site, device)
        limits = self._limits.get((site, device), ())
        begun = partial(Machine.begun, model, device=device, units=units, tz=self._zone, limits=limits)
        try:
            machine = begun(state=None if left is None else left.state)
        except DetectionError:
            # Of an older version, or damaged: the window fills again within seconds.
            log.exception("state.refused", extra={"asset": f"{site}/{device}"})
            machine, left = begun(), None
        return Asset(promotion, machine, begin, inputs, open_in(machine, resumed=left is not None))

    def _left(self, site: str, device: str) -> Snapshot | None:
        asset = self._assets.get((site, device))
        return None if asset is None else snapshot_of(asset)


def snapshot_of(asset: Asset) -> Snapshot:
    """What a restart goes on from."""
    return Snapshot(
        site=asset.site,
        device=asset.device,
        model_version=asset.model.version,
        position=asset.position,
        state=asset.machine.state(),
        drift=asset.inputs.state(),
    )
