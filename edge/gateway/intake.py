"""The way in: a message on the local broker is acknowledged when its readings are in the outbox, and not before."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial

import stamina

from broker.bus import Bus, Message
from contract.errors import ContractError, Reason
from contract.topics import Channel, DeviceTopic
from edge.gateway.decode import Decoders
from edge.gateway.desk import Desk
from edge.gateway.errors import OutboxError
from edge.gateway.gathering import Gathering
from edge.gateway.outbox import Outbox
from edge.gateway.rows import Arrival, Kept, Refusal

log = logging.getLogger("ronda.edge.gateway")

# A topic level that anybody can write must not fill the memory with devices.
MAX_DEVICES = 5_000
# How often it is asked whether a gathered reading is whole.
_LOOK_S = 0.25
# Kept in one commit, and a message's more: what fits a small rest of a disk, and is one sync for many.
_AT_ONCE = 500
# A full disk is tried again this often at least.
_PATIENCE_S = 5.0


class Intake:
    """Takes what the devices say. `kept` hears what was kept, `status` what a device says of itself."""

    def __init__(
        self,
        decoders: Decoders,
        outbox: Outbox,
        desk: Desk,
        *,
        now_ms: Callable[[], int],
        kept: Callable[[Kept], None],
        status: Callable[[DeviceTopic, bytes], None],
    ) -> None:
        self._decoders, self._outbox, self._desk = decoders, outbox, desk
        self._now_ms, self._kept, self._status = now_ms, kept, status
        self._gathering = Gathering(outbox.boots.begun, outbox.unfinished())
        self._turn = asyncio.Lock()
        # Why nothing is taken in at the moment, for the status.
        self.trouble: str | None = None

    async def run(self, bus: Bus) -> None:
        """Take messages until cancelled."""
        while True:
            messages = await bus.receive()
            async with self._turn:
                await self._take(messages)
            await bus.acknowledge(messages)

    async def gather(self) -> None:
        """Finish readings whose time is over, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            async with self._turn:
                if due := self._gathering.due(self._now_ms()):
                    await self._keep(due, [], gathered=True)

    async def _take(self, messages: Sequence[Message]) -> None:
        arrivals: list[Arrival] = []
        refused: list[Refusal] = []
        gathered = False
        for message in messages:
            if self._is_status(message):
                continue
            found = self._decoders.decode(message.topic, message.payload)
            refused += found.refused
            arrivals += self._known([*found.readings], message, refused)
            # A retained value is an old one: the broker says it again to everybody who comes.
            if found.values is not None and not message.retain:
                gathered = True
                arrivals += self._known(self._gathering.add(found.values, self._now_ms()), message, refused)
            if len(arrivals) >= _AT_ONCE:
                await self._keep(arrivals, refused, gathered=gathered)
                arrivals, refused, gathered = [], [], False
        if arrivals or refused or gathered:
            await self._keep(arrivals, refused, gathered=gathered)

    async def _keep(self, arrivals: Sequence[Arrival], refused: Sequence[Refusal], *, gathered: bool) -> None:
        """Until it is on disk: what is not acknowledged stays with the local broker meanwhile."""
        unfinished = list(self._gathering.unfinished.values()) if gathered else None
        work = partial(self._outbox.keep, arrivals, refused, unfinished)
        async for attempt in stamina.retry_context(OutboxError, attempts=None, timeout=None, wait_max=_PATIENCE_S):
            with attempt:
                try:
                    kept = await self._desk.do(work)
                except OutboxError as error:
                    self.trouble = str(error)
                    raise
        self.trouble = None
        self._kept(kept)

    def _is_status(self, message: Message) -> bool:
        try:
            topic = DeviceTopic.parse(message.topic)
        except ContractError:
            return False
        if topic.channel is Channel.STATUS:
            self._status(topic, message.payload)
        return topic.channel is Channel.STATUS

    def _known(self, arrivals: list[Arrival], message: Message, refused: list[Refusal]) -> list[Arrival]:
        """Without those of one device too many."""
        devices = self._outbox.boots.devices
        if len(devices) < MAX_DEVICES or all(each.device in devices for each in arrivals):
            return arrivals
        words = f"this gateway carries {MAX_DEVICES:,} devices, and this would be one more"
        refused.append(Refusal(message.topic, Reason.BAD_NAME, words, message.payload))
        return [each for each in arrivals if each.device in devices]
