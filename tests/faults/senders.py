"""Who sends: devices that keep their readings until the watermark, and an HTTP client that waits until they are stored.

Each counts what it made. That count, not anything of Ronda's, is what the store is held to.
"""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import httpx
import msgspec

from broker.address import MqttAddress
from broker.mqtt import MqttBus
from contract.topics import Channel, DeviceTopic
from edge.buffer import Buffer
from edge.uplink import Uplink

SITE = "plant-1"
# The product's patience is 10 s; a shorter one lets a run of many faults end.
STALL_MS = 2_000
_RING = 1_000_000
_TICK_S = 0.1
# A request that the store has not answered by then is sent again, as the API itself advises.
_ANSWER_WITHIN_S = 12.0


class Span(NamedTuple):
    """The readings `first` to `last` of one boot of one device, both included."""

    device: str
    boot: str
    first: int
    last: int


class Sender(ABC):
    """Somebody who counts what it sends, by boot."""

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
            await asyncio.sleep(_TICK_S)
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


class HttpSender(Sender):
    """A client of `POST /ingest?wait=stored`: sends the same again until it hears 201."""

    def __init__(
        self,
        device: str,
        rng: random.Random,
        url: str,
        token: Callable[[], str],
        log_in: Callable[[], Awaitable[None]],
        now_ms: Callable[[], int],
    ) -> None:
        super().__init__(device, rng)
        self._url, self._token, self._log_in, self._now_ms = url, token, log_in, now_ms
        self._boot = self._new_boot()
        self._sent = self._confirmed = 0
        self.answers: dict[int, int] = {}

    @property
    def sent(self) -> dict[str, int]:
        return {self._boot: self._sent}

    @property
    def confirmed(self) -> dict[str, int]:
        return {self._boot: self._confirmed}

    async def run(self) -> None:
        """Send until stopped."""
        async with httpx.AsyncClient(base_url=self._url, timeout=_ANSWER_WITHIN_S) as client:
            while not self.stopped.is_set():
                readings = [self._reading(self._sent + step) for step in range(self._rng.randint(1, 10))]
                said = {"site": SITE, "device": self.device, "boot": self._boot, "readings": readings}
                self._sent += len(readings)
                await self._post(client, msgspec.json.encode(said))
                self._confirmed = self._sent
                await asyncio.sleep(_TICK_S)

    def _reading(self, seq: int) -> dict[str, object]:
        return {"seq": seq, "ts": self._now_ms(), "values": {"number": float(seq), "half": seq / 2}}

    async def _post(self, client: httpx.AsyncClient, body: bytes) -> None:
        """Until it is stored; there is no other end."""
        while True:
            status = 0
            try:
                headers = {"Authorization": f"Bearer {self._token()}", "Content-Type": "application/json"}
                answer = await client.post("/api/v1/ingest", params={"wait": "stored"}, content=body, headers=headers)
                status = answer.status_code
            except httpx.HTTPError:
                await asyncio.sleep(0.2)
            self.answers[status] = self.answers.get(status, 0) + 1
            if status == httpx.codes.CREATED:
                return
            if status == httpx.codes.CONFLICT:
                raise AssertionError(f"what was sent before is stored otherwise: {answer.text}")
            if status == httpx.codes.UNAUTHORIZED:
                await self._log_in()
            await asyncio.sleep(0.1)
