"""The lines to both brokers: kept up for as long as the gateway runs.

To the local one there are two connections. While the outbox takes nothing, for want of room on its disk, nothing is
read from there; what the gateway has to say meanwhile, why it waits and what is stored, must be heard all the same.
The cloud's is always read on: what comes from there makes room.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import stamina

from broker.address import MqttAddress
from broker.bus import Line, RefusedError, Will
from broker.mqtt import MqttBus
from broker.two_lines import TwoLines

log = logging.getLogger("ronda.edge.gateway")

# Between two attempts to reach a broker, at most.
_AGAIN_S = 10.0

Job = Coroutine[Any, Any, None]


def to_devices(address: MqttAddress, name: str, will: Will) -> Line:
    """The line to the local broker, which keeps for us, under the same name, what comes while we are away."""
    return TwoLines(MqttBus(address, f"{name}-in", will=will), MqttBus(address, f"{name}-out", persistent=False))


def to_cloud(address: MqttAddress, name: str, will: Will) -> Line:
    """The line to the cloud's."""
    return MqttBus(address, name, persistent=False, will=will)


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
