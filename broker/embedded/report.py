"""The embedded broker's counters as a log line, once a minute: what it drops or refuses is seen without asking."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable

import msgspec

from broker.embedded.clients import is_service
from broker.embedded.counters import Counters, Status

log = logging.getLogger("ronda.broker")

# Soon enough to see trouble while it lasts, and 1,440 lines a day.
_EVERY_S = 60.0
# When one of these rises, something was lost, or somebody does what it may not.
_TROUBLE = (
    "refused_full",
    "dropped_slow",
    "dropped_retained",
    "disk_full",
    "dead_letters",
    "refused_connections",
    "malformed_connections",
)


def fields(status: Status) -> dict[str, object]:
    """The broker at one moment, flat; by name only the services' queues, since there may be thousands of devices."""
    services: dict[str, int] = {}
    for queue in status.queues:
        if is_service(queue.user):
            services[queue.user] = services.get(queue.user, 0) + queue.messages
    return {
        **msgspec.structs.asdict(status.counters),
        "sessions": len(status.queues),
        "waiting": sum(queue.messages for queue in status.queues),
        "waiting_octets": sum(queue.octets for queue in status.queues),
        "waiting_for": services,
        "retained": status.retained,
        "dead_letters_kept": status.dead_letters,
        "scarce": status.scarce,
    }


def rose(before: Counters, now: Counters) -> bool:
    """Was anything dropped, refused or put aside in between?"""
    return trouble(now) > trouble(before)


def trouble(counters: Counters) -> int:
    """Everything that was dropped, refused or put aside so far."""
    return sum(counters.refused.values()) + sum(int(getattr(counters, name)) for name in _TROUBLE)


@contextlib.asynccontextmanager
async def counted(status: Callable[[], Status], *, every_s: float = _EVERY_S) -> AsyncIterator[None]:
    """Log `broker.counted` every `every_s` and at the end; a warning when something was dropped or refused since."""
    last = Counters()

    def report() -> None:
        nonlocal last
        now = status()
        level = logging.WARNING if rose(last, now.counters) else logging.INFO
        log.log(level, "broker.counted", extra=fields(now))
        last = now.counters

    async def repeat() -> None:
        while True:
            await asyncio.sleep(every_s)
            report()

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        report()
