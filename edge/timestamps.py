"""Times as people and machines write them into tables, read into milliseconds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product

ReadTime = Callable[[str], int | None]
"""From a cell to UTC epoch milliseconds, or None for what is no time. A time without a zone is taken as UTC."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Day first before month first: most of the world writes it so, and where both fit every row, nothing tells them apart.
_DATES = ("%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m/%d/%Y", "%Y/%m/%d", "%Y.%m.%d")
_CLOCKS = ("%H:%M:%S", "%H:%M:%S.%f", "%H:%M", "%I:%M:%S %p")
# Plain numbers are only taken for times under such a name; anything else may be a sensor.
_EPOCH_NAMES = ("time", "date", "epoch", "unix", "ts")
_YEARS_2000_TO_2100_S = (946_684_800, 4_102_444_800)
# Enough rows, spread over the file, to tell one way of writing from another.
_SAMPLE = 200


def time_reader(name: str, cells: Sequence[str]) -> ReadTime | None:
    """How to read a column called `name` as times, or None when most of its cells are none or time stands still."""
    sample = cells[:: max(1, len(cells) // _SAMPLE)]
    best = max(_readers(name), key=lambda read: sum(read(cell) is not None for cell in sample))
    times = [at_ms for at_ms in map(best, sample) if at_ms is not None]
    if 2 * len(times) < len(sample) or len(set(times)) < min(2, len(sample)):
        return None
    return best


def _readers(name: str) -> list[ReadTime]:
    written: list[ReadTime] = [_iso, *(_written(f"{date} {clock}") for date, clock in product(_DATES, _CLOCKS))]
    if any(part in name.lower() for part in _EPOCH_NAMES):
        written += [_counted(1e3), _counted(1.0), _counted(1e-3), _counted(1e-6)]
    return written


def _iso(cell: str) -> int | None:
    """ISO 8601, with a blank for the T if need be; a bare number is none."""
    if "-" not in cell:
        return None
    try:
        return _milliseconds(datetime.fromisoformat(cell.strip()))
    except ValueError:
        return None


def _written(pattern: str) -> ReadTime:
    def read(cell: str) -> int | None:
        try:
            return _milliseconds(datetime.strptime(cell.strip(), pattern))  # noqa: DTZ007  # the zone follows
        except ValueError:
            return None

    return read


def _counted(milliseconds: float) -> ReadTime:
    """Seconds (1e3), milliseconds (1), microseconds (1e-3) or nanoseconds (1e-6) since 1970."""

    def read(cell: str) -> int | None:
        try:
            at_ms = float(cell) * milliseconds
        except ValueError:
            return None
        low, high = _YEARS_2000_TO_2100_S
        return round(at_ms) if math.isfinite(at_ms) and low <= at_ms / 1000 < high else None

    return read


def _milliseconds(at: datetime) -> int:
    zoned = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return (zoned - _EPOCH) // timedelta(milliseconds=1)
