"""Slows down who guesses passwords: after some failures a pause, the same whether the user exists or not."""

from __future__ import annotations

import hashlib
import math

from cloud.api.counters import Counters

# A person mistypes two or three times; five guesses a minute is 7,200 a day, useless against 72 random bits.
MAX_FAILURES = 5
WINDOW_S = 60
# Who sprays many names from one address; a whole office behind one address mistypes less.
MAX_FAILURES_PER_ADDRESS = 60


class FailureLimit:
    """Counts failures in a window that the first of them begins; `name` keeps it apart from other limits."""

    def __init__(self, counters: Counters, name: str, limit: int = MAX_FAILURES, window_s: int = WINDOW_S) -> None:
        self._counters = counters
        self._name = name
        self._limit = limit
        self._window_s = window_s

    async def wait_s(self, *who: str) -> int:
        """Whole seconds until the next attempt is allowed; 0 for now."""
        key = self._key(who)
        if await self._counters.count(key) < self._limit:
            return 0
        return max(1, math.ceil(await self._counters.ends_in_s(key)))

    async def failed(self, *who: str) -> None:
        """Remember one failure."""
        await self._counters.add(self._key(who), self._window_s)

    async def succeeded(self, *who: str) -> None:
        """Forget the failures: it was the right person."""
        await self._counters.forget(self._key(who))

    def _key(self, who: tuple[str, ...]) -> str:
        # A name that nobody has may be a password typed into the wrong field: it goes nowhere in clear.
        digest = hashlib.sha256("\0".join(who).encode()).hexdigest()[:32]
        return f"{self._name}/{digest}"
