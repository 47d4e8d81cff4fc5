"""Who sends: somebody who counts what it made, and devices that keep their readings until the watermark.

That count, not anything of Ronda's, is what the store is held to.
"""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple

from broker.address import MqttAddress
from broker.mqtt import MqttBus
from contract.topics import Channel, DeviceTopic
from edge.buffer import Buffer
from edge.uplink import Uplink

SITE = "plant-1"
# The product's patience is 10 s; a shorter one lets a run of many faults end.
STALL_MS = 2_000
_RING = 1_000_000
TICK_S = 0.1


class Span(NamedTuple):
    """The readings `first` to `last` of one boot of one device, both included.

    Of the boot `uncounted`, those that say so themselves: their first value is the number.
    """

    device: str
    boot: str
    first: int
    last: int


class Sender(ABC):
    """Somebody of whom it is known how much was sent, by boot."""

    def __init__(self, device: str, rng: random.Random) -> None:
        self.device = device
        self.stopped = asyncio.Event()
        self._rng = rng

    @abstractmethod
    async def run(self) -> None:
        """Send until `stopped`, and then go on until everything is confirmed."""

    @property
    @abstractmethod
    def sent(self) -> dict[str, int]:
        """Boot → how many readings were handed to the wire, at least once."""

    @property
    @abstractmethod
    def confirmed(self) -> dict[str, int]:
        """Boot → so many, from the first on, are stored or accounted for: Ronda said so."""

    @property
    def under_way(self) -> int:
        """Sent, and nobody has said that it is stored."""
        return sum(self.sent.values()) - sum(self.confirmed.values())

    def _new_boot(self) -> str:
        return f"{self._rng.getrandbits(64):016x}"


class MqttSender(Sender):
    """A device on the bus with the product's own uplink and ring."""

    metrics: Sequence[str] = ("number", "half")

    def __init__(
        self,
        device: str,
        rng: random.Random,
        address: MqttAddress,
        per_s: float,
        now_ms: Callable[[], int],
    ) -> None:
        super().__init__(device, rng)
        self._per_s = per_s
        self._now_ms = now_ms
        self._bus = MqttBus(address, f"faults-{device}", persistent=False)
        self.uplink = Uplink(self._bus, SITE, device, self.metrics, now_ms=now_ms, late_ms=None)
        self.buffers: list[Buffer] = []
        # How far the device's own clock is ahead of the true time.
        self.ahead_ms = 0
        self.failure: BaseException | None = None

    @property
    def sent(self) -> dict[str, int]:
        return {buffer.boot: buffer.next_seq for buffer in self.buffers}

    @property
    def confirmed(self) -> dict[str, int]:
        return {buffer.boot: buffer.through + 1 for buffer in self.buffers}

    def power_up(self) -> None:
        """A new boot; what the ring of the last one still holds is sent first."""
        self.buffers.append(Buffer(self._new_boot(), _RING, stall_ms=STALL_MS))
        self.uplink.add(self.buffers[-1])

    async def run(self) -> None:
        """Send until stopped and everything is confirmed."""
        self.power_up()
        async with self._bus:
            await self._bus.subscribe(str(DeviceTopic(SITE, self.device, Channel.STORED)))
            work = [asyncio.create_task(job) for job in (self.uplink.run(), self._listen(), self._measure())]
            try:
                await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
                self.failure = next((done.exception() for done in work if done.done() and done.exception()), None)
                if self.failure is None:
                    await self.uplink.until(lambda: self.uplink.held == 0)
            finally:
                for task in work:
                    task.cancel()
                await asyncio.gather(*work, return_exceptions=True)
        if self.failure is not None:
            raise self.failure

    async def _measure(self) -> None:
        made, loop = 0, asyncio.get_running_loop()
        began = loop.time()
        while not self.stopped.is_set():
            await asyncio.sleep(TICK_S)
            due = int((loop.time() - began) * self._per_s)
            # A machine that was held up for seconds does not make up for it at once.
            for _ in range(min(due - made, int(self._per_s))):
                self._hold(self.buffers[-1])
            made = due
            self.uplink.wake()

    def _hold(self, buffer: Buffer) -> None:
        seq = buffer.next_seq
        buffer.hold(self._now_ms() + self.ahead_ms, (float(seq), seq / 2))

    async def _listen(self) -> None:
        while True:
            messages = await self._bus.receive()
            for message in messages:
                await self.uplink.stored(message.payload, retained=message.retain)
            await self._bus.acknowledge(messages)


class MachineSender(MqttSender):
    """The machine with the model: its rows come one after the other, faster than its own clock runs."""

    def __init__(
        self,
        device: str,
        rng: random.Random,
        address: MqttAddress,
        per_s: float,
        now_ms: Callable[[], int],
        *,
        metrics: Sequence[str],
        row: Callable[[int], tuple[int, list[float]]],
    ) -> None:
        self.metrics = metrics
        super().__init__(device, rng, address, per_s, now_ms)
        self._row = row
        self.rows = 0

    def _hold(self, buffer: Buffer) -> None:
        measured_at_ms, values = self._row(self.rows)
        buffer.hold(measured_at_ms, values)
        self.rows += 1
