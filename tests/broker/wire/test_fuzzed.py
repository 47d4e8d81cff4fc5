"""The client, its network and its broker doing anything at all: what is said, cut and forgotten is random."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.address import MqttAddress
from broker.embedded.packets import publish
from broker.wire import WireBus
from tests.broker.suite.venues import EmbeddedVenue, WireEmbeddedVenue, WireMosquittoVenue
from tests.faults.proxy import Proxy
from tests.support.scripted_broker import Line, ScriptedBroker

PATIENCE_S = 60.0
SEEDS = range(3)
STREAMS = 60
MESSAGES = 3000


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every connection counts as one that lasted, and the next one comes at once."""
    monkeypatch.setattr("broker.kept_up._LASTED_S", -1.0)
    monkeypatch.setattr("broker.kept_up._BREATH_S", 0.01)


@pytest.fixture(params=SEEDS)
def chance(request: pytest.FixtureRequest) -> random.Random:
    return random.Random(request.param)


@pytest.fixture(params=[WireEmbeddedVenue, WireMosquittoVenue])
async def venue(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EmbeddedVenue]:
    here: EmbeddedVenue = request.param(tmp_path)
    await here.start()
    yield here
    await here.stop()


def damaged(chance: random.Random) -> bytes:
    """Packets that a broker may send, with some bytes changed, taken out or put in; or nothing but noise."""
    sound = [
        publish(f"plant/{chance.randrange(9)}", chance.randbytes(chance.choice((0, 3, 125, 300))),
                qos=chance.randrange(2), retain=chance.random() < 0.3, packet_id=chance.randrange(1, 65_536)),
        b"\x40\x02" + chance.randbytes(2),
        b"\x90\x03" + chance.randbytes(3),
        b"\xd0\x00",
        chance.randbytes(chance.randrange(1, 50)),
    ]  # fmt: skip
    stream = bytearray(b"".join(chance.choices(sound, k=chance.randrange(1, 12))))
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(stream) + 1)
        stream[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
    return bytes(stream)


async def test_whatever_a_broker_says_the_next_connection_is_sound(
    chance: random.Random, caplog: pytest.LogCaptureFixture
) -> None:
    async with ScriptedBroker() as broker, asyncio.timeout(PATIENCE_S):
        bus = WireBus(broker.address, "agent")
        _, line = await asyncio.gather(bus.__aenter__(), broker.line())
        for number in range(STREAMS):
            await _say(line, damaged(chance), chance)
            line.break_off()
            line = await broker.line(session_present=chance.random() < 0.5)
            # What came before is forgotten, or was taken: only this is waited for.
            line.send(publish("plant/1", b"sound %d" % number, qos=1, retain=False, packet_id=1))
            while not any(message.payload == b"sound %d" % number for message in await bus.receive()):
                pass
        await bus.__aexit__(None, None, None)
    # What nobody caught: an exception in a callback of the loop.
    assert [record for record in caplog.records if record.name == "asyncio" and record.levelname == "ERROR"] == []


async def test_lines_that_break_in_the_middle_of_anything_lose_nothing_and_turn_nothing_round(
    venue: EmbeddedVenue, chance: random.Random
) -> None:
    first: dict[int, None] = {}
    async with Proxy(venue._port, chance) as network, asyncio.timeout(PATIENCE_S):
        async with _through(network, venue, "reader") as reader, _through(network, venue, "writer") as writer:
            await reader.subscribe("plant/#")
            # A few hundred messages a connection.
            network.lose(20_000)
            publishing = asyncio.create_task(_publish(writer))
            while len(first) < MESSAGES:
                messages = await reader.receive()
                first.update(dict.fromkeys(int(message.payload) for message in messages))
                await reader.acknowledge(messages)
            network.heal()
            await publishing
        assert network.came > 4
    assert list(first) == list(range(MESSAGES))


async def test_a_line_that_a_firewall_forgot_is_given_up_and_made_anew(venue: EmbeddedVenue) -> None:
    seen: set[int] = set()
    async with (
        asyncio.timeout(PATIENCE_S),
        Proxy(venue._port, random.Random(1)) as network,
        _through(network, venue, "reader") as reader,
        _through(network, venue, "writer") as writer,
    ):
        await reader.subscribe("plant/#")
        network.forget()
        # Nobody hangs up: both sides find out by the keep-alive.
        await _publish(writer)
        while len(seen) < MESSAGES:
            messages = await reader.receive()
            seen.update(int(message.payload) for message in messages)
            await reader.acknowledge(messages)


def _through(network: Proxy, venue: EmbeddedVenue, client_id: str) -> WireBus:
    direct = venue.bus(client_id)._address
    address = MqttAddress(host="127.0.0.1", port=network.port).with_user(direct.user or "", direct.password or "")
    return WireBus(address, client_id, timeout_s=PATIENCE_S, keepalive_s=1)


async def _publish(bus: WireBus) -> None:
    for start in range(0, MESSAGES, 100):
        await bus.publish([("plant/1", b"%d" % number) for number in range(start, start + 100)])


async def _say(line: Line, stream: bytes, chance: random.Random) -> None:
    at = 0
    while at < len(stream):
        cut = at + chance.randrange(1, 40)
        line.send(stream[at:cut])
        at = cut
        if chance.random() < 0.2:
            await asyncio.sleep(0)
    await asyncio.sleep(0.002)
