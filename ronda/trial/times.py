"""When was it measured? Times as loggers write them, recognised by what stands in the cells."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, date, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from detection.rows import Floats, Ints
from ronda.trial import cells as numbers

# What stands for a time that cannot be read: the integer behind NumPy's NaT.
NEVER = np.iinfo(np.int64).min

_CLOCK = r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*([AaPp][Mm])?"
_ZONE = r"\s*(Z|UTC|GMT|[+-]\d{2}:?\d{2})?"
_YEAR_FIRST = re.compile(rf"(\d{{4}})[-/.](\d{{1,2}})[-/.](\d{{1,2}})(?:[T ]+{_CLOCK})?{_ZONE}")
_YEAR_LAST = re.compile(rf"(\d{{1,2}})[-/.](\d{{1,2}})[-/.](\d{{4}})(?:[T ,]+{_CLOCK})?{_ZONE}")
TIME_OF_DAY = re.compile(_CLOCK)
# Epoch seconds of 2000 to 2100, and the same moments in finer units: → factor to milliseconds.
_EPOCH_S = (946_684_800.0, 4_102_444_800.0)
_EPOCH_UNITS = {1.0: 1e3, 1e3: 1.0, 1e6: 1e-3, 1e9: 1e-6}
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAY_MS = 86_400_000
# A column with such a name that rises from row to row counts seconds, or milliseconds.
_ELAPSED = re.compile(
    r"(?:time|t|elapsed|seconds?|secs?|timestamp|elapsed_time|time_s|t_s)(?:\W*\(?\[?s\]?\)?)?", re.IGNORECASE
)
_ELAPSED_MS = re.compile(r"(?:time|t|elapsed)?\W*_?\(?\[?(?:ms|millis|milliseconds)\]?\)?", re.IGNORECASE)


class TimeText(NamedTuple):
    """How a column writes its times. `read`: cells → UTC epoch ms (n), NEVER where unreadable; `zone` to show them in.

    `elapsed`: they count from the recording's beginning. `assumed`: day and month could be the other way round.
    """

    read: Callable[[Sequence[str]], Ints]
    zone: tzinfo = UTC
    elapsed: bool = False
    whole_days: bool = False
    assumed: bool = False


def recognised(name: str, cells: Sequence[str], decimal: str) -> TimeText | None:
    """How the cells of this column write times, or None when they are none."""
    spoken = [cell.strip() for cell in cells if not numbers.says_nothing(cell)]
    if not spoken:
        return None
    return _as_text(spoken) or _as_number(name, spoken, decimal)


def _as_text(spoken: Sequence[str]) -> TimeText | None:
    for pattern in (_YEAR_FIRST, _YEAR_LAST):
        found = [match for cell in spoken if (match := pattern.fullmatch(cell))]
        if len(found) < 0.9 * len(spoken):
            continue
        zone = _zone({match[9] for match in found})
        whole_days = all(match[4] is None for match in found)
        if pattern is _YEAR_FIRST:
            return TimeText(_read_year_first, zone, whole_days=whole_days)
        month_first, assumed = _order(found)
        read = _read_month_first if month_first else _read_day_first
        return TimeText(read, zone, whole_days=whole_days, assumed=assumed)
    return None


def _order(found: Sequence[re.Match[str]]) -> tuple[bool, bool]:
    """(month first?, was that assumed?): a number above 12 is a day; AM and PM are written where the month leads."""
    if any(int(match[1]) > 12 for match in found):
        return False, False
    if any(int(match[2]) > 12 for match in found):
        return True, False
    return any(match[8] for match in found), True


def _zone(offsets: set[str | None]) -> tzinfo:
    """The one offset that all are written in, else UTC."""
    only = offsets.pop() if len(offsets) == 1 else None
    return timezone(timedelta(milliseconds=_offset_ms(only))) if only else UTC


def _as_number(name: str, spoken: Sequence[str], decimal: str) -> TimeText | None:
    values, strange = numbers.floats(spoken, decimal)
    if strange or np.isnan(values).any() or len(values) < 2:
        return None
    shuffled = _is_shuffled(values)
    if np.ptp(values) > 0 and (shuffled or np.mean(np.diff(values) >= 0) >= 0.9):
        for unit, factor in _EPOCH_UNITS.items():
            if _EPOCH_S[0] * unit <= values.min() and values.max() < _EPOCH_S[1] * unit:
                return TimeText(_counting(decimal, factor))
    # One letter is also what people call a temperature.
    if np.ptp(values) == 0 or not ((np.diff(values) >= 0).all() or (shuffled and len(name.strip()) > 1)):
        return None
    if _ELAPSED.fullmatch(name.strip()):
        return TimeText(_counting(decimal, 1e3), elapsed=True)
    return TimeText(_counting(decimal, 1.0), elapsed=True) if _ELAPSED_MS.fullmatch(name.strip()) else None


def _is_shuffled(values: Floats) -> bool:
    """Whole numbers, none of them twice: a count whose rows are out of order; no sensor is like that for long."""
    return len(np.unique(values)) == len(values) and bool((values == np.rint(values)).all())


def _counting(decimal: str, factor: float) -> Callable[[Sequence[str]], Ints]:
    def read(cells: Sequence[str]) -> Ints:
        return _whole(numbers.floats(cells, decimal)[0] * factor)

    return read


def _whole(milliseconds: Floats) -> Ints:
    known = np.isfinite(milliseconds) & (np.abs(milliseconds) < 2**62)
    return np.where(known, np.rint(np.where(known, milliseconds, 0.0)), NEVER).astype(np.int64)


def _read_year_first(cells: Sequence[str]) -> Ints:
    """NumPy reads the plain form a hundred times faster than a pattern does."""
    try:
        with warnings.catch_warnings():
            # A zone is what NumPy only warns of.
            warnings.simplefilter("error")
            read = np.array(cells, dtype="datetime64[ns]")
    except (ValueError, Warning):
        return np.array([_moment(_YEAR_FIRST.fullmatch(cell.strip()), (1, 2, 3)) for cell in cells], dtype=np.int64)
    return np.where(np.isnat(read), NEVER, read.astype("datetime64[ms]").astype(np.int64))


def _read_day_first(cells: Sequence[str]) -> Ints:
    return np.array([_moment(_YEAR_LAST.fullmatch(cell.strip()), (3, 2, 1)) for cell in cells], dtype=np.int64)


def _read_month_first(cells: Sequence[str]) -> Ints:
    return np.array([_moment(_YEAR_LAST.fullmatch(cell.strip()), (3, 1, 2)) for cell in cells], dtype=np.int64)


def _moment(match: re.Match[str] | None, order: tuple[int, int, int]) -> int:
    """UTC epoch ms; `order` says which groups are year, month and day."""
    if match is None:
        return NEVER
    year, month, day = order
    midnight = _midnight_ms(match[year], match[month], match[day])
    return NEVER if midnight is None else midnight + _since_midnight_ms(match) - _offset_ms(match[9])


@lru_cache(maxsize=1024)
def _midnight_ms(year: str, month: str, day: str) -> int | None:
    try:
        return (date(int(year), int(month), int(day)).toordinal() - _EPOCH_DAY) * _DAY_MS
    except ValueError:
        return None


def _since_midnight_ms(match: re.Match[str]) -> int:
    hours, minutes, seconds, fraction, half = match.group(4, 5, 6, 7, 8)
    hour = int(hours or 0)
    if half:
        hour = hour % 12 + (12 if half in "PMpmPm" else 0)
    return ((hour * 60 + int(minutes or 0)) * 60 + int(seconds or 0)) * 1000 + int(f"{fraction or 0:0<3}"[:3])


@lru_cache(maxsize=64)
def _offset_ms(text: str | None) -> int:
    if text is None or text[0] not in "+-":
        return 0
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return (minutes if text[0] == "+" else -minutes) * 60_000
