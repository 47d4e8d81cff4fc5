"""The client on both real brokers, under load and hurt: kill -9 of either side, and a stream cut byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.wire import WireBus
from broker.wire.connection import Connection
from contract.errors import TransientError
from tests.broker.suite.test_promises import everything
from tests.broker.suite.venues import (
    EmbeddedVenue,
    WireEmbeddedVenue,
    WireEncryptedMosquittoVenue,
    WireMosquittoVenue,
)
from tests.support.vanishing import vanish

PATIENCE_S = 60.0
BURST = 250


@pytest.fixture(params=[WireEmbeddedVenue, WireMosquittoVenue, WireEncryptedMosquittoVenue])
async def venue(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EmbeddedVenue]:
    here: EmbeddedVenue = request.param(tmp_path)
    await here.start()
    yield here
    await here.stop()


class Reader:
    """Takes and acknowledges, and notes what came for the first time, in its order."""

    def __init__(self, bus: WireBus) -> None:
        self._bus = bus
        self.first: dict[int, None] = {}
        self.repeats = 0

    async def run(self, last: int) -> None:
        """Until `last` has come."""
        while last not in self.first:
            messages = await self._bus.receive()
            numbers = [int(message.payload) for message in messages]
            self.repeats += len([number for number in numbers if number in self.first])
            self.first.update(dict.fromkeys(numbers))
            await self._bus.acknowledge(messages)


async def publish(bus: WireBus, first: int, count: int) -> None:
    await bus.publish([("plant/1", b"%d" % number) for number in range(first, first + count)])


def wire(venue: EmbeddedVenue, client_id: str) -> WireBus:
    bus = venue.bus(client_id, timeout_s=PATIENCE_S)
    assert isinstance(bus, WireBus)
    return bus


async def test_cables_pulled_on_both_sides_lose_nothing_and_turn_nothing_round(
    venue: EmbeddedVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every connection counts as one that lasted, so that the next one comes soon.
    monkeypatch.setattr("broker.kept_up._LASTED_S", 0.0)
    total = 40 * BURST
    async with asyncio.timeout(PATIENCE_S), wire(venue, "reader") as reader, wire(venue, "writer") as writer:
        await reader.subscribe("plant/#")
        taking = Reader(reader)
        task = asyncio.create_task(taking.run(total - 1))
        for number in range(40):
            sending = asyncio.create_task(publish(writer, number * BURST, BURST))
            if number % 4 == 3:
                # Now and then in the middle of what is under way.
                await asyncio.sleep(0.002 * (number % 3))
                for bus in (reader, writer) if number % 8 == 3 else (writer,):
                    with contextlib.suppress(AssertionError):
                        vanish(bus)
            await sending
        await task
    assert list(taking.first) == list(range(total))


async def test_what_was_acknowledged_survives_kill_9_of_the_embedded_broker_under_load(tmp_path: Path) -> None:
    venue = WireEmbeddedVenue(tmp_path)
    await venue.start()
    acknowledged = 0
    async with asyncio.timeout(PATIENCE_S), wire(venue, "reader") as reader, wire(venue, "writer") as writer:
        await reader.subscribe("plant/#")
        taking = Reader(reader)
        for _ in range(3):
            sending = asyncio.create_task(publish(writer, acknowledged, 4 * BURST))
            await asyncio.sleep(0.05)
            await venue.kill()
            await venue.start()
            # The same call, over the new connection.
            await sending
            acknowledged += 4 * BURST
        await taking.run(acknowledged - 1)
        assert sorted(taking.first) == list(range(acknowledged))
    await venue.stop()


async def test_a_session_that_a_killed_mosquitto_lost_is_made_anew(tmp_path: Path) -> None:
    venue = WireMosquittoVenue(tmp_path)
    await venue.start()
    async with asyncio.timeout(PATIENCE_S), wire(venue, "reader") as reader, wire(venue, "writer") as writer:
        await reader.subscribe("plant/#")
        await publish(writer, 0, BURST)
        stale = await reader.receive()
        await venue.kill()
        await venue.start()
        while not (reader.connected and writer.connected):
            await asyncio.sleep(0.02)
        await reader.acknowledge(stale)
        await publish(writer, BURST, BURST)
        taking = Reader(reader)
        await taking.run(2 * BURST - 1)
        assert list(taking.first) == list(range(BURST, 2 * BURST))
    await venue.stop()


async def test_publishing_while_the_broker_is_away_waits_for_it_and_no_longer_than_it_said(tmp_path: Path) -> None:
    venue = WireMosquittoVenue(tmp_path)
    await venue.start()
    async with asyncio.timeout(PATIENCE_S), wire(venue, "writer") as writer, venue.bus("brief", timeout_s=0.5) as brief:
        await venue.stop()
        waiting = asyncio.create_task(publish(writer, 0, BURST))
        with pytest.raises(TransientError, match="did not acknowledge in time"):
            await brief.publish([("plant/1", b"x")])
        await venue.start()
        await waiting
    await venue.stop()


async def test_a_stream_that_arrives_byte_by_byte_says_the_same(
    venue: EmbeddedVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Connection.data_received

    def crumbs(connection: Connection, data: bytes) -> None:
        for at in range(len(data)):
            whole(connection, data[at : at + 1])

    monkeypatch.setattr(Connection, "data_received", crumbs)
    async with asyncio.timeout(PATIENCE_S), wire(venue, "reader") as reader, wire(venue, "writer") as writer:
        await reader.subscribe("plant/#")
        await publish(writer, 0, BURST)
        assert [int(message.payload) for message in await everything(reader)] == list(range(BURST))


async def test_five_megabytes_many_times_leave_nothing_in_memory(
    venue: EmbeddedVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.inbox.MAX_UNREAD_BYTES", 10_000_000)
    large = bytes(5 * 1024 * 1024)
    async with asyncio.timeout(PATIENCE_S), wire(venue, "reader") as reader, wire(venue, "writer") as writer:
        await reader.subscribe("plant/#")
        sending = asyncio.create_task(writer.publish([("plant/1", large)] * 8))
        seen = 0
        while seen < 8:
            # Slower than they come.
            await asyncio.sleep(0.05)
            assert len(reader._inbox) <= 3
            messages = await reader.receive(1)
            assert [message.payload for message in messages] == [large]
            await reader.acknowledge(messages)
            seen += 1
        await sending
        assert reader._connection is not None
        assert reader._connection._decoder.held == 0
