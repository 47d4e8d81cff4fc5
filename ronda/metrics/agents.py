"""The agents' work in numbers: throughput, time spent, age of the readings, and what came of them.

Names follow Prometheus: prefix `ronda_`, base units. No device is a label: a fleet would make a time series of each.
"""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Sequence
from itertools import product
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from cloud.agents.agent import Input
from cloud.agents.historian import Outcome, Store
from cloud.agents.watch import Watch
from cloud.notifications.email import Email
from cloud.notifications.webhook import Webhook
from contract.events import (
    AnomalyDetectedEvent,
    Delivery,
    Event,
    NotificationSentEvent,
    Phase,
    ReadingRejectedEvent,
    Readings,
    Severity,
    ValidatedDataEvent,
)

# One small batch takes under a millisecond; a mail server that asks to come again, minutes.
_HANDLE_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
# From the chain at rest (some 10 ms) over a restarted agent (seconds) to a device that was cut off for a shift.
_AGE_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 28800.0)


_COUNTED_ONE_BY_ONE = frozenset({ReadingRejectedEvent, AnomalyDetectedEvent, NotificationSentEvent})


class AgentMetrics:
    """The instruments of all agents of this process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str) -> Gauge:
            return Gauge(name, text, ["agent"], registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        self.up = gauge("ronda_agent_up", "1 while the agent is at work")
        self.heartbeat = gauge("ronda_agent_heartbeat_timestamp_seconds", "When the agent was last between two batches")
        self.unacknowledged = gauge("ronda_agent_unacknowledged_messages", "Received and not yet done with")
        self.messages = counter("ronda_agent_messages_total", "Messages done with", "agent")
        self.readings = counter("ronda_agent_readings_total", "Readings done with, repeats included", "agent")
        self.events = counter("ronda_agent_events_total", "Events published", "agent", "event")
        self.handle = Histogram(
            "ronda_agent_handle_seconds", "Time to handle one batch", ["agent"], buckets=_HANDLE_S, registry=registry
        )
        self.age = Histogram(
            "ronda_reading_age_seconds",
            "From the measurement to the end of an agent's work on it; of each block the last one, back-fill left out",
            ["agent"],
            buckets=_AGE_S,
            registry=registry,
        )
        self.rejected = counter("ronda_readings_rejected_total", "Put into quarantine", "agent", "reason")
        self.anomalies = counter("ronda_anomalies_total", "Anomalies by what became of them", "phase", "severity")
        self.notifications = counter("ronda_notifications_total", "What people were told", "channel", "delivery")
        # From zero on, so that the first one is a rise.
        for phase, severity in product(Phase, Severity):
            self.anomalies.labels(phase, severity)
        for channel, delivery in product((Email.name, Webhook.name), Delivery):
            self.notifications.labels(channel, delivery)
        self.stored = counter("ronda_readings_stored_total", "Readings that the store did not have before")
        self.repeats = counter("ronda_readings_repeated_total", "Readings that came again and changed nothing")

    def of(self, agent: str) -> Watch:
        """What the runner of the agent called `agent` tells its work to."""
        return _Watch(self, agent)


class _Watch(Watch):
    """One agent's share of the instruments."""

    def __init__(self, metrics: AgentMetrics, agent: str) -> None:
        self._metrics, self._agent = metrics, agent
        self._up, self._heartbeat = metrics.up.labels(agent), metrics.heartbeat.labels(agent)
        self._unacknowledged, self._messages = metrics.unacknowledged.labels(agent), metrics.messages.labels(agent)
        self._readings = metrics.readings.labels(agent)
        self._handle, self._age = metrics.handle.labels(agent), metrics.age.labels(agent)

    def began(self) -> None:
        self._up.set(1)
        self._heartbeat.set_to_current_time()

    def took(self, messages: int) -> None:
        self._unacknowledged.inc(messages)

    def handled(self, inputs: Sequence[Input], outputs: Sequence[Event], seconds: float, now_ms: float) -> None:
        self._handle.observe(seconds)
        # At the door readings come as bytes: there they are first seen in what comes out.
        blocks = _blocks(inputs) or _blocks(outputs)
        self._readings.inc(sum(map(len, blocks)))
        for at_ms in measured_at(inputs) or measured_at(outputs):
            # A device whose clock is ahead measures in the future.
            self._age.observe(max(0.0, now_ms - at_ms) / 1000)

    def published(self, events: Sequence[Event]) -> None:
        # By kind first: most are readings, of which there may be thousands a second.
        for kind, count in Counts(map(type, events)).items():
            self._metrics.events.labels(self._agent, kind.__name__).inc(count)
            if kind in _COUNTED_ONE_BY_ONE:
                self._one_by_one([event for event in events if type(event) is kind])

    def _one_by_one(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, ReadingRejectedEvent):
                self._metrics.rejected.labels(self._agent, event.reason).inc()
            elif isinstance(event, AnomalyDetectedEvent):
                self._metrics.anomalies.labels(event.phase, event.severity).inc()
            elif isinstance(event, NotificationSentEvent):
                self._metrics.notifications.labels(event.channel, event.delivery).inc()

    def acknowledged(self, messages: int) -> None:
        self._unacknowledged.dec(messages)
        self._messages.inc(messages)

    def ended(self) -> None:
        self._up.set(0)
        self._unacknowledged.set(0)


def _blocks(items: Sequence[Input]) -> list[Readings]:
    return [item for item in items if isinstance(item, Readings)]


def measured_at(items: Sequence[Input]) -> list[int]:
    """When what is live among `items` was measured (UTC epoch ms): of a block its last reading, of an anomaly its own.

    What is replayed says nothing about how long the chain takes.
    """
    live = [item for item in items if isinstance(item, Readings | AnomalyDetectedEvent) and not item.replayed]
    return [item.measured_at_ms[-1] if isinstance(item, Readings) else item.measured_at_ms for item in live]


class _Counted(Outcome, Protocol):
    """What a transaction did, with how much of it was new."""

    @property
    def stored(self) -> int: ...
    @property
    def repeats(self) -> int: ...


class _CountedStore(Protocol):
    async def store(
        self, validated: Sequence[ValidatedDataEvent], rejected: Sequence[ReadingRejectedEvent]
    ) -> _Counted: ...


class CountingStore(Store):
    """The Historian's store, with each commit counted."""

    def __init__(self, store: _CountedStore, metrics: AgentMetrics) -> None:
        self._store, self._metrics = store, metrics

    async def store(self, validated: Sequence[ValidatedDataEvent], rejected: Sequence[ReadingRejectedEvent]) -> Outcome:
        """Keep all of it in one transaction, and count what was new."""
        outcome = await self._store.store(validated, rejected)
        self._metrics.stored.inc(outcome.stored)
        self._metrics.repeats.inc(outcome.repeats)
        return outcome
