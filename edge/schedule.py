"""When a machine is asked to run how fast: the set-points of one day, as a pure function of seed and day.

Times are UTC; the plant keeps them as its local time. A set-point holds until the next one.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from edge.noise import Stream, chance

HOUR_S = 3600
DAY_S = 24 * HOUR_S
WEEK_S = 7 * DAY_S
_SATURDAY = 5

# Set-points, as shares of the rated speed. Below 0.7 the head (its square) is half and seldom lifts anything; by that
# square and cube, 0.75 saves 58 % of the power, which is what a night setting is for (Gülich, ch. 11).
RATED = 1.0
NIGHT = 0.75
STEPS = (0.7, 0.85, 1.0)
LATE_SHIFT = 0.8
OFF = 0.0

# People switch on and off by hand within some minutes of the hour.
HAND_S = 480
# A control that follows demand waits this long between two decisions (s), lest it hunts: set by commissioning engineers
# at ten minutes and more, and longer where consumers are many.
DECISION_S = (720, 2700)
# Household and office demand of water over the day, 0 to 23 h, as a share of the largest: two peaks (the shape of the
# diurnal patterns in the EPANET manual, Rossman, 2000; figures rounded).
DEMAND = (
    0.40, 0.35, 0.35, 0.35, 0.45, 0.60, 0.85, 1.00, 0.95, 0.85, 0.80, 0.80,
    0.85, 0.80, 0.75, 0.75, 0.80, 0.90, 1.00, 0.95, 0.85, 0.70, 0.55, 0.45,
)  # fmt: skip
# At weekends a fifth less; from one decision to the next demand differs by this share.
WEEKEND_DEMAND, DEMAND_SPREAD = 0.8, 0.06
# A sump is emptied in minutes and fills in tens of them (s). Two to three starts an hour, where makers of small pumps
# allow 15 to 20.
EMPTYING_S, FILLING_S = (480, 1500), (600, 2400)
# The filter in front of each pump is cleaned once a week, on a working day's morning: ten to twenty minutes' stop.
CLEANING_S = (600, 1200)
CLEANING_HOURS = (9, 11)


class Pattern(enum.StrEnum):
    """How the machines of a plant are run. All but the direct-on-line ones have a frequency converter."""

    STEADY = "steady"
    TWO_SPEEDS = "two_speeds"
    DEMAND = "demand"
    SHIFTS = "shifts"
    SHIFTS_TWO_SPEEDS = "shifts_two_speeds"
    LEVEL = "level"

    @property
    def direct(self) -> bool:
        """Is its motor started direct on line?"""
        return self in {Pattern.STEADY, Pattern.SHIFTS, Pattern.LEVEL}

    @property
    def speeds(self) -> tuple[float, ...]:
        """The speeds it knows while running, ascending."""
        return _SPEEDS[self]


class Setpoint(NamedTuple):
    """From this second of the day on, this share of the rated speed."""

    second: int
    speed: float


def setpoints(pattern: Pattern, seed: int, day: int) -> list[Setpoint]:
    """The set-points of the `day`-th day since 1970, the first at second 0."""
    plan = _PLANS[pattern](chance(seed, Stream.SCHEDULE, day), weekday(day))
    stop = cleaning(seed)
    return _interrupted(plan, stop) if stop.weekday == weekday(day) else plan


def weekday(day: int) -> int:
    """0 Monday to 6 Sunday; 1 January 1970 was a Thursday."""
    return (day + 3) % 7


class Cleaning(NamedTuple):
    """When in the week the filter is cleaned, in seconds of that weekday."""

    weekday: int
    begin_s: int
    end_s: int


def cleaning(seed: int) -> Cleaning:
    """The weekly stop of this machine; one that stands then anyway is cleaned all the same."""
    draw = chance(seed, Stream.CHARACTER)
    begin_s = int(draw.integers(CLEANING_HOURS[0] * HOUR_S, CLEANING_HOURS[1] * HOUR_S))
    return Cleaning(int(draw.integers(5)), begin_s, begin_s + int(draw.integers(*CLEANING_S)))


def _interrupted(plan: list[Setpoint], stop: Cleaning) -> list[Setpoint]:
    resumed = [point.speed for point in plan if point.second <= stop.end_s][-1]
    outside = [point for point in plan if not stop.begin_s <= point.second <= stop.end_s]
    return sorted([*outside, Setpoint(stop.begin_s, OFF), Setpoint(stop.end_s, resumed)])


def _steady(_draw: np.random.Generator, _weekday: int) -> list[Setpoint]:
    return [Setpoint(0, RATED)]


def _two_speeds(draw: np.random.Generator, weekday: int) -> list[Setpoint]:
    """Less at night and at the weekend, switched by a clock."""
    if weekday >= _SATURDAY:
        return [Setpoint(0, NIGHT)]
    return [Setpoint(0, NIGHT), Setpoint(_by_clock(draw, 6.5), RATED), Setpoint(_by_clock(draw, 21.0), NIGHT)]


def _demand(draw: np.random.Generator, weekday: int) -> list[Setpoint]:
    """The slowest of three speeds that meets what is asked for, decided every so often."""
    points, second = [], 0
    while second < DAY_S:
        asked = np.interp(second / HOUR_S, range(25), [*DEMAND, DEMAND[0]]) * (1.0 + DEMAND_SPREAD * draw.normal())
        asked *= WEEKEND_DEMAND if weekday >= _SATURDAY else 1.0
        points.append(Setpoint(second, next((speed for speed in STEPS if speed >= asked), STEPS[-1])))
        second += int(draw.integers(*DECISION_S))
    return points


def _shifts(draw: np.random.Generator, weekday: int) -> list[Setpoint]:
    """Two shifts on working days, off at night and at the weekend."""
    if weekday >= _SATURDAY:
        return [Setpoint(0, OFF)]
    return [Setpoint(0, OFF), Setpoint(_by_hand(draw, 6.0), RATED), Setpoint(_by_hand(draw, 22.0), OFF)]


def _shifts_two_speeds(draw: np.random.Generator, weekday: int) -> list[Setpoint]:
    """The same, slower in the late shift."""
    if weekday >= _SATURDAY:
        return [Setpoint(0, OFF)]
    late = Setpoint(_by_hand(draw, 14.0), LATE_SHIFT)
    return [Setpoint(0, OFF), Setpoint(_by_hand(draw, 6.0), RATED), late, Setpoint(_by_hand(draw, 22.0), OFF)]


def _level(draw: np.random.Generator, _weekday: int) -> list[Setpoint]:
    """On when the sump is full, off when it is empty, day and night."""
    points, second = [Setpoint(0, OFF)], int(draw.integers(*FILLING_S))
    while second < DAY_S - EMPTYING_S[1]:
        emptied = second + int(draw.integers(*EMPTYING_S))
        points += [Setpoint(second, RATED), Setpoint(emptied, OFF)]
        second = emptied + int(draw.integers(*FILLING_S))
    return points


def _by_hand(draw: np.random.Generator, hour: float) -> int:
    return int(hour * HOUR_S) + int(draw.integers(-HAND_S, HAND_S))


def _by_clock(draw: np.random.Generator, hour: float) -> int:
    """A clock in a cabinet is off by some seconds."""
    return int(hour * HOUR_S) + int(draw.integers(-20, 20))


_PLANS: Mapping[Pattern, Callable[[np.random.Generator, int], list[Setpoint]]] = {
    Pattern.STEADY: _steady,
    Pattern.TWO_SPEEDS: _two_speeds,
    Pattern.DEMAND: _demand,
    Pattern.SHIFTS: _shifts,
    Pattern.SHIFTS_TWO_SPEEDS: _shifts_two_speeds,
    Pattern.LEVEL: _level,
}
_SPEEDS: Mapping[Pattern, tuple[float, ...]] = {
    Pattern.STEADY: (RATED,),
    Pattern.TWO_SPEEDS: (NIGHT, RATED),
    Pattern.DEMAND: STEPS,
    Pattern.SHIFTS: (RATED,),
    Pattern.SHIFTS_TWO_SPEEDS: (LATE_SHIFT, RATED),
    Pattern.LEVEL: (RATED,),
}
