"""Which `seq` of one boot are accounted for: half-open ranges [low, high), sorted and disjoint, as in a multirange."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import asyncpg

# A sender that counts in twos would add a range per reading and slow every write down. More gaps than this are more
# than any buffer brings back; the oldest of them count as lost.
_MOST_RUNS = 1000

# The text of a multirange without any number.
NOTHING = "{}"


class Run(NamedTuple):
    """The numbers from `low` up to, not with, `high`."""

    low: int
    high: int


class Accounted:
    """The accounted numbers of one boot, as read from the database."""

    def __init__(self, ranges: Iterable[asyncpg.Range]) -> None:
        self._runs = [Run(each.lower, each.upper) for each in ranges]
        self._lows = [run.low for run in self._runs]

    def __contains__(self, seq: int) -> bool:
        at = bisect.bisect_right(self._lows, seq) - 1
        return at >= 0 and seq < self._runs[at].high

    def has_any(self, low: int, high: int) -> bool:
        """Is one of the numbers from `low` up to and with `high` accounted for?"""
        at = bisect.bisect_right(self._lows, high) - 1
        return at >= 0 and low < self._runs[at].high

    @property
    def floor(self) -> int:
        """Below this number nobody waits any more: what is missing there is too long ago."""
        return self._runs[-_MOST_RUNS].low if len(self._runs) > _MOST_RUNS else 0

    @property
    def through(self) -> int:
        """The watermark: every number up to this one is accounted for; -1 when the first is missing."""
        return self._runs[0].high - 1 if self._runs and self._runs[0].low == 0 else -1


def runs(seqs: Iterable[int]) -> list[Run]:
    """The ranges that hold exactly these numbers, in order."""
    found: list[Run] = []
    for seq in sorted(set(seqs)):
        if found and found[-1].high == seq:
            found[-1] = Run(found[-1].low, seq + 1)
        else:
            found.append(Run(seq, seq + 1))
    return found


def multirange(seqs: Iterable[int], below: int = 0) -> str:
    """PostgreSQL's text of these numbers and all from 0 up to, not with, `below`."""
    parts: Sequence[Run] = [*([Run(0, below)] if below > 0 else []), *runs(seqs)]
    return "{" + ",".join(f"[{run.low},{run.high})" for run in parts) + "}"
