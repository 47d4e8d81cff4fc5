"""Slows down who guesses passwords: after some failures a pause, the same whether the user exists or not."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Hashable

# A person mistypes two or three times; five guesses a minute is 7,200 a day, useless against 72 random bits.
MAX_FAILURES = 5
WINDOW_S = 60.0
# Who sprays many names from one address; a whole office behind one address mistypes less.
MAX_FAILURES_PER_ADDRESS = 60
# About 1 MB. The oldest is forgotten first, so that nobody can fill the memory.
_REMEMBERED = 10_000


class FailureLimit:
    """Counts failures per key in a sliding window."""

    def __init__(self, limit: int = MAX_FAILURES, window_s: float = WINDOW_S) -> None:
        self._limit = limit
        self._window_s = window_s
        self._failures: OrderedDict[Hashable, deque[float]] = OrderedDict()

    def wait_s(self, key: Hashable, now_s: float) -> int:
        """Whole seconds until the next attempt is allowed; 0 for now."""
        failures = self._failures.get(key)
        if failures is None or len(failures) < self._limit:
            return 0
        return max(0, math.ceil(failures[0] + self._window_s - now_s))

    def failed(self, key: Hashable, now_s: float) -> None:
        """Remember one failure."""
        self._failures.setdefault(key, deque(maxlen=self._limit)).append(now_s)
        self._failures.move_to_end(key)
        if len(self._failures) > _REMEMBERED:
            self._failures.popitem(last=False)

    def succeeded(self, key: Hashable) -> None:
        """Forget the failures: it was the right person."""
        self._failures.pop(key, None)
