"""What an agent is: a name, what it consumes and produces, and what it does with a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import msgspec

from contract.access import Party
from contract.codec import topic_filter
from contract.events import Event, HopEvent, ReadingRejectedEvent
from contract.identity import PARTITIONS
from contract.topics import AgentTopic, Channel, DeviceTopic


class RawTelemetry(msgspec.Struct, frozen=True):
    """A message as it came to the door: its topic, its bytes and when they arrived (UTC epoch ms)."""

    topic: str
    payload: bytes
    received_at_ms: int


Input = Event | RawTelemetry


class Agent(ABC):
    """One link of the chain.

    `consumes` and `produces` are all that the rest follows from: subscription, decoding, the check that nothing
    undeclared is published, and the broker's access rules. Every agent may also publish hops of traced messages and
    refusals. `partitioned` says whether its work can be split by the partition in the topic. Under a steady stream its
    batches begin `rhythm_s` apart, unless they are full: what comes alone is handled at once, what comes one after the
    other is handled together, and the work that a batch costs does not grow with the rate.
    """

    name: ClassVar[str]
    consumes: ClassVar[tuple[type[Input], ...]]
    produces: ClassVar[tuple[type[Event], ...]]
    partitioned: ClassVar[bool] = True
    rhythm_s: ClassVar[float] = 0.0

    async def start(self) -> Sequence[Event]:
        """Fetch what is needed before the first batch; what it returns is published."""
        return ()

    @abstractmethod
    async def handle(self, batch: Sequence[Input]) -> Sequence[Event]:
        """Do the work on `batch`, in order. Raises: TransientError when the same batch may succeed later."""

    async def tick(self) -> Sequence[Event]:
        """Called about once a second, between two batches, for what is due by the clock."""
        return ()

    async def stop(self) -> None:  # noqa: B027  # most agents have nothing to keep
        """Keep what must outlive the process."""

    @classmethod
    def may_publish(cls) -> tuple[type[Event], ...]:
        """The events that this agent has a right to."""
        return (*cls.produces, HopEvent, ReadingRejectedEvent)

    @classmethod
    def filters(cls, partitions: Sequence[int] | None = None) -> list[str]:
        """The subscriptions of an instance that owns `partitions` (None: all of them)."""
        if partitions is None or len(partitions) == PARTITIONS or not cls.partitioned:
            return [subscription(kind) for kind in cls.consumes]
        return list(dict.fromkeys(subscription(kind, partition) for kind in cls.consumes for partition in partitions))

    @classmethod
    def party(cls) -> Party:
        """The agent's rights on the broker."""
        writes = [topic_filter(kind) for kind in cls.may_publish()]
        return Party(name=cls.name, writes=[*writes, AgentTopic.filter(cls.name)], reads=cls.filters())


def subscription(kind: type[Input], partition: int | None = None) -> str:
    """The topic filter that brings inputs of this kind."""
    if issubclass(kind, RawTelemetry):
        return DeviceTopic.filter(Channel.TELEMETRY)
    return topic_filter(kind, partition)
