"""Carries devices over from another broker: their readings come in, the watermark that frees them goes back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

from broker.bus import Bus, Message, RefusedError
from contract.errors import ContractError, RondaError
from contract.telemetry import MAX_PAYLOAD_BYTES
from contract.topics import GATEWAY_READS, GATEWAY_WRITES, Channel, DeviceTopic

log = logging.getLogger("ronda.edge.bridge")

# On a public broker the prefix is the only secret, and everybody may try: 62^16 tries are too many.
SHORTEST_PREFIX = 16


class BridgeError(RondaError):
    """A prefix that cannot be used; the text says why, and never says the prefix."""


class Carried(NamedTuple):
    """A message on its way to the other broker."""

    topic: str
    payload: bytes
    retain: bool


class Route(NamedTuple):
    """The topics of one site: below `prefix` on the other broker, as they are on ours."""

    prefix: str
    site: str

    @property
    def inward_filters(self) -> list[str]:
        """What devices on the other broker write."""
        return [f"{self.prefix}/{DeviceTopic.filter(channel, self.site)}" for channel in GATEWAY_WRITES]

    @property
    def outward_filters(self) -> list[str]:
        """What they listen to."""
        return [DeviceTopic.filter(channel, self.site) for channel in GATEWAY_READS]

    def inward(self, message: Message) -> Carried | None:
        """A device's message for our broker; None for what no device of the site may say."""
        head, _, topic = message.topic.partition(f"{self.prefix}/")
        try:
            known = DeviceTopic.parse(topic)
        except ContractError:
            return None
        if head or known.site != self.site or known.channel not in GATEWAY_WRITES:
            return None
        if len(message.payload) > MAX_PAYLOAD_BYTES:
            return None
        # A subscriber is told of a retained message only when it subscribes; a status is retained always.
        return Carried(topic, message.payload, known.channel is Channel.STATUS)

    def outward(self, message: Message) -> Carried:
        """Ours for the device."""
        return Carried(f"{self.prefix}/{message.topic}", message.payload, message.retain)


def check_prefix(prefix: str) -> str:
    """The prefix itself. Raises: BridgeError for one that is no topic, or that a stranger could guess."""
    if not prefix.isascii() or any(sign in prefix for sign in "+#$ \0") or prefix.strip("/") != prefix:
        raise BridgeError("--prefix may hold letters, digits, '-', '_', '.' and '/' within: it begins every topic")
    if len(prefix) < SHORTEST_PREFIX:
        raise BridgeError(
            f"--prefix has {len(prefix)} characters; on a broker that everybody may use it is the only secret, so it "
            f"needs {SHORTEST_PREFIX}, for example from: openssl rand -hex 16"
        )
    return prefix


class Bridge:
    """Both directions, until cancelled. A message is acknowledged over there when our broker has it, and not before.

    `told` hears how many messages went in and how many were refused.
    """

    def __init__(self, outer: Bus, inner: Bus, route: Route, told: Callable[[int, int], None]) -> None:
        self._outer, self._inner, self._route, self._told = outer, inner, route, told

    async def run(self) -> None:
        """Carry. Raises: BridgeError when we may not listen over there; a group of TransientError when one is away."""
        await self._inner.subscribe(*self._route.outward_filters)
        try:
            await self._outer.subscribe(*self._route.inward_filters)
        except RefusedError:
            # Without its words, which end in a log: they hold the prefix.
            raise BridgeError("the other broker refuses to tell us what is below the prefix") from None
        async with asyncio.TaskGroup() as group:
            group.create_task(self._carry_in())
            group.create_task(self._carry_out())

    async def _carry_in(self) -> None:
        while True:
            messages = await self._outer.receive()
            looked_at = [(message.topic, self._route.inward(message)) for message in messages]
            carried = [each for _, each in looked_at if each is not None]
            if refused := [topic for topic, each in looked_at if each is None]:
                # The prefix is a secret.
                first = refused[0].removeprefix(f"{self._route.prefix}/")[:200]
                log.warning("bridge.refused", extra={"messages": len(refused), "first": first})
            await _publish(self._inner, carried)
            await self._outer.acknowledge(messages)
            self._told(len(carried), len(refused))

    async def _carry_out(self) -> None:
        while True:
            messages = await self._inner.receive()
            await _publish(self._outer, [self._route.outward(message) for message in messages])
            await self._inner.acknowledge(messages)


async def _publish(bus: Bus, carried: Sequence[Carried]) -> None:
    """In their order, what belongs together at once."""
    run: list[tuple[str, bytes]] = []
    for index, each in enumerate(carried):
        run.append((each.topic, each.payload))
        last = index + 1 == len(carried)
        if last or carried[index + 1].retain != each.retain:
            await bus.publish(run, retain=each.retain)
            run = []
