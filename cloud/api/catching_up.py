"""Looks into the store every few seconds for what the bus did not tell: the stream's listeners miss nothing.

The API's session on the bus is not kept while it is away, since a queue of all readings would grow; so an anomaly that
is published in a gap of its connection would otherwise be seen only after a reload.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Self

from cloud.api.background import Background
from cloud.api.ports import AnomalyFilter, Lookups
from cloud.api.stream import Hub
from contract.errors import RondaError

log = logging.getLogger("ronda.api.catching_up")

EVERY_S = 5.0
# An alarm flood beyond this within five seconds is read page by page anyway.
_NEWEST = 50


class CatchingUp(Background):
    """Tells the hub what is new in the store; what the hub told before is not told again."""

    def __init__(self, lookups: Lookups, hub: Hub, clock_ms: Callable[[], float], every_s: float = EVERY_S) -> None:
        self._lookups = lookups
        self._hub = hub
        self._from_ms = int(clock_ms())
        self._every_s = every_s

    async def __aenter__(self) -> Self:
        self._begin(self._watch(), "api-catching-up")
        return self

    async def look(self) -> None:
        """Tell what has become known since this process began. Raises: RondaError when the store is away."""
        for record in reversed(await self._lookups.anomalies(AnomalyFilter(), _NEWEST)):
            if record.latest.detected_at_ms >= self._from_ms:
                self._hub.tell_anomaly(record.event, record.latest)
        for receipt in await self._lookups.notifications_since(self._from_ms, _NEWEST):
            self._hub.tell_notification(receipt)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.look()
            except RondaError as error:
                log.warning("store.away", extra={"agent": "api", "detail": str(error)})
            except Exception:
                log.exception("store.not_understood", extra={"agent": "api"})
