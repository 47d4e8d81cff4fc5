"""Recent events with positions that mean the same after a restart, and one bounded queue per listener."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import msgspec

# An hour of a small plant's events; about 3 MB at 1.5 KB each.
KEPT = 2000
# Half a minute of a busy stream; a browser tab that sleeps longer reloads what it missed from the store.
QUEUED = 500


class Told(msgspec.Struct, frozen=True):
    """An event, serialised once for everybody."""

    position: int
    text: str


class Outlet:
    """One listener's queue: when it is full the oldest is dropped, and counted, so that a slow tab slows nobody."""

    def __init__(self, size: int = QUEUED) -> None:
        self._waiting: deque[Told] = deque()
        self._size = size
        self._filled = asyncio.Event()
        self.dropped = 0

    def put(self, told: Told) -> bool:
        """Queue it; False when another had to go for it."""
        full = len(self._waiting) >= self._size
        if full:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(told)
        self._filled.set()
        return not full

    async def take(self) -> tuple[list[Told], int]:
        """What is there, at least one, and how many were dropped since the last time."""
        await self._filled.wait()
        self._filled.clear()
        taken, dropped = list(self._waiting), self.dropped
        self._waiting.clear()
        self.dropped = 0
        return taken, dropped


class Positions:
    """Epoch microseconds, made strictly rising: later is larger, also over a restart, where a counter begins again."""

    def __init__(self, clock_ms: Callable[[], float]) -> None:
        self._clock_ms = clock_ms
        self.last = int(clock_ms() * 1000)

    def next(self) -> int:
        """A position after all before."""
        self.last = max(self.last + 1, int(self._clock_ms() * 1000))
        return self.last


def milliseconds(position: int) -> int:
    """The time of a position, UTC epoch ms."""
    return position // 1000
