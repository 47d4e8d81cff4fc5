"""Off, starting, or running at which speed: the operating point a machine is at, row by row.

One idea: the channels vote. A stop or another speed moves nearly all channels together; a fault moves some. So at most
one channel in four may disagree before a row counts as another operating point's. Every decision compares single
values, nothing is summed: row by row and batched agree to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations

import msgspec
import numpy as np
from numpy.typing import NDArray

from detection.errors import ModelError
from detection.rows import Floats, Ints

Flags = NDArray[np.bool_]

# Between operating points, or arrived a moment ago.
STARTING = -1
# Many channels went the same way and stayed there, as at another speed, but this one was never seen in learning:
# nobody can say what is normal here before it has been learned.
UNSEEN = -2

MAX_POINTS = 5
# One spike on all channels at once is a disturbance of the data; the second row in sequence is a machine on its way.
LEAVE_ROWS = 2
# Five rows of a machine that goes nowhere known: noise on one channel beside a fault on three does not last so long.
ASTRAY_ROWS = 5
# Arrived for ten rows: the tail of a run-up (a start current, a pressure that swings in) is over.
STEADY_ROWS = 10
# Where "off" was never seen, more than half of the channels must fall below half of their level, together and within
# seconds: voltage and temperatures, which stay, may be among the channels. A pump that runs dry loses flow and pressure
# and keeps on vibrating.
_COLLAPSING = 0.5
# On its way once 15 % of the way lies behind it: far outside what load does, and early in a ramp.
_UNDER_WAY = 0.15

# A change of speed moves vibration, current, pressure and flow the same way (affinity laws): four at least, and more
# than half of all. Worn bearings move vibration, temperature and a little current up, half of a pump's sensors.
LEAST_TO_TELL, LEAST_KINDS = 4, 2

_YES, _NO, _MUTE = 1, 0, -1


class OperatingPoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the gating channels are at one operating point, engineering units, and how far they roam around it.

    `share` of the healthy rows were spent here, 0 to 1; 0: never seen, inferred (a machine that never stood still).
    """

    centre: list[float]
    radius: list[float]
    share: float


def _one_point() -> list[OperatingPoint]:
    return [OperatingPoint(centre=[], radius=[], share=1.0)]


class Regimes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The operating points of one machine: those where it runs, slowest first, then `off` when there is one.

    `channels` (g) are the columns of a row that tell the points apart; none for a machine that has but one point.
    `kinds` (g) tell which channels measure the same quantity (-1: nobody knows which), `drives` which columns tell by
    themselves that the machine is driven: current, power, speed.
    After `settle_rows` of a transition the machine is taken to be where it is nearest to, unless it looks like another
    speed altogether.
    """

    channels: list[int] = []
    points: list[OperatingPoint] = msgspec.field(default_factory=_one_point)
    off: int | None = None
    settle_rows: int = 60
    kinds: list[int] = []
    drives: list[int] = []

    @property
    def running(self) -> int:
        """At how many points the machine runs; their codes are 0 to this, exclusive."""
        return len(self.points) - (self.off is not None)

    def check(self, channels: int) -> None:
        """Raises: ModelError when these do not fit a machine with so many channels, or could not tell points apart."""
        if sorted(set(self.channels)) != self.channels or not all(0 <= at < channels for at in self.channels):
            raise ModelError(f"the gating channels must be rising and below {channels}, these are {self.channels}")
        if not 1 <= len(self.points) <= MAX_POINTS or (len(self.points) > 1 and not self.channels):
            raise ModelError(f"a machine has 1 to {MAX_POINTS} operating points, with channels that tell them apart")
        if self.off is not None and (self.off != len(self.points) - 1 or self.off == 0):
            raise ModelError(f"off must be the last of several operating points, not number {self.off}")
        if not STEADY_ROWS <= self.settle_rows <= 100_000:
            raise ModelError(f"settle_rows must be {STEADY_ROWS} to 100,000, this one is {self.settle_rows}")
        for point in self.points:
            self._check_point(point)
        places = range(len(self.channels))
        if not all(any(apart(a, b, place) for place in places) for a, b in combinations(self.points, 2)):
            raise ModelError("no channel tells two of the operating points apart")

    def _check_point(self, point: OperatingPoint) -> None:
        if not len(point.centre) == len(point.radius) == len(self.channels):
            raise ModelError(f"an operating point needs {len(self.channels)} centres and radii")
        if not all(map(math.isfinite, [*point.centre, *point.radius, point.share])):
            raise ModelError("an operating point holds a number that is not finite")
        if min(point.radius, default=1.0) <= 0 or not 0 <= point.share <= 1:
            raise ModelError("an operating point's radii must be above 0, its share 0 to 1")


class GateState(msgspec.Struct):
    """Where the machine is. `moving` counts the rows of a transition, 0 when settled at `at` (None: not heard yet).

    `lost`: the time of a transition is over: it is taken to be where it is nearest to, until it rests somewhere known;
    a faulty machine is judged at every speed. `near` is where it has been for `steady` rows. `unseen`: it runs at a
    speed that was never seen, for as long as many channels stay on one side of each that is known.
    """

    at: int | None = None
    lost: bool = False
    leaving: int = 0
    moving: int = 0
    near: int | None = None
    steady: int = 0
    unseen: bool = False


class RegimeGate:
    """Assigns each row its operating point; goes on from `state` when there is one."""

    def __init__(self, regimes: Regimes, state: GateState | None = None) -> None:
        self.state = state or GateState()
        self._settle_rows = regimes.settle_rows
        self._only = len(regimes.points) == 1
        self._running = regimes.running
        self._channels = regimes.channels
        self._points = regimes.points
        self._rests = [rest_at(regimes, point) for point in regimes.points]
        numbers = range(len(regimes.points))
        self._sides = [Sides(regimes, here) for here in range(regimes.running)]
        self._exits: list[list[Agreement | Sides]] = [
            [*(_exit(regimes, here, there) for there in numbers if there != here), *self._sides[here : here + 1]]
            for here in numbers
        ]

    def assign(self, values: Floats) -> Ints:
        """Rows (n, k) in engineering units, NaN where missing → codes (n): a point's number, STARTING or UNSEEN."""
        if self._only:
            return np.zeros(len(values), dtype=np.int64)
        if len(values) == 1:
            return np.array([self.step(values[0].tolist())], dtype=np.int64)
        codes = np.empty(len(values), dtype=np.int64)
        stirs: dict[int, Ints] = {}
        row = 0
        while row < len(values):
            calm = self._calm(values, row, stirs)
            codes[row : row + calm] = STARTING if self.state.at is None else self.state.at
            row += calm
            if row < len(values):
                codes[row] = self.step(values[row].tolist())
                row += 1
        return codes

    def step(self, row: Sequence[float]) -> int:
        """The same for one row of k values."""
        state = self.state
        if state.at is None or self._only:
            return self._begin(row)
        if state.moving or state.lost or state.unseen:
            return self._arrive(row, state)
        leaves = _NO
        for way_out in self._exits[state.at]:
            leaves = way_out.of(row)
            if leaves != _NO:
                break
        if leaves == _NO:
            state.leaving = 0
        elif leaves == _YES:
            state.leaving += 1
            if state.leaving >= way_out.rows_to_leave:
                state.leaving, state.moving, state.near, state.steady = 0, 1, None, 0
                return STARTING
        return state.at

    def interrupt(self) -> None:
        """A hole in the data: the machine may be anywhere."""
        self.state = GateState()

    def _begin(self, row: Sequence[float]) -> int:
        if self._only:
            return 0
        if all(math.isnan(row[column]) for column in self._channels):
            # The sensors that would tell are silent: what else speaks is judged where there is but one way to run.
            return 0 if self._running == 1 else STARTING
        rests = self._resting(row)
        self.state.at = self._nearest(row, 0) if rests is None else rests
        return self.state.at

    def _arrive(self, row: Sequence[float], state: GateState) -> int:
        rests = self._resting(row)
        goal = self._nearest(row, state.at or 0) if rests is None and state.lost else rests
        state.steady = state.steady + 1 if goal == state.near else int(goal is not None)
        state.near = goal
        if goal is not None and state.steady >= STEADY_ROWS:
            state.at, state.moving, state.lost, state.unseen = goal, 0, rests is None, False
        elif state.moving or state.unseen:
            state.moving += not state.unseen
            state.leaving = 0 if self._is_elsewhere(row) else state.leaving + 1
            if state.moving > self._settle_rows:
                state.moving, state.unseen = 0, state.leaving == 0
                state.lost = not state.unseen
            elif state.unseen and state.leaving >= STEADY_ROWS:
                state.unseen, state.lost = False, True
            if state.lost:
                state.at, state.leaving = self._nearest(row, state.at or 0), 0
        if state.unseen:
            return UNSEEN
        return STARTING if state.moving or state.at is None else state.at

    def _is_elsewhere(self, row: Sequence[float]) -> bool:
        """Is this another speed altogether: many channels on one side of each speed that is known, none on the other?

        A fault at a known speed leaves some of them above it and some below.
        """
        return all(sides.of(row) == _YES for sides in self._sides)

    def _resting(self, row: Sequence[float]) -> int | None:
        return next((point for point, rest in enumerate(self._rests) if rest.of(row) == _YES), None)

    def _nearest(self, row: Sequence[float], otherwise: int) -> int:
        """The point that most channels are nearest to, of those ever seen; `otherwise` where they are at odds."""
        seen = [number for number, point in enumerate(self._points) if point.share]
        if len(seen) == 1:
            return seen[0]
        votes = [0] * len(self._points)
        for place, column in enumerate(self._channels):
            value = row[column]
            if not math.isnan(value):
                first, second = sorted(seen, key=lambda p: abs(value - self._points[p].centre[place]))[:2]
                votes[first] += apart(self._points[first], self._points[second], place)
        most = max(votes)
        return otherwise if votes[otherwise] == most else votes.index(most)

    def _calm(self, values: Floats, row: int, stirs: dict[int, Ints]) -> int:
        """How many rows from `row` on certainly stay where the machine is settled; `stirs` keeps those that may not."""
        state = self.state
        if state.at is None or state.lost or state.moving or state.leaving or state.unseen:
            return 0
        if state.at not in stirs:
            may_leave = np.any([way_out.may(values) for way_out in self._exits[state.at]], axis=0)
            stirs[state.at] = np.flatnonzero(may_leave)
        places = stirs[state.at]
        following = int(np.searchsorted(places, row))
        return (int(places[following]) if following < len(places) else len(values)) - row


class Sides:
    """Do many channels stand on one side of an operating point, and none on the other?"""

    rows_to_leave = ASTRAY_ROWS

    def __init__(self, regimes: Regimes, here: int) -> None:
        point = regimes.points[here]
        self._edges = [
            (column, point.centre[place] - point.radius[place], point.centre[place] + point.radius[place])
            for place, column in enumerate(regimes.channels)
        ]
        self._least = max(LEAST_TO_TELL, len(self._edges) // 2 + 1)
        self._columns = regimes.channels
        self._kinds = regimes.kinds or list(range(len(self._edges)))
        self._low = np.array([low for _, low, _ in self._edges])
        self._high = np.array([high for _, _, high in self._edges])

    def of(self, row: Sequence[float]) -> int:
        """_YES or _NO."""
        below = [kind for (column, low, _), kind in zip(self._edges, self._kinds, strict=True) if row[column] < low]
        above = [kind for (column, _, high), kind in zip(self._edges, self._kinds, strict=True) if row[column] > high]
        if (below and above) or len(below) + len(above) < self._least:
            return _NO
        # Four sensors of one quantity on one side are a fault that all of them feel.
        return _YES if len({*below, *above}) >= LEAST_KINDS else _NO

    def may(self, values: Floats) -> Flags:
        """Rows (n, k) → for which of them (n) the answer may be yes."""
        seen = values[:, self._columns]
        below, above = (seen < self._low).sum(axis=1), (seen > self._high).sum(axis=1)
        return np.asarray((np.maximum(below, above) >= self._least) & (np.minimum(below, above) == 0))


class Agreement:
    """Do nearly all channels lie in their interval? `may_disagree` of how many that were heard."""

    rows_to_leave = LEAVE_ROWS

    def __init__(
        self,
        intervals: Sequence[tuple[int, float, float]],
        may_disagree: Callable[[int], int],
        must_agree: Sequence[int] = (),
    ) -> None:
        self._intervals = intervals
        self._must_agree = frozenset(must_agree)
        self._may_disagree = may_disagree
        self._spare = may_disagree(len(intervals))
        self._least = max(min(2, len(intervals)), (len(intervals) + 1) // 2)
        self._columns = [column for column, _, _ in intervals]
        self._low, self._high = np.array([low for _, low, _ in intervals]), np.array([high for _, _, high in intervals])

    def of(self, row: Sequence[float]) -> int:
        """_YES, _NO, or _MUTE when too few channels were heard."""
        heard = against = 0
        for column, low, high in self._intervals:
            value = row[column]
            if low <= value <= high:
                heard += 1
            elif value == value:  # noqa: PLR0124  # NaN is the one number that differs from itself
                heard += 1
                against += 1
                if against > self._spare or column in self._must_agree:
                    return _NO
        if heard < self._least:
            return _MUTE
        return _YES if against <= self._may_disagree(heard) else _NO

    def may(self, values: Floats) -> Flags:
        """Rows (n, k) → which of them (n) have too few channels against it for a plain _NO."""
        seen = values[:, self._columns]
        against = (seen < self._low) | (seen > self._high)
        return np.asarray(against.sum(axis=1) <= self._spare)


def _a_quarter(heard: int) -> int:
    """A stuck or faulty sensor does not hold up a machine that really stopped; of fewer than four none may disagree."""
    return heard // 4


def _a_minority(heard: int) -> int:
    """Two channels must agree at least, so that no single sensor makes a stop."""
    return (heard - 1) // 2


def rest_at(regimes: Regimes, point: OperatingPoint) -> Agreement:
    """Is the machine at rest at `point`?"""
    intervals = [
        (column, point.centre[place] - point.radius[place], point.centre[place] + point.radius[place])
        for place, column in enumerate(regimes.channels)
        if any(apart(point, other, place) for other in regimes.points)
    ]
    return Agreement(intervals, _a_quarter if point.share else _a_minority, () if point.share else regimes.drives)


def _exit(regimes: Regimes, here: int, there: int) -> Agreement:
    """Is the machine on its way from one point to the other?"""
    start, end = regimes.points[here], regimes.points[there]
    intervals = []
    for place, column in enumerate(regimes.channels):
        if not apart(start, end, place):
            continue
        way = end.centre[place] - start.centre[place]
        gone = _COLLAPSING * abs(way) if not end.share else max(start.radius[place], _UNDER_WAY * abs(way))
        passed = start.centre[place] + math.copysign(gone, way)
        intervals.append((column, passed, math.inf) if way > 0 else (column, -math.inf, passed))
    return Agreement(intervals, _a_quarter if end.share else _a_minority, () if end.share else regimes.drives)


def apart(one: OperatingPoint, other: OperatingPoint, place: int) -> bool:
    """Does this channel tell the two points apart?"""
    return abs(one.centre[place] - other.centre[place]) > one.radius[place] + other.radius[place]
