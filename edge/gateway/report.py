"""The gateway's numbers, gathered for its status."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from edge.gateway.desk import Desk
from edge.gateway.forwarder import Forwarder
from edge.gateway.intake import Intake
from edge.gateway.outbox import Outbox
from edge.gateway.status import (
    GatewayStatus,
    LocalAlarm,
    dropped_by_device,
    dropped_by_reason,
    refused_by_reason,
)


class Report:
    """Asks every part; `alarms` are those that the gateway raised itself."""

    def __init__(
        self, outbox: Outbox, desk: Desk, intake: Intake, forwarder: Forwarder, now_ms: Callable[[], int]
    ) -> None:
        self._outbox, self._desk, self._intake, self._forwarder = outbox, desk, intake, forwarder
        self._now_ms = now_ms
        self._since_ms = now_ms()

    async def status(self, *, cloud: bool, models: int = 0, alarms: Iterable[LocalAlarm] = ()) -> GatewayStatus:
        """How the gateway is."""
        return await self._desk.do(partial(self._status, cloud, models, tuple(alarms)))

    def _status(self, cloud: bool, models: int, alarms: Sequence[LocalAlarm]) -> GatewayStatus:
        outbox, drops = self._outbox, self._outbox.bounds.drops(self._outbox.boots)
        totals = outbox.counts.totals
        return GatewayStatus(
            state="online",
            at_ms=self._now_ms(),
            since_ms=self._since_ms,
            cloud=cloud,
            devices=len(outbox.boots.devices),
            held=outbox.bounds.rows,
            held_bytes=outbox.bounds.bytes,
            oldest_ms=outbox.bounds.oldest_arrival_ms(),
            kept=totals["kept"],
            sent=self._forwarder.sent,
            stored=totals["stored"],
            repeated=totals["repeated"],
            contradicted=totals["contradicted"],
            dropped=dropped_by_reason(drops),
            dropped_by_device=dropped_by_device(drops),
            refused=refused_by_reason(totals),
            trouble=self._intake.trouble,
            models=models,
            alarms=alarms,
        )
