"""Which minutes of a device have to be added up again: pure arithmetic on ranges of minutes since 1970."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cloud.storage.seqs import NOTHING, Run, runs

MINUTE_MS = 60_000
# From 2000 to 2100, where accepted readings belong; whatever else the store may hold is not added up.
FIRST_MINUTE, END_MINUTE = 946_684_800_000 // MINUTE_MS, 4_102_444_800_000 // MINUTE_MS
# A boot's row is written with every transaction, so what is due must stay short: readings scattered over months make
# whole hours, days or weeks due, which costs the one who adds them up a little and is right all the same.
_MOST_RUNS = 50
_AT_ONCE = 60
_COARSER = (1, 60, 24 * 60, 7 * 24 * 60)


def due(times_ms: Sequence[int]) -> str:
    """PostgreSQL's text of the minutes of these times, and of those between where that are few."""
    if not times_ms:
        return NOTHING
    # What arrives live is of one minute or two, and this is asked for every batch: not reading by reading.
    low, high = min(times_ms) // MINUTE_MS, max(times_ms) // MINUTE_MS + 1
    if low >= FIRST_MINUTE and high <= END_MINUTE and high - low <= _AT_ONCE:
        return multirange_of([Run(low, high)])
    minutes = {at_ms // MINUTE_MS for at_ms in times_ms}
    kept = [minute for minute in minutes if FIRST_MINUTE <= minute < END_MINUTE]
    return multirange_of(_few(kept)) if kept else NOTHING


def newest(due_runs: Sequence[Run], most: int) -> list[Run]:
    """The newest stretches of sorted runs, at most `most` minutes of them, newest first."""
    taken: list[Run] = []
    for run in reversed(due_runs):
        if most <= 0:
            break
        taken.append(Run(max(run.low, run.high - most), run.high))
        most -= taken[-1].high - taken[-1].low
    return taken


def merged(pieces: Iterable[Run], step: int = 1) -> list[Run]:
    """The runs that cover these, in whole steps, sorted and disjoint."""
    found: list[Run] = []
    for low, high in sorted((run.low // step * step, -(-run.high // step) * step) for run in pieces):
        if found and low <= found[-1].high:
            found[-1] = Run(found[-1].low, max(found[-1].high, high))
        else:
            found.append(Run(low, high))
    return found


def multirange_of(pieces: Iterable[Run]) -> str:
    """PostgreSQL's text of these runs."""
    return "{" + ",".join(f"[{run.low},{run.high})" for run in pieces) + "}"


def _few(minutes: Sequence[int]) -> list[Run]:
    found: list[Run] = []
    for step in _COARSER:
        found = [Run(run.low * step, run.high * step) for run in runs(minute // step for minute in minutes)]
        if len(found) <= _MOST_RUNS:
            return found
    return [Run(found[0].low, found[-1].high)]
