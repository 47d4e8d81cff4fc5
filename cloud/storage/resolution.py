"""At which resolution a stretch of time is read: single readings, minutes or hours. Pure decisions."""

from __future__ import annotations

import enum
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from cloud.storage.reading_blocks import ReadingBlock


class Resolution(enum.StrEnum):
    """What a chart is made of, from fine to coarse."""

    READINGS = "readings"
    MINUTES = "minutes"
    HOURS = "hours"

    @property
    def step_ms(self) -> int:
        """How long one entry is."""
        return _STEP_MS[self]

    @property
    def coarser(self) -> Resolution:
        """The next one; hours have none."""
        return Resolution.MINUTES if self is Resolution.READINGS else Resolution.HOURS


_STEP_MS = {Resolution.READINGS: 1, Resolution.MINUTES: 60_000, Resolution.HOURS: 3_600_000}
# A minute or an hour is drawn as its lowest and its highest value.
_POINTS_EACH = 2


class Span(NamedTuple):
    """From `from_ms` up to and with `to_ms`."""

    from_ms: int
    to_ms: int


class Rolled(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """n minutes or hours of one device in order: `from_ms` int64[n], `lows` and `highs` float64[n, m], NaN for none."""

    from_ms: NDArray[np.int64]
    lows: NDArray[np.float64]
    highs: NDArray[np.float64]
    readings: int


class Drawn(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A stretch of a device's time: what was added up already, and the single readings from there on."""

    resolution: Resolution
    rolled: Rolled | None
    block: ReadingBlock
    whole: bool


def coarsest(span: Span, points: int) -> Resolution:
    """The coarsest resolution that has as many points as are asked for."""
    each_ms = _POINTS_EACH * (span.to_ms - span.from_ms) / points
    for resolution in (Resolution.HOURS, Resolution.MINUTES):
        if resolution.step_ms <= each_ms:
            return resolution
    return Resolution.READINGS


def rolled(rows: list[tuple[int, int, list[float | None], list[float | None]]], width: int) -> Rolled:
    """Rows of (from_ms, readings, lows, highs) as arrays; those of one time, one of readings that came late, as one."""
    times, place = np.unique(np.array([row[0] for row in rows], dtype=np.int64), return_inverse=True)
    lows = np.full((times.size, width), np.nan)
    highs = np.full((times.size, width), np.nan)
    for at, (_, _, low, high) in zip(place, rows, strict=True):
        lows[at, : len(low)] = np.fmin(lows[at, : len(low)], np.array(low, dtype=np.float64))
        highs[at, : len(high)] = np.fmax(highs[at, : len(high)], np.array(high, dtype=np.float64))
    return Rolled(from_ms=times, lows=lows, highs=highs, readings=sum(row[1] for row in rows))
