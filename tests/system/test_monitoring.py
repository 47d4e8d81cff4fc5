"""A real Prometheus asks a real `ronda up`: every panel of the dashboard has something to show, and it is true."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.grafana import queries
from tests.support.installation import Ronda, until
from tests.support.prometheus import RATE, Prometheus
from tests.system.test_golden_path import mail_about, simulate

# A rate needs two scrapes, and a rejected message the second of its agent's next batch.
_DATA_WITHIN_S = 40.0


@pytest.fixture(scope="module")
def prometheus(ronda: Ronda, metrics_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """It watches while a machine is simulated and a device speaks nonsense."""
    hub, api = f"127.0.0.1:{metrics_port}", f"127.0.0.1:{ronda.http_port}"
    folder: Path = tmp_path_factory.mktemp("prometheus")
    with Prometheus(folder, {"ronda-api": [api], "ronda-agents": [hub]}) as server:
        until(lambda: server.query('up{job="ronda-agents"} == 1') or None, "the first scrape")
        speak_nonsense(ronda)
        mail_about(ronda, simulate(ronda)["correlation_id"])
        yield server


def speak_nonsense(ronda: Ronda) -> None:
    added = json.loads(ronda.run("device", "add", "plant-1/mumbler", "--json", "--data", str(ronda.data)))
    subprocess.run(
        ["mosquitto_pub", "-p", str(ronda.mqtt_port), "-u", added["username"], "-P", added["password"],
         "-q", "1", "-t", "ronda/v1/plant-1/mumbler/telemetry", "-m", "{not json"],
        check=True, timeout=30,
    )  # fmt: skip


def exposition(metrics_port: int) -> str:
    answer = httpx.get(f"http://127.0.0.1:{metrics_port}/metrics", timeout=10)
    assert answer.status_code == 200
    return answer.text


def number(page: str, series: str) -> float:
    """The value of one series of a page."""
    return next(float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith(f"{series} "))


@pytest.mark.parametrize(("panel", "expression"), queries(), ids=[name for name, _ in queries()])
def test_every_query_of_the_dashboard_has_an_answer(prometheus: Prometheus, panel: str, expression: str) -> None:
    asked = expression.replace("$__rate_interval", RATE).replace("$__range", "5m")

    def numbers() -> list[dict[str, Any]] | None:
        answer = prometheus.query(asked)
        return answer if any(sample["value"][1] != "NaN" for sample in answer) else None

    assert until(numbers, f"{panel}: {asked}", _DATA_WITHIN_S)


def test_what_happened_is_counted(prometheus: Prometheus) -> None:
    for happened in (
        'sum(ronda_anomalies_total{phase="raised"}) >= 1',
        'sum(ronda_notifications_total{channel="mail", delivery="delivered"}) >= 1',
        'sum(ronda_readings_rejected_total{agent="acquisition", reason="malformed_json"}) >= 1',
        'sum(ronda_reading_age_seconds_count{agent="anomaly-detection"}) >= 1',
        'sum(ronda_broker_messages_received_total{job="ronda-agents"}) >= 1',
    ):
        until(lambda asked=happened: prometheus.query(asked) or None, happened, _DATA_WITHIN_S)


def test_all_parts_are_up_and_nobody_is_woken(prometheus: Prometheus) -> None:
    assert {job["metric"]["job"] for job in prometheus.query("up == 1")} == {"ronda-api", "ronda-agents", "prometheus"}
    assert len(prometheus.query("ronda_agent_up == 1")) == 5
    assert prometheus.query('ALERTS{alertstate="firing"}') == []


def test_the_counter_of_stored_readings_agrees_with_the_store(ronda: Ronda, metrics_port: int) -> None:
    def rows() -> int:
        return int(ronda.sql("SELECT count(*) FROM readings")[0][0])

    # A commit is counted a moment after it can be seen.
    def agrees() -> bool | None:
        before = rows()
        counted = number(exposition(metrics_port), "ronda_readings_stored_total")
        return True if before <= counted <= rows() else None

    until(agrees, "as many counted as stored")


def test_no_device_is_a_label(metrics_port: int) -> None:
    page = exposition(metrics_port)
    assert [name for name in ("plant-1", "pump-01", "demo-1", "mumbler") if name in page] == []
