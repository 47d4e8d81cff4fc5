"""An emulated pump: what its eight sensors read in any second, healthy or not, as a pure function of seed and time.

A close-coupled end-suction pump with a two-pole 1.1 kW motor on a 400 V grid: 120 l/min at 2.6 bar are 520 W of
hydraulic power, at 50 % pump and 80 % motor efficiency 1.3 kW from the grid, 2.3 A at cos φ 0.82.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.faults import Fault, Seconds, Stop
from edge.metrics import COLUMN, NAMES, Rows, as_measured
from edge.noise import BLOCK, coloured, white
from edge.signatures import SIGNATURES

Signal = NDArray[np.float64]

FLOW_LPM = 120.0
PRESSURE_BAR = 2.6
CURRENT_A = 2.3
VOLTAGE_V = 400.0
VIBRATION_DE_G = 0.21
VIBRATION_NDE_G = 0.16
# A motor of class F used to class B, lightly loaded: 38 K above the 24 °C of the hall.
MOTOR_C = 62.0
FLUID_C = 24.0
OWN_HEAT_K = 38.0

# No two machines are alike: each nominal value differs by this relative deviation, drawn from the seed.
SPREAD = 0.03

# A radial pump's curves at constant speed (Gülich, "Centrifugal Pumps", ch. 4): head at no flow 1.25 × rated, falling
# with the square of the flow; shaft power at no flow 0.45 × rated, rising in proportion to it.
SHUT_OFF_HEAD = 1.25
SHUT_OFF_POWER = 0.45
# A direct-on-line start draws five times the rated current at standstill (IEC 60034-12, design N).
START_CURRENT = 5.0

# What comes and goes in a healthy plant, as relative standard deviation and correlation time: consumers open and close
# (load), the grid breathes well within the ±10 % of EN 50160, and the vibration's level wanders a little. Seconds, not
# minutes: on a real rig (SKAB) less than a fifth of these sensors' variance is left in means over 40 s.
LOAD, LOAD_TAU_S = 0.010, 6.0
GRID, GRID_TAU_S = 0.004, 4.0
LEVEL, LEVEL_TAU_S = 0.015, 4.0
# From second to second, the sensors' own noise: relative for the first four, absolute (K, V, l/min) for the others.
JITTER = (0.012, 0.012, 0.006, 0.006, 0.08, 0.05, 0.6, 0.4)

# Temperatures follow the day, and slowly wander with weather and ventilation: (period s, amplitude K).
DAY = (86_400.0, 0.8)
WANDER = ((2820.0, 0.22), (1140.0, 0.12), (420.0, 0.06))
# How fast the winding head follows: a 10 kg motor's real constant is 10 to 20 minutes. The shorter one is the hot spot
# that a fault heats first (friction at the bearing, air that stands still), which is where the Pt100 sits.
MOTOR_TAU_S = 900.0
HOT_SPOT_TAU_S = 40.0

# White-noise channels: one per sensor, then those that are coloured, then those that faults make unsteady.
_LOAD, _GRID, _LEVEL_DE, _LEVEL_NDE = range(8, 12)
_UNSTEADY_VIBRATION, _UNSTEADY_FLOW, _UNSTEADY_PRESSURE, _UNSTEADY_CURRENT = range(12, 16)
_CHANNELS = 16


class Course(NamedTuple):
    """How the machine is run, second by second; each signal has one entry per row asked for.

    `speed`: share of the rated speed. `load`: what the process takes, as a share of the flow at that speed. `starting`:
    the slip of a motor started direct on line, 1 at standstill. `warmth`: share of the motor's own heat.
    """

    speed: Signal
    load: Signal
    starting: Signal
    warmth: Signal


class _Air(NamedTuple):
    """One block of what varies around a healthy pump; each signal has BLOCK entries."""

    jitter: NDArray[np.float64]
    load: Signal
    grid: Signal
    level_de: Signal
    level_nde: Signal


class _Effects:
    """What faults and stops do, summed up over all of them, second by second."""

    def __init__(self, at_s: Seconds, faults: Sequence[Fault], stops: Sequence[Stop]) -> None:
        ones, zeros = np.ones_like(at_s), np.zeros_like(at_s)
        self.flow_share, self.flow, self.head, self.power = ones.copy(), ones.copy(), ones.copy(), ones.copy()
        self.vibration_de_g2, self.vibration_nde_g2 = zeros.copy(), zeros.copy()
        self.vibration, self.unsteady_flow, self.unsteady_pressure, self.unsteady_current = (
            zeros.copy() for _ in range(4)
        )
        self.heat_k, self.speed, self.starting = zeros.copy(), ones.copy(), zeros.copy()
        for fault in faults:
            self._add(fault, at_s)
        for stop in stops:
            self.speed *= stop.speed(at_s)
            self.starting += stop.starting(at_s)
            self.heat_k -= OWN_HEAT_K * stop.cooling(at_s, MOTOR_TAU_S)

    def follow(self, course: Course) -> None:
        """Run the machine so, on top of what happens to it."""
        self.flow_share *= course.load
        self.speed *= course.speed
        self.starting += course.starting
        self.heat_k += OWN_HEAT_K * (course.warmth - 1.0)

    def _add(self, fault: Fault, at_s: Seconds) -> None:
        sign, severity = SIGNATURES[fault.kind], fault.severity(at_s)
        self.flow_share *= 1.0 - severity * (1.0 - sign.flow_share)
        self.flow *= 1.0 - severity * sign.lost_flow
        self.head *= 1.0 - severity * sign.lost_head
        self.power *= 1.0 - severity * sign.lost_power
        self.vibration_de_g2 += (severity * sign.vibration_de_g) ** 2
        self.vibration_nde_g2 += (severity * sign.vibration_nde_g) ** 2
        self.vibration += severity * sign.vibration_unsteady
        self.unsteady_flow += severity * sign.flow_unsteady
        self.unsteady_pressure += severity * sign.pressure_unsteady
        self.unsteady_current += severity * sign.current_unsteady
        self.heat_k += sign.motor_heat_k * fault.heat(at_s, HOT_SPOT_TAU_S)


class Pump:
    """One machine with its own small deviations from the nominal one, given by `seed` (0 or more)."""

    metrics = NAMES

    def __init__(self, seed: int) -> None:
        self._seed = seed
        character = np.random.Generator(np.random.Philox(key=seed))
        self._own = 1.0 + SPREAD * np.clip(character.standard_normal(8), -2.0, 2.0)
        self._phases = character.uniform(0.0, 2 * np.pi, size=(2, 1 + len(WANDER)))
        self._block = functools.lru_cache(maxsize=2)(self._make_block)

    def measure(
        self, first_s: int, count: int, faults: Sequence[Fault] = (), stops: Sequence[Stop] = ()
    ) -> list[tuple[float, ...]]:
        """What the sensors read in `count` seconds from `first_s` (UTC epoch seconds), in the order of `metrics`."""
        return as_measured(self.rows(first_s, count, faults, stops))

    def rows(self, first_s: int, count: int, faults: Sequence[Fault] = (), stops: Sequence[Stop] = ()) -> Rows:
        """The same before the sensors round it, shape (count, 8)."""
        return self._rows(first_s, count, faults, stops)

    def _rows(
        self, first_s: int, count: int, faults: Sequence[Fault], stops: Sequence[Stop], course: Course | None = None
    ) -> Rows:
        """Whole blocks of air, then all seconds at once; without a `course` at rated speed and full heat."""
        blocks = [self._block(block) for block in range(first_s // BLOCK, (first_s + count - 1) // BLOCK + 1)]
        part = slice(first_s % BLOCK, first_s % BLOCK + count)
        air = _Air(*(np.concatenate(signals)[part] for signals in zip(*blocks, strict=True)))
        at_s = np.arange(first_s, first_s + count, dtype=np.float64)
        effects = _Effects(at_s, faults, stops)
        if course:
            effects.follow(course)
        return self._sensors(at_s, air, effects)

    def _make_block(self, block: int) -> _Air:
        before, now = white(self._seed, block - 1, _CHANNELS), white(self._seed, block, _CHANNELS)

        def slow(channel: int, tau_s: float) -> Signal:
            return coloured(before[:, channel], now[:, channel], tau_s)

        return _Air(
            now,
            LOAD * slow(_LOAD, LOAD_TAU_S),
            GRID * slow(_GRID, GRID_TAU_S),
            LEVEL * slow(_LEVEL_DE, LEVEL_TAU_S),
            LEVEL * slow(_LEVEL_NDE, LEVEL_TAU_S),
        )

    def _sensors(self, at_s: Seconds, air: _Air, effects: _Effects) -> Rows:
        rows = np.empty((len(at_s), len(NAMES)))
        self._hydraulics(rows, air, effects)
        self._electrics(rows, air, effects)
        self._vibration(rows, air, effects)
        self._temperatures(rows, at_s, air, effects)
        return rows

    def _hydraulics(self, rows: Rows, air: _Air, effects: _Effects) -> None:
        """Affinity laws: flow in proportion to the speed, head to its square."""
        opening = (1.0 + air.load) * effects.flow_share
        flow = opening * effects.flow * (1.0 + effects.unsteady_flow * air.jitter[:, _UNSTEADY_FLOW])
        head = (SHUT_OFF_HEAD - (SHUT_OFF_HEAD - 1.0) * opening**2) * effects.head
        head *= 1.0 + effects.unsteady_pressure * air.jitter[:, _UNSTEADY_PRESSURE]
        rows[:, COLUMN.flow] = FLOW_LPM * self._own[COLUMN.flow] * flow * effects.speed + self._jitter(air, COLUMN.flow)
        head *= 1.0 + self._jitter(air, COLUMN.pressure)
        rows[:, COLUMN.pressure] = PRESSURE_BAR * self._own[COLUMN.pressure] * head * effects.speed**2

    def _electrics(self, rows: Rows, air: _Air, effects: _Effects) -> None:
        """The motor draws its power at whatever voltage there is, so the current rises where the voltage falls."""
        opening = (1.0 + air.load) * effects.flow_share
        power = (SHUT_OFF_POWER + (1.0 - SHUT_OFF_POWER) * opening) * effects.power * effects.speed**3
        power *= 1.0 + effects.unsteady_current * air.jitter[:, _UNSTEADY_CURRENT]
        drawn = power / (1.0 + air.grid) * (1.0 + self._jitter(air, COLUMN.current)) + START_CURRENT * effects.starting
        rows[:, COLUMN.current] = CURRENT_A * self._own[COLUMN.current] * drawn
        rows[:, COLUMN.voltage] = VOLTAGE_V * (1.0 + air.grid) + self._jitter(air, COLUMN.voltage)

    def _vibration(self, rows: Rows, air: _Air, effects: _Effects) -> None:
        """Forces grow with the square of the speed; a fault's vibration adds in quadrature."""
        unsteady = 1.0 + effects.vibration * air.jitter[:, _UNSTEADY_VIBRATION]
        for column, nominal, level, added in (
            (COLUMN.vibration_de, VIBRATION_DE_G, air.level_de, effects.vibration_de_g2),
            (COLUMN.vibration_nde, VIBRATION_NDE_G, air.level_nde, effects.vibration_nde_g2),
        ):
            healthy = nominal * self._own[column] * (1.0 + 0.3 * air.load + level)
            total = np.sqrt(healthy**2 + added) * unsteady * (1.0 + self._jitter(air, column))
            rows[:, column] = total * effects.speed**2

    def _temperatures(self, rows: Rows, at_s: Seconds, air: _Air, effects: _Effects) -> None:
        hall = self._drift(at_s, self._phases[0])
        fluid = FLUID_C * self._own[COLUMN.fluid_temperature] + hall
        motor = MOTOR_C * self._own[COLUMN.motor_temperature] + 0.7 * hall + self._drift(at_s, self._phases[1])
        rows[:, COLUMN.fluid_temperature] = fluid + self._jitter(air, COLUMN.fluid_temperature)
        rows[:, COLUMN.motor_temperature] = motor + effects.heat_k + self._jitter(air, COLUMN.motor_temperature)

    @staticmethod
    def _jitter(air: _Air, column: int) -> Signal:
        return JITTER[column] * air.jitter[:, column]

    @staticmethod
    def _drift(at_s: Seconds, phases: NDArray[np.float64]) -> Signal:
        waves = [
            amplitude * np.sin(2 * np.pi * at_s / period + phase)
            for (period, amplitude), phase in zip((DAY, *WANDER), phases, strict=True)
        ]
        return np.asarray(np.sum(waves, axis=0))
