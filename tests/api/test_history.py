"""Anomalies newest first with their evidence, readings page by page, and the story of one id."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import pytest

from cloud.api.ports import Parts
from cloud.storage.anomalies import AnomalyStore
from cloud.storage.devices import DeviceStore
from cloud.storage.hops import HopStore
from cloud.storage.notifications import NotificationStore
from cloud.storage.readings import ReadingStore
from contract.events import AnomalyDetectedEvent, Delivery, HopEvent, NotificationSentEvent, Phase
from contract.plausibility import Metric
from tests.api.conftest import bearer
from tests.support.anomalies import RAISED_AT_MS, anomaly
from tests.support.readings import BOOT, DEVICE, METRICS, SITE, START_MS, block, rejected

READ = bearer("data:read")


def receipt(about: AnomalyDetectedEvent, **changes: Any) -> NotificationSentEvent:
    event = NotificationSentEvent(
        site=about.site, device=about.device, anomaly_id=about.anomaly_id, decision="first", channel="mail",
        delivery=Delivery.DELIVERED, receipt="250 2.0.0 Ok", sent_at_ms=RAISED_AT_MS + 900,
        correlation_id=about.correlation_id, recipients=["team@plant.example"], message_id="<m@ronda>",
    )  # fmt: skip
    return msgspec.structs.replace(event, **changes)


async def keep(parts: Parts, *events: AnomalyDetectedEvent) -> None:
    assert isinstance(parts.anomalies, AnomalyStore)
    await parts.anomalies.apply(events, [], now_ms=0)


@pytest.fixture
async def three(parts: Parts) -> list[AnomalyDetectedEvent]:
    """Three anomalies of two devices, oldest first; the middle one is cleared."""
    made = [
        anomaly(anomaly_id="a1", seq=1),
        anomaly(anomaly_id="a2", seq=2, device="pump-08", measured_at_ms=RAISED_AT_MS + 60_000),
        anomaly(anomaly_id="a3", seq=3, site="plant-2", measured_at_ms=RAISED_AT_MS + 120_000),
    ]
    await keep(parts, *made)
    cleared = msgspec.structs.replace(made[1], phase=Phase.CLEARED, seq=9, measured_at_ms=RAISED_AT_MS + 90_000)
    await keep(parts, cleared)
    return made


async def test_an_anomaly_says_what_where_since_when_and_which_model_says_so(http, parts: Parts, three):
    assert isinstance(parts.notifications, NotificationStore)
    await parts.notifications.record(receipt(three[0]), three[0], now_ms=0)
    items = (await http.get("/api/v1/anomalies", headers=READ)).json()["items"]
    assert [item["id"] for item in items] == ["a3", "a2", "a1"]
    item = items[2]
    assert (item["site"], item["device"], item["phase"], item["active"]) == ("plant-1", "pump-07", "raised", True)
    assert [sensor["name"] for sensor in item["sensors"]][:2] == ["vibration_de_rms_g", "motor_temperature_c"]
    assert item["sensors"][0] | {"share": 0.71, "unit": "g", "seen": 0.38} == item["sensors"][0]
    assert item["model"] == {"name": "plant-1.pump-07", "version": "14", "run_id": "4e1c9ab07d3f4e1c9ab07d3f4e1c9ab0"}
    assert (item["raised_at_ms"], item["raised_at"]) == (RAISED_AT_MS, "2025-11-17T16:54:00.000Z")
    assert item["notification"]["receipt"] == "250 2.0.0 Ok"
    assert set(item["sentence"]) == {"en", "pt"}
    assert (item["kind"], item["question"], item["cause"]) == ("anomaly", "level", None)
    assert (items[1]["active"], items[1]["cleared_at_ms"]) == (False, RAISED_AT_MS + 90_000)
    assert items[1]["raised_at_ms"] == RAISED_AT_MS + 60_000


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"site": "plant-2"}, ["a3"]),
        ({"device": "pump-07"}, ["a3", "a1"]),
        ({"phase": "active"}, ["a3", "a1"]),
        ({"phase": "cleared"}, ["a2"]),
        ({"from": str(RAISED_AT_MS + 1)}, ["a3", "a2"]),
        ({"to": "2025-11-17T16:54:00Z"}, ["a1"]),
        ({"from": "2025-11-17T13:55:00-03:00", "to": "2025-11-17T16:55:00Z"}, ["a2"]),
    ],
)
async def test_anomalies_can_be_narrowed(http, three, query, found):
    items = (await http.get("/api/v1/anomalies", params=query, headers=READ)).json()["items"]
    assert [item["id"] for item in items] == found


async def test_pages_of_anomalies_join_without_a_gap(http: httpx.AsyncClient, three):
    first = (await http.get("/api/v1/anomalies", params={"limit": 2}, headers=READ)).json()
    assert [item["id"] for item in first["items"]] == ["a3", "a2"]
    second = (await http.get("/api/v1/anomalies", params={"limit": 2, "cursor": first["next"]}, headers=READ)).json()
    assert ([item["id"] for item in second["items"]], second["next"]) == (["a1"], None)


async def test_one_anomaly_comes_with_its_window_and_every_receipt(http, parts: Parts, three):
    assert isinstance(parts.notifications, NotificationStore)
    await parts.notifications.record(receipt(three[0]), three[0], now_ms=0)
    held = receipt(three[0], decision="cooldown", delivery=Delivery.SUPPRESSED, sent_at_ms=RAISED_AT_MS + 5000)
    await parts.notifications.record(held, three[0], now_ms=0)
    body = (await http.get("/api/v1/anomalies/a1", headers=READ)).json()
    assert [each["decision"] for each in body["notifications"]] == ["first", "cooldown"]
    assert body["notification"]["decision"] == "first"
    assert len(body["window"]["measured_at_ms"]) == 120
    assert (await http.get("/api/v1/anomalies/none", headers=READ)).status_code == 404


async def test_an_anomaly_whose_judgement_began_anew_says_so_in_its_sentence(http: httpx.AsyncClient, parts, three):
    evidence = msgspec.structs.replace(three[0].evidence, sentence={"en": "It was so. Closed.", "pt": "Era assim."})
    closing = {"phase": Phase.CLEARED, "seq": 9, "begun_anew": True, "evidence": evidence}
    await keep(parts, msgspec.structs.replace(three[0], **closing))
    found = (await http.get("/api/v1/anomalies/a1", headers=READ)).json()
    assert (found["phase"], found["begun_anew"], found["sentence"]["en"]) == ("cleared", True, "It was so. Closed.")
    other = (await http.get("/api/v1/anomalies/a2", headers=READ)).json()
    assert (other["begun_anew"], other["sentence"]) == (False, three[1].evidence.sentence)


@pytest.mark.parametrize(
    "query",
    [{"cursor": "x"}, {"cursor": "9" * 30}, {"limit": 0}, {"limit": "many"}, {"phase": "x"}, {"from": "yesterday"}],
)
async def test_a_query_that_cannot_be_is_a_problem(http: httpx.AsyncClient, query):
    answer = await http.get("/api/v1/anomalies", params=query, headers=READ)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


@pytest.fixture
async def stored(parts: Parts) -> None:
    """Ten readings of pump-07, and two of another boot in the same milliseconds as the last two."""
    assert isinstance(parts.readings, ReadingStore)
    assert isinstance(parts.devices, DeviceStore)
    metrics = [Metric(name=name, unit=f"unit of {name}") for name in METRICS]
    await parts.devices.ensure(SITE, DEVICE, "provisioned", now_ms=0, metrics=metrics)
    twin = block([8, 9], boot="a" * 16)
    await parts.readings.store([block(range(10)), twin], [])


async def test_readings_come_newest_first_and_pages_join_without_a_gap(http: httpx.AsyncClient, stored):
    query: dict[str, Any] = {"site": SITE, "device": DEVICE, "limit": 1}
    seen = []
    while True:
        page = (await http.get("/api/v1/readings", params=query, headers=READ)).json()
        seen += [(item["measured_at_ms"], item["boot"], item["seq"]) for item in page["items"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert len(seen) == 12
    assert seen == sorted(seen, reverse=True)


async def test_a_reading_names_its_values_and_its_id(http: httpx.AsyncClient, stored):
    query = {"site": SITE, "device": DEVICE, "from": START_MS + 3000, "to": START_MS + 3000}
    [item] = (await http.get("/api/v1/readings", params=query, headers=READ)).json()["items"]
    assert item["values"] == {METRICS[0]: 3.0, METRICS[1]: 3.1, METRICS[2]: 3.2}
    assert item["correlation_id"] == f"{SITE}.{DEVICE}.{BOOT}.3"
    assert item["measured_at"] == "2025-11-22T08:26:43.000Z"


async def test_columns_are_oldest_first_with_units_and_thinned(http: httpx.AsyncClient, parts: Parts, stored):
    query = {"site": SITE, "device": DEVICE, "format": "columns", "to": START_MS + 7000}
    body = (await http.get("/api/v1/readings", params=query, headers=READ)).json()
    assert (body["rows"], body["whole"]) == (8, True)
    series = body["series"][0]
    assert (series["name"], series["unit"]) == (METRICS[0], f"unit of {METRICS[0]}")
    assert series["values"] == [float(seq) for seq in range(8)]
    assert isinstance(parts.readings, ReadingStore)
    values = [[1000.0 if seq == 2500 else 0.0 for seq in range(20, 5000)] for _ in METRICS]
    await parts.readings.store([block(range(20, 5000), values=values)], [])
    query = {"site": SITE, "device": DEVICE, "format": "columns", "points": 100}
    thin = (await http.get("/api/v1/readings", params=query, headers=READ)).json()["series"][0]
    assert len(thin["values"]) <= 100
    assert 1000.0 in thin["values"], "a spike of one sample survives"
    assert thin["measured_at_ms"] == sorted(thin["measured_at_ms"])


async def test_readings_of_nobody_are_404(http: httpx.AsyncClient):
    answer = await http.get("/api/v1/readings", params={"site": "plant-1", "device": "ghost"}, headers=READ)
    assert answer.status_code == 404
    assert (await http.get("/api/v1/readings", headers=READ)).status_code == 422


async def test_a_traced_story_has_the_measured_times_in_order(http: httpx.AsyncClient, parts: Parts):
    assert isinstance(parts.hops, HopStore)
    way = [("device", "published", 0), ("historian", "stored", 9.5), ("broker", "accepted", 4)]
    way += [("validation", "validated", 9.5)]
    hops = [
        HopEvent(
            site=SITE, device=DEVICE, correlation_id="order-1", station=station, at_ms=START_MS + at, readings=60,
            did=did,
        )
        for station, did, at in way
    ]  # fmt: skip
    await parts.hops.store(hops)
    story = (await http.get("/api/v1/trace/order-1", headers=READ)).json()
    assert story["traced"] is True
    assert [(step["station"], step["after_ms"], step["since_start_ms"]) for step in story["steps"]] == [
        ("device", 0, 0), ("broker", 4, 4), ("validation", 5.5, 9.5), ("historian", 0, 9.5),
    ]  # fmt: skip


async def test_a_receipt_is_told_although_its_hop_is_still_on_its_way(http: httpx.AsyncClient, parts: Parts):
    assert isinstance(parts.hops, HopStore)
    assert isinstance(parts.notifications, NotificationStore)
    found = anomaly(correlation_id="order-2")
    hop = HopEvent(
        site=SITE, device=DEVICE, correlation_id="order-2", station="validation", at_ms=RAISED_AT_MS, readings=60,
        did="validated",
    )  # fmt: skip
    await parts.hops.store([hop])
    await parts.notifications.record(receipt(found), found, now_ms=0)
    story = (await http.get("/api/v1/trace/order-2", headers=READ)).json()
    assert [step["station"] for step in story["steps"]] == ["validation", "notification", "mail"]


async def test_an_untraced_story_is_told_from_the_rows(http: httpx.AsyncClient, parts: Parts, stored):
    assert isinstance(parts.notifications, NotificationStore)
    mine = f"{SITE}.{DEVICE}.{BOOT}.5"
    found = anomaly(correlation_id=mine, seq=5, detected_at_ms=START_MS + 9000)
    await keep(parts, found)
    await parts.notifications.record(receipt(found, sent_at_ms=START_MS + 9500), found, now_ms=0)
    story = (await http.get(f"/api/v1/trace/{mine}", headers=READ)).json()
    assert (story["traced"], story["readings"], story["device"]) == (False, 1, DEVICE)
    told = {(step["station"], step["did"]) for step in story["steps"]}
    assert told == {
        ("device", "measured"), ("acquisition", "received"), ("anomaly-detection", "raised"),
        ("notification", "decided"), ("mail", "delivered"),
    }  # fmt: skip
    assert story["anomalies"][0]["notification"]["receipt"] == "250 2.0.0 Ok"
    assert story["notifications"][0]["recipients"] == ["team@plant.example"]


async def test_nobody_takes_over_the_story_of_another_devices_reading(http: httpx.AsyncClient, parts: Parts, stored):
    assert isinstance(parts.readings, ReadingStore)
    assert isinstance(parts.hops, HopStore)
    mine = f"{SITE}.{DEVICE}.{BOOT}.5"
    await parts.readings.store([block([1, 2, 3], device="keyed", request_id=mine)], [])
    forged = HopEvent(
        site=SITE, device="keyed", correlation_id=mine, station="device", at_ms=1.0, readings=3, did="published"
    )
    await parts.hops.store([forged])
    await keep(parts, anomaly(device="keyed", correlation_id=mine, anomaly_id="forged"))
    story = (await http.get(f"/api/v1/trace/{mine}", headers=READ)).json()
    assert (story["device"], story["readings"], story["traced"]) == (DEVICE, 1, False)
    assert (story["first_measured_at_ms"], story["anomalies"]) == (START_MS + 5000, [])
    assert story["also_used_by"] == [f"{SITE}/keyed"]


async def test_an_id_that_two_devices_chose_is_told_of_the_first_and_names_the_other(
    http: httpx.AsyncClient, parts: Parts
):
    assert isinstance(parts.hops, HopStore)
    hops = [
        HopEvent(
            site=SITE, device=device, correlation_id="shift-2", station="device", at_ms=at_ms, readings=1,
            did="published",
        )
        for device, at_ms in (("pump-01", 1.0), ("pump-02", 2.0))
    ]  # fmt: skip
    await parts.hops.store(hops)
    story = (await http.get("/api/v1/trace/shift-2", headers=READ)).json()
    assert (story["device"], len(story["steps"]), story["also_used_by"]) == ("pump-01", 1, [f"{SITE}/pump-02"])


async def test_a_refused_reading_has_a_story_too(http: httpx.AsyncClient, parts: Parts):
    assert isinstance(parts.readings, ReadingStore)
    await parts.readings.store([], [rejected(7, correlation_id=f"{SITE}.{DEVICE}.{BOOT}.7")])
    story = (await http.get(f"/api/v1/trace/{SITE}.{DEVICE}.{BOOT}.7", headers=READ)).json()
    assert [each["reason"] for each in story["rejected"]] == ["out_of_range"]
    assert story["steps"][0]["station"] == "validation"


async def test_an_unknown_id_has_no_story(http: httpx.AsyncClient):
    for unknown in ("nobody", f"a.b.{BOOT}.99999999999999999999999", "a.b.c.1", "%00", "x" * 4000):
        answer = await http.get(f"/api/v1/trace/{unknown}", headers=READ)
        assert answer.status_code == 404, unknown[:40]
        assert answer.json()["reason"] == "not_found"
