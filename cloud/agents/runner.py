"""Runs one agent on one bus: subscribe → decode → handle → publish → acknowledge, and what happens when that fails.

A payload that cannot be decoded and an input that an agent stumbles over become refusals with their bytes; a transient
failure is retried with jitter for a minute, the input unacknowledged meanwhile, and then ends the runner, whose restart
receives the same input again. One bad message never stops the chain, and is never silent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from functools import lru_cache

import msgspec
import stamina

from broker.bus import Bus, Message
from cloud.agents.agent import Agent, Input, RawTelemetry, subscription
from cloud.agents.watch import Watch
from contract.codec import decode_events, encode_events, is_retained, topic_filter
from contract.errors import ContractError, Reason, RondaError, TransientError
from contract.events import (
    AgentState,
    AgentStatus,
    AnomalyDetectedEvent,
    Event,
    HopEvent,
    NotificationSentEvent,
    ReadingRejectedEvent,
    Readings,
)
from contract.topics import AgentTopic, DeviceTopic

log = logging.getLogger("ronda.agents")

# What is there is drained up to this many messages: batches are what makes the chain fast.
BATCH = 256
TICK_S = 1.0
# The status is retained; saying it again repairs a Last Will that a short cut left behind.
HEARTBEAT_TICKS = 10
# How long a database or a mail server may be away before the runner gives up and is started again.
PATIENCE_S = 60.0
LEAVE_S = 2.0

_LOGGED = (HopEvent, AnomalyDetectedEvent, NotificationSentEvent, ReadingRejectedEvent)


class Runner:
    """One agent at work. `instance` names the process's share of the work, stable over restarts."""

    def __init__(
        self,
        agent: Agent,
        bus: Bus,
        *,
        clock_ms: Callable[[], float],
        instance: str,
        since_ms: int,
        partitions: Sequence[int] | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._agent = agent
        self._bus = bus
        self._clock_ms = clock_ms
        self._instance = instance
        self._since_ms = since_ms
        self._partitions = partitions
        self._watch = watch or Watch()
        self._kinds = {_family(subscription(kind)): kind for kind in agent.consumes}

    async def run(self) -> None:
        """Work until cancelled. Raises: TransientError when something stayed away for longer than a minute."""
        async with self._bus:
            await self._publish(await self._retried(self._agent.start))
            await self._bus.subscribe(*self._agent.filters(self._partitions))
            await self._announce(AgentState.ONLINE)
            log.info("agent.started", extra={"filters": self._agent.filters(self._partitions)[:4]})
            self._watch.began()
            try:
                await self._work()
            finally:
                self._watch.ended()
                await self._leave()

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        due, ticks = loop.time() + TICK_S, 0
        receiving = asyncio.create_task(self._bus.receive(BATCH))
        try:
            while True:
                await asyncio.wait({receiving}, timeout=max(0.0, due - loop.time()))
                if receiving.done():
                    messages, began = receiving.result(), loop.time()
                    await self._take(messages)
                    if len(messages) < BATCH:
                        await asyncio.sleep(began + self._agent.rhythm_s - loop.time())
                    receiving = asyncio.create_task(self._bus.receive(BATCH))
                if loop.time() >= due:
                    due, ticks = loop.time() + TICK_S, ticks + 1
                    self._watch.began()
                    await self._publish(await self._retried(self._agent.tick))
                    if ticks % HEARTBEAT_TICKS == 0:
                        await self._announce(AgentState.ONLINE)
        finally:
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)

    async def _take(self, messages: Sequence[Message]) -> None:
        """The input is acknowledged only after its outputs were: a crash in between redelivers it."""
        self._watch.took(len(messages))
        inputs: list[Input] = []
        refused: list[Event] = []
        for message in messages:
            try:
                inputs.extend(self._decode(message))
            except ContractError as error:
                refused.append(self._undecodable(message, error))
        await self._publish([*refused, *(await self._watched(inputs) if inputs else ())])
        await self._bus.acknowledge(messages)
        self._watch.acknowledged(len(messages))

    def _decode(self, message: Message) -> Sequence[Input]:
        kind = self._kinds.get(_family(message.topic))
        if kind is None or not message.payload:
            return ()
        if issubclass(kind, RawTelemetry):
            return [RawTelemetry(message.topic, message.payload, int(self._clock_ms()))]
        return decode_events(kind, message.payload)

    async def _watched(self, inputs: Sequence[Input]) -> Sequence[Event]:
        # Finer than the loop's own clock, which uvloop keeps in milliseconds.
        began = time.perf_counter()
        outputs = await self._handle(inputs)
        self._watch.handled(inputs, outputs, time.perf_counter() - began, self._clock_ms())
        return outputs

    async def _handle(self, inputs: Sequence[Input]) -> Sequence[Event]:
        try:
            return await self._retried(self._agent.handle, inputs)
        except TransientError:
            raise
        except Exception:
            if len(inputs) == 1:
                log.exception("agent.stumbled", extra={"correlation_id": getattr(inputs[0], "correlation_id", None)})
                return [self._stumbled(inputs[0])]
            # One by one, so that only the one at fault is put aside.
            return [event for single in inputs for event in await self._handle([single])]

    async def _retried(self, work: Callable[..., object], *arguments: object) -> Sequence[Event]:
        caller = stamina.AsyncRetryingCaller(attempts=None, timeout=PATIENCE_S, wait_max=5.0)
        return await caller(TransientError, work, *arguments)  # type: ignore[arg-type]  # async work

    async def _publish(self, events: Sequence[Event]) -> None:
        if not events:
            return
        self._check_declared(events)
        kept = [event for event in events if is_retained(type(event))]
        passing = [event for event in events if not is_retained(type(event))]
        await self._bus.publish(encode_events(passing))
        await self._bus.publish(encode_events(kept), retain=True)
        self._watch.published(events)
        for event in events:
            if isinstance(event, _LOGGED):
                _log(event)

    def _check_declared(self, events: Sequence[Event]) -> None:
        for event in events:
            if type(event) not in self._agent.may_publish():
                raise RondaError(f"{self._agent.name} may not publish {type(event).__name__}: it does not declare it")

    def _undecodable(self, message: Message, error: ContractError) -> ReadingRejectedEvent:
        site, device = _owner(message.topic)
        return ReadingRejectedEvent(
            site=site,
            device=device,
            stage=self._agent.name,
            reason=error.reason,
            detail=error.detail,
            topic=message.topic,
            payload=message.payload,
            received_at_ms=int(self._clock_ms()),
        )

    def _stumbled(self, item: Input) -> ReadingRejectedEvent:
        if isinstance(item, RawTelemetry):
            topic, payload, (site, device) = item.topic, item.payload, _owner(item.topic)
        else:
            topic, payload, site, device = topic_filter(type(item)), msgspec.json.encode(item), item.site, item.device
        only = isinstance(item, Readings) and len(item) == 1
        return ReadingRejectedEvent(
            site=site,
            device=device,
            stage=self._agent.name,
            reason=Reason.INTERNAL_ERROR,
            detail=f"{self._agent.name} could not handle it; the traceback is in its log",
            topic=topic,
            payload=payload,
            received_at_ms=int(self._clock_ms()),
            boot=item.boot if isinstance(item, Readings) and only else None,
            seq=item.seq[0] if isinstance(item, Readings) and only else None,
            correlation_id=getattr(item, "correlation_id", None),
        )

    async def _announce(self, state: AgentState) -> None:
        status = AgentStatus(
            agent=self._agent.name, instance=self._instance, state=state, since_ms=self._since_ms,
            partitions=self._instance,
        )  # fmt: skip
        topic = str(AgentTopic(self._agent.name, self._instance))
        await self._bus.publish([(topic, msgspec.json.encode(status))], retain=True)

    async def _leave(self) -> None:
        """Kept and said only when there is time: the store reads what is not kept, the Last Will says the rest."""
        with contextlib.suppress(TransientError, TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                await self._agent.stop()
                await self._announce(AgentState.OFFLINE)


def last_will(agent: type[Agent], instance: str, since_ms: int) -> tuple[str, bytes]:
    """What the broker says for an agent that vanished: (topic, payload), retained."""
    status = AgentStatus(
        agent=agent.name, instance=instance, state=AgentState.OFFLINE, since_ms=since_ms, partitions=instance
    )
    return str(AgentTopic(agent.name, instance)), msgspec.json.encode(status)


@lru_cache(10_000)
def _family(topic: str) -> str:
    """What tells one kind of message from another: the topic without the names in the middle or the partition."""
    parts = topic.split("/")
    if parts[0] == "ronda":
        return "/".join(["ronda", *parts[4:]])
    return "/".join(parts[:3])


def _owner(topic: str) -> tuple[str, str]:
    try:
        parsed = DeviceTopic.parse(topic)
    except ContractError:
        return "-", "-"
    return parsed.site, parsed.device


def _log(event: HopEvent | AnomalyDetectedEvent | NotificationSentEvent | ReadingRejectedEvent) -> None:
    fields: dict[str, object] = {"correlation_id": event.correlation_id, "asset": f"{event.site}/{event.device}"}
    if isinstance(event, HopEvent):
        log.info("message.traced", extra=fields | {"station": event.station, "did": event.did, "at_ms": event.at_ms})
    elif isinstance(event, AnomalyDetectedEvent):
        log.info("anomaly.%s", event.phase, extra=fields | {"score": event.score, "anomaly_id": event.anomaly_id})
    elif isinstance(event, NotificationSentEvent):
        log.info("notification.%s", event.delivery, extra=fields | {"decision": event.decision})
    else:
        log.warning("reading.rejected", extra=fields | {"reason": event.reason, "stage": event.stage})
