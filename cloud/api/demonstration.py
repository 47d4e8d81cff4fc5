"""The golden path at the press of a button: commands a rested demo machine, and notes what it says it did."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from types import TracebackType
from typing import Self

import msgspec

from broker.bus import Bus, Message
from cloud.api.fleet import Fleet
from cloud.api.ports import Address
from cloud.api.problems import unavailable
from cloud.api.simulation import (
    KEPT_READY,
    DemoMachine,
    Fault,
    choose,
    to_prepare,
    wait_for_one,
)
from contract.codec import encode_events
from contract.errors import RondaError
from contract.events import HopEvent
from contract.topics import Channel, DeviceTopic

log = logging.getLogger("ronda.api.demonstration")

# Looks whether three are ready; a model is fitted within seconds.
_TICK_S = 3.0
# From the start of the API until the machines that prepare by themselves have been heard.
SETTLING_S = 15.0
# Results still expected; an emulator that is away never answers, and is forgotten.
_PENDING = 200


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a click: follow `correlation_id`."""

    correlation_id: str
    site: str
    device: str
    fault: Fault


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What the machine says: when it published, and when the broker had acknowledged all; or why it would not."""

    id: str | None
    readings: int = 0
    published_at_ms: float = 0
    acknowledged_at_ms: float = 0
    refused: str | None = None
    detail: str = ""


class Demonstration:
    """The pool of demo machines. Three are kept ready; each is used by one click and then rests."""

    def __init__(
        self,
        bus: Bus,
        fleet: Fleet,
        *,
        cooldown_ms: int,
        clock_ms: Callable[[], float],
        new_id: Callable[[], str],
        settling_s: float = SETTLING_S,
    ) -> None:
        self._bus = bus
        self._fleet = fleet
        self._cooldown_ms = cooldown_ms
        self._clock_ms = clock_ms
        self._new_id = new_id
        self._settling_s = settling_s
        self._used: dict[Address, int] = {}
        self._shown: dict[Address, int] = {}
        self._asked: dict[Address, int] = {}
        self._pending: OrderedDict[str, Address] = OrderedDict()
        self._begun: OrderedDict[str, Address] = OrderedDict()
        self._choosing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._begin(self._keep_ready(), "demonstration")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def start(self, fault: Fault) -> Started:
        """Let a rested machine publish this fault.

        Raises: Problem 503 when none is rested; TransientError when the broker is away.
        """
        async with self._choosing:
            now_ms = self._clock_ms()
            machines = await self._machines()
            chosen = choose(machines, now_ms, self._cooldown_ms)
            if chosen is None:
                await self._prepare(machines, now_ms)
                wait = wait_for_one(machines, now_ms, self._cooldown_ms)
                detail = wait.why.format(count=len(machines), seconds=wait.seconds)
                raise unavailable("no_rested_machine", detail, wait.seconds, why=wait.why.name.lower())
            started = Started(correlation_id=self._new_id(), site=chosen.site, device=chosen.device, fault=fault)
            await self._command(started, now_ms)
        self._begun[started.correlation_id] = (started.site, started.device)
        if len(self._begun) > _PENDING:
            self._begun.popitem(last=False)
        return started

    def begun(self, correlation_id: str) -> Address | None:
        """The machine that was asked under this id a moment ago: its story has begun, though nothing is stored yet."""
        return self._begun.get(correlation_id)

    def hear_result(self, message: Message) -> None:
        """The machine is done: its times become the first two hops of the trace."""
        topic = DeviceTopic.parse(message.topic)
        said = msgspec.json.decode(message.payload, type=Result)
        # Only the machine that was asked may tell about this id.
        if said.id is not None and self._pending.get(said.id) == (topic.site, topic.device):
            del self._pending[said.id]
            hops = _hops(topic, said, said.id, self._clock_ms())
            self._begin(self._bus.publish(encode_events(hops)), "hops")

    async def _command(self, started: Started, now_ms: float) -> None:
        address = (started.site, started.device)
        body: dict[str, object] = {"id": started.correlation_id, "simulate": {"fault": started.fault}}
        self._pending[started.correlation_id] = address
        if len(self._pending) > _PENDING:
            self._pending.popitem(last=False)
        await self._bus.publish([_command(address, body)])
        # Without a fault there is no mail, so no cooldown either.
        noted = self._shown if started.fault is Fault.NONE else self._used
        noted[address] = int(now_ms)
        log.info(
            "simulation.started",
            extra={
                "agent": "api",
                "correlation_id": started.correlation_id,
                "site": started.site,
                "device": started.device,
                "fault": started.fault,
            },
        )

    async def _keep_ready(self) -> None:
        # Some machines get ready by themselves when they start; first see which.
        await asyncio.sleep(self._settling_s)
        while True:
            try:
                async with self._choosing:
                    await self._prepare(await self._machines(), self._clock_ms())
            except RondaError as error:
                log.warning("demonstration.not_ready", extra={"agent": "api", "detail": str(error)})
            await asyncio.sleep(_TICK_S)

    async def _prepare(self, machines: list[DemoMachine], now_ms: float) -> None:
        for machine in to_prepare(machines, now_ms, self._cooldown_ms):
            address = (machine.site, machine.device)
            await self._bus.publish([_command(address, {"id": self._new_id(), "prepare": True})])
            self._asked[address] = int(now_ms)
            log.info("machine.asked_to_prepare", extra={"agent": "api", "site": machine.site, "device": machine.device})

    async def _machines(self) -> list[DemoMachine]:
        known = await self._fleet.demo_machines()
        return [
            DemoMachine(
                site=each.site,
                device=each.device,
                judged=each.judged,
                ill=each.ill,
                used_at_ms=_later(each.ill_at_ms, self._used.get((each.site, each.device))),
                shown_at_ms=self._shown.get((each.site, each.device)),
                # Who speaks and has no model yet is getting ready, whoever asked it.
                asked_at_ms=_later(
                    self._asked.get((each.site, each.device)), None if each.judged else each.heard_at_ms
                ),
            )
            for each in known
        ]

    def _begin(self, work: object, name: str) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work, name=f"api-{name}")  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("task.failed", extra={"agent": "api", "task": task.get_name(), "detail": str(error)})


def _command(address: Address, body: dict[str, object]) -> tuple[str, bytes]:
    return str(DeviceTopic(*address, Channel.COMMAND)), msgspec.json.encode(body)


def _hops(topic: DeviceTopic, said: Result, correlation_id: str, now_ms: float) -> list[HopEvent]:
    """The way begins at the machine; or it ends there, with the machine's own reason."""
    if said.refused is not None:
        passed = [("device", "failed", now_ms)]
    else:
        passed = [("device", "published", said.published_at_ms), ("broker", "accepted", said.acknowledged_at_ms)]
    return [
        HopEvent(
            site=topic.site,
            device=topic.device,
            correlation_id=correlation_id,
            station=station,
            at_ms=at_ms,
            readings=said.readings,
            did=did,
            detail={} if said.refused is None else {"reason": said.refused, "detail": said.detail},
        )
        for station, did, at_ms in passed
    ]


def _later(first: int | None, second: int | None) -> int | None:
    return max((at for at in (first, second) if at is not None), default=None)


__all__ = ["KEPT_READY", "Demonstration", "Result", "Started"]
