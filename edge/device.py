"""One emulated device on the bus: its status, its readings on their way out, and the orders it takes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

import msgspec

from broker.bus import Bus, Message, Will
from contract.errors import TransientError
from contract.topics import Channel, DeviceTopic
from edge.buffer import Buffer
from edge.commands import Command, CommandError, Done, Refused, decode
from edge.flash import Flash
from edge.uplink import Uplink

log = logging.getLogger("ronda.edge")

ONLINE, OFFLINE = b"online", b"offline"
# The status is retained; saying it again repairs a Last Will that a short cut left behind.
HEARTBEAT_S = 15.0
# At the end: two watermarks' time for the store to confirm what is under way.
FAREWELL_S = 2.5
# Orders wait their turn; who sends more than this at once is not a person.
MAX_ORDERS = 32


class Role(Protocol):
    """What this device does between the bus and the machine."""

    @property
    def metrics(self) -> Sequence[str]:
        """The names of the values of each reading, in order."""
        ...

    def power_up(self) -> Sequence[Buffer]:
        """The rings to send from, in the order in which they are to be emptied."""
        ...

    async def run(self, uplink: Uplink) -> None:
        """Measure until cancelled; to return means that there is nothing more to do."""
        ...

    def obey(self, command: Command) -> int:
        """Carry out an order; returns how many readings came of it. Raises: CommandError with the refusal."""
        ...


def last_will(site: str, device: str) -> Will:
    """What the broker says when the device is gone without a good-bye."""
    return Will(str(DeviceTopic(site, device, Channel.STATUS)), OFFLINE)


class Device:
    """A device with its own connection.

    Its session is not to be persistent: an order is for now, and the retained watermark comes with every subscription.
    """

    def __init__(
        self,
        bus: Bus,
        site: str,
        device: str,
        role: Role,
        flash: Flash,
        *,
        now_ms: Callable[[], int],
        late_ms: int | None = None,
    ) -> None:
        self._bus, self._role, self._flash = bus, role, flash
        self._site, self._device, self._now_ms = site, device, now_ms
        self.uplink = Uplink(bus, site, device, role.metrics, now_ms=now_ms, late_ms=late_ms)
        self._orders: asyncio.Queue[Command] = asyncio.Queue(MAX_ORDERS)
        self._answers: dict[str, Done | Refused] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set or the role has nothing more to do. Raises: RefusedError, TransientError."""
        for buffer in self._role.power_up():
            self.uplink.add(buffer)
        async with self._bus:
            await self._bus.subscribe(self._topic(Channel.STORED), self._topic(Channel.COMMAND))
            await self._say(Channel.STATUS, ONLINE, retain=True)
            log.info("device.started", extra=self._who(held=self.uplink.held))
            try:
                await self._work(stop)
            finally:
                await self._leave()

    async def _work(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            role = group.create_task(self._role.run(self.uplink))
            jobs: list[Coroutine[Any, Any, None]] = [self.uplink.run(), self._listen(), self._obey(), self._beat()]
            others = [group.create_task(job) for job in jobs]
            stopped = group.create_task(_set(stop))
            await asyncio.wait([role, stopped], return_when=asyncio.FIRST_COMPLETED)
            role.cancel()
            await self._farewell()
            for task in (stopped, *others):
                task.cancel()

    async def _farewell(self) -> None:
        """Wait a moment for the store to have everything; a power cut would not."""
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self.uplink.until(lambda: self.uplink.held == 0)
        except TimeoutError:
            log.warning("readings.left_behind", extra=self._who(readings=self.uplink.held))

    async def _leave(self) -> None:
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self._say(Channel.STATUS, OFFLINE, retain=True)
        except TimeoutError:
            log.warning("message.unheard", extra=self._who(channel=Channel.STATUS))
        log.info("device.stopped", extra=self._who(held=self.uplink.held, dropped=self.uplink.dropped))

    async def _listen(self) -> None:
        while True:
            messages = await self._bus.receive()
            for message in messages:
                await self._take(message)
            await self._bus.acknowledge(messages)

    async def _take(self, message: Message) -> None:
        if message.topic == self._topic(Channel.STORED):
            await self.uplink.stored(message.payload, retained=message.retain)
        elif message.topic == self._topic(Channel.COMMAND) and not message.retain:
            await self._order(message.payload)

    async def _order(self, payload: bytes) -> None:
        """Queue a new order. One that was given before is answered as before, and not done again."""
        try:
            command = decode(payload)
            if command.id in self._flash.memory.obeyed:
                return await self._answer_again(command.id)
            self._orders.put_nowait(command)
        except asyncio.QueueFull:
            await self._answer(Refused(id=command.id, refused="busy", detail="too many orders are waiting"))
        except CommandError as error:
            await self._answer(error.answer)
        else:
            self._flash.remember_command(command.id)

    async def _obey(self) -> None:
        while True:
            command = await self._orders.get()
            try:
                answer: Done | Refused = await self._carry_out(command)
            except CommandError as error:
                answer = error.answer
            remembered = self._flash.memory.obeyed
            self._answers = {given: said for given, said in self._answers.items() if given in remembered}
            self._answers[command.id] = answer
            await self._answer(answer)

    async def _carry_out(self, command: Command) -> Done:
        """Done when the broker has every reading that came of it."""
        published_at_ms = self._now_ms()
        if readings := self._role.obey(command):
            self.uplink.wake()
            await self.uplink.until(self.uplink.all_accepted)
        acknowledged_at_ms = self._now_ms()
        return Done(
            id=command.id, readings=readings, published_at_ms=published_at_ms, acknowledged_at_ms=acknowledged_at_ms
        )

    async def _answer_again(self, command_id: str) -> None:
        if answer := self._answers.get(command_id):
            await self._answer(answer)

    async def _answer(self, answer: Done | Refused) -> None:
        refused = answer.refused if isinstance(answer, Refused) else None
        log.info("command.answered", extra=self._who(correlation_id=answer.id, refused=refused))
        await self._say(Channel.COMMAND_RESULT, msgspec.json.encode(answer))

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            await self._say(Channel.STATUS, ONLINE, retain=True)

    async def _say(self, channel: Channel, payload: bytes, *, retain: bool = False) -> None:
        """Say what is not a reading. Unheard it is logged and gone: a device outlives its broker's absence."""
        try:
            await self._bus.publish([(self._topic(channel), payload)], retain=retain)
        except TransientError as error:
            log.warning("message.unheard", extra=self._who(channel=channel, detail=str(error)))

    def _topic(self, channel: Channel) -> str:
        return str(DeviceTopic(self._site, self._device, channel))

    def _who(self, **fields: object) -> dict[str, object]:
        return {"site": self._site, "device": self._device, **fields}


async def _set(stop: asyncio.Event) -> None:
    await stop.wait()
