"""Readings to measure with, and a subscriber that does nothing but receive."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import secrets
import time
from collections.abc import AsyncIterator, Callable
from multiprocessing.sharedctypes import Synchronized
from urllib.parse import quote

import asyncpg

from broker.address import MqttAddress
from broker.mqtt import MqttBus
from contract.telemetry import encode
from contract.topics import Channel, DeviceTopic
from tests.support.installation import Ronda

SITE = "bench"
DEVICES = 10
# Published together and acknowledged together: enough that the broker never waits for the source.
WINDOW = 500
_METRICS = ("vibration_de", "vibration_nde", "current", "pressure", "temperature", "fluid", "voltage", "flow")


def address(ronda: Ronda, user: str) -> MqttAddress:
    """The installation's broker, as one of its services."""
    password = quote(ronda.secrets()["services"][user], safe="")
    return MqttAddress.parse(f"mqtt://{user}:{password}@127.0.0.1:{ronda.mqtt_port}")


class Source:
    """`readings` distinct readings of ten new devices, `batch` in each message, as fast as the broker takes them."""

    def __init__(self, ronda: Ronda, label: str, readings: int, batch: int) -> None:
        self._ronda = ronda
        self._label = label
        self._topics = [str(DeviceTopic(SITE, f"d{label}-{number}", Channel.TELEMETRY)) for number in range(DEVICES)]
        self._payloads = self._encoded(readings, batch)
        self.messages = len(self._payloads)

    def send(self) -> None:
        """Publish everything; blocking."""
        asyncio.run(self._send())

    async def _send(self) -> None:
        async with MqttBus(address(self._ronda, "web"), f"bench-source-{self._label}", persistent=False) as bus:
            for start in range(0, self.messages, WINDOW):
                await bus.publish(self._payloads[start : start + WINDOW])

    def _encoded(self, readings: int, batch: int) -> list[tuple[str, bytes]]:
        boots = [secrets.token_hex(8) for _ in range(DEVICES)]
        begin_ms = int(time.time() * 1000) - readings * 100
        messages = []
        each = readings // DEVICES
        for first in range(0, each, batch):
            for number, topic in enumerate(self._topics):
                rows = [(seq, begin_ms + seq * 1000, _values(seq)) for seq in range(first, min(first + batch, each))]
                messages.append((topic, encode(boots[number], rows)))
        return messages


class Counter:
    """Counts by SQL what of `label` is stored, over one connection, so that asking costs next to nothing."""

    def __init__(self, ronda: Ronda, label: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._connection = self._loop.run_until_complete(asyncpg.connect(ronda.runtime()["database_url"]))
        self._of = f"WHERE site = '{SITE}' AND device LIKE 'd{label}-%'"

    def so_far(self) -> int:
        """By the boots' own counts: a handful of rows to read."""
        return self._ask(f"SELECT coalesce(sum(stored), 0) FROM boots {self._of}")

    def in_the_end(self) -> int:
        """By the readings themselves; closes the connection."""
        found = self._ask(f"SELECT count(*) FROM readings {self._of}")
        self._loop.run_until_complete(self._connection.close())
        self._loop.close()
        return found

    def _ask(self, query: str) -> int:
        return int(self._loop.run_until_complete(self._connection.fetchval(query)))


def _values(seq: int) -> dict[str, float]:
    return {metric: round(10 + seq % 97 / 100 + place, 3) for place, metric in enumerate(_METRICS)}


@contextlib.asynccontextmanager
async def bare_subscriber(ronda: Ronda, client_id: str) -> AsyncIterator[tuple[Callable[[], int], int]]:
    """A process that receives and acknowledges every telemetry message: (how many so far, its pid)."""
    context = multiprocessing.get_context("spawn")
    count, ready = context.Value("q", 0), context.Event()
    process = context.Process(target=_subscribe, args=(address(ronda, "acquisition").url(), client_id, count, ready))
    process.start()
    try:
        await asyncio.to_thread(ready.wait, 30)
        yield (lambda: count.value), process.pid or 0
    finally:
        process.terminate()
        await asyncio.to_thread(process.join)


def _subscribe(url: str, client_id: str, count: Synchronized[int], ready: object) -> None:
    import uvloop

    async def receive() -> None:
        async with MqttBus(MqttAddress.parse(url), client_id) as bus:
            await bus.subscribe(DeviceTopic.filter(Channel.TELEMETRY))
            ready.set()  # type: ignore[attr-defined]  # multiprocessing's event has no public type
            while True:
                messages = await bus.receive()
                await bus.acknowledge(messages)
                count.value += len(messages)

    uvloop.run(receive())
