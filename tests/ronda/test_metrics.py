"""The numbers for Prometheus: what is counted, under which name, and who may ask."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import httpx
import msgspec
import pytest
from prometheus_client import CollectorRegistry

from broker.embedded.counters import Counters, QueueDepth, Status
from cloud.agents.agent import RawTelemetry
from contract.events import ReadingRejectedEvent, SensorReadingIngestedEvent, ValidatedDataEvent
from ronda.guards import free_port
from ronda.installation import InstallationError
from ronda.metrics.agents import AgentMetrics, CountingStore, measured_at
from ronda.metrics.broker import BrokerCollector
from ronda.metrics.page import Metrics, metrics_served
from ronda.settings import Settings
from tests.support.anomalies import anomaly
from tests.support.readings import START_MS, block, rejected


class Numbers:
    """A registry with the instruments of an agent, and what it would show."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = AgentMetrics(self.registry)

    def __call__(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


@pytest.fixture
def numbers() -> Numbers:
    return Numbers()


def settings(**values: object) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[call-arg, arg-type]  # pydantic reads them


def test_readings_are_counted_one_by_one_and_their_age_once_a_block(numbers: Numbers) -> None:
    numbers.metrics.of("historian").handled([block([0, 1, 2])], [], 0.25, START_MS + 2_500)
    assert numbers("ronda_agent_readings_total", agent="historian") == 3
    assert numbers("ronda_agent_handle_seconds_sum", agent="historian") == 0.25
    assert numbers("ronda_reading_age_seconds_count", agent="historian") == 1
    assert numbers("ronda_reading_age_seconds_sum", agent="historian") == 0.5


def test_at_the_door_the_readings_are_those_that_come_out(numbers: Numbers) -> None:
    raw = RawTelemetry("ronda/v1/plant-1/pump-07/telemetry", b"{}", START_MS)
    out = msgspec.convert(msgspec.to_builtins(block([0, 1])), SensorReadingIngestedEvent)
    numbers.metrics.of("acquisition").handled([raw], [out], 0.001, START_MS + 1_000)
    assert numbers("ronda_agent_readings_total", agent="acquisition") == 2


def test_back_fill_has_no_age_and_a_clock_that_is_ahead_no_negative_one(numbers: Numbers) -> None:
    assert measured_at([block([0], replayed=True)]) == []
    numbers.metrics.of("historian").handled([block([60])], [], 0.1, START_MS)
    assert numbers("ronda_reading_age_seconds_sum", agent="historian") == 0


def test_the_age_at_notification_is_that_of_the_anomaly() -> None:
    event = anomaly()
    assert measured_at([event]) == [event.measured_at_ms]


def test_what_an_agent_holds_is_forgotten_when_it_ends(numbers: Numbers) -> None:
    watch = numbers.metrics.of("validation")
    watch.began()
    watch.took(5)
    watch.acknowledged(2)
    assert numbers("ronda_agent_unacknowledged_messages", agent="validation") == 3
    assert numbers("ronda_agent_up", agent="validation") == 1
    watch.ended()
    assert numbers("ronda_agent_unacknowledged_messages", agent="validation") == 0
    assert numbers("ronda_agent_up", agent="validation") == 0


def test_refusals_are_counted_by_reason_and_anomalies_by_severity(numbers: Numbers) -> None:
    refused, event = rejected(4), anomaly()
    numbers.metrics.of("validation").published([refused])
    numbers.metrics.of("anomaly-detection").published([event])
    assert numbers("ronda_readings_rejected_total", agent="validation", reason=str(refused.reason)) == 1
    assert numbers("ronda_anomalies_total", phase="raised", severity=str(event.severity)) == 1


def test_the_first_anomaly_and_the_first_failed_mail_are_rises(numbers: Numbers) -> None:
    assert numbers("ronda_anomalies_total", phase="raised", severity="critical") == 0
    assert numbers("ronda_notifications_total", channel="mail", delivery="failed") == 0


class Kept:
    """A store's answer: two were new, one came again."""

    watermarks, earlier, conflicts = {}, {}, []
    stored, repeats = 2, 1

    async def store(self, validated: Sequence[ValidatedDataEvent], rejected: Sequence[ReadingRejectedEvent]) -> Kept:
        return self


async def test_the_store_counts_what_is_new_apart_from_what_comes_again(numbers: Numbers) -> None:
    await CountingStore(Kept(), numbers.metrics).store([], [])
    assert numbers("ronda_readings_stored_total") == 2
    assert numbers("ronda_readings_repeated_total") == 1


def queue(user: str, messages: int) -> QueueDepth:
    return QueueDepth(client_id=f"ronda-{user}", user=user, connected=True, messages=messages, octets=10 * messages)


def test_the_brokers_services_have_a_queue_each_and_all_devices_one() -> None:
    depths = [queue("historian", 3), queue("plant-1/pump-07", 1), queue("plant-1/pump-08", 1)]
    counters = Counters(received=7, refused={"not_its_own": 2}, dropped_slow=1, disk_full=5)
    registry = CollectorRegistry()
    registry.register(BrokerCollector(lambda: Status(counters=counters, queues=depths, retained=4, dead_letters=1)))
    asked = registry.get_sample_value
    assert asked("ronda_broker_queue_messages", {"client": "historian"}) == 3
    assert asked("ronda_broker_queue_messages", {"client": "devices"}) == 2
    assert asked("ronda_broker_queue_bytes", {"client": "devices"}) == 20
    assert asked("ronda_broker_messages_received_total") == 7
    assert asked("ronda_broker_messages_refused_total", {"reason": "not_its_own"}) == 2
    assert asked("ronda_broker_messages_dropped_total", {"reason": "slow_reader"}) == 1
    assert asked("ronda_broker_messages_dropped_total", {"reason": "disk_full"}) == 5
    assert asked("ronda_broker_disk_scarce") == 0
    assert asked("ronda_broker_dead_letters") == 1


async def test_the_page_is_served_on_the_port_that_was_set_and_says_nothing_else(tmp_path: Path) -> None:
    chosen = settings(metrics_port=free_port("127.0.0.1"))
    address = f"http://127.0.0.1:{chosen.metrics_port}"
    async with metrics_served(chosen, Metrics(tmp_path).page), httpx.AsyncClient(base_url=address) as client:
        page = await client.get("/metrics")
        assert page.headers["content-type"].startswith("text/plain; version=")
        assert "ronda_build_info{" in page.text
        assert "ronda_disk_free_bytes " in page.text
        assert "_created" not in page.text
        assert (await client.get("/")).status_code == 404
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{address}/metrics", timeout=5)


async def test_without_a_port_nobody_listens(tmp_path: Path) -> None:
    async with metrics_served(settings(), Metrics(tmp_path).page):
        assert settings().metrics_port == 0


async def test_a_port_that_is_taken_is_said_in_one_line_with_its_setting(tmp_path: Path) -> None:
    chosen = settings(metrics_port=free_port("127.0.0.1"))
    page = Metrics(tmp_path).page
    async with metrics_served(chosen, page):
        with pytest.raises(InstallationError, match="METRICS_PORT"):
            async with metrics_served(chosen, page):
                pass
