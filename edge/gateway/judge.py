"""Judges here while the cloud is away, with the last models that were fetched; the cloud judges for itself later."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import msgspec

from broker.bus import Bus
from contract.codec import encode_events
from contract.events import AnomalyDetectedEvent
from detection.errors import DetectionError, ModelError
from detection.machine import Machine
from edge.gateway.alarm import alarm
from edge.gateway.rows import Counted
from edge.gateway.shelf import Kept, Shelf
from edge.gateway.status import LocalAlarm

log = logging.getLogger("ronda.edge.gateway")

# A broker that restarts is back sooner; a person at the machine should not wait longer.
AWAY_MS = 5_000
# Readings that wait to be judged: when a device pours out its ring, the latest ones matter.
_MOST_WAITING = 5_000
_MOST_REMEMBERED = 20

_decode_values = msgspec.json.Decoder(dict[str, float]).decode


class Judge:
    """Watches machines from the moment that the cloud is gone: what began before, the cloud has seen."""

    def __init__(self, shelf: Shelf, now_ms: Callable[[], int]) -> None:
        self._shelf, self._now_ms = shelf, now_ms
        self._away_since_ms: int | None = now_ms()
        self._machines: dict[str, tuple[Kept, Machine] | None] = {}
        self._waiting: deque[Counted] = deque(maxlen=_MOST_WAITING)
        self._unsaid: deque[AnomalyDetectedEvent] = deque(maxlen=_MOST_WAITING)
        self._changed, self._found = asyncio.Event(), asyncio.Event()
        self.alarms: deque[LocalAlarm] = deque(maxlen=_MOST_REMEMBERED)

    def cloud_is(self, *, there: bool) -> None:
        """Told again and again. When it is back, what was watched here is let go."""
        if there:
            self._away_since_ms = None
            self._machines.clear()
            self._waiting.clear()
        elif self._away_since_ms is None:
            self._away_since_ms = self._now_ms()

    @property
    def on_duty(self) -> bool:
        """Has the cloud been away for longer than a moment?"""
        if self._away_since_ms is None:
            return False
        # A clock that was set back would make the moment as long as it was set back.
        self._away_since_ms = min(self._away_since_ms, self._now_ms())
        return self._now_ms() - self._away_since_ms >= AWAY_MS

    def kept(self, readings: Sequence[Counted]) -> None:
        """Readings came in."""
        if self.on_duty and len(self._shelf):
            self._waiting.extend(reading for reading in readings if not reading.arrival.mark.whole)
            self._changed.set()

    async def run(self) -> None:
        """Judge beside the event loop, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            waiting, self._waiting = list(self._waiting), deque(maxlen=_MOST_WAITING)
            events = await asyncio.to_thread(self._judge, waiting)
            for event in events:
                self._unsaid.append(event)
                self.alarms.append(_remembered(event))
            if events:
                self._found.set()

    async def say(self, bus: Bus) -> None:
        """Publish what was found, until cancelled. Raises: TransientError; it is said on the next connection."""
        while True:
            while self._unsaid:
                await bus.publish(encode_events([self._unsaid[0]]))
                self._unsaid.popleft()
            self._found.clear()
            await self._found.wait()

    def _judge(self, waiting: Sequence[Counted]) -> list[AnomalyDetectedEvent]:
        in_order = sorted(waiting, key=lambda each: (each.arrival.device, each.arrival.measured_at_ms))
        return [
            event
            for device, readings in groupby(in_order, key=lambda each: each.arrival.device)
            if (watched := self._watched(device)) is not None
            for event in self._judged(*watched, list(readings))
        ]

    def _watched(self, device: str) -> tuple[Kept, Machine] | None:
        if device not in self._machines:
            kept = self._shelf.find(device)
            self._machines[device] = None if kept is None else (kept, Machine.begun(kept.model(), device=device))
        return self._machines[device]

    def _judged(self, kept: Kept, machine: Machine, readings: Sequence[Counted]) -> Iterator[AnomalyDetectedEvent]:
        valued = [(each, _decode_values(each.arrival.body)) for each in readings]
        for metrics, run in groupby(valued, key=lambda pair: tuple(pair[1])):
            rows = list(run)
            times = [each.arrival.measured_at_ms for each, _ in rows]
            columns = [[values[metric] for _, values in rows] for metric in metrics]
            try:
                changes = machine.process(times, columns, metrics)
            except (DetectionError, ModelError) as error:
                log.warning("reading.unjudged", extra={"device": kept.promotion.device, "why": str(error)})
                continue
            for change in changes:
                deciding = rows[change.row][0]
                yield alarm(kept.promotion, change, (deciding.boot, deciding.seq), times[change.row], self._now_ms())


def _remembered(event: AnomalyDetectedEvent) -> LocalAlarm:
    return LocalAlarm(
        device=event.device,
        anomaly_id=event.anomaly_id,
        phase=event.phase,
        severity=event.severity,
        measured_at_ms=event.measured_at_ms,
    )
