"""The API's ear on the bus: one subscription, each message handed to those who asked for its subject."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Self

from broker.bus import Bus, Message, RefusedError
from broker.sys_tree import SYS, TOPICS
from cloud.api.background import Background
from contract.access import Party
from contract.topics import AgentTopic, ChainTopic, Channel, DeviceTopic, ModelTopic, Stage

log = logging.getLogger("ronda.api.listener")

Hear = Callable[[Message], None]

AGENT, BROKER = "agent", "broker"
_DEVICE_SUBJECTS = (
    Channel.ANOMALY,
    Channel.NOTIFICATION,
    Channel.REJECTED,
    Channel.STORED,
    Channel.COMMAND_RESULT,
)
_CHAIN_SUBJECTS = (Stage.VALIDATED, Stage.TRACE)
# Publishing waits for the broker's word at most this long before the client is told to come back.
PUBLISH_WITHIN_S = 10.0
# A listener that stumbles over a message of its own is a mistake of ours; breathe, log and go on.
_BREATH_S = 1.0


def party(name: str = "web") -> Party:
    """The API's rights on the broker: it speaks for clients whose right it checked, and hears what people may see."""
    reads = [DeviceTopic.filter(channel) for channel in _DEVICE_SUBJECTS]
    reads += [ChainTopic.filter(stage) for stage in _CHAIN_SUBJECTS]
    writes = [
        DeviceTopic.filter(Channel.TELEMETRY),
        DeviceTopic.filter(Channel.COMMAND),
        ChainTopic.filter(Stage.TRACE),
        ModelTopic.filter(),
    ]
    return Party(name=name, writes=writes, reads=[*reads, AgentTopic.filter(), *TOPICS])


def subject(topic: str) -> str:
    """What a message is about: the channel of a device topic, the stage of a chain topic, `agent`, or `broker`."""
    if topic.startswith(SYS):
        return BROKER
    parts = topic.split("/", 4)
    return parts[4] if parts[0] == "ronda" and len(parts) == 5 else parts[2]


class Listener(Background):
    """Receives until stopped. A listener's mistake costs that message, never the ear."""

    def __init__(self, bus: Bus, hears: Mapping[str, Sequence[Hear]]) -> None:
        self._bus = bus
        self._hears = hears

    async def __aenter__(self) -> Self:
        await self._bus.subscribe(*(wanted for wanted in party().reads if not wanted.startswith(SYS)))
        # Of a broker that keeps that to itself nobody learns how full it is; all else goes on.
        with contextlib.suppress(RefusedError):
            await self._bus.subscribe(*TOPICS)
        self._begin(self._listen(), "api-listener")
        return self

    async def _listen(self) -> None:
        while True:
            try:
                messages = await self._bus.receive()
                for message in messages:
                    self._hand_out(message)
                await self._bus.acknowledge(messages)
            except Exception:
                log.exception("listener.stumbled", extra={"agent": "api"})
                await asyncio.sleep(_BREATH_S)

    def _hand_out(self, message: Message) -> None:
        for hear in self._hears.get(subject(message.topic), ()):
            try:
                hear(message)
            except Exception:
                log.exception("message.not_understood", extra={"agent": "api", "topic": message.topic})
