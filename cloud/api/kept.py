"""Keeps one note per name for a while, written by whoever comes first: in Redis, or in this process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from cloud.api.redis_link import RedisLink

# With answers of half a kilobyte about 5 MB.
MOST_NOTES = 10_000
_PREFIX = "ronda:once:"

# Each step is one script, so that no other process comes between its look and its deed.
_CLAIM = """
local there = redis.call('GET', KEYS[1])
if there then return there end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false
"""
_REPLACE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""
_RELEASE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""


class Kept(Protocol):
    """Notes by name; whoever claims a name is the only one to change it."""

    async def claim(self, name: str, note: bytes, for_s: int) -> bytes | None:
        """Write the note unless there is one: None, or the one that is there. Raises: RedisAwayError."""

    async def replace(self, name: str, note: bytes, by: bytes, for_s: int) -> None:
        """Write another in place of our own, if it is still there. Raises: RedisAwayError."""

    async def release(self, name: str, note: bytes) -> None:
        """Take our own back, if it is still there. Raises: RedisAwayError."""


class KeptInRedis:
    """For all API processes, and beyond their restarts."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self._claim = link.client.register_script(_CLAIM)
        self._replace = link.client.register_script(_REPLACE)
        self._release = link.client.register_script(_RELEASE)

    async def claim(self, name: str, note: bytes, for_s: int) -> bytes | None:
        there = await self._link.ask(lambda: self._claim([_PREFIX + name], [note, for_s * 1000]))
        # Our own: the first attempt reached Redis, and only its answer was lost.
        return None if there is None or there == note else bytes(there)

    async def replace(self, name: str, note: bytes, by: bytes, for_s: int) -> None:
        await self._link.ask(lambda: self._replace([_PREFIX + name], [note, by, for_s * 1000]))

    async def release(self, name: str, note: bytes) -> None:
        await self._link.ask(lambda: self._release([_PREFIX + name], [note]))


class KeptHere:
    """For this process alone, until it ends; beyond `most` the oldest are forgotten."""

    def __init__(self, now_s: Callable[[], float], most: int = MOST_NOTES) -> None:
        self._now_s = now_s
        self._most = most
        # Each with its end in seconds.
        self._notes: OrderedDict[str, tuple[float, bytes]] = OrderedDict()

    async def claim(self, name: str, note: bytes, for_s: int) -> bytes | None:
        there = self._there(name)
        if there is None:
            self._write(name, note, for_s)
        return there

    async def replace(self, name: str, note: bytes, by: bytes, for_s: int) -> None:
        if self._there(name) == note:
            self._write(name, by, for_s)

    async def release(self, name: str, note: bytes) -> None:
        if self._there(name) == note:
            del self._notes[name]

    def _there(self, name: str) -> bytes | None:
        ends_s, note = self._notes.get(name, (0.0, b""))
        return note if ends_s > self._now_s() else None

    def _write(self, name: str, note: bytes, for_s: int) -> None:
        self._notes.pop(name, None)
        self._notes[name] = (self._now_s() + for_s, note)
        while len(self._notes) > self._most or next(iter(self._notes.values()))[0] <= self._now_s():
            self._notes.popitem(last=False)
