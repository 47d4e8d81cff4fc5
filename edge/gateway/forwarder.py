"""The way to the cloud: sends what the outbox holds, and deletes what the watermark says is stored."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import msgspec

from broker.bus import Bus, Message
from contract.errors import ContractError, TransientError
from contract.events import Watermark
from contract.topics import Channel, DeviceTopic
from edge.gateway.desk import Desk
from edge.gateway.outbox import Outbox
from edge.gateway.pacing import Lane, Pace, Turn
from edge.gateway.packing import message
from edge.gateway.rows import Batch

log = logging.getLogger("ronda.edge.gateway")

_decode_watermark = msgspec.json.Decoder(Watermark).decode
# Before what waits is looked at again for having become back-fill.
_LOOK_MS = 1_000


class Forwarder:
    """Sends in the order that `Pace` decides. `told` hears the watermarks of devices that count by themselves."""

    def __init__(
        self,
        site: str,
        outbox: Outbox,
        desk: Desk,
        pace: Pace,
        *,
        late_ms: int,
        now_ms: Callable[[], int],
        told: Callable[[Sequence[tuple[str, Watermark]]], None],
    ) -> None:
        self._site, self._outbox, self._desk, self._pace = site, outbox, desk, pace
        self._late_ms, self._now_ms, self._told = late_ms, now_ms, told
        self._changed = asyncio.Event()
        self._late = (-_LOOK_MS, 0)
        self.sent = 0

    def kept(self, spans: dict[str, tuple[int, int]]) -> None:
        """Readings came in."""
        for device, (first, last) in spans.items():
            self._pace.kept(device, first, last)
        if spans:
            self._changed.set()

    async def resume(self) -> None:
        """Take up what the outbox held before."""
        for device, (first, newest) in (await self._desk.do(self._outbox.devices)).items():
            self._pace.add(Lane(device, first, newest))
        await self._start_over(self._pace.lanes)

    async def run(self, bus: Bus) -> None:
        """Send on this connection until cancelled. Raises: TransientError when the cloud's broker is away too long."""
        await self._start_over(self._pace.lanes)
        while True:
            self._changed.clear()
            await self._send_again()
            if turns := self._pace.turns(self._now_ms()):
                await self._send(bus, turns)
            else:
                await self._wait()

    async def hear(self, messages: Sequence[Message]) -> None:
        """Take the store's word. A retained one comes with a new subscription: what is under way goes again."""
        told = [(mark, each.retain) for each in messages if (mark := _mark(each, self._site)) is not None]
        if not told:
            return
        freed = await self._desk.do(partial(self._outbox.free, [mark for mark, _ in told]))
        now_ms = self._now_ms()
        for device, first in freed.first.items():
            self._pace.lane(device).stored(first, now_ms)
        again = {device for (device, _), retained in told if retained}
        await self._start_over([self._pace.lane(device) for device in again & freed.first.keys()])
        self._told(freed.awaited)
        self._changed.set()

    async def _send(self, bus: Bus, turns: Sequence[Turn]) -> None:
        batches = await self._desk.do(partial(self._outbox.take, turns))
        late_at = self._now_ms() - self._late_ms
        due: list[tuple[Turn, Batch]] = []
        for turn, batch in zip(turns, batches, strict=True):
            if turn.live and batch is not None and batch.rows[0].arrived_at_ms < late_at:
                lane = self._pace.lane(turn.device)
                lane.fall_behind(await self._late_n())
                self._pace.changed(lane)
            elif batch is None:
                self._sent(turn, None)
            else:
                due.append((turn, batch))
        try:
            await bus.publish([(self._topic(batch), message(batch, late=not turn.live)) for turn, batch in due])
        except TransientError:
            await self._start_over([self._pace.lane(turn.device) for turn, _ in due])
            raise
        for turn, batch in due:
            self._sent(turn, batch)

    def _sent(self, turn: Turn, batch: Batch | None) -> None:
        lane, rows = self._pace.lane(turn.device), [] if batch is None else batch.rows
        lane.sent(turn, rows[-1].n if rows else None, self._now_ms())
        self._pace.changed(lane)
        self.sent += len(rows)
        if not turn.live:
            self._pace.unused(turn.limit - len(rows))

    async def _send_again(self) -> None:
        now_ms = self._now_ms()
        for lane in self._pace.stalled(now_ms):
            lane.give_up_waiting(await self._late_n(), now_ms)
            self._pace.changed(lane)
            log.warning("readings.sent_again", extra={"site": self._site, "device": lane.device, "why": "not_stored"})

    async def _start_over(self, lanes: Iterable[Lane]) -> None:
        late = await self._late_n()
        for lane in lanes:
            lane.start_over(late)
            self._pace.changed(lane)

    async def _late_n(self) -> int:
        """The last reading that has waited so long that it is back-fill; looked up once a second at most."""
        now_ms = self._now_ms()
        looked_at_ms, n = self._late
        if not 0 <= now_ms - looked_at_ms < _LOOK_MS:
            n = await self._desk.do(partial(self._outbox.arrived_before, now_ms - self._late_ms))
            self._late = (now_ms, n)
        return n

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._pace.wakes_in_s(self._now_ms())):
                await self._changed.wait()
        except TimeoutError:
            return

    def _topic(self, batch: Batch) -> str:
        return str(DeviceTopic(self._site, batch.device, Channel.TELEMETRY))


def _mark(message: Message, site: str) -> tuple[str, Watermark] | None:
    """(device, its watermark); None for what is not one."""
    try:
        topic = DeviceTopic.parse(message.topic)
        mark = _decode_watermark(message.payload)
    except (ContractError, msgspec.DecodeError) as error:
        log.warning("watermark.unreadable", extra={"topic": message.topic[:200], "detail": str(error)})
        return None
    return (topic.device, mark) if topic.site == site and topic.channel is Channel.STORED else None
