"""The embedded broker in numbers, read from its own counters whenever somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from broker.embedded.clients import is_service
from broker.embedded.counters import Counters, QueueDepth, Status

# Devices share one series: there may be thousands of them.
_DEVICES = "devices"


class BrokerCollector(Collector):
    """Turns the broker's status into metrics."""

    def __init__(self, status: Callable[[], Status]) -> None:
        self._status = status

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: the broker counts from its start on."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every counter and depth at this moment."""
        status = self._status()
        yield from _traffic(status.counters)
        yield from _connections(status.counters)
        yield from _queues(status.queues)
        yield GaugeMetricFamily("ronda_broker_retained_messages", "Messages kept for who comes later", status.retained)
        yield GaugeMetricFamily("ronda_broker_dead_letters", "Put aside in the log, ever", status.dead_letters)
        yield GaugeMetricFamily("ronda_broker_disk_scarce", "1 while queues are short for want of room", status.scarce)


def _traffic(counters: Counters) -> Iterator[Metric]:
    yield CounterMetricFamily("ronda_broker_messages_received", "Accepted from publishers", counters.received)
    yield CounterMetricFamily("ronda_broker_messages_delivered", "Sent to subscribers", counters.delivered)
    yield _by("ronda_broker_messages_refused", "Acknowledged and dropped, by the rule", counters.refused)
    dropped = {
        "slow_reader": counters.dropped_slow,
        "retained_limit": counters.dropped_retained,
        "queue_full": counters.refused_full,
        "disk_full": counters.disk_full,
    }
    yield _by("ronda_broker_messages_dropped", "Not taken or not kept, since a bound was reached", dropped)


def _connections(counters: Counters) -> Iterator[Metric]:
    yield CounterMetricFamily("ronda_broker_connections", "Connections that were opened", counters.connections)
    refused = {"credentials": counters.refused_connections, "malformed": counters.malformed_connections}
    yield _by("ronda_broker_connections_refused", "Connections that were turned away", refused)


def _by(name: str, text: str, counts: dict[str, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=["reason"])
    for reason, count in counts.items():
        family.add_metric([reason], count)
    return family


def _queues(queues: Iterable[QueueDepth]) -> Iterator[Metric]:
    """What waits for each service, and for all devices together."""
    messages = {_DEVICES: 0}
    octets = {_DEVICES: 0}
    sessions = 0
    for queue in queues:
        client = queue.user if is_service(queue.user) else _DEVICES
        messages[client] = messages.get(client, 0) + queue.messages
        octets[client] = octets.get(client, 0) + queue.octets
        sessions += 1
    for name, text, depths in (
        ("ronda_broker_queue_messages", "Waiting to be acknowledged", messages),
        ("ronda_broker_queue_bytes", "Their size", octets),
    ):
        family = GaugeMetricFamily(name, text, labels=["client"])
        for client, depth in depths.items():
            family.add_metric([client], depth)
        yield family
    yield GaugeMetricFamily("ronda_broker_sessions", "Sessions that are kept", sessions)
