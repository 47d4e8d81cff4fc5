"""The lines to both brokers: kept up for as long as the gateway runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import stamina

from broker.bus import Bus, RefusedError

log = logging.getLogger("ronda.edge.gateway")

# Between two attempts to reach a broker, at most.
_AGAIN_S = 10.0

Job = Coroutine[Any, Any, None]


class Line(Bus, Protocol):
    """A connection that knows whether it is up."""

    @property
    def connected(self) -> bool:
        """Is there a connection at this moment?"""
        ...


async def together(*jobs: Job) -> None:
    """Until one fails, which ends the others."""
    async with asyncio.TaskGroup() as group:
        for job in jobs:
            group.create_task(job)


async def kept_up(side: str, work: Callable[[], Job], on: type[Exception] | Callable[[Exception], bool]) -> None:
    """Again and again: a broker that is away, or refuses us today, is tried until somebody mends it."""
    async for attempt in stamina.retry_context(on, attempts=None, timeout=None, wait_max=_AGAIN_S):
        with attempt:
            try:
                await work()
            except Exception as error:
                log.warning("gateway.disconnected", extra={"side": side, "detail": _plain(error)})
                raise


def may_come_back(error: Exception) -> bool:
    """Is this anything but a refusal, which a person must mend?"""
    # stamina asks about cancellations too.
    return isinstance(error, Exception) and not isinstance(error, RefusedError)


def _plain(error: Exception) -> str:
    if isinstance(error, ExceptionGroup):
        return "; ".join(_plain(each) for each in error.exceptions)
    return str(error) or type(error).__name__
