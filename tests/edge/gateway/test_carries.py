"""A gateway between real brokers: what devices say arrives at the cloud once, and they hear when it is stored."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sqlite3

import msgspec
import pytest

from contract.events import Watermark
from contract.topics import Channel, DeviceTopic
from tests.edge.gateway.site import GATEWAY, SITE, WAIT_S, Talker, gateway, statuses, until
from tests.edge.store import listening
from tests.support.brokers import embedded, mosquitto


@pytest.fixture(params=[embedded, pytest.param(mosquitto, marks=pytest.mark.mosquitto)], ids=["embedded", "mosquitto"])
def start(request):
    return request.param


@contextlib.asynccontextmanager
async def site(start, folder):
    """(local broker, cloud broker, store)."""
    async with (
        start(folder / "local") as local,
        start(folder / "cloud", devices=[GATEWAY]) as cloud,
        listening(cloud.bus("store"), SITE) as store,
    ):
        yield local, cloud, store


async def test_readings_arrive_once_in_batches_and_the_device_hears_that_they_are_stored(start, tmp_path):
    async with site(start, tmp_path) as (local, cloud, store), local.bus("device") as bus:
        await bus.subscribe(str(DeviceTopic(SITE, "pump-1", Channel.STORED)))
        async with gateway(tmp_path, local, cloud) as process:
            await store.until(lambda: bool(statuses(store)), WAIT_S)
            talker = Talker(bus, "pump-1")
            await talker.say(500)
            await store.until(lambda: set(store.rows["pump-1"]) == talker.said, WAIT_S)
            heard = -1
            async with asyncio.timeout(WAIT_S):
                while heard < 499:
                    messages = await bus.receive()
                    heard = msgspec.json.decode(messages[-1].payload, type=Watermark).through
                    await bus.acknowledge(messages)
            await until(lambda: statuses(store)[-1].stored == 500)
            assert await process.end() == 0
    assert all(len(message.readings) <= 50 for _, message in store.messages)
    assert len(store.messages) < 100
    last = statuses(store)[-1]
    assert (last.kept, last.stored, last.dropped, last.refused) == (500, 500, {}, {})
    assert store.statuses("gateway")[-1] == b'{"state":"offline"}'


async def test_a_device_that_cannot_count_is_counted_and_a_restart_goes_on_counting(start, tmp_path):
    mapping = """
site = "plant-1"
[[source]]
topic = "hall/{device}/state"
metrics = { "temp" = "temperature_c", "vib.rms" = "vibration_rms_g" }
"""
    async with (
        site(start, tmp_path) as (local, cloud, store),
        local.bus("device") as bus,
        gateway(tmp_path, local, cloud, mapping) as process,
    ):
        await store.until(lambda: bool(statuses(store)), WAIT_S)
        for turn in range(2):
            said = [f'{{"temp": {turn}.{n:02}, "vib": {{"rms": {n}}}, "on": true}}' for n in range(20)]
            await bus.publish([("hall/press-3/state", text.encode()) for text in said])
            await store.until(lambda turn=turn: len(store.rows["press-3"]) == 20 * (turn + 1), WAIT_S)
            await until(lambda turn=turn: statuses(store)[-1].stored == 20 * (turn + 1))
            await process.end(signal.SIGKILL)
            await process.start()
    assert {boot for boot, _ in store.rows["press-3"]} == {next(iter(store.rows["press-3"]))[0]}
    assert sorted(seq for _, seq in store.rows["press-3"]) == list(range(40))
    values = [values for _, (_, values) in sorted(store.rows["press-3"].items())]
    assert [v["temperature_c"] for v in values] == [float(f"{t}.{n:02}") for t in range(2) for n in range(20)]
    assert values[7] == {"temperature_c": 0.07, "vibration_rms_g": 7.0}


async def test_one_value_per_topic_becomes_one_reading_of_the_device(start, tmp_path):
    mapping = """
site = "plant-1"
[[source]]
topic = "hall/{device}/{metric}"
format = "value"
metrics = { t = "temperature_c", p = "pressure_bar" }
"""
    async with site(start, tmp_path) as (local, cloud, store), local.bus("device") as bus:
        await bus.publish([("hall/press-3/t", b"99.5")], retain=True)
        async with gateway(tmp_path, local, cloud, mapping):
            await store.until(lambda: bool(statuses(store)), WAIT_S)
            await bus.publish([("hall/press-3/p", b"3.5"), ("hall/press-3/speed", b"900"), ("hall/press-3/p", b"4.5")])
            await bus.publish([("hall/press-3/t", b'"61.25"'), ("hall/press-3/t", b"62")])
            await store.until(lambda: len(store.rows["press-3"]) == 2, WAIT_S)
    values = [values for _, (_, values) in sorted(store.rows["press-3"].items())]
    assert values == [{"pressure_bar": 4.5, "temperature_c": 61.25}, {"temperature_c": 62.0}]


GARBAGE = [
    b"",
    b"\xff\xfe",
    b"null",
    b"[" * 100_000,
    b'{"boot":"x"}',
    b"{}",
    b'{"ts":1,"values":{}}',
    b"1e999",
    b"\x00" * 300,
]


async def test_garbage_is_counted_with_its_reason_and_stops_nobody(start, tmp_path):
    async with (
        site(start, tmp_path) as (local, cloud, store),
        local.bus("device") as bus,
        gateway(tmp_path, local, cloud),
    ):
        await store.until(lambda: bool(statuses(store)), WAIT_S)
        topic = str(DeviceTopic(SITE, "pump-1", Channel.TELEMETRY))
        await bus.publish([(topic, payload) for payload in GARBAGE])
        await bus.publish([("ronda/v1/plant-1/bad name!/telemetry", b'{"ts":1,"values":{"x":1}}')])
        talker = Talker(bus, "pump-1")
        await talker.say(100)
        await store.until(lambda: set(store.rows["pump-1"]) == talker.said, WAIT_S)
        await until(lambda: sum(statuses(store)[-1].refused.values()) == len(GARBAGE) + 1)
    refused = statuses(store)[-1].refused
    assert refused["bad_name"] == 1
    assert refused["malformed_json"] >= 2
    with contextlib.closing(sqlite3.connect(tmp_path / "gateway" / "data" / "outbox.sqlite")) as outbox:
        assert outbox.execute("SELECT COUNT(*) FROM refused").fetchone() == (len(GARBAGE) + 1,)
