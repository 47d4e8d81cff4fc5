"""Machines join with a secret told once, leave at once, and each has one word for how it is."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import pytest

from cloud.api.fleet import State, state_of
from cloud.api.ports import Parts
from cloud.storage.anomalies import AnomalyRecord
from cloud.storage.devices import DeviceStore
from cloud.storage.readings import ReadingStore
from contract.events import AnomalyDetectedEvent, Phase, Severity
from tests.api.conftest import bearer, now_ms
from tests.support.anomalies import anomaly
from tests.support.readings import block, rejected

DEVICES = "/api/v1/devices"
NOW = 1_763_800_000_000


def record(event: AnomalyDetectedEvent) -> AnomalyRecord:
    return AnomalyRecord(
        **{name: getattr(event, name) for name in ("anomaly_id", "site", "device", "phase", "severity", "since_ms")},
        raised_at_ms=event.measured_at_ms, cleared_at_ms=None, detected_at_ms=event.detected_at_ms,
        correlation_id=event.correlation_id, score=event.score, peak_score=event.peak_score, event=event, latest=event,
        serial=1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("found", "seen_ms", "judged", "state"),
    [
        (None, None, False, State.NO_DATA),
        (None, NOW - 1000, False, State.LEARNING),
        (None, NOW - 1000, True, State.HEALTHY),
        (None, NOW - 301_000, True, State.NO_DATA),
        (anomaly(severity=Severity.WARNING), NOW - 1000, True, State.WARNING),
        (anomaly(severity=Severity.CRITICAL), NOW - 1000, True, State.CRITICAL),
        (anomaly(severity=Severity.CRITICAL), NOW - 9_000_000, True, State.CRITICAL),
        (anomaly(phase=Phase.CLEARED), NOW - 1000, True, State.HEALTHY),
    ],
)
def test_a_machine_has_one_word_for_how_it_is(found, seen_ms, judged, state):
    assert state_of(None if found is None else record(found), seen_ms, judged=judged, now_ms=NOW) is state


def test_a_machine_that_is_off_is_off_unless_it_is_ill_or_silent():
    def word(found=None, seen_ms=NOW - 1000):
        return state_of(None if found is None else record(found), seen_ms, judged=True, now_ms=NOW, off=True)

    assert word() is State.OFF
    assert word(anomaly(severity=Severity.WARNING)) is State.WARNING
    assert word(seen_ms=NOW - 301_000) is State.NO_DATA


async def test_a_new_device_gets_a_password_that_works_and_is_told_once(http: httpx.AsyncClient, parts: Parts):
    body = {"site": "plant-1", "device": "pump-07", "metrics": [{"name": "temperature_c", "unit": "°C", "high": 150}]}
    answer = await http.post(DEVICES, json=body, headers=bearer("devices:write"))
    added = answer.json()
    assert (answer.status_code, added["username"]) == (201, "plant-1/pump-07")
    assert parts.credentials.verify("plant-1/pump-07", added["password"])
    device = await parts.devices.get("plant-1", "pump-07")
    assert device is not None
    assert device.metrics is not None
    assert (device.origin, device.metrics[0].high) == ("provisioned", 150)
    listed = (await http.get(DEVICES, headers=bearer("data:read"))).text
    assert added["password"] not in listed


async def test_a_device_in_service_is_not_given_a_second_password(http: httpx.AsyncClient, parts: Parts):
    body = {"site": "plant-1", "device": "pump-07"}
    first = (await http.post(DEVICES, json=body, headers=bearer())).json()
    again = await http.post(DEVICES, json=body, headers=bearer())
    assert (again.status_code, again.json()["reason"]) == (409, "already_registered")
    assert parts.credentials.verify("plant-1/pump-07", first["password"])


async def test_a_device_first_seen_over_http_is_given_its_password_and_then_no_second(
    http: httpx.AsyncClient, parts: Parts
):
    await parts.devices.ensure("plant-1", "pump-07", "http", now_ms=0)
    body = {"site": "plant-1", "device": "pump-07"}
    added = await http.post(DEVICES, json=body, headers=bearer())
    assert added.status_code == 201, added.text
    assert parts.credentials.verify("plant-1/pump-07", added.json()["password"])
    assert (await http.post(DEVICES, json=body, headers=bearer())).status_code == 409


async def test_a_revoked_device_is_out_at_once_and_may_come_back_with_a_new_password(
    http: httpx.AsyncClient, parts: Parts
):
    body = {"site": "plant-1", "device": "pump-07"}
    first = (await http.post(DEVICES, json=body, headers=bearer())).json()["password"]
    assert (await http.delete(f"{DEVICES}/plant-1/pump-07", headers=bearer())).status_code == 204
    assert not parts.credentials.verify("plant-1/pump-07", first)
    assert (await http.get(DEVICES, headers=bearer())).json()["items"] == []
    assert (await http.delete(f"{DEVICES}/plant-1/pump-07", headers=bearer())).status_code == 404
    back = (await http.post(DEVICES, json=body, headers=bearer())).json()["password"]
    assert parts.credentials.verify("plant-1/pump-07", back)
    assert back != first


async def test_a_recording_says_so_and_how_many_rows_it_learns_from(http: httpx.AsyncClient, parts: Parts):
    body = {"site": "plant-1", "device": "valve", "origin": "replay", "learn_rows": 400}
    assert (await http.post(DEVICES, json=body, headers=bearer())).status_code == 201
    device = await parts.devices.get("plant-1", "valve")
    assert device is not None
    assert (device.origin, device.learn_rows) == ("replay", 400)


@pytest.mark.parametrize(
    "body",
    [
        {"site": "a/b", "device": "c"},
        {"site": "gateway", "device": "c"},
        {"site": "a", "device": "b.c"},
        {"site": "a"},
        {"site": "a", "device": "b", "metrics": []},
        {"site": "a", "device": "b", "metrics": [{"name": "x"}, {"name": "x"}]},
        {"site": "a", "device": "b", "metrics": [{"name": "line\nbreak"}]},
        {"site": "a", "device": "b", "metrics": [{"name": "x", "low": 2, "high": 1}]},
        {"site": "a", "device": "b", "origin": "demo"},
        {"site": "a", "device": "b", "learn_rows": 1},
        [],
    ],
)
async def test_a_device_that_cannot_be_is_refused(http: httpx.AsyncClient, body: Any):
    answer = await http.post(DEVICES, json=body, headers=bearer())
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


async def test_the_fleet_shows_the_worst_first(http: httpx.AsyncClient, parts: Parts):
    assert isinstance(parts.devices, DeviceStore)
    assert isinstance(parts.readings, ReadingStore)
    for device in ("pump-07", "pump-08"):
        await parts.devices.ensure("plant-1", device, "emulator", now_ms=0)
    now = int(now_ms())
    await parts.readings.store([block([0], measured_at_ms=[now])], [])
    raised = anomaly(device="pump-08", anomaly_id="a1")
    await parts.anomalies.apply([raised], [], now_ms=0)  # type: ignore[attr-defined]
    items = (await http.get(DEVICES, headers=bearer())).json()["items"]
    assert [(item["device"], item["state"], item["anomaly_id"]) for item in items] == [
        ("pump-08", "critical", "a1"),
        ("pump-07", "learning", None),
    ]
    assert items[1]["last_seen_ms"] == now
    only = (await http.get(DEVICES, params={"origin": "demo"}, headers=bearer())).json()["items"]
    assert only == []


async def test_of_the_ill_the_highest_score_comes_first_and_two_comes_before_ten(http: httpx.AsyncClient, parts: Parts):
    assert isinstance(parts.devices, DeviceStore)
    for device in ("pump-1", "pump-2", "pump-10", "pump-3", "pump-20"):
        await parts.devices.ensure("plant-1", device, "emulator", now_ms=0)
    found = [
        anomaly(device="pump-1", anomaly_id="a1", score=2.1, severity=Severity.CRITICAL),
        anomaly(device="pump-3", anomaly_id="a3", score=7.5, severity=Severity.CRITICAL),
    ]
    await parts.anomalies.apply(found, [], now_ms=0)  # type: ignore[attr-defined]
    items = (await http.get(DEVICES, headers=bearer())).json()["items"]
    assert [item["device"] for item in items] == ["pump-3", "pump-1", "pump-2", "pump-10", "pump-20"]


async def test_the_ledger_adds_up(http: httpx.AsyncClient, parts: Parts):
    assert isinstance(parts.readings, ReadingStore)
    await parts.readings.store([block([0, 1, 2, 5], oldest=1)], [rejected(4)])
    [line] = (await http.get("/api/v1/ledger", params={"device": "pump-07"}, headers=bearer())).json()["items"]
    assert line["counted"] == "device"
    assert line["sent"] == line["stored"] + line["rejected"] + line["pending"] + line["lost"] == 6
    assert (line["stored"], line["rejected"], line["pending"]) == (4, 1, 1)


def test_an_account_without_a_counter_says_unknown_not_zero():
    from cloud.api.routes.devices import _account
    from cloud.storage.reading_blocks import Ledger

    line = Ledger(site="s", device="d", sent=None, stored=3, rejected=0, pending=None, lost=None, unnumbered=0)
    told = msgspec.json.decode(msgspec.json.encode(_account(line)))
    assert (told["counted"], told["lost"], told["sent"]) == ("door", None, None)
