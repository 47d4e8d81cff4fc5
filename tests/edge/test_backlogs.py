"""Who carries between brokers is never stuck, however much waits on either side."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.bus import Bus, Will
from contract.topics import Channel, DeviceTopic
from edge.bridge import Route
from edge.gateway.lines import to_devices
from ronda.bridge import _carry
from tests.support.brokers import EVERYTHING, RunningBroker, embedded, mosquitto

PATIENCE_S = 60.0
SITE, PREFIX = "plant-1", "0123456789abcdef"
GATEWAY = f"gateway/{SITE}"
COUNT = 4000
TELEMETRY, STORED = (str(DeviceTopic(SITE, "pump-1", channel)) for channel in (Channel.TELEMETRY, Channel.STORED))
KINDS = [embedded, pytest.param(mosquitto, marks=pytest.mark.mosquitto)]


@pytest.fixture(params=KINDS, ids=["embedded", "mosquitto"])
async def here(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RunningBroker]:
    """Ours."""
    async with request.param(tmp_path / "here", devices=[GATEWAY]) as broker:
        yield broker


@pytest.fixture(params=KINDS, ids=["from-embedded", "from-mosquitto"])
async def there(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RunningBroker]:
    """The other one."""
    async with request.param(tmp_path / "there") as broker:
        yield broker


@pytest.fixture(autouse=True)
def _soon_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.inbox.MAX_UNREAD", 50)


def numbered(topic: str) -> list[tuple[str, bytes]]:
    return [(topic, b"%d" % number) for number in range(COUNT)]


async def count(bus: Bus) -> int:
    """Different messages, until all have come."""
    seen: set[bytes] = set()
    while len(seen) < COUNT:
        messages = await bus.receive()
        seen.update(message.payload for message in messages)
        await bus.acknowledge(messages)
    return len(seen)


@contextlib.asynccontextmanager
async def bridged(here: RunningBroker, there: RunningBroker) -> AsyncIterator[None]:
    """While `ronda bridge` carries."""
    ours = here.address().with_user(GATEWAY, here.passwords[GATEWAY])
    carrying = asyncio.create_task(_carry(there.address(EVERYTHING.name), ours, Route(PREFIX, SITE)))
    try:
        yield
    finally:
        carrying.cancel()
        await asyncio.wait([carrying])


async def test_a_bridge_with_full_inboxes_on_both_sides_carries_both_ways(
    here: RunningBroker, there: RunningBroker
) -> None:
    async with (
        asyncio.timeout(PATIENCE_S),
        here.bus("cloud") as cloud,
        there.bus("device") as device,
        here.bus("store") as store,
    ):
        await cloud.subscribe(TELEMETRY)
        await device.subscribe(f"{PREFIX}/{STORED}")
        # Its session on the other broker is there, and fills.
        async with bridged(here, there):
            while True:
                await device.publish([(f"{PREFIX}/{TELEMETRY}", b"0")])
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(cloud.receive(), 0.5)
                    break
        await device.publish(numbered(f"{PREFIX}/{TELEMETRY}"))
        async with bridged(here, there):
            telling = asyncio.create_task(_tell_until_told(store, device))
            assert await count(cloud) == COUNT
            assert await telling == COUNT


async def _tell_until_told(store: Bus, device: Bus) -> int:
    """Ours has no session for the bridge: what is said before it listens is heard by nobody, and said again."""
    counting = asyncio.create_task(count(device))
    while not counting.done():
        await store.publish(numbered(STORED))
        await asyncio.wait([counting], timeout=1.0)
    return counting.result()


async def test_a_gateway_that_takes_nothing_in_is_still_heard(here: RunningBroker) -> None:
    line = to_devices(here.address(), "gateway-plant-1-main", Will("gateway/status", b"offline"))
    async with asyncio.timeout(PATIENCE_S), line as gateway, here.bus("device") as device:
        await gateway.subscribe(TELEMETRY)
        await device.subscribe("gateway/status")
        await device.publish(numbered(TELEMETRY))
        assert line.connected
        for _ in range(5):
            async with asyncio.timeout(5.0):
                await gateway.publish([("gateway/status", b"its disk is full")], retain=True)
                assert [message.payload for message in await device.receive()] == [b"its disk is full"]
        assert await count(gateway) == COUNT
