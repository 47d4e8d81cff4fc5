"""How a real machine is run over a week: by schedule and demand, with starts, nights, weekends, and what slowly ages.

A pure function of seed and time, as `edge.pump`: everything below is healthy. What is not known from a source is a
round figure and says so: no public recording holds a week of a plant's pump at one reading a second.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.faults import RUN_DOWN_TAU_S, RUN_UP_TAU_S, Fault, Seconds, Stop
from edge.metrics import COLUMN, Rows
from edge.noise import Stream, chance, stretch, wander
from edge.pump import MOTOR_TAU_S, Course, Pump, Signal
from edge.schedule import DAY_S, HOUR_S, OFF, WEEK_S, Pattern, cleaning, setpoints

# A frequency converter's ramp over the whole speed, as makers deliver it (ABB ACS series: 5 s).
RAMP_S = 5.0
# A standing motor has no fan: its time constant is two to three times the running one (IEC 60034-11, annex).
STANDING = 3.0
# What the process takes: least at 4 h, most at 16 h, by this share about the mean; on top of it consumers come and go
# within the quarter of an hour. Round figures, within the flow tolerance of a new pump (±8 %, ISO 9906, grade 2B).
LOAD_DAY, LOAD_WANDER, LOAD_WANDER_S = 0.05, 0.015, 900.0
# The filter: two percent less flow in a week until it is cleaned, a quarter of that same tolerance.
FOULING = 0.02
# Weather passes in some days (Holton, "Dynamic Meteorology", synoptic scale); of its ±5 K a hall feels a third.
WEATHER_K, WEATHER_S = 1.5, 2 * DAY_S
# The on-load tap changer upstream moves in steps of 1.25 % (usual: 17 steps over ±10 %), some times a day (CIGRE: some
# thousand operations a year).
TAP, TAP_S = 0.0125, 6.0 * HOUR_S
# One sensor of each machine ages by half a percent of its reading a week, ten times what data sheets give for a year's
# average (0.2 % of full scale), up to 2.5 % either way: calibrated every twenty weeks.
AGEING, CALIBRATED_WEEKS = 0.005, 20.0
# What sensors read at a standing machine: neighbours shake the frame (g), converters of current and pressure have
# noise (A, bar), and a filled loop stands under its own head (bar).
FLOOR_G, FLOOR_A, FLOOR_BAR, STATIC_BAR = 0.004, 0.015, 0.006, 0.3


class Day(NamedTuple):
    """The set-points of one day and of the day before it, as arrays, and what the motor's warmth was at each."""

    begin_s: NDArray[np.int64]
    speed: Signal
    warmth: Signal


class DutyPump(Pump):
    """An emulated pump at work in a plant; without a `pattern` the seed decides how it is run."""

    def __init__(self, seed: int, pattern: Pattern | None = None) -> None:
        super().__init__(seed)
        self.pattern = pattern or tuple(Pattern)[seed % len(Pattern)]
        self._of_day = functools.lru_cache(maxsize=2)(self._make_day)
        draw = chance(seed, Stream.CHARACTER, counter=1)
        self._ageing_column, self._ageing_phase = int(draw.integers(8)), float(draw.uniform(0.0, CALIBRATED_WEEKS))

    def rows(self, first_s: int, count: int, faults: Sequence[Fault] = (), stops: Sequence[Stop] = ()) -> Rows:
        """What the sensors read before they round it, shape (count, 8), as this machine is run."""
        rows = self._rows(first_s, count, faults, stops, self.course(first_s, count))
        at_s = np.arange(first_s, first_s + count, dtype=np.float64)
        self._surround(rows, at_s)
        rows[:, self._ageing_column] *= 1.0 + AGEING * self._weeks_off(at_s)
        return rows

    def regime(self, first_s: int, count: int) -> NDArray[np.int64]:
        """Which set-point holds in each second: 0 off, 1 the slowest speed, and so on."""
        return np.searchsorted((OFF, *self.pattern.speeds), self._setpoints(first_s, count)[0])

    def course(self, first_s: int, count: int) -> Course:
        """How it runs in each second."""
        now, before, since_s, warmth_then = self._setpoints(first_s, count)
        at_s = np.arange(first_s, first_s + count, dtype=np.float64)
        toward = now**2
        warmth = toward + (warmth_then - toward) * np.exp(-since_s / _tau_s(now))
        if self.pattern.direct:
            left = np.exp(-since_s / np.where(now > before, RUN_UP_TAU_S, RUN_DOWN_TAU_S))
            starting = np.where(now > before, left, 0.0)
        else:
            left = np.clip(1.0 - since_s / (RAMP_S * np.maximum(np.abs(now - before), 1e-9)), 0.0, 1.0)
            starting = np.zeros(count)
        return Course(now + (before - now) * left, self._load(at_s), starting, warmth)

    def _load(self, at_s: Seconds) -> Signal:
        """The flow that passes, as a share of the rated: the day, its consumers, and a filter that fouls."""
        day = -np.cos(2 * np.pi * (at_s - 4 * HOUR_S) / DAY_S)
        asked = 1.0 + LOAD_DAY * day + LOAD_WANDER * wander(self._seed, Stream.DEMAND, at_s, LOAD_WANDER_S)
        stop = cleaning(self._seed)
        # The week of day 0 began on Monday, three days before 1970.
        cleaned_s = (stop.weekday - 3) * DAY_S + stop.end_s
        return np.asarray(asked * (1.0 - FOULING * ((at_s - cleaned_s) % WEEK_S) / WEEK_S))

    def _surround(self, rows: Rows, at_s: Seconds) -> None:
        """Weather, the grid's steps, and what sensors read even where nothing runs."""
        weather = WEATHER_K * wander(self._seed, Stream.WEATHER, at_s, WEATHER_S)
        rows[:, COLUMN.fluid_temperature] += weather
        rows[:, COLUMN.motor_temperature] += weather
        grid = 1.0 + TAP * np.round(wander(self._seed, Stream.GRID, at_s, TAP_S))
        rows[:, COLUMN.voltage] *= grid
        floor = stretch(self._seed, Stream.FLOOR, int(at_s[0]), len(at_s), 4).T
        rows[:, COLUMN.current] = rows[:, COLUMN.current] / grid + FLOOR_A * np.abs(floor[0])
        rows[:, COLUMN.pressure] += STATIC_BAR + FLOOR_BAR * floor[1]
        for column, shaken in ((COLUMN.vibration_de, floor[2]), (COLUMN.vibration_nde, floor[3])):
            rows[:, column] = np.hypot(rows[:, column], FLOOR_G * (1.0 + 0.1 * shaken))

    def _weeks_off(self, at_s: Seconds) -> Signal:
        """Up and down between -5 and 5 weeks of ageing: a triangle of slope one over `CALIBRATED_WEEKS`."""
        half = CALIBRATED_WEEKS / 2
        return np.abs((at_s / WEEK_S + self._ageing_phase) % CALIBRATED_WEEKS - half) - half / 2

    def _setpoints(self, first_s: int, count: int) -> tuple[Signal, Signal, Signal, Signal]:
        """Per second: the speed set, the one before, for how long (s), and the motor's warmth when it was set."""
        last = first_s + count
        parts = [
            self._of_seconds(day, max(first_s, day * DAY_S), min(last, (day + 1) * DAY_S))
            for day in range(first_s // DAY_S, (last - 1) // DAY_S + 1)
        ]
        now, before, since_s, warmth = (np.concatenate(signals) for signals in zip(*parts, strict=True))
        return now, before, since_s, warmth

    def _of_seconds(self, day: int, first_s: int, last_s: int) -> tuple[Signal, Signal, Signal, Signal]:
        plan, at_s = self._of_day(day), np.arange(first_s, last_s)
        point = np.searchsorted(plan.begin_s, at_s, side="right") - 1
        since_s = (at_s - plan.begin_s[point]).astype(np.float64)
        return plan.speed[point], plan.speed[np.maximum(point - 1, 0)], since_s, plan.warmth[point]

    def _make_day(self, day: int) -> Day:
        """The day before is enough of a memory: the motor forgets within hours."""
        points = [
            (which * DAY_S + point.second, point.speed)
            for which in (day - 1, day)
            for point in setpoints(self.pattern, self._seed, which)
        ]
        begin_s, speed = np.array([at for at, _ in points]), np.array([speed for _, speed in points])
        warmth = [speed[0] ** 2]
        for lasted_s, share in zip(np.diff(begin_s), speed[:-1], strict=True):
            # Losses follow the cube of the speed (the torque its square), the shaft fan's air the speed itself.
            warmth.append(share**2 + (warmth[-1] - share**2) * np.exp(-lasted_s / _tau_s(share)))
        return Day(begin_s, speed, np.array(warmth))


def _tau_s(speed: Signal) -> Signal:
    return np.where(speed > 0, MOTOR_TAU_S, STANDING * MOTOR_TAU_S)
