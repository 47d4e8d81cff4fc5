"""A process that receives and acknowledges and does nothing else: the bare subscriber, and who watches a far end."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import time
from collections.abc import AsyncIterator
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from typing import NamedTuple

import psutil

from benchmarks.traffic import CLIENTS
from broker.address import MqttAddress
from broker.bus import Bus

_LOOK_S = 0.2
_START_WITHIN_S = 60.0


class Arrival(NamedTuple):
    """When a message came, by `time.perf_counter`, and which one."""

    at: float
    topic: str
    payload: bytes


class Observer:
    """The process, seen from here."""

    def __init__(self, count: Synchronized[int], end: Connection, leave: Event, process: psutil.Process) -> None:
        self._count, self._end, self._leave = count, end, leave
        self.process = process

    def seen(self) -> int:
        """Messages so far."""
        return self._count.value

    async def arrivals(self) -> list[Arrival]:
        """All that came, if they were kept; ends the process."""
        self._leave.set()
        return [Arrival(*each) for each in await asyncio.to_thread(self._end.recv)]


@contextlib.asynccontextmanager
async def observer(
    where: MqttAddress, client_id: str, client: str, topics: str, *, keep: bool = False
) -> AsyncIterator[Observer]:
    """Subscribed with a persistent session, which is gone in the end. `client`: by the name in MQTT_CLIENT."""
    context = multiprocessing.get_context("spawn")
    count, ready, leave = context.Value("q", 0), context.Event(), context.Event()
    ours, theirs = context.Pipe()
    arguments = (where.url(), client_id, client, topics, keep, count, ready, leave, theirs)
    process = context.Process(target=_observe, args=arguments, daemon=True)
    process.start()
    try:
        if not await asyncio.to_thread(ready.wait, _START_WITHIN_S):
            raise SystemExit(f"the subscriber of {topics} did not start")
        yield Observer(count, ours, leave, psutil.Process(process.pid))
    finally:
        process.terminate()
        await asyncio.to_thread(process.join)
        # Otherwise the broker would go on to queue for it, at the cost of the next round.
        async with CLIENTS[client](where, client_id, persistent=False):
            pass


def _observe(
    url: str, client_id: str, client: str, topics: str, keep: bool, count: Synchronized[int], ready: Event,
    leave: Event, end: Connection,
) -> None:  # fmt: skip
    import uvloop

    arrivals: list[tuple[float, str, bytes]] = []

    async def receive() -> None:
        async with CLIENTS[client](MqttAddress.parse(url), client_id) as bus:
            await bus.subscribe(topics)
            ready.set()
            while not leave.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_S):
                        await take(bus)

    async def take(bus: Bus) -> None:
        while True:
            messages = await bus.receive()
            if keep:
                now = time.perf_counter()
                arrivals.extend([(now, message.topic, message.payload) for message in messages])
            await bus.acknowledge(messages)
            count.value += len(messages)

    uvloop.run(receive())
    end.send(arrivals)
