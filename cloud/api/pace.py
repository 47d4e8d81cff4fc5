"""How many requests a caller may make in a minute, so that one that runs wild does not silence the others."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable

import msgspec
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Scope, Send

from cloud.api.callers import Caller
from cloud.api.counters import Counters
from cloud.api.origin import origin_of
from cloud.api.problems import Problem
from cloud.api.recorder import PROBES

WINDOW_S = 60
# The machines' key stands for a gateway with a whole hall behind it: as much as twenty devices that use all they may.
KEY_SHARE = 20
# Beside the probes: files of the dashboard cost nothing, and what its pages ask, they ask of the API, in their reader's
# name.
_PAGES = "/ui/"
# A request takes the API itself 170 µs, and a call to Redis 120 to 200 more: asked each time, it would halve what can
# be served. A hundredth of the limit is as exact as a limit of this kind needs to be.
BLOCKS = 100
# Redis rounds the time that is left to whole seconds, and tells the last half of one as none: what is reserved then
# would be over at once, and the next request reserve again, until nothing of the minute is left.
_LAST_S = 0.5
# Callers whose minute is known; about 20 MB. Of one that is forgotten, what it had reserved is lost.
_REMEMBERED = 50_000


class Budget(msgspec.Struct, frozen=True):
    """Whose requests are counted together, and how many there may be in a minute."""

    owner: str
    requests: int


def budget(scope: Scope, per_minute: int) -> Budget | None:
    """Who pays for this request: the caller, else the address that it comes from; None when nobody has to."""
    path: str = scope["path"]
    if per_minute == 0 or path in PROBES or path.startswith(_PAGES):
        return None
    caller = scope.get("state", {}).get("caller")
    if not isinstance(caller, Caller):
        return Budget(f"address:{origin_of(scope)}", per_minute)
    if caller.token_id is None:
        # Gateways share the key; each counts for itself.
        return Budget(f"key:{origin_of(scope)}", per_minute * KEY_SHARE)
    return Budget(f"subject:{caller.subject}", per_minute)


class Counted(msgspec.Struct, frozen=True):
    """A request that was counted: `left` of the minute's `allowed`; `wait_s` is 0 unless it is one too many."""

    allowed: int
    left: int
    wait_s: int

    @property
    def problem(self) -> Problem:
        """What a caller hears whose minute is used up."""
        detail = f"more than {self.allowed} requests in a minute; go on in {self.wait_s} s, and send readings in lists"
        return Problem(429, "too_many_requests", detail, headers={"Retry-After": str(self.wait_s)})

    def stamped(self, send: Send) -> Send:
        """Tell with the answer how many are left (draft-ietf-httpapi-ratelimit-headers-10)."""
        ends = f";t={self.wait_s}" if self.wait_s else ""

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["RateLimit-Policy"] = f'"caller";q={self.allowed};w={WINDOW_S}'
                headers["RateLimit"] = f'"caller";r={self.left}{ends}'
            await send(message)

        return tell


class _Minute:
    """What this process knows of a caller's window: how many it may let through by itself, and when it ends."""

    __slots__ = ("asking", "ends_s", "free", "reserved")

    def __init__(self) -> None:
        self.reserved = 0
        self.free = 0
        self.ends_s = 0.0
        self.asking = asyncio.Lock()

    def decides(self, now_s: float) -> bool:
        """Is the next request's fate known here, without asking?"""
        return now_s < self.ends_s and (self.reserved > 0 or self.free == 0)

    def spend(self, allowed: int, now_s: float) -> Counted:
        """Let one through, or none until the end."""
        if not self.reserved:
            return Counted(allowed, 0, max(1, math.ceil(self.ends_s - now_s)))
        self.reserved -= 1
        return Counted(allowed, self.reserved + self.free, 0)


class Pace:
    """Counts per caller in fixed windows, each begun by its own first request.

    A moving window is exact where this one may let twice as much through around its end; it keeps a time for every
    request of the minute, which is a lot to remember for stopping programs that run wild.

    Requests are reserved in blocks of a hundredth of the limit, so that the shared store is asked once for each. No
    caller ever gets more than its limit, but for what was reserved in the last half second and is used in the next; it
    may get one block less for each further process that reserved one.
    """

    def __init__(self, counters: Counters, per_minute: int, now_s: Callable[[], float]) -> None:
        self._counters = counters
        self._per_minute = per_minute
        self._now_s = now_s
        self._minutes: OrderedDict[str, _Minute] = OrderedDict()

    async def count(self, scope: Scope) -> Counted | None:
        """Count the request; None when it is free."""
        paying = budget(scope, self._per_minute)
        if paying is None:
            return None
        minute = self._minute_of(paying.owner)
        if not minute.decides(self._now_s()):
            async with minute.asking:
                # Those who waited find what the first of them was told.
                if not minute.decides(self._now_s()):
                    await self._reserve(minute, paying)
        return minute.spend(paying.requests, self._now_s())

    async def _reserve(self, minute: _Minute, paying: Budget) -> None:
        key, block = f"pace/{paying.owner}", max(1, paying.requests // BLOCKS)
        count = await self._counters.add(key, WINDOW_S, block)
        ends_in_s = await self._counters.ends_in_s(key)
        # All at once: another request must not spend what this one is still reserving for itself.
        minute.reserved = max(0, block - max(0, count - paying.requests))
        minute.free = max(0, paying.requests - count)
        minute.ends_s = self._now_s() + max(_LAST_S, ends_in_s)
        if paying.owner in self._minutes:
            self._minutes.move_to_end(paying.owner)

    def _minute_of(self, owner: str) -> _Minute:
        minute = self._minutes.get(owner)
        if minute is None:
            minute = self._minutes[owner] = _Minute()
            if len(self._minutes) > _REMEMBERED:
                self._minutes.popitem(last=False)
        return minute
