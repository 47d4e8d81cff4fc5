"""Readings to measure with, sent by a process of their own, and the count of what of them is stored."""

from __future__ import annotations

import asyncio
import multiprocessing
import secrets
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from types import TracebackType
from typing import Self

import asyncpg
import msgspec

from broker.address import MqttAddress
from broker.mqtt import MqttBus
from broker.wire import WireBus
from contract.telemetry import encode
from contract.topics import Channel, DeviceTopic
from tests.support.installation import Ronda

SITE = "bench"
DEVICES = 10
# As MQTT_CLIENT names them.
CLIENTS: dict[str, type[WireBus | MqttBus]] = {"own": WireBus, "aiomqtt": MqttBus}
# Published together and acknowledged together: enough that the broker never waits for the source.
_WINDOW = 500
# At a given rate this often a few messages go out, whether the earlier ones are acknowledged or not.
_TICK_S = 0.005
_METRICS = ("vibration_de", "vibration_nde", "current", "pressure", "temperature", "fluid", "voltage", "flow")
_START_WITHIN_S = 60.0


class Traffic(msgspec.Struct, frozen=True):
    """Distinct readings of ten new devices, `batch` in each message; `rate`: messages a second, 0 for all there is."""

    label: str
    readings: int
    batch: int
    rate: float = 0.0

    @property
    def messages(self) -> int:
        """How many there are, the same number of each device."""
        return -(-self.readings // DEVICES // self.batch) * DEVICES

    def topics(self) -> list[str]:
        """One of each device; message n goes out on number n % DEVICES."""
        return [str(DeviceTopic(SITE, self.device(number), Channel.TELEMETRY)) for number in range(DEVICES)]

    def device(self, number: int) -> str:
        """The name of a device."""
        return f"d{self.label}-{number}"

    def encoded(self) -> list[tuple[str, bytes]]:
        """(topic, payload) of every message, in the order in which they go out."""
        boots = [secrets.token_hex(8) for _ in range(DEVICES)]
        begin_ms = int(time.time() * 1000) - self.readings * 100
        each, topics, messages = self.readings // DEVICES, self.topics(), []
        for first in range(0, each, self.batch):
            seqs = range(first, min(first + self.batch, each))
            for number, topic in enumerate(topics):
                messages.append(
                    (topic, encode(boots[number], [(seq, begin_ms + seq * 1000, _values(seq)) for seq in seqs]))
                )
        return messages


class Source:
    """The process that sends; everything is encoded before the first message goes out."""

    def __init__(self, where: MqttAddress, traffic: Traffic) -> None:
        """`where`: the broker, as somebody who may speak for every device."""
        context = multiprocessing.get_context("spawn")
        self._ready, self._go = context.Event(), context.Event()
        self._end, theirs = context.Pipe()
        arguments = (where.url(), traffic, self._ready, self._go, theirs)
        self._process = context.Process(target=_source, args=arguments, daemon=True)

    async def __aenter__(self) -> Self:
        self._process.start()
        if not await asyncio.to_thread(self._ready.wait, _START_WITHIN_S):
            raise SystemExit("the source did not start")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        await asyncio.to_thread(self._process.join)

    def go(self) -> None:
        """Send."""
        self._go.set()

    async def sent(self) -> list[float]:
        """When each message went out, by `time.perf_counter`, which all processes of a machine share on Linux."""
        found: list[float] = await asyncio.to_thread(self._end.recv)
        return found


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


def _source(url: str, traffic: Traffic, ready: Event, go: Event, end: Connection) -> None:
    import uvloop

    async def run() -> list[float]:
        messages = traffic.encoded()
        async with WireBus(MqttAddress.parse(url), f"bench-source-{traffic.label}", persistent=False) as bus:
            ready.set()
            await asyncio.to_thread(go.wait)
            return await (_paced(bus, messages, traffic.rate) if traffic.rate else _at_once(bus, messages))

    end.send(uvloop.run(run()))


async def _at_once(bus: WireBus, messages: Sequence[tuple[str, bytes]]) -> list[float]:
    sent: list[float] = []
    for start in range(0, len(messages), _WINDOW):
        group = messages[start : start + _WINDOW]
        sent += [time.perf_counter()] * len(group)
        await bus.publish(group)
    return sent


async def _paced(bus: WireBus, messages: Sequence[tuple[str, bytes]], rate: float) -> list[float]:
    sent: list[float] = []
    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        while len(sent) < len(messages):
            due = min(len(messages), int((time.perf_counter() - began) * rate) + 1)
            if group := messages[len(sent) : due]:
                sent += [time.perf_counter()] * len(group)
                tasks.create_task(bus.publish(group))
            await asyncio.sleep(_TICK_S)
    return sent
