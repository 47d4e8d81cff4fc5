"""Keeps every reading and refusal, and tells each device up to where it may forget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from cloud.agents.agent import Agent, Input
from cloud.agents.tracing import hops
from contract.events import Event, HopEvent, ReadingRejectedEvent, StoredEvent, ValidatedDataEvent, Watermark

Device = tuple[str, str]

# A device frees its ring in good time at one watermark a second; more would be traffic without a use.
WATERMARK_INTERVAL_MS = 1000


class Outcome(Protocol):
    """What a transaction did: positions reached, and readings that contradict what is stored."""

    @property
    def watermarks(self) -> Mapping[Device, Watermark]: ...
    @property
    def earlier(self) -> Mapping[Device, Sequence[Watermark]]: ...
    @property
    def conflicts(self) -> Sequence[ReadingRejectedEvent]: ...


class Store(Protocol):
    """Where readings, refusals and hops are kept."""

    async def store(self, validated: Sequence[ValidatedDataEvent], rejected: Sequence[ReadingRejectedEvent]) -> Outcome:
        """Keep all of it in one transaction; repeats change nothing."""


class Trail(Protocol):
    """Where the hops of traced messages are kept."""

    async def store(self, hops: Sequence[HopEvent]) -> None:
        """Keep these; repeats change nothing."""


class Historian(Agent):
    """Stores what was validated or refused; after the commit, and only then, the device may delete its copy."""

    name = "historian"
    # A transaction has a cost of its own, however little is in it; whoever sends one reading alone does not wait.
    rhythm_s = 0.05
    consumes = (ValidatedDataEvent, ReadingRejectedEvent, HopEvent)
    produces = (StoredEvent,)

    def __init__(self, store: Store, trail: Trail, clock_ms: Callable[[], float]) -> None:
        self._store = store
        self._trail = trail
        self._clock_ms = clock_ms
        # By boot: a device that restarted waits for the word about its earlier boots too.
        self._due: dict[Device, dict[str, Watermark]] = {}
        self._told_at_ms: dict[Device, float] = {}

    async def handle(self, batch: Sequence[Input]) -> Sequence[Event]:
        """Commit the batch, then announce the positions that are due."""
        validated = [event for event in batch if isinstance(event, ValidatedDataEvent)]
        rejected = [event for event in batch if isinstance(event, ReadingRejectedEvent)]
        passed = [event for event in batch if isinstance(event, HopEvent)]
        if passed:
            await self._trail.store(passed)
        if not validated and not rejected:
            return ()
        outcome = await self._store.store(validated, rejected)
        for device, current in outcome.watermarks.items():
            marks = self._due.setdefault(device, {})
            for mark in (*outcome.earlier.get(device, ()), current):
                # The latest boot last, since the last one said is the one retained.
                marks.pop(mark.boot, None)
                marks[mark.boot] = mark
        now_ms = self._clock_ms()
        return [*outcome.conflicts, *self._watermarks(now_ms), *hops(validated, self.name, "stored", now_ms)]

    async def tick(self) -> Sequence[Event]:
        """Announce what was held back because the device had been told less than a second before."""
        return self._watermarks(self._clock_ms())

    def _watermarks(self, now_ms: float) -> list[StoredEvent]:
        told: list[StoredEvent] = []
        for device in list(self._due):
            # A clock that was set back is no reason to be silent until it has caught up.
            if not 0 <= now_ms - self._told_at_ms.get(device, 0) < WATERMARK_INTERVAL_MS:
                self._told_at_ms[device] = now_ms
                site, name = device
                marks = self._due.pop(device).values()
                told += [StoredEvent(site=site, device=name, boot=mark.boot, through=mark.through) for mark in marks]
        return told
