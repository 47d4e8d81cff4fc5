"""When does a drifting indicator cross its limit? An estimate with an interval, or silence with a named reason.

A straight line is laid through the recent past and prolonged by at most as much time as was seen. What speaks against
that makes it silent: noise that is slow enough to look like a trend, a drift that levels off, a single step, an
interval too wide to plan with. A daily cycle is taken out once three days were seen; before that it is slow noise.
"""

from __future__ import annotations

import enum
import math
from typing import NamedTuple

import msgspec
import numpy as np

from detection.robust import Pairs, Slope, inflation, memory, without_step
from detection.rows import Floats, Ints

DAY_MS = 86_400_000

# Less than two days cannot tell a trend from the warming-up of a day.
LEAST_SPAN_MS = 2 * DAY_MS
# Fewer points leave the memory of the noise unknown.
_LEAST_POINTS = 24
# From three days on, what repeats every day can be told from what does not.
_CYCLE_SPAN_MS = 3 * DAY_MS
# 1 of 200 trendless pasts looks like a rise as strong as this (normal quantile of 0.995).
_SIGNIFICANT = 2.58
# 90 % of the true slopes lie within this many standard deviations (normal quantile of 0.95).
_INTERVAL = 1.645
# Noise that repeats nine tenths of itself has fewer than six independent values in a hundred points.
_SLOWEST = 0.9
# Prolong by at most the time that was seen: with three times as much, twice as many intervals missed growing wear.
_HORIZON = 1.0
# Wear seldom stays linear. Should its pace grow five-fold on the way, it arrives after ln 5 / 4 of the time.
_HURRIED = math.log(5) / 4
# Nobody plans with "in four weeks, or tomorrow", nor with "in four weeks, or in ten".
_EARLY, _LATE = 0.75, 1.5
# Half, quarter and eighth of the past: what began late is not to be measured by the calm before it.
_HALVINGS = 4


class Why(enum.StrEnum):
    """Why nothing is said."""

    TOO_SHORT = "too_short"
    SLOW_NOISE = "slow_noise"
    NO_TREND = "no_trend"
    LEVELS_OFF = "levels_off"
    NOT_STRAIGHT = "not_straight"
    STEP = "step"
    AT_THE_LIMIT = "at_the_limit"
    TOO_FAR = "too_far"
    TOO_WIDE = "too_wide"


class Silence(NamedTuple):
    """The data support no estimate."""

    reason: Why


class Remaining(msgspec.Struct, frozen=True, kw_only=True):
    """When `metric` crosses `limit` (in `unit`), should it go on so; UTC epoch ms. `latest_ms` None: nobody can say."""

    metric: str
    limit: float
    unit: str
    crosses_at_ms: int
    earliest_ms: int
    latest_ms: int | None


def remaining(times_ms: Ints, values: Floats, limit: float, *, metric: str = "", unit: str = "") -> Remaining | Silence:
    """The estimate from n points (epoch ms, rising; NaN: none), over the longest recent past that supports one.

    Points are means or medians of some minutes, evenly spaced but for holes. The last one is now.
    """
    there = ~np.isnan(values)
    times, known = times_ms[there].astype(np.float64), values[there].astype(np.float64)
    reasons = []
    for halving in range(_HALVINGS):
        recent = slice(len(known) - (len(known) >> halving), None)
        found = _over(times[recent], known[recent], limit)
        if isinstance(found, _Span):
            return Remaining(
                metric=metric,
                limit=limit,
                unit=unit,
                crosses_at_ms=round(found.about),
                earliest_ms=round(found.earliest),
                latest_ms=None if found.latest is None else round(found.latest),
            )
        reasons.append(found)
        if found is Why.TOO_SHORT:
            break
    return Silence(reasons[0])


class _Span(NamedTuple):
    about: float
    earliest: float
    latest: float | None


class _Shape(NamedTuple):
    """n values `y` at times `u` from -1 to 1 (now) as line, bend and wave, with the noise around them.

    `bend` and `wave` are the coefficients of Legendre's second and third polynomial; `error` is that of their mean.
    """

    u: Floats
    y: Floats
    line: Slope
    bend: float
    wave: float
    error: float

    @property
    def bend_error(self) -> float:
        """The mean square of the second polynomial over -1 to 1 is a fifth."""
        return math.sqrt(5) * self.error

    @property
    def wave_error(self) -> float:
        """That of the third is a seventh."""
        return math.sqrt(7) * self.error

    @property
    def level_error(self) -> float:
        """A median of normal values is 1.25 times as uncertain as their mean."""
        return 1.25 * self.error


def _over(times: Floats, values: Floats, limit: float) -> _Span | Why:
    """The estimate over one stretch of the past."""
    if len(times) < _LEAST_POINTS or times[-1] - times[0] < LEAST_SPAN_MS:
        return Why.TOO_SHORT
    half = (times[-1] - times[0]) / 2
    now = float(np.median(values[-(len(values) // 8) :]))
    # Always upwards: a limit below is the same, mirrored.
    up = 1.0 if limit >= now else -1.0
    shape = _shape((times - times[0]) / half - 1, up * values, times, daily=2 * half >= _CYCLE_SPAN_MS)
    if isinstance(shape, Why):
        return shape
    found = _objection(shape) or _crossing(shape, up * limit)
    if isinstance(found, Why):
        return found
    middle = float(times[0]) + half
    latest = None if found.latest is None else middle + half * found.latest
    return _Span(middle + half * found.about, middle + half * found.earliest, latest)


def _shape(u: Floats, values: Floats, times: Floats, *, daily: bool) -> _Shape | Why:
    n = len(u)
    basis = np.stack([np.ones(n), u, (3 * u**2 - 1) / 2, (5 * u**3 - 3 * u) / 2], axis=1)
    y, fitted = (_without_days(basis[:, :3], values, times), 5) if daily else (values, 3)
    smooth = np.linalg.lstsq(basis[:, :3], y)[0]
    residuals = y - basis[:, :3] @ smooth
    repeats = memory(residuals, y, fitted)
    if repeats > _SLOWEST:
        return Why.SLOW_NOISE
    wider = inflation(n, repeats)
    pairs = Pairs(u, y, wider)
    if pairs.z() < _SIGNIFICANT:
        return Why.NO_TREND
    left = float(residuals @ residuals)
    if without_step(y) <= left:
        return Why.STEP
    error = math.sqrt(left / (n - fitted) * wider / n)
    wave = float(np.linalg.lstsq(basis, y)[0][3])
    return _Shape(u=u, y=y, line=pairs.slope(_INTERVAL), bend=float(smooth[2]), wave=wave, error=error)


def _without_days(polynomials: Floats, values: Floats, times: Floats) -> Floats:
    """The same without what repeats every day: a wave of 24 hours and one of 12."""
    angle = times * (2 * math.pi / DAY_MS)
    waves = np.stack([np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)], axis=1)
    found = np.linalg.lstsq(np.hstack([polynomials, waves]), values)[0]
    return np.asarray(values - waves @ found[3:])


def _objection(shape: _Shape) -> Why | None:
    """What speaks against prolonging the line."""
    if shape.line.low <= 0:
        return Why.NO_TREND
    if shape.bend < -_INTERVAL * shape.bend_error:
        return Why.LEVELS_OFF
    return Why.NOT_STRAIGHT if abs(shape.wave) > _SIGNIFICANT * shape.wave_error else None


def _crossing(shape: _Shape, limit: float) -> _Span | Why:
    """When, in units of half the time that was seen (now is 1)."""
    line = shape.line
    bend = shape.bend if shape.bend > _INTERVAL * shape.bend_error else 0.0
    level = float(np.median(shape.y - line.middle * shape.u - bend * (3 * shape.u**2 - 1) / 2))
    about = _reaches(level, line.middle, bend, limit)
    if about <= 1:
        return Why.AT_THE_LIMIT
    ahead = about - 1
    if ahead > 2 * _HORIZON:
        return Why.TOO_FAR
    margin = _INTERVAL * shape.level_error
    most = max(shape.bend, 0.0) + _INTERVAL * shape.bend_error
    earliest = max(1.0, min(_reaches(level + margin, line.high, most, limit), 1 + _HURRIED * ahead))
    straight = float(np.median(shape.y - line.middle * shape.u))
    latest = _reaches(straight - margin, line.low, 0.0, limit)
    if about - earliest > _EARLY * ahead:
        return Why.TOO_WIDE
    if latest - 1 > 2 * _HORIZON:
        return _Span(about, earliest, None)
    return Why.TOO_WIDE if latest - about > _LATE * ahead else _Span(about, earliest, latest)


def _reaches(level: float, pace: float, bend: float, limit: float) -> float:
    """The u at which level + pace·u + bend·(3u² - 1)/2 is the limit."""
    short = limit - level + bend / 2
    root = math.sqrt(max(pace**2 + 6 * bend * short, 0.0))
    # The usual formula divides by the bend, which is nothing on a straight line.
    return 2 * short / (pace + root)
