"""What one client may make the embedded broker remember or write into its log is bounded."""

from __future__ import annotations

import asyncio

import pytest

from broker.access import AccessRules, Action, Refusal
from broker.embedded.packets import publish
from broker.embedded.routes import Routes
from broker.filters import MAX_TOPIC_BYTES, is_filter, is_topic, shortened
from contract.access import Party
from contract.topics import Channel, DeviceTopic
from tests.broker.conftest import PUMP
from tests.support.brokers import RunningBroker
from tests.support.mosquitto_tools import listen

PATIENCE_S = 20.0
ENDLESS = "x/" * 30_000 + "y"
ATTEMPTS = 50


def test_the_longest_topic_of_the_contract_is_short_enough() -> None:
    longest = max(len(str(DeviceTopic("s" * 63, "d" * 63, channel))) for channel in Channel)
    assert longest < MAX_TOPIC_BYTES


@pytest.mark.parametrize("action", Action)
def test_what_is_too_long_is_refused_and_not_remembered(action: Action) -> None:
    rules = AccessRules([Party(name="all", writes=["#"], reads=["#"])])
    assert rules.refusal("all", action, "x" * MAX_TOPIC_BYTES) is None
    assert rules.refusal("all", action, "x" * MAX_TOPIC_BYTES + "x") is Refusal.TOO_LONG
    # Counted in bytes, as MQTT does.
    assert rules.refusal("all", action, "é" * (MAX_TOPIC_BYTES // 2 + 1)) is Refusal.TOO_LONG
    assert rules._remembered.cache_info().currsize == 1


def test_what_is_too_long_is_no_topic_and_no_filter() -> None:
    assert not is_topic(ENDLESS)
    assert not is_filter(ENDLESS)


def test_a_log_line_carries_the_beginning_alone() -> None:
    assert shortened("plant/1") == "plant/1"
    assert shortened(ENDLESS) == "x/" * 40 + "… (60001 characters)"


def test_the_subscribers_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.embedded.routes._REMEMBERED_SUBSCRIBERS", 1000)
    routes = Routes()
    for number in range(100):
        routes.add(f"client-{number}", "#", 1)
    for number in range(500):
        assert len(routes.subscribers(f"plant/{number}")) == 100
        assert routes.subscribers.cache_info().currsize <= 10


async def test_a_publish_on_a_topic_without_end_is_acknowledged_dropped_and_counted(
    ours: RunningBroker, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await _connected(ours)
    for number in range(ATTEMPTS):
        writer.write(publish(f"{number}/{ENDLESS}", b"x", qos=1, retain=True, packet_id=number + 1))
        await writer.drain()
        assert (await _read(reader, 4))[:2] == b"\x40\x02"
    writer.close()
    status = ours.broker.status()
    assert (status.counters.refused, status.retained) == ({"too_long": ATTEMPTS}, 0)
    assert ours.broker._rules._remembered.cache_info().currsize == 0
    (told,) = [record for record in caplog.records if record.getMessage() == "publish.refused"]
    assert told.reason == "too_long"
    assert max(len(str(vars(record))) for record in caplog.records if record.name.startswith("ronda")) < 2000


async def test_a_filter_without_end_is_refused(ours: RunningBroker) -> None:
    reader, writer = await _connected(ours)
    wanted = ENDLESS.encode()
    body = b"\x00\x01" + len(wanted).to_bytes(2, "big") + wanted + b"\x01"
    writer.write(b"\x82" + bytes([len(body) & 0x7F | 0x80, len(body) >> 7 & 0x7F | 0x80, len(body) >> 14]) + body)
    assert await _read(reader, 5) == b"\x90\x03\x00\x01\x80"
    writer.close()


async def test_a_will_on_a_topic_without_end_harms_nobody(ours: RunningBroker) -> None:
    will = ("--will-topic", ENDLESS, "--will-payload", "gone", "-k", "5")
    assert await listen(ours.address(PUMP), "#", *will) == []
    _, writer = await _connected(ours)
    writer.close()


async def _connected(running: RunningBroker) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    fields = [b"raw", PUMP.encode(), running.passwords[PUMP].encode()]
    body = b"\x00\x04MQTT\x04\xc2\x00\x3c" + b"".join(len(one).to_bytes(2, "big") + one for one in fields)
    writer.write(b"\x10" + bytes([len(body)]) + body)
    assert await _read(reader, 4) == b"\x20\x02\x00\x00"
    return reader, writer


async def _read(reader: asyncio.StreamReader, count: int) -> bytes:
    return await asyncio.wait_for(reader.readexactly(count), PATIENCE_S)
