"""Who publishes what it makes of what it receives is never stuck, however far behind it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.bus import Bus
from broker.two_lines import TwoLines
from tests.broker.suite.test_promises import PATIENCE_S, numbered, payloads_of
from tests.broker.suite.venues import VENUES, Venue


@pytest.fixture(params=sorted(VENUES))
async def venue(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Venue]:
    here: Venue = VENUES[request.param](tmp_path)
    await here.start()
    yield here
    await here.stop()


def agent(venue: Venue) -> Bus:
    """As the hub opens it for an agent."""
    return TwoLines(venue.bus("agent"), venue.bus("agent-speaks", persistent=False))


async def test_a_backlog_larger_than_the_inbox_is_worked_through_in_order(
    venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.inbox.MAX_UNREAD", 50)
    async with agent(venue) as bus:
        await bus.subscribe("plant/#")
    async with venue.bus("writer") as writer:
        await writer.publish(numbered(5000))
    seen: list[bytes] = []
    async with asyncio.timeout(PATIENCE_S), agent(venue) as bus:
        # Before it takes anything, as an agent says that it is here.
        await bus.publish([("agent/status", b"online")], retain=True)
        await bus.subscribe("plant/#")
        while len(seen) < 5000:
            messages = await bus.receive()
            await bus.publish([("made/of", message.payload) for message in messages])
            await bus.acknowledge(messages)
            seen += [message.payload for message in messages]
    assert seen == payloads_of(5000)
    assert bus.promises == venue.promises
