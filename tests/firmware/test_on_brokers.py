"""A whole device as a process, on the embedded broker and on Mosquitto: what it says, hears, survives."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from broker.bus import Message
from broker.mqtt import MqttBus
from contract import telemetry
from contract.topics import Channel, DeviceTopic
from firmware.generate import ESP32, MANIFEST
from tests.firmware.conftest import Make
from tests.firmware.esp32 import Esp32
from tests.support.brokers import RunningBroker, embedded, mosquitto

SITE, DEVICE = "plant-1", "esp-1"
USER = f"{SITE}/{DEVICE}"
PATIENCE_S = 30.0


def topic(channel: Channel) -> str:
    return str(DeviceTopic(SITE, DEVICE, channel))


class Ear:
    """Somebody who may read and write everything, and remembers what was said."""

    def __init__(self, bus: MqttBus) -> None:
        self.bus = bus
        self.heard: list[Message] = []

    async def until(self, channel: Channel, wanted: Callable[[Any], bool]) -> Any:
        """The first JSON on this channel, heard or to come, that is wanted."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for message in self.heard:
                    if message.topic == topic(channel) and wanted(said := json.loads(message.payload)):
                        return said
                messages = await self.bus.receive()
                await self.bus.acknowledge(messages)
                self.heard += messages

    def forget(self) -> None:
        """Only what is said from now on counts."""
        self.heard.clear()

    async def tell(self, channel: Channel, said: object, *, retain: bool = False) -> None:
        await self.bus.publish([(topic(channel), json.dumps(said).encode())], retain=retain)


@pytest.fixture(params=["embedded", "mosquitto"])
async def running(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RunningBroker]:
    """A broker that knows the device."""
    kind = embedded if request.param == "embedded" else mosquitto
    async with kind(tmp_path / "broker", devices=[USER]) as running:
        yield running


@contextlib.asynccontextmanager
async def listening(running: RunningBroker) -> AsyncIterator[Ear]:
    async with running.bus("ear") as bus:
        await bus.subscribe("ronda/v1/#")
        yield Ear(bus)


def started(make_device: Make, running: RunningBroker, **mqtt: object) -> Esp32:
    address = {"host": "127.0.0.1", "port": running.port, "password": running.passwords[USER]}
    device: Esp32 = make_device(SITE, DEVICE, mqtt=address | mqtt)
    return device.start()


def online(status: Any) -> bool:
    return bool(status["state"] == "online")


async def test_a_device_tells_how_it_is_is_configured_frees_by_the_watermark_and_its_will_is_said(
    running: RunningBroker, make_device: Make
) -> None:
    async with listening(running) as ear:
        device = started(make_device, running)
        await _says_how_it_is(ear, device)
        await _is_configured_or_refuses_with_a_reason(ear)
        await _keeps_until_the_watermark(ear, device)
        await _is_gone_without_a_word(ear, device)


async def _says_how_it_is(ear: Ear, device: Esp32) -> None:
    status = await ear.until(Channel.STATUS, online)
    assert status["boot"] == device.boot
    # The firmware that runs is the one that is shipped: the hash of its list, and no file that differs from it.
    assert (status["firmware"], status["altered"]) == (
        hashlib.sha256((ESP32 / MANIFEST).read_bytes()).hexdigest()[:12],
        [],
    )
    assert status["heap_free"] > 20_000
    assert (status["rssi_dbm"], status["clock_set"], status["connections"]) == (-55, True, 1)
    assert (status["dropped"], status["sensor_failures"]) == (0, 0)


async def _is_configured_or_refuses_with_a_reason(ear: Ear) -> None:
    first = await ear.until(Channel.CONFIG_REPORTED, lambda said: True)
    assert first == {"config": {"reading_every_s": 1, "status_every_s": 15, "accel_range_g": 8, "ring_readings": 30000}}
    await ear.tell(Channel.CONFIG_DESIRED, {"id": "wide", "accel_range_g": 16, "status_every_s": 1}, retain=True)
    taken = await ear.until(Channel.CONFIG_REPORTED, lambda said: said.get("id") == "wide")
    assert taken == {"id": "wide", "config": first["config"] | {"accel_range_g": 16, "status_every_s": 1}}
    await ear.tell(Channel.CONFIG_DESIRED, {"id": "wrong", "accel_range_g": 3})
    refused = await ear.until(Channel.CONFIG_REPORTED, lambda said: said.get("id") == "wrong")
    assert (refused["refused"], refused["config"]) == ("out_of_range", taken["config"])
    assert refused["detail"] == "accel_range_g must be one of 2, 4, 8, 16"
    # Larger than its memory has room for: passed over, and it goes on.
    await ear.tell(Channel.CONFIG_DESIRED, {"id": "huge", "text": "x" * 100_000})
    await ear.tell(Channel.CONFIG_DESIRED, {"id": "after", "accel_range_g": 16})
    assert "refused" not in await ear.until(Channel.CONFIG_REPORTED, lambda said: said.get("id") == "after")


async def _keeps_until_the_watermark(ear: Ear, device: Esp32) -> None:
    """The broker has acknowledged them all, and still they are kept: only the store frees."""
    held = await ear.until(Channel.STATUS, lambda said: said.get("held", 0) >= 3)
    assert held["held"] == held["readings"]
    last = await ear.until(Channel.TELEMETRY, lambda said: said["readings"][-1]["seq"] >= 2)
    message = telemetry.decode(json.dumps(last).encode(), SITE, DEVICE)
    assert message.readings[-1].boot == device.boot
    assert message.readings[-1].values.keys() == {
        *(f"vibration_{name}rms_g" for name in ("", "x_", "y_", "z_")),
        *("vibration_peak_g", "vibration_crest", "temperature_c"),
    }
    ear.forget()
    await ear.tell(Channel.STORED, {"boot": device.boot, "through": 2}, retain=True)
    freed = await ear.until(Channel.STATUS, lambda said: said["held"] == said["readings"] - 3)
    assert freed["dropped"] == 0


async def _is_gone_without_a_word(ear: Ear, device: Esp32) -> None:
    ear.forget()
    boot = device.boot
    began = time.monotonic()
    device.stop()
    assert await ear.until(Channel.STATUS, lambda said: not online(said)) == {"state": "offline", "boot": boot}
    assert time.monotonic() - began < 10
    # The next power-up keeps the configuration, and says that it is there.
    device.start()
    status = await ear.until(Channel.STATUS, lambda said: online(said) and said["boot"] != boot)
    reported = await ear.until(Channel.CONFIG_REPORTED, lambda said: True)
    assert (reported["config"]["accel_range_g"], status["state"]) == (16, "online")


async def test_a_device_that_stands_still_is_said_to_be_gone(running: RunningBroker, make_device: Make) -> None:
    async with listening(running) as ear:
        device = started(make_device, running, keepalive_s=2)
        await ear.until(Channel.STATUS, online)
        device.freeze()
        began = time.monotonic()
        await ear.until(Channel.STATUS, lambda said: not online(said))
        # One and a half times its keep-alive (MQTT 3.1.1, section 3.1.2.10), and the broker's own step.
        assert time.monotonic() - began < 15


async def test_a_bus_that_hangs_is_ended_by_the_watchdog_and_the_device_starts_again(
    make_device: Make, tmp_path: Path
) -> None:
    async with mosquitto(tmp_path / "broker", devices=[USER]) as running, listening(running) as ear:
        device = started(make_device, running)
        await ear.until(Channel.TELEMETRY, lambda said: said["readings"][-1]["seq"] >= 1)
        device.hurt("bus.stuck")
        await asyncio.to_thread(device.until_said, "reset by the watchdog")
        device.heal("bus.stuck")
        await asyncio.to_thread(device.until_said, "reading.kept 0", times=2)


async def test_sensors_may_be_pulled_out_and_put_back(make_device: Make, tmp_path: Path) -> None:
    async with mosquitto(tmp_path / "broker", devices=[USER]) as running, listening(running) as ear:
        device = started(make_device, running)
        await ear.until(Channel.TELEMETRY, lambda said: len(said["readings"][-1]["values"]) == 7)
        device.hurt("mpu6050.silent")
        await ear.until(Channel.TELEMETRY, lambda said: said["readings"][-1]["values"].keys() == {"temperature_c"})
        device.hurt("ds18b20.silent")
        await asyncio.to_thread(device.until_said, "sensor.silent DS18B20")
        device.heal("mpu6050.silent")
        await ear.until(
            Channel.TELEMETRY,
            lambda said: "temperature_c" not in (values := said["readings"][-1]["values"]) and len(values) == 6,
        )


def test_after_repeated_bad_starts_a_person_is_waited_for(make_device: Make) -> None:
    device: Esp32 = make_device(SITE, DEVICE, mqtt={"host": ""})
    device.start()
    device.until_said("start.safe 3 bad starts in a row")
    failures = [line for line in device.said() if "start.failed" in line]
    assert len(failures) == 3
    assert "'mqtt' needs a 'host', such as 192.168.1.10" in failures[0]
