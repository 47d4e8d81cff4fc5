"""What stands on both sides of a gateway: machines on the site's broker, and a store on the cloud's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import msgspec

from broker.bus import Bus
from contract.events import Watermark
from contract.telemetry import decode, encode
from contract.topics import Channel, DeviceTopic
from edge.gateway.status import GatewayStatus
from edge.metrics import NAMES

SITE, GATEWAY, BOOT = "plant-1", "gateway", "9f2c41d07be3a655"
# As the Historian says it.
_WATERMARK_EVERY_S = 1.0
# What a publisher of old readings has under way.
_WINDOW = 500


class Machines:
    """Sensors of eight values that count; each message one reading, measured when it is sent."""

    def __init__(self, bus: Bus, devices: int) -> None:
        self._bus = bus
        self._topics = [str(DeviceTopic(SITE, f"pump-{number:02d}", Channel.TELEMETRY)) for number in range(devices)]
        # The next one of each.
        self.seq = 0

    @property
    def said(self) -> int:
        """Readings of all of them so far."""
        return self.seq * self.devices

    @property
    def devices(self) -> int:
        """How many machines there are."""
        return len(self._topics)

    async def live(self, seconds: int | None = None) -> None:
        """One reading a second of each, spread over it; for so many seconds, or until cancelled."""
        due_s, end = time.time(), None if seconds is None else self.seq + seconds
        while self.seq != end:
            for number in range(self.devices):
                await asyncio.sleep(max(0.0, due_s + number / self.devices - time.time()))
                await self._bus.publish([self._messages()[number]])
            self.seq += 1
            due_s += 1.0

    async def at_once(self, seconds: int) -> None:
        """What they measure in so many seconds, as fast as the broker takes it."""
        waiting: list[tuple[str, bytes]] = []
        for _ in range(seconds):
            waiting += self._messages()
            self.seq += 1
            if len(waiting) >= _WINDOW:
                await self._bus.publish(waiting)
                waiting = []
        await self._bus.publish(waiting)

    def _messages(self) -> list[tuple[str, bytes]]:
        # A number of its own in each value, as real ones have.
        values = {name: column + self.seq * 1e-6 for column, name in enumerate(NAMES)}
        reading = encode(BOOT, [(self.seq, time.time_ns() // 1_000_000, values)])
        return [(topic, reading) for topic in self._topics]


class Cloud:
    """Stores identities, says the watermark once a second, and notes how old live readings are on arrival."""

    def __init__(self, bus: Bus, stored: dict[str, set[int]]) -> None:
        self._bus, self.stored = bus, stored
        self.arrived, self._before = 0, sum(map(len, stored.values()))
        self.live_lags_ms: list[int] = []
        self._moved: set[str] = set()
        self._through: dict[str, int] = {}

    @property
    def distinct(self) -> int:
        """Readings, repeats left out."""
        return sum(map(len, self.stored.values()))

    @property
    def repeats(self) -> int:
        """Readings that came and were there already."""
        return self.arrived - (self.distinct - self._before)

    def has_all_below(self, seq: int, devices: int) -> bool:
        """Does the watermark of so many devices say that everything before `seq` is stored?"""
        return sum(through >= seq - 1 for through in self._through.values()) == devices

    async def run(self) -> None:
        """Until cancelled."""
        await self._bus.subscribe(DeviceTopic.filter(Channel.TELEMETRY, SITE))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._receive())
            tasks.create_task(self._confirm())

    async def _receive(self) -> None:
        while True:
            messages = await self._bus.receive()
            now_ms = time.time() * 1000
            for message in messages:
                self._take(DeviceTopic.parse(message.topic).device, message.payload, now_ms)
            await self._bus.acknowledge(messages)

    def _take(self, device: str, payload: bytes, now_ms: float) -> None:
        message = decode(payload, SITE, device)
        self.stored.setdefault(device, set()).update(reading.seq for reading in message.readings)
        self.arrived += len(message.readings)
        self._moved.add(device)
        if not message.replayed:
            self.live_lags_ms += [round(now_ms - reading.measured_at_ms) for reading in message.readings]

    async def _confirm(self) -> None:
        while True:
            await asyncio.sleep(_WATERMARK_EVERY_S)
            moved, self._moved = self._moved, set()
            await self._bus.publish([self._watermark(device) for device in moved], retain=True)

    def _watermark(self, device: str) -> tuple[str, bytes]:
        through, stored = self._through.get(device, -1), self.stored[device]
        while through + 1 in stored:
            through += 1
        self._through[device] = through
        said = Watermark(boot=BOOT, through=through)
        return str(DeviceTopic(SITE, device, Channel.STORED)), msgspec.json.encode(said)


class Ear:
    """Hears on the site's broker what the gateway says of itself."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.last: GatewayStatus | None = None

    async def run(self) -> None:
        """Until cancelled."""
        await self._bus.subscribe(DeviceTopic.filter(Channel.STATUS, SITE, GATEWAY))
        while True:
            for message in await self._bus.receive():
                self._hear(message.payload)

    def _hear(self, payload: bytes) -> None:
        if b'"online"' in payload:
            self.last = msgspec.json.decode(payload, type=GatewayStatus)


def p50_p95(values: Sequence[float]) -> tuple[float, float]:
    """The middle one, and the one that 95 of 100 do not exceed; zeros of none."""
    ordered = sorted(values) or [0.0]
    return ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, len(ordered) * 95 // 100)]
