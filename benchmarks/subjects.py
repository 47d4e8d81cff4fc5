"""What is measured side by side: a bare subscriber, the chain in one process or in five, and Node-RED."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Protocol

import psutil

from benchmarks.node_red import NodeRed
from benchmarks.observer import observer
from benchmarks.places import Alone, Installation, Place
from benchmarks.traffic import Counter, Traffic
from contract.codec import topic_filter
from contract.events import SensorReadingIngestedEvent
from contract.topics import Channel, DeviceTopic
from ronda.installation import AGENT_NAMES
from tests.support.installation import Ronda, clean_environment

_END_WITHIN_S = 20.0
TELEMETRY = DeviceTopic.filter(Channel.TELEMETRY)

Done = Callable[[], bool]
Processes = dict[str, psutil.Process]


class Subject(Protocol):
    """Something that takes readings from a broker."""

    @property
    def place(self) -> Place:
        """Where that broker runs."""
        ...

    def measured(self, traffic: Traffic) -> contextlib.AbstractAsyncContextManager[tuple[Done, Processes]]:
        """Ready for `traffic`: (is it all through?, the processes that work on it)."""
        ...


class Bare:
    """A subscriber that receives and acknowledges."""

    def __init__(self, place: Alone, client: str) -> None:
        self.place, self._client = place, client

    @contextlib.asynccontextmanager
    async def measured(self, traffic: Traffic) -> AsyncIterator[tuple[Done, Processes]]:
        """Through when it has received every message."""
        where = self.place.address("acquisition")
        async with observer(where, f"bench-{traffic.label}", self._client, TELEMETRY) as bare:
            yield lambda: bare.seen() >= traffic.messages, {"subscriber": bare.process, **self.place.processes()}


class Chain:
    """The agents of an installation: all in its hub, or each in its process."""

    def __init__(self, place: Installation, agents: dict[str, psutil.Process]) -> None:
        self.place, self._agents = place, agents

    @contextlib.asynccontextmanager
    async def measured(self, traffic: Traffic) -> AsyncIterator[tuple[Done, Processes]]:
        """Through when every reading is stored, by the boots' counts; then counted again by the readings themselves."""
        counter = await asyncio.to_thread(Counter, self.place.ronda, traffic.label)
        yield lambda: counter.so_far() >= traffic.readings, self.place.processes() | self._agents
        stored = await asyncio.to_thread(counter.in_the_end)
        if stored != traffic.readings:
            raise SystemExit(f"{traffic.readings} readings were sent and {stored} are stored")


class NodeRedFlow:
    """Node-RED: MQTT in, JSON, z-score of eight values, MQTT out, in one process that acknowledges on arrival."""

    def __init__(self, place: Alone, flow: NodeRed) -> None:
        self.place, self._flow = place, flow

    @contextlib.asynccontextmanager
    async def measured(self, traffic: Traffic) -> AsyncIterator[tuple[Done, Processes]]:
        """Through when what it made of every message was received."""
        where, written = self.place.address("validation"), topic_filter(SensorReadingIngestedEvent)
        async with observer(where, f"bench-far-{traffic.label}", "own", written) as far:
            yield (
                lambda: far.seen() >= traffic.messages,
                {"node-red": self._flow.process, "its reader": far.process, **self.place.processes()},
            )


@contextlib.contextmanager
def agents_apart(ronda: Ronda, client: str) -> Iterator[dict[str, psutil.Process]]:
    """Every agent as a process of its own, by name."""
    environment = clean_environment() | {"MQTT_CLIENT": client}
    started = {
        name: subprocess.Popen(
            [sys.executable, "-m", "ronda", "agent", name, "--data", str(ronda.data)],
            env=environment,
            cwd=ronda.data.parent,
        )
        for name in AGENT_NAMES
    }
    try:
        yield {name: psutil.Process(process.pid) for name, process in started.items()}
    finally:
        for process in started.values():
            process.send_signal(signal.SIGTERM)
        for process in started.values():
            process.wait(_END_WITHIN_S)
