"""Every promise that a bus declares is held, and every one that it does not make is seen to be broken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.bus import MAX_PACKET_BYTES, Bus, Message, Will
from contract.errors import ContractError, TransientError
from tests.broker.suite.venues import SLOW, SMALL, VENUES, Venue

TOPIC = "plant/telemetry"
# Long enough for a busy machine; nobody waits for it unless something is lost.
PATIENCE_S = 20.0
# How long nothing has to come before we believe that nothing comes.
SILENCE_S = 0.7


@pytest.fixture(params=sorted(VENUES))
async def venue(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Venue]:
    here: Venue = VENUES[request.param](tmp_path)
    await here.start()
    yield here
    await here.stop()


async def collect(bus: Bus, count: int, *, acknowledge: bool = True) -> list[Message]:
    """The next `count` messages."""
    found: list[Message] = []
    async with asyncio.timeout(PATIENCE_S):
        while len(found) < count:
            messages = await bus.receive()
            found += messages
            if acknowledge:
                await bus.acknowledge(messages)
    return found


async def everything(bus: Bus) -> list[Message]:
    """What comes until nothing more does."""
    found: list[Message] = []
    while True:
        try:
            messages = await asyncio.wait_for(bus.receive(), SILENCE_S)
        except TimeoutError:
            return found
        found += messages
        await bus.acknowledge(messages)


def numbered(count: int, topic: str = TOPIC) -> list[tuple[str, bytes]]:
    return [(topic, str(number).encode()) for number in range(count)]


def payloads(messages: list[Message]) -> list[bytes]:
    return [message.payload for message in messages]


async def subscribed(venue: Venue, client_id: str = "reader") -> None:
    """Leave a persistent subscription behind."""
    async with venue.bus(client_id) as bus:
        await bus.subscribe("plant/#")


async def test_a_live_subscriber_gets_everything_in_order(venue: Venue) -> None:
    assert venue.promises.keeps_order_per_publisher
    async with venue.bus("reader") as reader, venue.bus("writer") as writer:
        await reader.subscribe("plant/#")
        task = asyncio.create_task(writer.publish(numbered(3000)))
        assert payloads(await collect(reader, 3000)) == payloads_of(3000)
        await task


async def test_an_absent_subscriber_gets_everything_when_it_is_back(venue: Venue) -> None:
    assert venue.promises.survives_subscriber_kill
    await subscribed(venue)
    async with venue.bus("writer") as writer:
        await writer.publish(numbered(700))
    async with venue.bus("reader") as reader:
        assert payloads(await collect(reader, 700)) == payloads_of(700)


async def test_what_was_not_acknowledged_comes_again_in_order(venue: Venue) -> None:
    assert venue.promises.redelivers_unacknowledged
    await subscribed(venue)
    async with venue.bus("writer") as writer:
        await writer.publish(numbered(10))
    async with venue.bus("reader") as reader:
        first = await collect(reader, 10, acknowledge=False)
        await reader.acknowledge(first[:4])
    async with venue.bus("reader") as reader:
        assert payloads(await everything(reader)) == payloads_of(10)[4:]


async def test_a_broken_connection_loses_nothing(venue: Venue) -> None:
    async with venue.bus("reader") as reader, venue.bus("writer") as writer:
        await reader.subscribe("plant/#")
        await writer.publish(numbered(50))
        await collect(reader, 50, acknowledge=False)
        venue.vanish(reader, "reader")
        assert payloads(await collect(reader, 50)) == payloads_of(50)


async def test_an_acknowledgement_of_an_earlier_connection_says_nothing_on_the_next(venue: Venue) -> None:
    async with venue.bus("reader") as reader, venue.bus("writer") as writer:
        await reader.subscribe("plant/#")
        await writer.publish(numbered(20))
        stale = await collect(reader, 20, acknowledge=False)
        venue.vanish(reader, "reader")
        await collect(reader, 20, acknowledge=False)
        await reader.acknowledge(stale)
    async with venue.bus("reader") as reader:
        assert payloads(await everything(reader)) == payloads_of(20)


async def test_a_publisher_gets_through_a_broken_connection(venue: Venue) -> None:
    await subscribed(venue)
    async with venue.bus("writer") as writer:
        await writer.publish(numbered(1))
        venue.vanish(writer, "writer")
        async with asyncio.timeout(PATIENCE_S):
            await writer.publish([(TOPIC, b"after")])
    async with venue.bus("reader") as reader:
        assert payloads(await everything(reader)) == [b"0", b"after"]


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_what_was_acknowledged_survives_the_broker_as_promised(venue: Venue, end: str) -> None:
    promised = venue.promises.survives_broker_kill if end == "kill" else venue.promises.survives_broker_restart
    await subscribed(venue)
    async with venue.bus("writer") as writer:
        await writer.publish(numbered(300))
        await writer.publish([("plant/status", b"kept")], retain=True)
    await (venue.kill() if end == "kill" else venue.stop())
    await venue.start()
    async with venue.bus("reader") as reader:
        found = payloads(await everything(reader))
        assert found == ([*payloads_of(300), b"kept"] if promised else [])
    async with venue.bus("later") as later:
        await later.subscribe("plant/status")
        assert payloads(await everything(later)) == ([b"kept"] if promised else [])


async def test_a_full_queue_holds_the_publisher_back_or_drops_as_declared(venue: Venue) -> None:
    room = SMALL * 100
    accepted = 0
    async with venue.bus("writer", timeout_s=1.5) as writer:
        try:
            for start in range(0, 2 * room, 500):
                await writer.publish([("slow/1", str(start + number).encode()) for number in range(500)])
                accepted = start + 500
        except TransientError:
            assert venue.promises.refuses_when_full
    async with venue.bus(SLOW) as reader:
        await reader.subscribe("slow/#")
        found = payloads(await everything(reader))
    expected = [str(number).encode() for number in range(accepted)]
    if venue.promises.refuses_when_full:
        assert accepted < 2 * room
        assert found[:accepted] == expected
    else:
        assert accepted == 2 * room
        assert len(found) < accepted


async def test_a_retained_message_waits_for_those_who_come_later(venue: Venue) -> None:
    async with venue.bus("writer") as writer:
        await writer.publish([("plant/status", b"old"), ("plant/status", b"new")], retain=True)
    async with venue.bus("reader") as reader:
        await reader.subscribe("plant/#")
        (message,) = await everything(reader)
        assert (message.topic, message.payload, message.retain) == ("plant/status", b"new", True)
    async with venue.bus("writer") as writer:
        await writer.publish([("plant/status", b"")], retain=True)
    async with venue.bus("later") as later:
        await later.subscribe("plant/#")
        assert await everything(later) == []


async def test_the_will_speaks_for_who_vanished_and_is_silent_after_a_good_bye(venue: Venue) -> None:
    will = Will("plant/alive", b"gone")
    async with venue.bus("reader") as reader:
        await reader.subscribe("plant/alive")
        async with venue.bus("agent", will=will) as agent:
            await agent.publish([("plant/alive", b"here")], retain=True)
            assert payloads(await collect(reader, 1)) == [b"here"]
            venue.vanish(agent, "agent")
            assert payloads(await collect(reader, 1)) == [b"gone"]
        assert await everything(reader) == []


async def test_a_clean_session_starts_with_nothing(venue: Venue) -> None:
    await subscribed(venue, "dashboard")
    async with venue.bus("writer") as writer:
        await writer.publish(numbered(5))
        async with venue.bus("dashboard", persistent=False) as dashboard:
            assert await everything(dashboard) == []
            await dashboard.subscribe("plant/#")
            await writer.publish([(TOPIC, b"live")])
            assert payloads(await everything(dashboard)) == [b"live"]


async def test_five_megabytes_go_through_and_nine_are_refused_before_they_are_sent(venue: Venue) -> None:
    large = bytes(5 * 1024 * 1024)
    async with venue.bus("reader") as reader, venue.bus("writer") as writer:
        await reader.subscribe("plant/#")
        await writer.publish([(TOPIC, large)])
        assert payloads(await collect(reader, 1)) == [large]
        with pytest.raises(ContractError, match="over the limit"):
            await writer.publish([(TOPIC, bytes(MAX_PACKET_BYTES))])


def payloads_of(count: int) -> list[bytes]:
    return [payload for _, payload in numbered(count)]
