"""Garbage over MQTT and HTTP: refused with a reason, kept with its bytes, and the chain goes on."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any

import pytest

from tests.support.installation import Ronda, until

NOW_MS = int(time.time() * 1000)
BAD = {
    "malformed_json": b"{not json",
    "wrong_shape": b'{"ts": "yesterday", "values": {"a": 1}}',
    "not_finite": b'{"ts": %d, "values": {"a": NaN}}' % NOW_MS,
    "time_in_seconds": b'{"ts": %d, "values": {"a": 1}}' % (NOW_MS // 1000),
    "time_in_microseconds": b'{"ts": %d, "values": {"a": 1}}' % (NOW_MS * 1000),
    "time_before_2000": b'{"ts": 86400000, "values": {"a": 1}}',
    "time_in_future": b'{"ts": %d, "values": {"a": 1}}' % (NOW_MS + 3_600_000),
    "unknown_metric": b'{"ts": %d, "values": {"a": 1, "b": 2}}' % NOW_MS,
    "too_large": b'{"ts": 1, "values": {"a": 1}, "pad": "' + b"x" * 5_000_000 + b'"}',
}


@pytest.fixture(scope="module")
def device(ronda: Ronda) -> dict[str, str]:
    """A device that has registered the metric `a` by its first reading."""
    added = json.loads(ronda.run("device", "add", "plant-1/clumsy", "--json", "--data", str(ronda.data)))
    assert set(added) == {"username", "password"}
    publish(ronda, added, b'{"ts": %d, "values": {"a": 0.5}}' % NOW_MS)
    until(lambda: stored(ronda) or None, "the first reading")
    return added


def publish(ronda: Ronda, device: dict[str, str], payload: bytes, topic: str = "plant-1/clumsy/telemetry") -> None:
    subprocess.run(
        ["mosquitto_pub", "-p", str(ronda.mqtt_port), "-u", device["username"], "-P", device["password"],
         "-q", "1", "-t", f"ronda/v1/{topic}", "-s"],
        input=payload, check=True, timeout=30,
    )  # fmt: skip


def stored(ronda: Ronda) -> int:
    return int(ronda.sql("SELECT count(*) FROM readings WHERE device = 'clumsy'")[0][0])


@pytest.mark.parametrize("reason", BAD)
def test_over_mqtt_it_is_quarantined_with_reason_and_bytes(ronda: Ronda, device: dict[str, str], reason: str) -> None:
    publish(ronda, device, BAD[reason])
    query = f"SELECT payload FROM rejected WHERE device = 'clumsy' AND reason = '{reason}'"
    (row, *_) = until(lambda: ronda.sql(query) or None, f"{reason} in quarantine")
    if reason in {"malformed_json", "wrong_shape", "not_finite", "too_large"}:
        assert row[0] == BAD[reason]
    else:
        assert json.loads(row[0])["ts"] == json.loads(BAD[reason])["ts"]


@pytest.mark.parametrize("reason", [reason for reason in BAD if reason != "too_large"])
def test_over_http_it_is_a_problem_that_names_the_reason(ronda: Ronda, device: dict[str, str], reason: str) -> None:
    body = BAD[reason].replace(b"{", b'{"site": "plant-1", "device": "clumsy", ', 1)
    with ronda.http() as client:
        answer = client.post("/api/v1/ingest", content=body, headers={"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert reason in answer.text


def test_over_http_what_is_too_large_is_413(ronda: Ronda) -> None:
    with ronda.http() as client:
        answer = client.post("/api/v1/ingest", content=BAD["too_large"], headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


def test_the_chain_goes_on_after_all_of_it(ronda: Ronda, device: dict[str, str]) -> None:
    before = stored(ronda)
    publish(ronda, device, b'{"ts": %d, "values": {"a": 0.75}}' % (NOW_MS + 1))
    until(lambda: True if stored(ronda) > before else None, "one more reading")


def test_what_the_rules_refuse_never_enters_the_chain(ronda: Ronda, device: dict[str, str]) -> None:
    publish(ronda, device, b'{"ts": %d, "values": {"a": 9.0}}' % NOW_MS, "plant-1/pump-01/telemetry")
    publish(ronda, device, b"{}", "plant-1/clumsy/anomaly")
    publish(ronda, device, b'{"ts": %d, "values": {"a": 0.25}}' % (NOW_MS + 2))
    until(lambda: ronda.sql("SELECT 1 FROM readings WHERE device = 'clumsy' AND values = '{0.25}'") or None, "the last")
    assert ronda.sql("SELECT 1 FROM readings WHERE device = 'pump-01' AND values = '{9.0}'") == []
    assert ronda.get("/api/v1/anomalies", device="clumsy")["items"] == []


def ingest(ronda: Ronda, body: dict[str, Any], **query: str) -> tuple[int, dict[str, Any]]:
    with ronda.http() as client:
        answer = client.post("/api/v1/ingest", json={"site": "plant-1", "device": "twice"} | body, params=query)
    return answer.status_code, answer.json()


def test_an_identity_that_comes_again_with_other_values_is_409(ronda: Ronda) -> None:
    reading = {"boot": "00000000000000aa", "seq": 0, "ts": NOW_MS, "values": {"a": 1.0}}
    assert ingest(ronda, reading, wait="stored")[0] == 201
    assert ingest(ronda, reading, wait="stored")[0] == 201
    status, problem = ingest(ronda, reading | {"values": {"a": 2.0}}, wait="stored")
    assert (status, problem["status"]) == (409, 409)
    assert ronda.sql("SELECT count(*) FROM readings WHERE device = 'twice'") == [(1,)]


def test_without_waiting_the_contradiction_is_an_event(ronda: Ronda) -> None:
    reading = {"boot": "00000000000000bb", "seq": 0, "ts": NOW_MS, "values": {"a": 1.0}}
    assert ingest(ronda, reading)[0] == 202
    assert ingest(ronda, reading | {"values": {"a": 2.0}})[0] == 202
    query = (
        "SELECT 1 FROM rejected WHERE device = 'twice' AND boot = '00000000000000bb' AND reason = 'identity_conflict'"
    )
    until(lambda: ronda.sql(query) or None, "the contradiction in quarantine")
