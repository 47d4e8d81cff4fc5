"""Learn from healthy rows at how many operating points a machine runs, where they are, and how long it takes between.

One idea: operating points are levels that the machine dwells at and returns to, with next to nothing in between, on two
channels at least. A drift or a ramp fills the valley between its ends, an outlier does not dwell, a step that is never
undone does not return, and a fault of one sensor has no second channel: all of these leave one point.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations, pairwise, permutations

import msgspec
import numpy as np

from detection.regimes import LEAST_KINDS, LEAST_TO_TELL, STEADY_ROWS, Flags, OperatingPoint, Regimes, apart, rest_at
from detection.roles import Quantity
from detection.rows import Floats, Ints

# The median of ten rows: a spike is gone, and a dwell of half a minute still has three of them.
_BLOCK = 10
# Below two minutes nothing can be said about a second point.
_LEAST_BLOCKS = 12
# A point holds 5 % of the healthy time, a minute at least, and is visited for half a minute at a time; the valley
# between two holds at most 5 %. Five minutes are enough however long the machine ran elsewhere before.
_LEAST_SHARE, _LEAST_AT_POINT, _ENOUGH_AT_POINT, _LEAST_DWELL = 20, 6, 30, 3
_MOST_VALLEYS = 3
# Ashman, Bird & Zepf, "Detecting bimodality in astronomical datasets", AJ 108 (1994): D > 2 separates two modes
# cleanly. 6, on the spread of single rows, keeps three deviations around each apart, so that one row tells its point.
# A uniform distribution cut in half has 3.5.
_ASHMAN_D = 6.0
# A channel is alive when it runs five deviations above zero, and has collapsed below a tenth of that level.
_ALIVE, _COLLAPSED = 5.0, 0.1
# A stop that was never seen: a standing column keeps some pressure, a sensor some offset, a quarter of running at most.
# No single channel makes a stop.
_STANDING, _LEAST_VOTERS = 0.25, 2
# While one of these is at work the machine has not been stopped, whatever became of its process.
_DRIVES = (Quantity.CURRENT, Quantity.POWER, Quantity.SPEED)
# Means over 40 rows keep at most 0.32 of the rows' variance on an emulated pump's quick channels and at least 0.48 on
# its temperatures, which stay when the machine stops. Told by where 80 % of them are: blind to slow transitions.
_DRIFT_BLOCKS, _DRIFTING, _MOST, _EIGHTY_PERCENT = 4, 0.4, (0.1, 0.9), 1.2816
# A point reaches three deviations far, told by where 90 % of its rows are: blind to the tails of slow transitions. At
# least 2 % of the channel's largest level, so that a sensor that stands at exactly zero may have an offset.
_INNER, _NINETY_PERCENT, _REACH, _LEAST_REACH = (0.05, 0.95), 1.645, 3.0, 0.02
# Half as long again as the slowest transition seen; without one, a minute: a machine comes up to speed in that time.
_SETTLE_MARGIN, _SETTLE_DEFAULT, _SETTLE_MOST = 1.5, 60, 600
_LEAST_COVERAGE = 0.9
# A transition with a hole in it took nobody knows how long.
_HOLE = 10


def learn_regimes(
    values: Floats, measured_at_ms: Sequence[int] | Ints, quantities: Sequence[Quantity | None] | None = None
) -> Regimes:
    """The operating points in n healthy rows: values (n, k; NaN where missing) at times (n), of these quantities (k).

    Exactly one running point unless the rows show more beyond doubt. Where no stop was seen, "off" is inferred from
    the levels of the channels that are alive, two at least.
    """
    healthy = _Healthy(values, quantities)
    labels = _points(healthy)
    points, off = _ordered(healthy, labels)
    if not all(any(apart(a, b, c) for c in healthy.usable) for a, b in combinations(points, 2)):
        points, off = _ordered(healthy, np.zeros_like(labels))
    channels = [c for c in healthy.usable if any(apart(a, b, c) for a, b in combinations(points, 2))]
    if off is None:
        voters = _would_fall_silent(healthy, labels, quantities)
        standing = _inferred_off(points, voters)
        if sum(all(apart(point, standing, c) for point in points) for c in voters) >= _LEAST_VOTERS:
            channels, off = sorted({*channels, *voters}), len(points)
            points.append(standing)
    if len(points) == 1:
        return Regimes()
    found = Regimes(channels=channels, points=[_of_channels(point, channels) for point in points], off=off)
    known = list(Quantity)
    kinds = [known.index(each) if (each := quantities[c]) else -1 for c in channels] if quantities else []
    drives = [c for c in channels if quantities and quantities[c] in _DRIVES]
    settle_rows = _settle_rows(healthy, found, measured_at_ms)
    return msgspec.structs.replace(found, settle_rows=settle_rows, kinds=kinds, drives=drives)


def _ordered(healthy: _Healthy, labels: Ints) -> tuple[list[OperatingPoint], int | None]:
    """The points over all k channels, slowest first, off last, and the number of off."""
    off = _off(healthy, labels)
    running = [label for label in _slowest_first(healthy, labels) if label != off]
    points = [healthy.point(labels, label) for label in [*running, *([] if off is None else [off])]]
    return points, None if off is None else len(running)


def _would_fall_silent(healthy: _Healthy, labels: Ints, quantities: Sequence[Quantity | None] | None) -> list[int]:
    """The channels by whose collapse a stop is known: those that are alive wherever the machine runs.

    Where most of them drift with the load of the day, all that run far above zero vote: temperatures are outvoted.
    """
    numbers = range(labels.max(initial=0) + 1)
    alive = np.all([healthy.alive(labels == label) for label in numbers], axis=0)
    loud = np.all([healthy.loud(labels == label) for label in numbers], axis=0)
    chosen = alive if 2 * np.sum(alive) >= np.sum(loud) else loud
    voters = [c for c in healthy.usable if chosen[c]]
    cooling = [c for c in voters if quantities and quantities[c] is Quantity.TEMPERATURE]
    return [c for c in voters if c not in cooling] if len(voters) - len(cooling) >= _LEAST_VOTERS else voters


class _Healthy:
    """Healthy rows (n, k) and their blocks of ten: medians (m, k) and the spread of rows inside (m, k)."""

    def __init__(self, values: Floats, quantities: Sequence[Quantity | None] | None = None) -> None:
        heard = np.isfinite(values)
        self.quantities = quantities
        spoken = np.flatnonzero(heard.mean(axis=0) >= _LEAST_COVERAGE) if len(values) else np.empty(0, dtype=np.int64)
        self.rows = _filled(values, heard)
        self.usable = [int(c) for c in spoken if np.ptp(self.rows[:, c]) > 0]
        whole = len(values) // _BLOCK
        blocks = self.rows[: whole * _BLOCK].reshape(whole, _BLOCK, values.shape[1])
        self.medians, self.inside = np.median(blocks, axis=1), blocks.std(axis=1)
        self.resolution = np.array([_resolution(column) for column in self.rows.T])

    def level(self, chosen: Flags) -> Floats:
        """Where the channels (k) are in the chosen blocks (m)."""
        return np.asarray(np.median(self.medians[chosen], axis=0))

    def spread(self, chosen: Flags) -> Floats:
        """The standard deviation of rows (k) in the chosen blocks; blind to the few that straddle a transition."""
        low, high = np.quantile(self.medians[chosen], _INNER, axis=0)
        own = np.maximum(np.median(self.inside[chosen], axis=0), self.resolution)
        return np.asarray(np.hypot((high - low) / (2 * _NINETY_PERCENT), own))

    def alive(self, chosen: Flags) -> Flags:
        """Which channels (k) run far above zero without drifting, in the chosen blocks."""
        medians, level, spread = self.medians[chosen], self.level(chosen), self.spread(chosen)
        whole = len(medians) // _DRIFT_BLOCKS
        coarse = medians[: whole * _DRIFT_BLOCKS].reshape(whole, _DRIFT_BLOCKS, len(level)).mean(axis=1)
        low, high = np.quantile(coarse, _MOST, axis=0) if whole else (level, level)
        drift = (high - low) / (2 * _EIGHTY_PERCENT)
        return np.asarray((level > _ALIVE * spread) & (drift**2 < _DRIFTING * spread**2))

    def loud(self, chosen: Flags) -> Flags:
        """Which channels (k) run far above zero in the chosen blocks, drifting or not."""
        return np.asarray(self.level(chosen) > _ALIVE * self.spread(chosen))

    def point(self, labels: Ints, label: int) -> OperatingPoint:
        """The operating point over all k channels, from the blocks inside its dwells."""
        inner = labels == label
        inner[1:-1] &= inner[:-2] & inner[2:]
        rows = self.rows[: len(labels) * _BLOCK][np.repeat(inner, _BLOCK)]
        rows = rows if len(rows) else self.rows
        centre = np.median(rows, axis=0)
        low, high = np.quantile(rows, _INNER, axis=0)
        reach = _REACH / _NINETY_PERCENT * np.maximum(high - centre, centre - low)
        least = np.maximum(_LEAST_REACH * np.abs(self.medians).max(axis=0, initial=0.0), self.resolution)
        share = float(np.mean(labels == label)) if len(labels) else 1.0
        return OperatingPoint(centre=centre.tolist(), radius=np.maximum(reach, least).tolist(), share=round(share, 4))


def _points(healthy: _Healthy) -> Ints:
    """Per block the number of its operating point, -1 in between: of the splits that hold, that with most points."""
    one = np.zeros(len(healthy.medians), dtype=np.int64)
    if len(one) < _LEAST_BLOCKS:
        return one
    # A valley may hold what a machine that starts often spends on its way, or less than what is enough for a point.
    most = len(one) // _LEAST_SHARE
    between = sorted({most, min(most, _ENOUGH_AT_POINT - 1)})
    splits = [one, *(_split(healthy, channel, 1 + rows) for channel in healthy.usable for rows in between)]
    return max(splits, key=lambda labels: (labels.max(), _strength(healthy, labels)))


def _split(healthy: _Healthy, channel: int, between: int) -> Ints:
    """Cut one channel's levels at its widest valleys, which hold fewer than `between` of them.

    The weakest are given up for as long as the points do not hold.
    """
    column = healthy.medians[:, channel]
    valleys = _valleys(np.sort(column), between)
    while valleys:
        labels = _labelled(column, valleys)
        if _strength(healthy, labels) >= _ASHMAN_D and _visited(healthy, labels):
            return labels
        strengths = [_separation(healthy, labels == at, labels == at + 1) for at in range(len(valleys))]
        del valleys[int(np.argmin(strengths))]
    return np.zeros(len(column), dtype=np.int64)


def _valleys(levels: Floats, between: int) -> list[tuple[float, float]]:
    """The widest gaps (from, to) in sorted levels, at most three, with enough levels on each side; rising."""
    side = max(_LEAST_AT_POINT, min(len(levels) // _LEAST_SHARE, _ENOUGH_AT_POINT))
    widths = levels[between:] - levels[:-between]
    chosen: list[int] = []
    for at in np.argsort(-widths, kind="stable").tolist():
        if len(chosen) == _MOST_VALLEYS:
            break
        if at + 1 < side or len(levels) - at - between < side:
            continue
        if all(abs(at - other) >= side + between for other in chosen):
            chosen.append(at)
    return [(float(levels[at]), float(levels[at + between])) for at in sorted(chosen)]


def _labelled(column: Floats, valleys: Sequence[tuple[float, float]]) -> Ints:
    """The number of the group that each level belongs to; -1 in the middle half of a valley."""
    labels = np.searchsorted([(low + high) / 2 for low, high in valleys], column)
    for low, high in valleys:
        quarter = (high - low) / 4
        labels[(column > low + quarter) & (column < high - quarter)] = -1
    return labels


def _separation(healthy: _Healthy, one: Flags, other: Flags) -> float:
    """Ashman's D that more than half of the channels exceed: of those alive at either point, or else of all."""
    if one.sum() < _LEAST_AT_POINT or other.sum() < _LEAST_AT_POINT:
        return 0.0
    way = np.abs(healthy.level(one) - healthy.level(other))
    ashman = np.sqrt(2) * way / np.hypot(healthy.spread(one), healthy.spread(other))
    alive = healthy.alive(one) | healthy.alive(other)
    voters = [c for c in healthy.usable if alive[c]] or healthy.usable
    return float(np.sort(ashman[voters])[::-1][len(voters) // 2])


def _strength(healthy: _Healthy, labels: Ints) -> float:
    """The separation of the two neighbouring points that are least apart; 0 of a single point."""
    flags = [labels == label for label in range(labels.max(initial=0) + 1)]
    return min((_separation(healthy, one, other) for one, other in pairwise(flags)), default=0.0)


def _visited(healthy: _Healthy, labels: Ints) -> bool:
    """Does the machine come back? A point for running needs a way there and a way back, a stop is known by itself."""
    on = labels[labels >= 0]
    dwells = [part[0] for part in np.split(on, np.flatnonzero(np.diff(on)) + 1) if len(part) >= _LEAST_DWELL]
    changes = sum(a != b for a, b in pairwise(dwells))
    stops = _off(healthy, labels) is not None
    running = labels.max() + 1 - stops
    if len(set(dwells)) <= labels.max():
        return False
    return bool(changes >= 2 * (running - 1) + stops) or _like_speeds(healthy, labels)


def _like_speeds(healthy: _Healthy, labels: Ints) -> bool:
    """Do two points differ as two speeds do? Most channels, of two quantities at least, went the same way.

    Then one change is enough: mixed into one point, the two would hide every fault that is smaller than the change.
    """
    off = _off(healthy, labels)
    running = [label for label in range(labels.max() + 1) if label != off]
    return all(_same_way(healthy, labels == one, labels == other) for one, other in combinations(running, 2))


def _same_way(healthy: _Healthy, one: Flags, other: Flags) -> bool:
    if not healthy.quantities:
        return False
    moved = (healthy.level(other) - healthy.level(one)) / np.maximum(healthy.spread(one), healthy.spread(other))
    ways = [[c for c in healthy.usable if sign * moved[c] > _REACH] for sign in (1, -1)]
    most, contrary = sorted(ways, key=len, reverse=True)
    known = {healthy.quantities[c] for c in most} - {None}
    enough = max(LEAST_TO_TELL, len(healthy.usable) // 2 + 1)
    return not contrary and len(most) >= enough and len(known) >= LEAST_KINDS


def _off(healthy: _Healthy, labels: Ints) -> int | None:
    """The point at which what is alive elsewhere has collapsed: half of these channels, two where there are two."""
    for high, low in permutations(range(labels.max(initial=0) + 1), 2):
        alive = np.intersect1d(np.flatnonzero(healthy.alive(labels == high)), healthy.usable)
        ran, stands = healthy.level(labels == high)[alive], np.abs(healthy.level(labels == low)[alive])
        collapsed = int(np.sum(stands <= _COLLAPSED * ran))
        if collapsed and collapsed >= max(min(2, len(alive)), math.ceil(len(alive) / 2)):
            return low
    return None


def _slowest_first(healthy: _Healthy, labels: Ints) -> list[int]:
    """The points in the order of their levels, channel by channel, the majority deciding."""
    numbers = list(range(labels.max(initial=0) + 1))
    if len(numbers) == 1:
        return numbers
    levels = np.array([healthy.level(labels == label)[healthy.usable] for label in numbers])
    span = np.maximum(np.ptp(levels, axis=0), np.finfo(float).tiny)
    height = np.median((levels - levels.min(axis=0)) / span, axis=1)
    return [numbers[at] for at in np.argsort(height, kind="stable")]


def _inferred_off(running: Sequence[OperatingPoint], alive: Sequence[int]) -> OperatingPoint:
    """Standing still, though never seen: what is alive is below a quarter of the least that it ran at.

    The radius of all else is so wide that it says nothing.
    """
    channels = len(running[0].centre)
    radius = [
        min(point.centre[c] for point in running) * _STANDING
        if c in alive
        else 1.0 + 2 * max(abs(point.centre[c]) for point in running)
        for c in range(channels)
    ]
    return OperatingPoint(centre=[0.0] * channels, radius=radius, share=0.0)


def _of_channels(point: OperatingPoint, channels: Sequence[int]) -> OperatingPoint:
    return OperatingPoint(
        centre=[point.centre[c] for c in channels], radius=[point.radius[c] for c in channels], share=point.share
    )


def _settle_rows(healthy: _Healthy, regimes: Regimes, measured_at_ms: Sequence[int] | Ints) -> int:
    """How many rows a transition may take: from the last row at rest at one point to the first of ten at another."""
    at = np.full(len(healthy.rows), -1)
    for number, point in enumerate(regimes.points):
        at[rest_at(regimes, point).may(healthy.rows)] = number
    starts = np.concatenate(([0], np.flatnonzero(np.diff(at)) + 1, [len(at)]))
    rests = [(int(at[a]), int(a), int(b)) for a, b in pairwise(starts) if at[a] >= 0 and b - a >= STEADY_ROWS]
    times = np.asarray(measured_at_ms, dtype=np.int64)
    usual = np.median(np.diff(times)) if len(times) > 1 else 0
    took = [
        start - end
        for (here, _, end), (there, start, _) in pairwise(rests)
        if here != there and np.diff(times[end - 1 : start + 1]).max() <= _HOLE * usual
    ]
    if not took:
        return _SETTLE_DEFAULT
    return min(math.ceil(_SETTLE_MARGIN * max(took)) + 2 * STEADY_ROWS, _SETTLE_MOST)


def _filled(values: Floats, heard: Flags) -> Floats:
    """What is missing takes the value before it, at the beginning the first one; 0 where nothing was ever heard."""
    if heard.all():
        return values
    at = np.where(heard, np.arange(len(values))[:, None], -1)
    source = np.maximum.accumulate(at, axis=0)
    source = np.where(source < 0, np.argmax(heard, axis=0), source)
    return np.nan_to_num(np.take_along_axis(values, source, axis=0), posinf=0.0, neginf=0.0)


def _resolution(column: Floats) -> float:
    """The smallest step between two values of a channel (n)."""
    steps = np.diff(np.unique(column))
    return float(steps.min(initial=np.inf)) if len(steps) else 1.0
