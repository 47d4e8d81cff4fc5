"""The way out of a device: sends what its ring holds, in order, and sends again what the store does not confirm."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

import msgspec
import stamina

from broker.bus import Bus
from contract import telemetry
from contract.errors import TransientError
from contract.events import Watermark
from contract.topics import Channel, DeviceTopic
from edge.buffer import Buffer, Held

log = logging.getLogger("ronda.edge")

# A message of 100 pump readings is 22 kB: large enough that the chain is fast, far below the contract's 1,000.
BATCH = 100
# Messages under way to the broker at once: sensor firmware keeps 4 to 8.
PIPELINE = 8
# How old a reading may be when it is sent and still page somebody. What waited longer in the ring (an outage) is
# history: it is flagged `replayed`, stored and judged, but nobody is called about it.
LATE_MS = 5 * 60 * 1000

_decode_watermark = msgspec.json.Decoder(Watermark).decode


class Uplink:
    """One device's sending side. Buffers are emptied one after the other: the store tells one boot at a time."""

    def __init__(
        self,
        bus: Bus,
        site: str,
        device: str,
        metrics: Sequence[str],
        *,
        now_ms: Callable[[], int],
        late_ms: int | None = LATE_MS,
    ) -> None:
        self._bus = bus
        self._site, self._device = site, device
        self._topic = str(DeviceTopic(site, device, Channel.TELEMETRY))
        self._metrics = tuple(metrics)
        self._now_ms = now_ms
        self._late_ms = late_ms
        self._buffers: list[Buffer] = []
        self._accepted: dict[str, int] = {}
        self._changed = asyncio.Event()
        self._progress = asyncio.Condition()

    @property
    def held(self) -> int:
        """How many readings are not known to be stored."""
        return sum(len(buffer) for buffer in self._buffers)

    @property
    def dropped(self) -> int:
        """How many readings were lost because a ring was full."""
        return sum(buffer.dropped for buffer in self._buffers)

    def through(self, boot: str) -> int:
        """The watermark of this boot: up to where the store has it, -1 for not at all."""
        return max((buffer.through for buffer in self._buffers if buffer.boot == boot), default=-1)

    def all_accepted(self) -> bool:
        """Has the broker acknowledged every reading that there is? That frees nothing: the store may not have them."""
        return all(
            self._accepted.get(buffer.boot, -1) >= buffer.next_seq - 1 for buffer in self._buffers if len(buffer)
        )

    def add(self, buffer: Buffer) -> None:
        """Send this buffer's readings too, after those of the buffers before it."""
        self._buffers.append(buffer)
        self.wake()

    def wake(self) -> None:
        """There is something new to send."""
        self._changed.set()

    async def stored(self, payload: bytes, *, retained: bool) -> None:
        """Take the store's word. A retained one comes with a new subscription: the line was cut, so send again."""
        try:
            watermark = _decode_watermark(payload)
        except msgspec.DecodeError as error:
            log.warning("watermark.unreadable", extra=self._who(detail=str(error)))
            return
        for buffer in self._buffers:
            buffer.free(watermark, self._now_ms())
            if retained and (again := buffer.send_again()):
                log.info("readings.sent_again", extra=self._who(boot=buffer.boot, readings=again, why="subscribed"))
        self.wake()
        await self._tell()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            self._changed.clear()
            buffer = next((buffer for buffer in self._buffers if len(buffer)), None)
            if buffer and (group := self.due(buffer)):
                await self._publish(buffer, group)
            else:
                await self._wait(buffer)

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait until `reached` holds; asked after each publication and each watermark."""
        async with self._progress:
            await self._progress.wait_for(reached)

    def due(self, buffer: Buffer) -> list[list[Held]]:
        """Up to PIPELINE messages of what waits."""
        group: list[list[Held]] = []
        while len(group) < PIPELINE and (batch := buffer.take(BATCH, self._now_ms())):
            group.append(batch)
        return group

    def message(self, buffer: Buffer, batch: Sequence[Held]) -> bytes:
        mark = batch[0].mark
        late = self._late_ms is not None and batch[-1].measured_at_ms < self._now_ms() - self._late_ms
        return telemetry.encode(
            buffer.boot,
            [(held.seq, held.measured_at_ms, dict(zip(self._metrics, held.values, strict=True))) for held in batch],
            replayed=mark.replayed or late,
            traced=mark.traced,
            correlation_id=mark.correlation_id,
            oldest=buffer.oldest,
        )

    async def _publish(self, buffer: Buffer, group: Sequence[Sequence[Held]]) -> None:
        """A device has nothing better to do than to try again; its ring is the bound."""
        messages = [(self._topic, self.message(buffer, batch)) for batch in group]
        async for attempt in stamina.retry_context(TransientError, attempts=None, timeout=None, wait_max=30.0):
            with attempt:
                await self._bus.publish(messages)
        self._accepted[buffer.boot] = max(self._accepted.get(buffer.boot, -1), group[-1][-1].seq)
        await self._tell()

    async def _wait(self, buffer: Buffer | None) -> None:
        due_ms = buffer.stalled_in_ms(self._now_ms()) if buffer else None
        try:
            async with asyncio.timeout(None if due_ms is None else due_ms / 1000):
                await self._changed.wait()
        except TimeoutError:
            self._send_again_if_stalled(buffer)

    def _send_again_if_stalled(self, buffer: Buffer | None) -> None:
        if buffer and buffer.stalled_in_ms(self._now_ms()) == 0:
            again = buffer.give_up_waiting(self._now_ms())
            log.warning("readings.sent_again", extra=self._who(boot=buffer.boot, readings=again, why="not_stored"))

    async def _tell(self) -> None:
        async with self._progress:
            self._progress.notify_all()

    def _who(self, **fields: object) -> dict[str, object]:
        return {"site": self._site, "device": self._device, **fields}
