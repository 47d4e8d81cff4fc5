"""The HTTP door: what is taken, what is refused with which words, and what 202 and 201 promise."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import httpx
import pytest

from broker.memory import MemoryBroker
from cloud.api.ports import Parts
from cloud.storage.devices import DeviceStore
from contract.codec import decode_events, encode_events
from contract.errors import TransientError
from contract.events import HopEvent, ReadingRejectedEvent
from contract.plausibility import Metric
from contract.telemetry import decode
from contract.topics import Channel, DeviceTopic, Stage
from tests.api.conftest import API_KEY, bearer, now_ms

INGEST = "/api/v1/ingest"
BOOT = "9f2c41d07be3a655"


def message(seq: int | None = 0, device: str = "pump-07", **changes: Any) -> dict[str, Any]:
    counted = {} if seq is None else {"boot": BOOT, "seq": seq}
    body = {"site": "plant-1", "device": device, "ts": int(time.time() * 1000), "values": {"temperature_c": 61.2}}
    return body | counted | changes


async def published(broker: MemoryBroker, *channels: str) -> Any:
    """A bus that hears what is published on the devices' topics."""
    bus = await broker.bus("ear").__aenter__()
    await bus.subscribe(*(channels or (DeviceTopic.filter(Channel.TELEMETRY),)))
    return bus


async def test_202_means_that_the_broker_has_it_on_the_devices_own_topic(http: httpx.AsyncClient, broker: MemoryBroker):
    ear = await published(broker)
    answer = await http.post(INGEST, json=message(seq=17), headers=bearer())
    assert answer.status_code == 202
    assert answer.json() == {"accepted": 1, "correlation_ids": [f"plant-1.pump-07.{BOOT}.17"]}
    [heard] = await asyncio.wait_for(ear.receive(), 5)
    assert heard.topic == "ronda/v1/plant-1/pump-07/telemetry"
    assert b"site" not in heard.payload
    [reading] = decode(heard.payload, "plant-1", "pump-07").readings
    assert (reading.boot, reading.seq, reading.values) == (BOOT, 17, {"temperature_c": 61.2})


async def test_a_list_is_taken_in_its_order_with_one_id_for_each_reading(http: httpx.AsyncClient, broker: MemoryBroker):
    ear = await published(broker)
    batch = message(seq=None, device="pump-08") | {
        "readings": [{"ts": int(now_ms()) - n, "values": {"a": n}} for n in (1, 2)]
    }
    del batch["ts"], batch["values"]
    answer = await http.post(INGEST, json=[message(0), message(1), batch], headers=bearer())
    assert answer.status_code == 202
    assert answer.json()["accepted"] == 4
    assert len(answer.json()["correlation_ids"]) == 4
    heard = await asyncio.wait_for(ear.receive(), 5)
    assert [each.topic.split("/")[3] for each in heard] == ["pump-07", "pump-07", "pump-08"]
    uncounted = decode(heard[2].payload, "plant-1", "pump-08").readings
    assert [reading.id for reading in uncounted] == answer.json()["correlation_ids"][2:]


async def test_the_clients_own_id_stands_for_its_whole_message(http: httpx.AsyncClient):
    answer = await http.post(INGEST, json=message(correlation_id="order-4711"), headers=bearer())
    assert answer.json()["correlation_ids"] == ["order-4711"]


async def test_a_sender_may_speak_only_for_the_devices_its_token_names(http: httpx.AsyncClient, broker: MemoryBroker):
    ear = await published(broker)
    mine = bearer("ingest:write", devices=("plant-1/pump-07", "plant-2/*"))
    answer = await http.post(INGEST, json=[message(device="pump-08")], headers=mine)
    body = answer.json()
    assert (answer.status_code, body["reason"], body["device"]) == (403, "not_your_device", "plant-1/pump-08")
    mixed = await http.post(INGEST, json=[message(site="plant-2"), message(site="plant-3")], headers=mine)
    assert mixed.json()["device"] == "plant-3/pump-07"
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ear.receive(), 0.05)


async def test_a_new_device_joins_with_its_first_reading_if_the_sender_has_its_site(
    http: httpx.AsyncClient, parts: Parts
):
    alone = bearer("ingest:write", devices=("plant-1/pump-07",))
    answer = await http.post(INGEST, json=message(), headers=alone)
    assert (answer.status_code, answer.json()["reason"]) == (403, "not_registered")
    whole_site = bearer("ingest:write", devices=("plant-1/*",))
    assert (await http.post(INGEST, json=message(), headers=whole_site)).status_code == 202
    device = await parts.devices.get("plant-1", "pump-07")
    assert device is not None
    assert device.origin == "http"
    assert (await http.post(INGEST, json=message(1), headers=alone)).status_code == 202


async def test_a_revoked_device_is_heard_no_more(http: httpx.AsyncClient, parts: Parts):
    assert (await http.post(INGEST, json=message(), headers=bearer())).status_code == 202
    assert (await http.delete("/api/v1/devices/plant-1/pump-07", headers=bearer())).status_code == 204
    answer = await http.post(INGEST, json=message(1), headers=bearer())
    assert (answer.status_code, answer.json()["reason"]) == (403, "revoked")


async def test_the_machines_key_may_speak_for_every_device(http: httpx.AsyncClient):
    assert (await http.post(INGEST, json=message(), headers={"X-API-Key": API_KEY})).status_code == 202


async def test_one_bad_reading_refuses_the_whole_request_and_each_is_named(
    http: httpx.AsyncClient, parts: Parts, broker: MemoryBroker
):
    ear = await published(broker)
    assert isinstance(parts.devices, DeviceStore)
    metrics = [Metric(name="temperature_c", unit="°C", low=-40, high=150)]
    await parts.devices.ensure("plant-1", "pump-07", "provisioned", now_ms=0, metrics=metrics)
    batch = message(0)
    now = batch.pop("ts")
    del batch["seq"], batch["values"]
    rows: list[Any] = [{"seq": n, "ts": now, "values": {"temperature_c": 20}} for n in range(6)]
    rows[1]["values"] = {"temperature_c": 900}
    rows[2] = 17
    rows[4]["values"] = {"pressure": 1}
    good_first = [message(9), batch | {"readings": rows}]
    answer = await http.post(INGEST, json=good_first, headers=bearer())
    problem = answer.json()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [(each["pointer"], each["index"]) for each in problem["errors"]] == [("#/1/readings/2", 3)]
    rows[2] = {"seq": 2, "ts": now, "values": {"temperature_c": 20}}
    answer = await http.post(INGEST, json=good_first, headers=bearer())
    errors = answer.json()["errors"]
    assert [(each["pointer"], each["index"], each["reason"], each["seq"]) for each in errors] == [
        ("#/1/readings/1", 2, "out_of_range", 1),
        ("#/1/readings/4", 5, "unknown_metric", 4),
    ]
    assert "none taken" in answer.json()["detail"]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ear.receive(), 0.05)


async def test_other_media_types_are_refused(http: httpx.AsyncClient):
    for kind in ({"Content-Type": "text/plain"}, {"Content-Type": "multipart/form-data"}, {}):
        answer = await http.post(INGEST, content=b"{}", headers=bearer() | kind)
        assert answer.status_code == 415


async def test_five_megabytes_are_refused_for_what_they_are(http: httpx.AsyncClient):
    values = {f"a{n}": 1 for n in range(10)}
    body = json.dumps(message(values=values) | {"padding": "x" * 5_000_000})
    answer = await http.post(INGEST, content=body, headers=bearer() | {"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["reason"]) == (413, "too_large")


async def test_an_endless_body_is_cut_off_while_reading(http: httpx.AsyncClient):
    sent = 0

    async def endless():
        nonlocal sent
        yield b"["
        while sent < 100 << 20:
            sent += 1 << 20
            yield b" " * (1 << 20)

    answer = await http.post(INGEST, content=endless(), headers=bearer() | {"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert sent <= 10 << 20


async def test_201_means_that_the_store_has_it(http: httpx.AsyncClient, chain, parts: Parts):
    answer = await http.post(f"{INGEST}?wait=stored", json=[message(0), message(1)], headers=bearer())
    assert (answer.status_code, answer.json()["accepted"]) == (201, 2), answer.text
    assert len(await parts.readings.by_correlation(f"plant-1.pump-07.{BOOT}.1")) == 1


async def test_the_same_again_is_201_again(http: httpx.AsyncClient, chain):
    same = message(0)
    for _ in range(2):
        assert (await http.post(f"{INGEST}?wait=stored", json=same, headers=bearer())).status_code == 201


async def test_a_device_that_does_not_count_is_waited_for_too(http: httpx.AsyncClient, chain):
    answer = await http.post(f"{INGEST}?wait=stored", json=message(None), headers=bearer())
    assert answer.status_code == 201, answer.text


async def test_a_used_identity_with_other_values_is_a_conflict(http: httpx.AsyncClient, chain):
    first = message(0)
    assert (await http.post(f"{INGEST}?wait=stored", json=first, headers=bearer())).status_code == 201
    other = first | {"values": {"temperature_c": 99}}
    answer = await http.post(f"{INGEST}?wait=stored", json=other, headers=bearer())
    assert (answer.status_code, answer.json()["reason"]) == (409, "identity_conflict")
    assert f"stored with temperature_c {first['values']['temperature_c']:.1f}, now 99.0" in answer.json()["detail"]


async def test_a_used_identity_at_another_time_is_a_conflict_that_says_so(http: httpx.AsyncClient, chain):
    first = message(0)
    assert (await http.post(f"{INGEST}?wait=stored", json=first, headers=bearer())).status_code == 201
    later = first | {"ts": first["ts"] + 1000}
    answer = await http.post(f"{INGEST}?wait=stored", json=later, headers=bearer())
    assert (answer.status_code, answer.json()["reason"]) == (409, "identity_conflict")
    assert f"measured at {first['ts']}, now {later['ts']}" in answer.json()["detail"]
    assert f"measured at {first['ts']}, now {later['ts']}" in answer.json()["errors"][0]["detail"]


async def test_what_the_chain_refuses_is_told_to_who_waits(http: httpx.AsyncClient, broker: MemoryBroker):
    ear = await published(broker)
    asking = asyncio.create_task(http.post(f"{INGEST}?wait=stored", json=message(None), headers=bearer()))
    [heard] = await asyncio.wait_for(ear.receive(), 5)

    event = ReadingRejectedEvent(
        site="plant-1", device="pump-07", stage="validation", reason="unknown_metric", detail="no such metric",
        topic=heard.topic, payload=heard.payload, received_at_ms=int(now_ms()),
    )  # fmt: skip
    await ear.publish(encode_events([event]))
    answer = await asyncio.wait_for(asking, 5)
    assert (answer.status_code, answer.json()["reason"]) == (422, "unknown_metric")


async def test_who_waits_too_long_is_told_which_ids_to_look_for(http: httpx.AsyncClient, app, monkeypatch):
    arrivals = app.state.services.arrivals
    settled = arrivals.settled
    monkeypatch.setattr(arrivals, "settled", lambda expected: settled(expected, within_s=0.2))
    answer = await http.post(f"{INGEST}?wait=stored", json=message(3), headers=bearer())
    body = answer.json()
    assert (answer.status_code, body["reason"]) == (504, "not_stored_yet")
    assert body["correlation_ids"] == [f"plant-1.pump-07.{BOOT}.3"]


async def test_wait_knows_one_word(http: httpx.AsyncClient):
    assert (await http.post(f"{INGEST}?wait=ages", json=message(), headers=bearer())).status_code == 422


async def test_a_broker_that_is_away_is_503_with_a_time_to_come_back(
    http: httpx.AsyncClient, parts: Parts, monkeypatch
):
    async def away(messages, *, retain=False):
        raise TransientError("away")

    monkeypatch.setattr(parts.bus, "publish", away)
    answer = await http.post(INGEST, json=message(), headers=bearer())
    assert (answer.status_code, answer.json()["reason"]) == (503, "broker_away")
    assert int(answer.headers["retry-after"]) > 0


async def test_a_traced_message_is_stamped_from_the_first_station_on(http: httpx.AsyncClient, broker: MemoryBroker):
    ear = await published(broker, f"ronda-chain/v1/{Stage.TRACE}/+")
    await http.post(INGEST, json=message(traced=True, correlation_id="order-1"), headers=bearer())

    [heard] = await asyncio.wait_for(ear.receive(), 5)
    hops = decode_events(HopEvent, heard.payload)
    assert [(hop.station, hop.did, hop.correlation_id) for hop in hops] == [
        ("device", "published", "order-1"),
        ("broker", "accepted", "order-1"),
    ]
    assert hops[0].at_ms <= hops[1].at_ms
