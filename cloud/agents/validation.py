"""Lets possible readings through and quarantines the rest, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from cloud.agents.agent import Agent, Input
from cloud.agents.tracing import hops
from contract.errors import Reason
from contract.events import Event, ReadingRejectedEvent, SensorReadingIngestedEvent, ValidatedDataEvent
from contract.identity import UNCOUNTED_BOOT
from contract.plausibility import Fault, Metric, fault, time_fault
from contract.telemetry import encode
from contract.topics import Channel, DeviceTopic

Limits = Mapping[str, Metric]

# A person widens a range because readings are refused: looked for when one is, at most once a second and device. One
# that is narrowed can wait a little; a thousand devices ask 17 times a second.
_ASKED_AGAIN_MS = 1000
_BELIEVED_MS = 60_000


class Devices(Protocol):
    """Who is registered, with which metrics."""

    async def metrics(self, site: str, device: str) -> Sequence[Metric] | None:
        """The registered metrics, or None when the device has none yet."""

    async def register_metrics(self, site: str, device: str, metrics: Sequence[Metric]) -> Sequence[Metric]:
        """Register these unless some are registered already; returns those in force."""


class ValidationAgent(Agent):
    """Asks of every reading whether it can be true; registers the metrics of a device's first one."""

    name = "validation"
    consumes = (SensorReadingIngestedEvent,)
    produces = (ValidatedDataEvent,)

    def __init__(self, devices: Devices, clock_ms: Callable[[], float]) -> None:
        self._devices = devices
        self._clock_ms = clock_ms
        self._limits: dict[tuple[str, str], tuple[int, Limits]] = {}

    async def handle(self, batch: Sequence[Input]) -> Sequence[Event]:
        """Split each block into what can be true and what cannot."""
        now_ms = int(self._clock_ms())
        out: list[Event] = []
        for block in batch:
            if isinstance(block, SensorReadingIngestedEvent):
                out.extend(await self._judged(block, now_ms))
        validated = [event for event in out if isinstance(event, ValidatedDataEvent)]
        return [*out, *hops(validated, self.name, "validated", self._clock_ms())]

    async def _judged(self, block: SensorReadingIngestedEvent, now_ms: int) -> list[Event]:
        limits = await self._limits_for(block, now_ms, _BELIEVED_MS)
        judged = validate(block, limits, now_ms)
        if any(isinstance(event, ReadingRejectedEvent) and event.reason is Reason.OUT_OF_RANGE for event in judged):
            newer = await self._limits_for(block, now_ms, _ASKED_AGAIN_MS)
            judged = judged if newer is limits else validate(block, newer, now_ms)
        return judged

    async def _limits_for(self, block: SensorReadingIngestedEvent, now_ms: int, believed_ms: int) -> Limits | None:
        """The device's limits; asked again when a metric is unknown, since it may have been registered meanwhile."""
        key = (block.site, block.device)
        asked_ms, limits = self._limits.get(key, (0, None))
        if limits is not None and limits.keys() >= set(block.metrics) and 0 <= now_ms - asked_ms < believed_ms:
            return limits
        metrics = await self._devices.metrics(*key)
        if metrics is None and any(time_fault(at, now_ms) is None for at in block.measured_at_ms):
            first = [Metric(name=name) for name in block.metrics]
            metrics = await self._devices.register_metrics(*key, first)
        if metrics is None:
            return None
        limits = {metric.name: metric for metric in metrics}
        self._limits[key] = now_ms, limits
        return limits


def validate(block: SensorReadingIngestedEvent, limits: Limits | None, now_ms: int) -> list[Event]:
    """The block's possible readings as one block, and a refusal for each of the others."""
    if _all_possible(block, limits, now_ms):
        return [_taken(block, range(len(block)))]
    faults = [fault(at, _row(block, row), limits, now_ms) for row, at in enumerate(block.measured_at_ms)]
    sound = [row for row, found in enumerate(faults) if found is None]
    refused = [_refusal(block, row, found) for row, found in enumerate(faults) if found is not None]
    return [_taken(block, sound), *refused] if sound else list(refused)


def _all_possible(block: SensorReadingIngestedEvent, limits: Limits | None, now_ms: int) -> bool:
    """The same answer as asking `fault` of each row, by the extremes of each column."""
    ends = min(block.measured_at_ms), max(block.measured_at_ms)
    low = _row(block, 0, min)
    high = _row(block, 0, max)
    return fault(ends[0], low, limits, now_ms) is None and fault(ends[1], high, limits, now_ms) is None


def _row(
    block: SensorReadingIngestedEvent, row: int, pick: Callable[[Sequence[float]], float] | None = None
) -> dict[str, float]:
    return {
        metric: column[row] if pick is None else pick(column)
        for metric, column in zip(block.metrics, block.values, strict=True)
    }


def _taken(block: SensorReadingIngestedEvent, rows: Sequence[int]) -> ValidatedDataEvent:
    whole = len(rows) == len(block)
    return ValidatedDataEvent(
        site=block.site,
        device=block.device,
        boot=block.boot,
        received_at_ms=block.received_at_ms,
        metrics=block.metrics,
        seq=block.seq if whole else [block.seq[row] for row in rows],
        measured_at_ms=block.measured_at_ms if whole else [block.measured_at_ms[row] for row in rows],
        values=block.values if whole else [[column[row] for row in rows] for column in block.values],
        replayed=block.replayed,
        traced=block.traced,
        request_id=block.request_id,
        oldest=block.oldest,
    )


def _refusal(block: SensorReadingIngestedEvent, row: int, found: Fault) -> ReadingRejectedEvent:
    counted = block.boot != UNCOUNTED_BOOT
    boot, seq = (block.boot, block.seq[row]) if counted else (None, None)
    return ReadingRejectedEvent(
        site=block.site,
        device=block.device,
        stage=ValidationAgent.name,
        reason=found.reason,
        detail=found.detail,
        topic=str(DeviceTopic(block.site, block.device, Channel.TELEMETRY)),
        payload=encode(boot, [(seq, block.measured_at_ms[row], _row(block, row))], correlation_id=block.request_id),
        received_at_ms=block.received_at_ms,
        boot=boot,
        seq=seq,
        correlation_id=block.correlation_id_of(row),
        traced=block.traced,
    )
