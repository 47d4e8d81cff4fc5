"""Puts the times in order: unreadable and impossible ones out, sorted, and several in one tick spread over it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detection.rows import Ints
from ronda.trial.errors import TrialError
from ronda.trial.said import Said
from ronda.trial.times import NEVER, TimeText

# A table whose times are unreadable in more rows than this has another time column, or another format.
_MOST_UNREADABLE = 0.1
# A clock that was never set says 1970; one before 2000 was not set either. The year 2100 is a unit mistaken.
_ERA_MS = (946_684_800_000, 4_102_444_800_000)
# A quartz clock that was set once a day is off by seconds; five minutes is a clock that was not set.
_AHEAD_MS = 5 * 60 * 1000
_ROW_MS = 1000


class Line(NamedTuple):
    """Times (n, rising); `order` says which rows they belong to, None for all as they stand."""

    times: Ints
    order: Ints | None
    elapsed: bool
    notes: list[Said]


def arranged(times: Ints | None, rows: int, clock: TimeText | None, now_ms: int) -> Line:
    """The times of a file's rows in order. Raises: TrialError when most of them cannot be read."""
    if times is None or clock is None:
        return Line(_ROW_MS * np.arange(rows, dtype=np.int64), None, elapsed=True, notes=[])
    notes: list[Said] = []
    kept = _readable(times, notes)
    elapsed = clock.elapsed
    if not elapsed:
        kept, elapsed = _of_our_era(times, kept, notes)
    if (late := int((np.diff(times[kept]) < 0).sum())) > 0:
        notes.append(Said("Rows that stood before an earlier one: {rows}. They were sorted by time.", {"rows": late}))
        kept = kept[np.argsort(times[kept], kind="stable")]
    line = _spread(times[kept], notes)
    if elapsed:
        line = line - line[0]
    elif line[-1] > now_ms + _AHEAD_MS:
        notes.append(Said("The last times lie in the future: was the logger's clock set?"))
    return Line(line, None if len(kept) == rows and not late else kept, elapsed, notes)


def _readable(times: Ints, notes: list[Said]) -> Ints:
    kept = np.flatnonzero(times != NEVER)
    lost = len(times) - len(kept)
    if lost > _MOST_UNREADABLE * len(times):
        raise TrialError(f"{lost:,} of {len(times):,} times cannot be read; are they all written in one way?")
    if lost:
        notes.append(Said("Rows without a time that can be read, left out: {rows}.", {"rows": lost}))
    return kept


def _of_our_era(times: Ints, kept: Ints, notes: list[Said]) -> tuple[Ints, bool]:
    """The rows whose clock was set; when hardly one was, all, and their times only count from the beginning."""
    sound = (times[kept] >= _ERA_MS[0]) & (times[kept] < _ERA_MS[1])
    if sound.all():
        return kept, False
    if sound.mean() < 0.5:
        notes.append(Said("The times lie before 2000 or after 2100, so they only count from the beginning."))
        return kept, True
    lost = int((~sound).sum())
    notes.append(
        Said("Rows with a time before 2000 or after 2100 (a clock not set), left out: {rows}.", {"rows": lost})
    )
    return kept[sound], False


def _spread(times: Ints, notes: list[Said]) -> Ints:
    """Where most rows share their time with the one before, the clock ticks slower than the sensors: fill each tick."""
    if len(times) < 3 or np.mean(np.diff(times) == 0) < 0.5:
        return times
    ticks, first, counts = np.unique(times, return_index=True, return_counts=True)
    if len(ticks) < 2:
        raise TrialError("all rows have the same time")
    lengths = np.append(np.diff(ticks), np.median(np.diff(ticks)))
    within = (np.arange(len(times)) - np.repeat(first, counts)) / np.repeat(counts, counts)
    notes.append(Said("Most rows share their time with others; they were spread evenly over each tick of the clock."))
    return np.asarray(times + (within * np.repeat(lengths, counts)).astype(np.int64))
