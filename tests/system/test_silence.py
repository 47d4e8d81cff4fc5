"""A device that goes offline is told of within moments, by one alarm of its own kind, and it is over when it speaks."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from broker.address import MqttAddress
from broker.mqtt import MqttBus
from contract import telemetry
from contract.topics import Channel, DeviceTopic
from tests.support.installation import Ronda, until
from tests.system.conftest import Make

SITE, DEVICE, BOOT = "plant-9", "meter", "9f2c41d07be3a655"


def _alarms(ronda: Ronda) -> list[tuple[str, str, str]]:
    found = ronda.sql("SELECT device, phase, event -> 'evidence' -> 'sentence' ->> 'en' FROM anomalies "
                      "WHERE event ->> 'kind' = 'silent' ORDER BY serial")  # fmt: skip
    return [(device, phase, sentence) for device, phase, sentence in found]


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_who_goes_offline_is_told_of_and_the_others_are_not(make_ronda: Make) -> None:
    ronda = make_ronda("--devices", "2").start()
    ronda.until_ready()
    added = json.loads(ronda.run("device", "add", f"{SITE}/{DEVICE}", "--data", str(ronda.data), "--json"))
    address = MqttAddress(host="127.0.0.1", port=ronda.mqtt_port).with_user(added["username"], added["password"])
    seq = asyncio.run(_speak(address, 0, for_s=80, leave=True))
    [(device, phase, sentence)] = until(lambda: _alarms(ronda) or None, "an alarm", 60)
    assert (device, phase) == (DEVICE, "raised")
    assert sentence.startswith("meter lost its connection and was not heard for ")
    with ronda.http() as client:
        page = client.get("/api/v1/anomalies", params={"site": SITE}).json()
    assert [item["kind"] for item in page["items"]] == ["silent"]
    asyncio.run(_speak(address, seq, for_s=3, leave=False))
    until(lambda: _alarms(ronda) == [(DEVICE, "cleared", sentence)] or None, "cleared", 30)
    assert not [line for line in ronda.log_lines() if line["event"] == "task.failed"]


async def _speak(address: MqttAddress, seq: int, *, for_s: float, leave: bool) -> int:
    """Two readings a second; returns the next number."""
    status, topic = (str(DeviceTopic(SITE, DEVICE, channel)) for channel in (Channel.STATUS, Channel.TELEMETRY))
    end = time.monotonic() + for_s
    async with asyncio.timeout(for_s + 30), MqttBus(address, "meter", persistent=False) as bus:
        await bus.publish([(status, b"online")], retain=True)
        while time.monotonic() < end:
            reading = (seq, int(time.time() * 1000), {"power_kw": 11.0 + seq % 7 / 10})
            await bus.publish([(topic, telemetry.encode(BOOT, [reading]))])
            seq += 1
            await asyncio.sleep(0.5)
        if leave:
            await bus.publish([(status, b"offline")], retain=True)
    return seq
