"""The gateway put together: the local side fills the outbox whatever the cloud does, the cloud side empties it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable

import msgspec

from broker.bus import Bus, Line
from contract.errors import TransientError
from contract.topics import Channel, DeviceTopic, ModelTopic
from edge.gateway.decode import Decoders
from edge.gateway.desk import Desk
from edge.gateway.forwarder import Forwarder
from edge.gateway.intake import Intake
from edge.gateway.judge import Judge
from edge.gateway.lines import kept_up, may_come_back, together
from edge.gateway.mapping import Mapping
from edge.gateway.outbox import Outbox
from edge.gateway.pacing import Pace
from edge.gateway.relay import Relay
from edge.gateway.report import Report
from edge.gateway.rows import Kept
from edge.gateway.shelf import Shelf
from edge.gateway.status import offline, status_topic
from edge.gateway.words import Statuses

log = logging.getLogger("ronda.edge.gateway")

_STATUS_S = 5.0
_LOOK_S = 0.5
# For the last words.
_FAREWELL_S = 2.0


class Gateway:
    """One site's gateway. `local` and `cloud` make a connection each time that one is needed."""

    def __init__(
        self,
        mapping: Mapping,
        outbox: Outbox,
        shelf: Shelf,
        *,
        local: Callable[[], Line],
        cloud: Callable[[], Line],
        now_ms: Callable[[], int],
    ) -> None:
        self._mapping, self._outbox, self._shelf = mapping, outbox, shelf
        self._local, self._cloud, self._now_ms = local, cloud, now_ms
        self._decoders = Decoders(mapping)
        self._lines: dict[str, Line] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Carry until `stop` is set. Raises: GatewayError, RefusedError when the local broker does not let us in."""
        self._desk = Desk()
        await self._desk.do(self._outbox.open)
        await self._desk.do(self._shelf.open)
        try:
            self._build()
            await self._forwarder.resume()
            await self._work(stop)
        finally:
            await self._desk.do(self._outbox.close)
            self._desk.stop()

    def _build(self) -> None:
        site, limits = self._mapping.site, self._mapping.limits
        self._relay = Relay(site)
        self._relay.tell(self._outbox.boots.marks())
        self._judge = Judge(self._shelf, self._now_ms)
        self._statuses = Statuses(site, self._mapping.name)
        self._forwarder = Forwarder(
            site,
            self._outbox,
            self._desk,
            Pace(limits.backfill_per_s),
            late_ms=int(limits.late_s * 1000),
            now_ms=self._now_ms,
            told=self._relay.tell,
        )
        self._intake = Intake(
            self._decoders,
            self._outbox,
            self._desk,
            now_ms=self._now_ms,
            kept=self._kept,
            status=self._statuses.heard,
        )
        self._report = Report(self._outbox, self._desk, self._intake, self._forwarder, self._now_ms)

    def _kept(self, kept: Kept) -> None:
        self._judge.kept(kept.counted)
        self._forwarder.kept(kept.spans)
        self._relay.tell(list(kept.again.items()))

    async def _work(self, stop: asyncio.Event) -> None:
        sides = [
            asyncio.create_task(kept_up("local", self._local_side, may_come_back)),
            asyncio.create_task(kept_up("cloud", self._cloud_side, Exception)),
            asyncio.create_task(self._intake.gather()),
            asyncio.create_task(self._judge.run()),
            asyncio.create_task(self._watch_the_cloud()),
        ]
        stopped = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait([stopped, *sides], return_when=asyncio.FIRST_COMPLETED)
        for task in (stopped, *sides):
            task.cancel()
        await asyncio.wait([stopped, *sides])
        for task in done - {stopped}:
            task.result()

    async def _local_side(self) -> None:
        async with self._connected("local", self._local()) as bus:
            await bus.subscribe(*self._decoders.filters)
            if any(source.format == "ronda" for source in self._mapping.sources):
                await bus.subscribe(DeviceTopic.filter(Channel.STATUS, self._mapping.site))
            await together(self._intake.run(bus), self._relay.run(bus), self._judge.say(bus), self._say_status(bus))

    async def _cloud_side(self) -> None:
        async with self._connected("cloud", self._cloud()) as bus:
            site = self._mapping.site
            await bus.subscribe(DeviceTopic.filter(Channel.STORED, site), ModelTopic.filter(site))
            await together(
                self._forwarder.run(bus),
                self._hear(bus),
                self._shelf.run(),
                self._statuses.run(bus),
                self._say_status(bus),
            )

    async def _hear(self, bus: Bus) -> None:
        while True:
            messages = await bus.receive()
            models = [each for each in messages if each.topic.startswith(ModelTopic.filter().partition("+")[0])]
            for each in models:
                self._shelf.announced(each.payload)
            await self._forwarder.hear([each for each in messages if each not in models])
            await bus.acknowledge(messages)

    @property
    def _cloud_is_there(self) -> bool:
        line = self._lines.get("cloud")
        return line is not None and line.connected

    async def _watch_the_cloud(self) -> None:
        while True:
            self._judge.cloud_is(there=self._cloud_is_there)
            await asyncio.sleep(_LOOK_S)

    async def _say_status(self, bus: Bus) -> None:
        topic = status_topic(self._mapping.site, self._mapping.name)
        while True:
            status = await self._report.status(
                cloud=self._cloud_is_there, models=len(self._shelf), alarms=self._judge.alarms
            )
            await bus.publish([(topic, msgspec.json.encode(status))], retain=True)
            await asyncio.sleep(_STATUS_S)

    @contextlib.asynccontextmanager
    async def _connected(self, name: str, line: Line) -> AsyncIterator[Bus]:
        async with line as bus:
            self._lines[name] = line
            log.info("gateway.connected", extra={"side": name})
            try:
                yield bus
            finally:
                del self._lines[name]
                with contextlib.suppress(TransientError, TimeoutError):
                    async with asyncio.timeout(_FAREWELL_S):
                        topic = status_topic(self._mapping.site, self._mapping.name)
                        await bus.publish([(topic, offline())], retain=True)
