"""What the tests put at the other end: a store that remembers, and a clock that does not make anybody wait."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable

import msgspec

from broker.bus import Bus
from contract.events import Watermark
from contract.telemetry import Telemetry, decode
from contract.topics import Channel, DeviceTopic

Identity = tuple[str, int]
START_MS = 1_763_800_000_000


class QuickClock:
    """Time passes as fast as it is slept through."""

    def __init__(self, ms: int = START_MS) -> None:
        self.ms = float(ms)

    def now_ms(self) -> int:
        return int(self.ms)

    async def sleep(self, seconds: float) -> None:
        self.ms += max(0.0, seconds) * 1000
        await asyncio.sleep(0.001)


class Store:
    """Keeps what devices of one site say, as the historian does, and answers with the watermark when told to."""

    def __init__(self, bus: Bus, site: str, *, confirms: bool = True) -> None:
        self._bus, self._site, self.confirms = bus, site, confirms
        self.messages: list[tuple[str, Telemetry]] = []
        self.rows: defaultdict[str, dict[Identity, tuple[int, dict[str, float]]]] = defaultdict(dict)
        self.said: list[tuple[str, Channel, bytes]] = []
        self.arrivals = 0
        self._changed = asyncio.Condition()

    async def run(self) -> None:
        await self._bus.subscribe(*(DeviceTopic.filter(c, self._site) for c in (Channel.TELEMETRY, Channel.STATUS)))
        await self._bus.subscribe(DeviceTopic.filter(Channel.COMMAND_RESULT, self._site))
        while True:
            messages = await self._bus.receive()
            for message in messages:
                await self._take(DeviceTopic.parse(message.topic), message.payload)
            await self._bus.acknowledge(messages)
            async with self._changed:
                self._changed.notify_all()

    async def _take(self, topic: DeviceTopic, payload: bytes) -> None:
        if topic.channel is not Channel.TELEMETRY:
            self.said.append((topic.device, topic.channel, payload))
            return
        # Raises for anything that the contract refuses: an emulated device never says such a thing.
        message = decode(payload, topic.site, topic.device)
        assert not message.refused
        self.messages.append((topic.device, message))
        self.arrivals += len(message.readings)
        kept = self.rows[topic.device]
        for reading in message.readings:
            told = (reading.measured_at_ms, dict(reading.values))
            assert kept.setdefault((reading.boot, reading.seq), told) == told, "one identity, two contents"
        if self.confirms:
            await self.confirm(topic.device, message.readings[-1].boot, message.oldest or 0)

    async def confirm(self, device: str, boot: str, oldest: int = 0) -> None:
        """Publish how far this boot is without a gap from `oldest` on, as the historian does."""
        stored, through = self.rows[device], oldest - 1
        while (boot, through + 1) in stored:
            through += 1
        payload = msgspec.json.encode(Watermark(boot=boot, through=through))
        await self._bus.publish([(str(DeviceTopic(self._site, device, Channel.STORED)), payload)], retain=True)

    async def order(self, device: str, payload: bytes) -> None:
        await self._bus.publish([(str(DeviceTopic(self._site, device, Channel.COMMAND)), payload)])

    async def until(self, reached: Callable[[], bool], seconds: float = 20) -> None:
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(reached)

    def times(self, device: str) -> list[int]:
        return sorted(at_ms for at_ms, _ in self.rows[device].values())

    def answers(self, device: str) -> list[dict[str, object]]:
        return [msgspec.json.decode(p) for d, c, p in self.said if (d, c) == (device, Channel.COMMAND_RESULT)]

    def statuses(self, device: str) -> list[bytes]:
        return [payload for d, c, payload in self.said if (d, c) == (device, Channel.STATUS)]


@contextlib.asynccontextmanager
async def listening(bus: Bus, site: str = "plant-1", *, confirms: bool = True) -> AsyncIterator[Store]:
    """A store at work for as long as the block lasts."""
    async with bus:
        store = Store(bus, site, confirms=confirms)
        work = asyncio.create_task(store.run())
        try:
            yield store
        finally:
            work.cancel()
            if not work.cancelled():
                with contextlib.suppress(asyncio.CancelledError):
                    await work
