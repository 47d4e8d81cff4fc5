"""What a runner tells of its agent's work, and in which order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from broker.memory import MemoryBroker
from cloud.agents.agent import Agent, Input
from cloud.agents.runner import Runner
from cloud.agents.watch import Watch
from contract.codec import encode_events, topic_filter
from contract.events import Event, ReadingRejectedEvent, ValidatedDataEvent
from tests.support.readings import block

NOW_MS = 1_763_800_005_000.0


class Sink(Agent):
    """Takes what was validated, and makes nothing of it."""

    name = "sink"
    consumes = (ValidatedDataEvent,)
    produces = ()

    async def handle(self, batch: Sequence[Input]) -> Sequence[Event]:
        return ()


class Remembering(Watch):
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.readings = 0
        self.done = asyncio.Event()

    def began(self) -> None:
        self.heard.append("began")

    def took(self, messages: int) -> None:
        self.heard.append(f"took {messages}")

    def handled(self, inputs: Sequence[Input], outputs: Sequence[Event], seconds: float, now_ms: float) -> None:
        assert (seconds >= 0, now_ms) == (True, NOW_MS)
        self.heard.append("handled")

    def published(self, events: Sequence[Event]) -> None:
        self.heard.append(f"published {type(events[0]).__name__}")

    def acknowledged(self, messages: int) -> None:
        self.heard.append(f"acknowledged {messages}")
        self.done.set()

    def ended(self) -> None:
        self.heard.append("ended")


async def watched(messages: Sequence[tuple[str, bytes]]) -> list[str]:
    """What the runner says about these messages, from its start to its end."""
    broker, watch = MemoryBroker(), Remembering()
    broker.declare("ronda-sink", *Sink.filters())
    async with broker.bus("feeder") as feeder:
        await feeder.publish(messages)
    bus = broker.bus("ronda-sink")
    runner = Runner(Sink(), bus, clock_ms=lambda: NOW_MS, instance="0-63", since_ms=1, watch=watch)
    async with asyncio.timeout(10):
        task = asyncio.create_task(runner.run())
        await watch.done.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return watch.heard


async def test_a_batch_is_taken_handled_and_only_then_acknowledged() -> None:
    heard = await watched(encode_events([block([0])]))
    assert heard == ["began", "took 1", "handled", "acknowledged 1", "ended"]


async def test_what_cannot_be_decoded_is_told_as_published_not_as_handled() -> None:
    topic = topic_filter(ValidatedDataEvent).replace("+", "3")
    heard = await watched([(topic, b"{garbage")])
    assert heard == ["began", "took 1", f"published {ReadingRejectedEvent.__name__}", "acknowledged 1", "ended"]
