"""Counts that end by themselves after a while: in Redis for all API processes together, else in this one."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from limits.aio.storage import RedisStorage

from cloud.api.redis_link import RedisAwayError, RedisLink

T = TypeVar("T")

# About 20 MB. The oldest is forgotten first, so that nobody can fill the memory from many addresses.
MOST_COUNTS = 100_000
_PREFIX = "ronda"


class Counts(Protocol):
    """What is asked of a store of counts; the words are those of the package `limits`."""

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count, and how much it is now; the first of a key starts its time of `expiry` seconds."""

    async def get(self, key: str) -> int:
        """How much it is; 0 when its time is over."""

    async def get_expiry(self, key: str) -> float:
        """When its time is over (Unix seconds)."""

    async def clear(self, key: str) -> None:
        """Forget it."""


class LocalCounts:
    """The counts of this process.

    `limits` has such a store too; it looks at all its counts after nearly every request, which takes 350 µs with
    10,000 callers. This one forgets the oldest when a new one comes.
    """

    def __init__(self, now_s: Callable[[], float], most: int = MOST_COUNTS) -> None:
        self._now_s = now_s
        self._most = most
        # (count, end in Unix seconds), in the order in which they began.
        self._counts: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        count, ends_s = self._current(key)
        if not count:
            ends_s = self._now_s() + expiry
            self._counts.pop(key, None)
            self._forget()
        self._counts[key] = (count + amount, ends_s)
        return count + amount

    async def get(self, key: str) -> int:
        return self._current(key)[0]

    async def get_expiry(self, key: str) -> float:
        return self._current(key)[1]

    async def clear(self, key: str) -> None:
        self._counts.pop(key, None)

    def _current(self, key: str) -> tuple[int, float]:
        count, ends_s = self._counts.get(key, (0, 0.0))
        now_s = self._now_s()
        return (count, ends_s) if ends_s > now_s else (0, now_s)

    def _forget(self) -> None:
        """Two at most for each that comes: what has ended shrinks faster than it grows, and nobody waits for it."""
        for _ in range(min(2, len(self._counts))):
            oldest = next(iter(self._counts))
            if self._counts[oldest][1] > self._now_s() and len(self._counts) < self._most:
                return
            del self._counts[oldest]


class Counters:
    """Counts in Redis where there is one; while it is away, in this process, from zero."""

    def __init__(self, now_s: Callable[[], float], link: RedisLink | None = None) -> None:
        self._now_s = now_s
        self._link = link
        self._local = LocalCounts(now_s)
        self._shared = None if link is None else _in_redis(link)

    async def add(self, key: str, window_s: int, amount: int = 1) -> int:
        """Count so many more; how many there are in the window, which the first of them began."""
        return await self._ask(lambda counts: counts.incr(key, window_s, amount))

    async def count(self, key: str) -> int:
        """How many there are in the window now."""
        return await self._ask(lambda counts: counts.get(key))

    async def ends_in_s(self, key: str) -> float:
        """Seconds until the window ends; 0 when there is none."""
        return max(0.0, await self._ask(lambda counts: counts.get_expiry(key)) - self._now_s())

    async def forget(self, key: str) -> None:
        """As if it had never been counted."""
        await self._ask(lambda counts: counts.clear(key))

    async def _ask(self, ask: Callable[[Counts], Awaitable[T]]) -> T:
        if self._link is not None and (shared := self._shared) is not None:
            with contextlib.suppress(RedisAwayError):
                return await self._link.ask(lambda: ask(shared))
        return await ask(self._local)


def _in_redis(link: RedisLink) -> Counts:
    # The address is in the pool; this one only says which kind of store is meant.
    store: Counts = RedisStorage(
        "async+redis://",
        implementation="redispy",
        key_prefix=_PREFIX,
        connection_pool=link.pool,  # type: ignore[arg-type]  # documented, but not in its annotation
    )
    return store
