"""What a device may and may not do, on the embedded broker and on Mosquitto alike."""

from __future__ import annotations

import asyncio
import contextlib
import os

import pytest

from broker.bus import RefusedError
from broker.mqtt import MqttBus
from contract.topics import Channel, DeviceTopic
from tests.broker.conftest import ELSEWHERE, GATEWAY, OTHER, PUMP
from tests.broker.suite.test_promises import everything
from tests.support.brokers import RunningBroker
from tests.support.mosquitto_tools import listen, publish_lines

PATIENCE_S = 20.0


def topic(user: str, channel: Channel) -> str:
    site, device = user.split("/")
    return str(DeviceTopic(site, device, channel))


async def heard(running: RunningBroker, attempts: list[tuple[str, str]]) -> list[str]:
    """The topics of `attempts` (user, topic) that reach somebody who may read everything."""
    async with running.bus("auditor") as auditor:
        await auditor.subscribe("#")
        for number, (user, wanted) in enumerate(attempts):
            async with running.bus(f"client-{number}", user) as bus:
                # Refused or not: the broker acknowledges.
                await bus.publish([(wanted, b"x")])
                await bus.publish([(wanted, b"retained")], retain=True)
        async with running.bus("last") as last:
            await last.publish([("end", b"")])
        found: list[str] = []
        async with asyncio.timeout(PATIENCE_S):
            while "end" not in found:
                messages = await auditor.receive()
                await auditor.acknowledge(messages)
                found += [message.topic for message in messages]
    return sorted(set(found) - {"end"})


async def test_a_device_speaks_for_itself(running: RunningBroker) -> None:
    allowed = [Channel.TELEMETRY, Channel.STATUS, Channel.CONFIG_REPORTED, Channel.COMMAND_RESULT]
    wanted = [(PUMP, topic(PUMP, channel)) for channel in allowed]
    assert await heard(running, wanted) == sorted(one for _, one in wanted)


async def test_a_device_cannot_speak_for_another_or_for_another_site(running: RunningBroker) -> None:
    attempts = [(PUMP, topic(other, Channel.TELEMETRY)) for other in (OTHER, ELSEWHERE)]
    attempts += [(PUMP, topic(OTHER, Channel.STATUS)), (PUMP, "ronda/v1/gateway/plant-1/telemetry")]
    assert await heard(running, attempts) == []


async def test_a_device_cannot_forge_what_the_agents_say(running: RunningBroker) -> None:
    channels = [Channel.ANOMALY, Channel.NOTIFICATION, Channel.REJECTED, Channel.STORED, Channel.COMMAND]
    attempts = [(PUMP, topic(PUMP, channel)) for channel in channels]
    attempts += [(PUMP, "ronda-chain/v1/validated/7"), (PUMP, "ronda-chain/v1/model/plant-1/pump-07")]
    attempts += [(PUMP, "somewhere/else")]
    assert await heard(running, attempts) == []


async def test_a_gateway_speaks_for_its_site_alone(running: RunningBroker) -> None:
    allowed = [topic(PUMP, Channel.TELEMETRY), topic(OTHER, Channel.STATUS)]
    refused = [
        topic(ELSEWHERE, Channel.TELEMETRY),
        topic(PUMP, Channel.COMMAND_RESULT),
        "ronda/v1/gateway/plant-1/telemetry",
        "ronda/v1/gateway/plant-1/status",
    ]
    assert await heard(running, [(GATEWAY, one) for one in allowed + refused]) == sorted(allowed)


async def test_a_service_says_what_it_declared_and_no_more(running: RunningBroker) -> None:
    attempts = [
        ("acquisition", one)
        for one in (
            "ronda-chain/v1/ingested/3",
            "ronda-chain/v1/validated/3",
            topic(PUMP, Channel.TELEMETRY),
            "ronda/v1/acquisition/telemetry",
        )
    ]
    found = await heard(running, attempts)
    assert "ronda-chain/v1/ingested/3" in found
    # Mosquitto's pattern for devices grants a service a topic that no filter of ours covers.
    assert set(found) <= {"ronda-chain/v1/ingested/3", "ronda/v1/acquisition/telemetry"}


@pytest.mark.parametrize("wanted", ["#", "ronda/#", "+/+/+/+/+", "ronda/v1/+/+/stored", "ronda/v1/+/+/status"])
async def test_a_wide_subscription_yields_nothing_that_is_not_the_devices_own(
    running: RunningBroker, wanted: str
) -> None:
    mine = topic(PUMP, Channel.STORED)
    others = [
        topic(OTHER, Channel.STORED),
        topic(ELSEWHERE, Channel.STORED),
        topic(PUMP, Channel.ANOMALY),
        topic(OTHER, Channel.STATUS),
        "ronda-chain/v1/model/plant-1/pump-07",
    ]
    async with running.bus("historian") as historian, running.bus("esp32", PUMP) as device:
        await historian.publish([(one, b"retained") for one in [mine, *others]], retain=True)
        await device.subscribe(wanted)
        await historian.publish([(one, b"live") for one in [mine, *others]])
        found = [(message.topic, message.payload) for message in await everything(device)]
    hears = wanted != "ronda/v1/+/+/status"
    assert found == ([(mine, b"retained"), (mine, b"live")] if hears else [])


async def test_a_persistent_session_gets_nothing_foreign_when_it_connects(running: RunningBroker) -> None:
    await listen(running.address(PUMP), "#", "-c", "-i", "esp32", seconds=3)
    async with running.bus("historian") as historian:
        await historian.publish([(topic(OTHER, Channel.STORED), b"theirs")], retain=True)
        await historian.publish([(topic(PUMP, Channel.STORED), b"mine")], retain=True)
        await historian.publish([("ronda/v1/plant-1/pump-08/command", b"theirs")])
    lines = await listen(running.address(PUMP), "unrelated", "-c", "-i", "esp32", seconds=3)
    assert lines == [f"{topic(PUMP, Channel.STORED)} mine"]


async def test_nobody_connects_without_the_right_password(running: RunningBroker) -> None:
    right = running.address(PUMP)
    assert await publish_lines(right, topic(PUMP, Channel.TELEMETRY), ["x"]) == 0
    for wrong in (right.with_user(PUMP, "guess"), right.with_user("plant-1/stranger", "x"), right.with_user("", "")):
        assert await publish_lines(wrong, topic(PUMP, Channel.TELEMETRY), ["x"]) != 0
    with pytest.raises(RefusedError, match="refuses"):
        async with MqttBus(right.with_user(PUMP, "guess"), "esp32"):
            pass


async def test_a_revoked_device_is_cut_off_and_stays_out(running: RunningBroker) -> None:
    async with running.bus("auditor") as auditor, running.bus("esp32", PUMP, timeout_s=5.0) as bus:
        await auditor.subscribe(topic(PUMP, Channel.TELEMETRY))
        await bus.publish([(topic(PUMP, Channel.TELEMETRY), b"before")])
        running.revoke(PUMP)
        async with asyncio.timeout(PATIENCE_S):
            while bus.connected:
                await asyncio.sleep(0.02)
        with pytest.raises(RefusedError):
            async with MqttBus(running.address(PUMP), "again"):
                pass
        assert [message.payload for message in await auditor.receive()] == [b"before"]


async def test_a_device_added_while_the_broker_runs_may_speak(running: RunningBroker) -> None:
    running.add_user("plant-9/fan")
    async with asyncio.timeout(PATIENCE_S):
        while await publish_lines(running.address("plant-9/fan"), "ronda/v1/plant-9/fan/telemetry", ["x"]):
            pass


@pytest.mark.parametrize("present", [False, True], ids=["subscriber away", "subscriber live"])
async def test_five_hundred_messages_in_a_burst_all_arrive(running: RunningBroker, present: bool) -> None:
    wanted = [f"reading {number}" for number in range(500)]
    async with running.bus("acquisition", "acquisition") as subscriber:
        await subscriber.subscribe("ronda/v1/+/+/telemetry")
        if present:
            assert await publish_lines(running.address(PUMP), topic(PUMP, Channel.TELEMETRY), wanted) == 0
            assert await _received(subscriber, 500) == wanted
    if not present:
        assert await publish_lines(running.address(PUMP), topic(PUMP, Channel.TELEMETRY), wanted) == 0
        async with running.bus("acquisition", "acquisition") as subscriber:
            assert await _received(subscriber, 500) == wanted


async def _received(subscriber: MqttBus, count: int) -> list[str]:
    found: list[str] = []
    async with asyncio.timeout(PATIENCE_S):
        while len(found) < count:
            messages = await subscriber.receive()
            await subscriber.acknowledge(messages)
            found += [message.payload.decode() for message in messages]
    return found


CONNECT = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"
GARBAGE = {
    "nothing": b"",
    "text": b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n",
    "zeros": bytes(4096),
    "random": os.urandom(4096),
    "endless length": b"\x10\xff\xff\xff\xff\xff\xff",
    "half a connect": CONNECT[:7],
    "publish before connect": b"\x30\x05\x00\x01a" + b"xx",
    "wrong protocol name": CONNECT.replace(b"MQTT", b"QTTM"),
    "twice connect": CONNECT + CONNECT,
    "reserved type": CONNECT + b"\xf0\x00",
}


@pytest.mark.parametrize("bytes_", GARBAGE.values(), ids=GARBAGE.keys())
async def test_garbage_harms_nobody_else(running: RunningBroker, bytes_: bytes) -> None:
    for _ in range(3):
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(bytes_)
        with contextlib.suppress(OSError):
            await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
            await asyncio.wait_for(reader.read(), PATIENCE_S)
        writer.close()
    assert await publish_lines(running.address(PUMP), topic(PUMP, Channel.TELEMETRY), ["still here"]) == 0


BROKEN_PACKETS = {
    "publish without a topic": b"\x32\x02\x00\x00",
    "publish on a wildcard": b"\x32\x06\x00\x01#\x00\x01x",
    "publish at QoS 3": b"\x36\x06\x00\x01a\x00\x01x",
    "topic longer than the packet": b"\x32\x04\xff\xff\x00\x01",
    "topic that is no UTF-8": b"\x32\x06\x00\x01\xff\x00\x01x",
    "acknowledgement without an id": b"\x40\x00",
    "subscribe without a filter": b"\x82\x02\x00\x01",
    "a second connect": CONNECT,
    "nine megabytes": b"\x32\x80\x80\xa5\x04\x00\x01a\x00\x01",
    "endless length": b"\x32\xff\xff\xff\xff\xff",
}


@pytest.mark.parametrize("packet", BROKEN_PACKETS.values(), ids=BROKEN_PACKETS.keys())
async def test_a_broken_packet_ends_its_own_connection_alone(running: RunningBroker, packet: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(_connect(PUMP, running.passwords[PUMP]))
    assert await asyncio.wait_for(reader.readexactly(4), PATIENCE_S) == b"\x20\x02\x00\x00"
    writer.write(packet)
    # The connection is closed by the broker; what it sends before that does not matter.
    with contextlib.suppress(ConnectionError):
        await asyncio.wait_for(reader.read(), PATIENCE_S)
    writer.close()
    assert await publish_lines(running.address(PUMP), topic(PUMP, Channel.TELEMETRY), ["still here"]) == 0


def _connect(user: str, password: str) -> bytes:
    def field(text: str) -> bytes:
        return len(text).to_bytes(2, "big") + text.encode()

    body = b"\x00\x04MQTT\x04\xc2\x00\x3c" + field("raw") + field(user) + field(password)
    return b"\x10" + len(body).to_bytes(1, "big") + body
