"""The runner's promises: acknowledge last, put aside what is broken, retry what is passing, never stop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest

from broker.memory import MemoryBroker
from cloud.agents.agent import Agent, Input
from cloud.agents.runner import Runner, last_will
from contract.codec import decode_events, encode_events, topic_filter
from contract.errors import Reason, TransientError
from contract.events import (
    AgentState,
    AgentStatus,
    AnomalyDetectedEvent,
    Event,
    ReadingRejectedEvent,
    SensorReadingIngestedEvent,
    ValidatedDataEvent,
)
from contract.topics import AgentTopic


class Passing(Agent):
    """Passes blocks on, and does as it is told about the first metric of each."""

    name = "passing"
    consumes = (SensorReadingIngestedEvent,)
    produces = (ValidatedDataEvent,)

    def __init__(self) -> None:
        self.away = 0
        self.handled = 0

    async def handle(self, batch: Sequence[Input]) -> Sequence[Event]:
        if self.away:
            self.away -= 1
            raise TransientError("the database is away")
        self.handled += 1
        return [self._pass(block) for block in batch if isinstance(block, SensorReadingIngestedEvent)]

    def _pass(self, block: SensorReadingIngestedEvent) -> ValidatedDataEvent:
        if block.metrics == ["poison"]:
            raise ZeroDivisionError
        return msgspec.convert(msgspec.to_builtins(block), ValidatedDataEvent)


class Forger(Passing):
    """Publishes what it does not declare."""

    name = "forger"

    def _pass(self, block: SensorReadingIngestedEvent) -> ValidatedDataEvent:
        return block  # type: ignore[return-value]  # the point of the test


class Calm(Passing):
    """Works in a rhythm, and remembers how many readings each of its batches had."""

    name = "calm"
    # Longer than the test needs to publish a handful of messages.
    rhythm_s = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    async def handle(self, batch: Sequence[Input]) -> Sequence[Event]:
        self.batches.append(len(batch))
        return await super().handle(batch)


def block(seq: int, metric: str = "a") -> SensorReadingIngestedEvent:
    return SensorReadingIngestedEvent(
        site="plant-1",
        device="pump-07",
        boot="9f2c41d07be3a655",
        received_at_ms=1,
        metrics=[metric],
        seq=[seq],
        measured_at_ms=[seq],
        values=[[0.5]],
    )


@contextlib.asynccontextmanager
async def running(broker: MemoryBroker, agent: Agent) -> AsyncIterator[None]:
    broker.declare(f"ronda-{agent.name}", *agent.filters())
    bus = broker.bus(f"ronda-{agent.name}")
    runner = Runner(agent, bus, clock_ms=lambda: 1_000.0, instance="0-63", since_ms=1)
    task = asyncio.create_task(runner.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def collect(broker: MemoryBroker, kind: type[Event], count: int, feed: Sequence[Event]) -> list[Event]:
    """Publish `feed`, then wait for `count` events of `kind`."""
    async with asyncio.timeout(10), broker.bus("probe") as probe:
        await probe.subscribe(topic_filter(kind))
        await probe.publish(encode_events(feed))
        found: list[Event] = []
        while len(found) < count:
            for message in await probe.receive():
                found.extend(decode_events(kind, message.payload))
        return found


async def test_what_comes_in_is_handled_and_published() -> None:
    broker = MemoryBroker()
    async with running(broker, Passing()):
        found = await collect(broker, ValidatedDataEvent, 3, [block(0), block(1), block(2)])
    assert [event.seq for event in found if isinstance(event, ValidatedDataEvent)] == [[0], [1], [2]]


async def test_a_poisoned_reading_is_put_aside_and_the_rest_of_its_batch_goes_on() -> None:
    broker = MemoryBroker()
    broker.declare("rejected", topic_filter(ReadingRejectedEvent))
    async with running(broker, Passing()):
        found = await collect(broker, ValidatedDataEvent, 2, [block(0), block(1, "poison"), block(2)])
        async with asyncio.timeout(10), broker.bus("rejected") as probe:
            (message,) = await probe.receive()
    (refused,) = decode_events(ReadingRejectedEvent, message.payload)
    assert len(found) == 2
    assert (refused.reason, refused.stage, refused.seq) == (Reason.INTERNAL_ERROR, "passing", 1)


async def test_undecodable_bytes_are_put_aside_with_their_bytes() -> None:
    broker = MemoryBroker()
    async with running(broker, Passing()), asyncio.timeout(10), broker.bus("probe") as probe:
        await probe.subscribe(topic_filter(ReadingRejectedEvent))
        await probe.publish([("ronda-chain/v1/ingested/3", b"{garbage")])
        (message,) = await probe.receive()
    (refused,) = decode_events(ReadingRejectedEvent, message.payload)
    assert refused.payload == b"{garbage"


async def test_a_passing_failure_is_retried_with_the_input_unacknowledged() -> None:
    broker, agent = MemoryBroker(), Passing()
    agent.away = 2
    async with running(broker, agent):
        found = await collect(broker, ValidatedDataEvent, 1, [block(0)])
    assert len(found) == 1
    assert agent.away == 0


async def test_what_was_not_acknowledged_comes_again_after_a_crash() -> None:
    broker, dying = MemoryBroker(), Passing()
    dying.away = 1_000_000
    broker.declare("ronda-passing", *Passing.filters())
    async with broker.bus("feeder") as feeder:
        await feeder.publish(encode_events([block(0)]))
    async with running(broker, dying):
        await asyncio.sleep(0.05)
    async with running(broker, Passing()):
        found = await collect(broker, ValidatedDataEvent, 1, [])
    assert len(found) == 1


async def test_nothing_undeclared_is_published() -> None:
    broker = MemoryBroker()
    broker.declare("ronda-forger", *Forger.filters())
    runner = Runner(Forger(), broker.bus("ronda-forger"), clock_ms=lambda: 1.0, instance="0-63", since_ms=1)
    async with asyncio.timeout(10), broker.bus("probe") as probe:
        task = asyncio.create_task(runner.run())
        await probe.subscribe(AgentTopic.filter("forger"))
        await probe.receive()
        await probe.publish(encode_events([block(0)]))
        with pytest.raises(Exception, match="may not publish SensorReadingIngestedEvent"):
            await task


async def test_an_agent_announces_itself_and_leaves_a_last_will() -> None:
    broker = MemoryBroker()
    async with running(broker, Passing()), asyncio.timeout(10), broker.bus("probe") as probe:
        await probe.subscribe(AgentTopic.filter())
        (message,) = await probe.receive()
    status = msgspec.json.decode(message.payload, type=AgentStatus)
    assert (status.agent, status.state) == ("passing", AgentState.ONLINE)
    topic, payload = last_will(Passing, "0-63", 1)
    assert topic == message.topic
    assert msgspec.json.decode(payload, type=AgentStatus).state is AgentState.OFFLINE


def test_an_agent_may_write_only_what_it_declares() -> None:
    writes = Passing.party().writes
    assert topic_filter(ValidatedDataEvent) in writes
    assert topic_filter(AnomalyDetectedEvent) not in writes


async def test_what_comes_alone_is_handled_at_once_and_a_stream_in_the_rhythm_of_its_agent() -> None:
    broker, agent = MemoryBroker(), Calm()
    async with asyncio.timeout(20), running(broker, agent), broker.bus("probe") as probe:
        await probe.subscribe(topic_filter(ValidatedDataEvent))
        await probe.publish(encode_events([block(0)]))
        await probe.receive()
        for seq in range(1, 6):
            await probe.publish(encode_events([block(seq)]))
        while sum(agent.batches) < 6:
            await probe.receive()
    assert agent.batches == [1, 5]
