"""Judges every machine by its own model and says when one leaves its normal state, with the evidence."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, tzinfo

import msgspec

from cloud.agents.agent import Agent, Input
from cloud.agents.assets import Asset, not_again, only
from cloud.agents.begun_anew import closings
from cloud.agents.detection_ports import Kept, Memory, Models, Published
from cloud.agents.evidence import anomaly_event
from cloud.agents.fault_names import FaultNames
from cloud.agents.inputs import drift_event
from cloud.agents.machine_states import Herald, learning_state, state_of
from cloud.agents.roster import PATIENCE_S, Key, Roster, snapshot_of
from cloud.agents.shadow import Budget
from cloud.agents.tracing import hops
from contract.access import Party
from contract.events import (
    AlarmKind,
    AnomalyDetectedEvent,
    Event,
    HopEvent,
    InputDriftedEvent,
    MachineStateEvent,
    ModelPromotedEvent,
    ModelRefusedEvent,
    Readings,
    ValidatedDataEvent,
)
from contract.topics import AgentTopic, Channel, DeviceTopic

# A crash re-reads from the store what was judged since; ten seconds of a plant are read in a moment.
KEEP_EVERY_MS = 10_000
# An announcement can be lost between the trainer and the bus; the store knows every champion, limit and classifier.
LOOK_TICKS = 10
# Rows read at once while catching up: half an hour at 1 Hz.
CATCH_UP_ROWS = 2_000
# What a thousand machines need at the start; whose model comes later reads what it missed from the store.
PATIENCE_AT_START_S = 10.0


class AnomalyDetectionAgent(Agent):
    """Scores batches in event-time order; what it missed it reads from the store, so nothing is skipped or doubled.

    `elapsed_ms` is a clock that nobody sets, for how long ago something was; `clock_ms` is the time of day.
    """

    name = "anomaly-detection"
    # An alarm takes ten seconds of readings to decide; a hundredth of one is no loss.
    rhythm_s = 0.01
    consumes = (ValidatedDataEvent, ModelPromotedEvent)
    produces = (AnomalyDetectedEvent, MachineStateEvent, InputDriftedEvent, ModelRefusedEvent)

    @classmethod
    def party(cls) -> Party:
        """Also who is connected and whether somebody stores, for the watch beside it that tells who falls silent."""
        heard = [DeviceTopic.filter(Channel.STATUS), AgentTopic.filter("historian")]
        return msgspec.structs.replace(super().party(), reads=[*cls.filters(), *heard])

    def __init__(
        self,
        models: Models,
        memory: Memory,
        clock_ms: Callable[[], float],
        elapsed_ms: Callable[[], float],
        *,
        zone: tzinfo = UTC,
        partitions: Sequence[int] | None = None,
        budget: Budget | None = None,
    ) -> None:
        self._memory = memory
        self._clock_ms = clock_ms
        self._elapsed_ms = elapsed_ms
        self._roster = Roster(models, memory, clock_ms, elapsed_ms, zone, partitions)
        self._faults = FaultNames(models)
        self._budget = budget or Budget()
        self._herald = Herald(elapsed_ms)
        # Machines that said something since it was last asked how they are.
        self._moved: set[Key] = set()
        # Found but not yet kept: it outlives a retry, whose rows the detectors have judged already.
        self._found = Kept()
        self._passed: list[HopEvent] = []
        self._outgoing: list[str] = []
        self._ticks = 0

    async def start(self) -> Sequence[Event]:
        """Load every champion, and publish what a crash left between the commit and the broker."""
        await self._look()
        await self._take_up(PATIENCE_AT_START_S)
        await self._faults.settled(PATIENCE_S)
        left = await self._memory.unpublished()
        self._outgoing += [event.id for event in left]
        return [*left, *await self._settle()]

    async def handle(self, batch: Sequence[Input]) -> Sequence[Event]:
        """Take up new models, then judge the blocks of machines that have one."""
        announced = [event for event in batch if isinstance(event, ModelPromotedEvent)]
        for promotion in announced:
            self._roster.announced(promotion)
        await self._take_up(PATIENCE_S if announced else 0.0)
        self._budget.renew()
        for event in batch:
            if isinstance(event, ValidatedDataEvent):
                await self._block(event)
        return await self._settle()

    async def tick(self) -> Sequence[Event]:
        """Catch up where something is missing, say how machines are, and keep what changed."""
        self._ticks += 1
        if self._ticks % LOOK_TICKS == 0:
            await self._look()
        await self._take_up(0.0)
        for asset in self._roster:
            if asset.behind is not None:
                await self._catch_up(asset)
        self._tell()
        if self._outgoing:
            await self._memory.published(self._outgoing)
            self._outgoing = []
        left = await self._refusals_left() if self._ticks % LOOK_TICKS == 0 else []
        return [*left, *await self._settle()]

    async def stop(self) -> None:
        """Keep every machine's state, so that the next start has nothing to read again."""
        self._faults.stop()
        self._found.tallies += await self._roster.stop()
        self._found.snapshots = [snapshot_of(asset) for asset in self._roster if asset.changed]
        await self._memory.keep(self._found)

    async def _refusals_left(self) -> list[ModelRefusedEvent]:
        """Refusals that were committed though the answer never came: the second try finds that they are not new."""
        left = [event for event in await self._memory.unpublished() if isinstance(event, ModelRefusedEvent)]
        mine = [event for event in left if self._roster.owns(event)]
        self._outgoing += [event.id for event in mine]
        return mine

    async def _look(self) -> None:
        self._faults.look(await self._memory.classifiers())
        self._roster.limited_by(await self._memory.limits())
        for promotion in [*await self._memory.champions(), *await self._memory.challengers()]:
            self._roster.announced(promotion)

    async def _take_up(self, patience_s: float) -> None:
        for asset in await self._roster.take_up(patience_s):
            self._moved.add((asset.site, asset.device))
        # Not only of those: the store may have been away when it was to be asked about another.
        for asset in self._roster:
            if asset.carried is not None:
                await self._close_what_was_not_carried_over(asset, asset.carried)
                if asset.behind is not None:
                    await self._catch_up(asset)

    async def _close_what_was_not_carried_over(self, asset: Asset, carried: Collection[AlarmKind]) -> None:
        """An alarm that no watch goes on with would stay open for ever."""
        stored = await self._memory.open_anomalies(asset.site, asset.device)
        # What was found since is not kept while the store is away, and counts all the same.
        since = [event for event in self._found.anomalies if (event.site, event.device) == (asset.site, asset.device)]
        self._found.anomalies += closings([*stored, *since], carried, asset, int(self._clock_ms()))
        asset.carried = None

    async def _block(self, block: ValidatedDataEvent) -> None:
        key = block.site, block.device
        asset = self._roster.asset(key)
        if asset is None:
            self._roster.wait(block)
            self._moved.add(key)
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
        rows = not_again(block, asset.position)
        if not rows:
            return
        if rows != list(range(len(block))):
            block = only(block, rows)
        judged = asset.judge(block)
        now_ms = self._clock_ms()
        named = self._faults.of(asset.site)
        events = [
            anomaly_event(asset, block, change, int(now_ms), classifier=named.classifier, classifier_name=named.name)
            for change in judged.changes
        ]
        self._found.anomalies += events
        for hour in judged.hours:
            said = drift_event(asset, hour)
            self._found.hours.append(said)
            self._found.drifted += [said] if hour.raised else []
        self._passed += self._hops(asset, block, events, now_ms)
        key = asset.site, asset.device
        self._moved.add(key)
        if (shadow := self._roster.shadow(key)) is not None:
            budget = self._budget if asset.behind is None else None
            shadow.judge(block, asset.model, asset.machine.scores, budget)

    def _tell(self) -> None:
        """How the machines are that said something, where it is news."""
        now_ms = int(self._clock_ms())
        for key in list(self._moved):
            state = self._state(key, now_ms)
            if state is None:
                continue
            if self._herald.is_news(state):
                self._found.states.append(state)
            if not self._herald.is_waiting(state):
                self._moved.discard(key)

    def _state(self, key: Key, now_ms: int) -> MachineStateEvent | None:
        """How this machine is; None while its model is on the way."""
        if (asset := self._roster.asset(key)) is not None:
            return state_of(asset, now_ms)
        block = self._roster.unjudged(key)
        return None if block is None else learning_state(block, now_ms)

    def _hops(
        self, asset: Asset, block: Readings, events: Sequence[AnomalyDetectedEvent], now_ms: float
    ) -> list[HopEvent]:
        score = round(asset.machine.score, 3)
        scored = hops([block], self.name, "scored", now_ms, {"last_score": score, "model": asset.model.version})
        return scored + [
            hop for event in events for hop in hops([block], self.name, event.phase, now_ms, {"score": event.score})
        ]

    async def _settle(self) -> list[Event]:
        """Keep events with the states that caused them in one transaction; a state without an event now and then."""
        now_ms, found = self._elapsed_ms(), self._found
        caused = {(event.site, event.device) for event in (*found.anomalies, *found.hours)}
        due = [
            asset
            for asset in self._roster
            if asset.changed and ((asset.site, asset.device) in caused or now_ms - asset.kept_at_ms > KEEP_EVERY_MS)
        ]
        found.refusals += self._roster.refusals()
        found.tallies += self._roster.tallies()
        found.snapshots = [snapshot_of(asset) for asset in due]
        new = await self._memory.keep(found) if found.anything else ()
        for asset in due:
            asset.changed, asset.kept_at_ms = False, now_ms
        refusals = [refusal for refusal in found.refusals if refusal.id in new]
        kept: list[Published] = [*found.anomalies, *found.drifted, *refusals]
        self._outgoing += [event.id for event in kept]
        out: list[Event] = [*kept, *found.states, *self._passed]
        self._found, self._passed = Kept(), []
        return out
