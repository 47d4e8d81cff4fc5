"""What an alarm's sensors did, in the words that rules are written in: up, down, unchanged, unsteady."""

from __future__ import annotations

import math
import statistics
from itertools import pairwise

from detection.explain import Findings, Sensor
from detection.kinds import Kind
from detection.roles import Place, Quantity, Role, role_of

# How far a sensor is from what was expected, in half-widths of its healthy range. Outside it, a sensor has moved; a
# mean of ten healthy readings hardly ever leaves the inner two thirds, which for a range of three deviations are two.
_MOVED, _STILL = 1.0, 2 / 3
# Beside a sensor that is ten times as far out, one at the edge of its range has not moved either: friction costs a
# little current, and a hot winding too.
_DWARFED, _EDGE = 10.0, 1.5
# Of rougher running the one reading furthest out is told, and one of ten is easily outside: twice the range is not.
_MOVED_ROUGHLY = 2.0
# A temperature follows the day and drifts out of the range of its first half hour; it has moved when it did so quickly
# (a jump) or far.
_MOVED_TEMPERATURE = 2.0
# Twice its usual going back and forth. Of ten readings of white noise the median step stays below that in all but one
# case of a hundred.
_UNSTEADY = 2.0
_RECENT = 10
# What is felt at both bearings comes from the rotor; what one feels four times as much is its own.
_ONE_END = 4.0

LOAD = (Quantity.CURRENT, Quantity.POWER, Quantity.FLOW, Quantity.PRESSURE, Quantity.SPEED)
"""What changes when the machine is asked for more or less."""


class Signs:
    """The findings of one alarm, asked by what the sensors measure. Only sensors that are told count."""

    def __init__(self, found: Findings) -> None:
        self._kind, self._window = found.kind, found.window
        self._sensors: dict[Quantity | None, list[tuple[Role, Sensor]]] = {}
        for sensor in found.sensors:
            role = role_of(sensor.name, sensor.unit)
            self._sensors.setdefault(role.quantity, []).append((role, sensor))
        self._furthest = max((abs(self._away(sensor)) for sensor in found.sensors), default=0.0)

    def measured(self, quantity: Quantity, *places: Place | None) -> bool:
        """Is there such a sensor (at one of `places`, if given)?"""
        return bool(self._of(quantity, *places))

    def up(self, quantity: Quantity, *places: Place | None, by: float = _MOVED) -> bool:
        """Is one of them above its range (`by` half-widths above what is expected), and none below?"""
        moves = self._moves(quantity, *places)
        return max(moves, default=0.0) >= by and min(moves, default=0.0) > -_MOVED

    def down(self, quantity: Quantity, *places: Place | None) -> bool:
        """Is one of them below its range, and none above?"""
        moves = self._moves(quantity, *places)
        return min(moves, default=0.0) <= -_MOVED and max(moves, default=0.0) < _MOVED

    def still(self, quantity: Quantity, *places: Place | None) -> bool:
        """Are there such sensors, and all of them as usual, neither elsewhere nor unsteady?"""
        sensors = [sensor for _, sensor in self._of(quantity, *places)]
        return bool(sensors) and all(self.is_still(sensor) for sensor in sensors)

    def unsteady(self, *quantities: Quantity) -> bool:
        """Does one of them go back and forth at least twice as much as it used to?"""
        return any(self._roughness(sensor) >= _UNSTEADY for each in quantities for _, sensor in self._of(each))

    def is_still(self, sensor: Sensor) -> bool:
        """Is this sensor as usual?"""
        away = abs(self._away(sensor))
        dwarfed = away <= _EDGE and away * _DWARFED <= self._furthest
        near = away <= (_MOVED if self._kind is Kind.ROUGHNESS else _STILL)
        return (near or dwarfed) and (sensor.ratio is None or sensor.ratio < _UNSTEADY)

    @property
    def load_unchanged(self) -> bool:
        """Is something of the load measured, and all that is as usual?"""
        there = [quantity for quantity in LOAD if self.measured(quantity)]
        return bool(there) and all(self.still(quantity) for quantity in there)

    @property
    def shaken(self) -> bool:
        """Is there more vibration, or is it rougher?"""
        return self.up(Quantity.VIBRATION) or self.unsteady(Quantity.VIBRATION)

    @property
    def shaken_end(self) -> Sensor | None:
        """The vibration sensor that feels it at least four times as much as every other one, if there are others."""
        ranked = sorted((sensor for _, sensor in self._of(Quantity.VIBRATION)), key=self._away, reverse=True)
        if len(ranked) < 2 or self._away(ranked[0]) < _MOVED:
            return None
        return ranked[0] if self._away(ranked[1]) * _ONE_END <= self._away(ranked[0]) else None

    @property
    def hot(self) -> bool:
        """Is the machine itself warmer: its motor or a bearing?"""
        return self.up(Quantity.TEMPERATURE, Place.MOTOR, Place.BEARING, Place.DRIVE_END, Place.OTHER_END)

    def rise(self, quantity: Quantity, *places: Place | None) -> float:
        """The largest relative change (0.1: a tenth more); 0 where nothing is measured or expected is not above 0."""
        shares = [one.seen / one.expected - 1 for _, one in self._of(quantity, *places) if one.expected > 0]
        return max((share for share in shares if math.isfinite(share)), default=0.0)

    def _of(self, quantity: Quantity, *places: Place | None) -> list[tuple[Role, Sensor]]:
        told = self._sensors.get(quantity, [])
        return [(role, sensor) for role, sensor in told if role.place in places] if places else told

    def _moves(self, quantity: Quantity, *places: Place | None) -> list[float]:
        return [self._move(role, sensor) for role, sensor in self._of(quantity, *places)]

    def _move(self, role: Role, sensor: Sensor) -> float:
        """How far it is out, in units of what counts as moved for such a sensor."""
        if self._kind is Kind.ROUGHNESS:
            return self._away(sensor) / _MOVED_ROUGHLY
        slow = role.quantity is Quantity.TEMPERATURE and self._kind is Kind.LEVEL
        return self._away(sensor) / (_MOVED_TEMPERATURE if slow else _MOVED)

    @staticmethod
    def _away(sensor: Sensor) -> float:
        half = (sensor.expected_high - sensor.expected_low) / 2
        away = (sensor.seen - sensor.expected) / half if half > 0 else 0.0
        return away if math.isfinite(away) else 0.0

    def _roughness(self, sensor: Sensor) -> float:
        """How many times its usual going back and forth; told by the detector, else seen in the alarm's picture."""
        if sensor.ratio is not None:
            return sensor.ratio
        readings = [value for value in self._window.get(sensor.name, ()) if value is not None]
        steps = [abs(after - before) for before, after in pairwise(readings)]
        before, recent = steps[: len(steps) // 2], steps[-_RECENT:]
        usual = statistics.median(before) if len(before) >= _RECENT else 0.0
        return statistics.median(recent) / usual if usual > 0 else 0.0
