"""Is it the sensor or the machine? A sensor that stands still or says nothing is told from a machine that is ill.

One idea: how long a channel repeats itself by chance is learned from health. A running machine moves every channel a
little; one that repeats itself for longer than chance allows is not being measured any more. A channel whose repeats
are no chance (a setpoint, a temperature in whole degrees) is not judged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from detection.errors import ModelError
from detection.rows import Floats, Ints

Codes = NDArray[np.int8]
Flags = NDArray[np.bool_]

OK, STUCK, MISSING = 0, 1, 2

# A hundredth of the usual step is no movement: a broken loop still carries the converter's noise.
_NO_STEP = 0.01
# Chance repeats so often once in 10^10 readings: 300 years at 1 Hz. And never below six, nor three times the longest
# run of health: where repeats are chance, that comes once in the cube of the readings learned from.
_CHANCE, _LEAST_PATIENCE, _LONGEST_TIMES = 1e-10, 6, 3
# Fell to zero or rose to full scale in one step and has not moved for eight readings since: a machine does not do that,
# and a mean over 20 readings with 10 s on top has not yet alarmed.
_AFTER_JUMP = 8
# Runs by chance have a longest one of about log(n) / log(1/p) (Erdős & Rényi, 1970): up to 2.6 times that on the SKAB
# rig, 4.6 times and more where a temperature rests on a plateau between two steps of its resolution.
_CHANCE_TIMES = 3.0
# What moves in fewer than two readings of five rests by nature.
_RESTING = 0.6
# Two minutes at 1 Hz, as for all that is learned.
_LEAST_READINGS = 120
# A dropped reading, or three times the longest silence of health, is nothing to tell.
_LEAST_SILENCE, _SILENCE_TIMES = 5, 3


class SensorHabits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Per channel (k): after how many readings without movement it is stuck (`patience`, 0: it is not judged).

    Up to `step` is no movement, beyond `span` (the width of its healthy range) is a jump; after `silence` rows without
    a value it is missing. Engineering units.
    """

    patience: list[int]
    step: list[float]
    span: list[float]
    silence: list[int]

    def check(self, channels: int) -> None:
        """Raises: ModelError when these are not the habits of so many channels."""
        if {len(self.patience), len(self.step), len(self.span), len(self.silence)} != {channels}:
            raise ModelError(f"the sensors' habits must be those of {channels} channels")
        if min(self.patience) < 0 or min(self.silence) < 1:
            raise ModelError("a sensor's patience must be 0 or more rows, its silence 1 or more")
        if not all(math.isfinite(number) and number >= 0 for number in [*self.step, *self.span]):
            raise ModelError("a sensor's step and span must be finite and not negative")


def learn_habits(values: Floats, running: Flags | None = None) -> SensorHabits:
    """From n healthy rows (n, k; NaN where missing); those where the machine is not `running` (n) teach no movement."""
    on = np.ones(len(values), dtype=bool) if running is None else running
    patience, steps, spans = zip(*(_movement(column[on & np.isfinite(column)]) for column in values.T), strict=True)
    silence = [
        _SILENCE_TIMES * longest + _LEAST_SILENCE if (longest := _longest_run(np.isnan(column))) < len(column) else 1
        for column in values.T
    ]
    return SensorHabits(patience=list(patience), step=list(steps), span=list(spans), silence=silence)


def _movement(readings: Floats) -> tuple[int, float, float]:
    """Patience, step and span of one channel, from its readings in running (n)."""
    steps = np.abs(np.diff(readings))
    if len(readings) < _LEAST_READINGS or not steps.any():
        return 0, 0.0, 0.0
    least, span = _NO_STEP * float(np.median(steps)), float(np.ptp(readings))
    rests = steps <= least
    longest = 1 + _longest_run(rests)
    repeating = (1 + int(rests.sum())) / (1 + len(rests))
    by_chance = 1 + math.log(max(len(rests) * (1 - repeating), 1)) / -math.log(repeating)
    if repeating > _RESTING or longest > 1 + _CHANCE_TIMES * by_chance:
        return 0, least, span
    rare = 1 + math.ceil(math.log(_CHANCE) / math.log(repeating))
    return max(_LEAST_PATIENCE, _LONGEST_TIMES * longest, rare), least, span


def _longest_run(flags: Flags) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max(initial=0))


class WatchState(msgspec.Struct):
    """Per channel (k): the last value, for how many readings it has stood, whether it jumped there, rows of silence.

    `began` (epoch ms): since when it has stood.
    """

    last: list[float | None]
    stood: list[int]
    jumped: list[bool]
    silent: list[int]
    began: list[int]

    @classmethod
    def fresh(cls, channels: int) -> WatchState:
        """Nothing heard yet."""
        return cls([None] * channels, [0] * channels, [False] * channels, [0] * channels, [0] * channels)

    def dated(self, by_ms: int) -> WatchState:
        """The same with another beginning of time: a state tells the times before its position in few bytes."""
        return msgspec.structs.replace(self, began=[began + by_ms for began in self.began])

    def fits(self, channels: int) -> bool:
        """Is this the state of so many channels?"""
        return {len(each) for each in (self.last, self.stood, self.jumped, self.silent, self.began)} == {channels}

    def arranged(self, places: Sequence[int | None]) -> WatchState:
        """The same for other channels: each is the one here at its place; None: nothing was heard of it yet."""
        here, out = msgspec.structs.astuple(self), WatchState.fresh(len(places))
        for mine, theirs in zip(here, msgspec.structs.astuple(out), strict=True):
            theirs[:] = [theirs[at] if place is None else mine[place] for at, place in enumerate(places)]
        return out


class Watched(NamedTuple):
    """What n rows show of each sensor (n, k): OK, STUCK or MISSING; its last value up to there; since when that stands.

    Engineering units, NaN before the first value; epoch ms.
    """

    codes: Codes
    values: Floats
    began: Ints


class SensorWatch:
    """Judges every sensor in every row; goes on from `state` when there is one."""

    def __init__(self, habits: SensorHabits, state: WatchState | None = None) -> None:
        self.state = state or WatchState.fresh(len(habits.step))
        self._habits = habits
        self._patience = [rows or math.inf for rows in habits.patience]
        self._after_jump = [min(_AFTER_JUMP, rows) if rows < math.inf else math.inf for rows in self._patience]
        self._limits = np.array(self._patience), np.array(self._after_jump)

    def process(self, values: Floats, running: Flags | None = None) -> Codes:
        """Rows as they came (n, k), NaN where missing, no value held → OK, STUCK or MISSING (n, k).

        Where the machine is not `running` (n) standing still is no sign: a count rests, a verdict stays until the
        value moves.
        """
        on = np.ones(len(values), dtype=bool) if running is None else running
        return self.watch(values, on, np.zeros(len(values), dtype=np.int64)).codes

    def watch(self, values: Floats, running: Flags, times: Ints) -> Watched:
        """The same of rows measured at `times` (n), with the values and since when they stand."""
        if len(values) == 1:
            return self.now(self.step(values[0].tolist(), bool(running[0]), int(times[0])))
        if not len(values):
            return Watched(np.empty(values.shape, dtype=np.int8), values, np.empty(values.shape, dtype=np.int64))
        return self._block(values, running, times)

    def now(self, codes: Sequence[int]) -> Watched:
        """The row that was just looked at by `step`, which found these `codes` (k)."""
        began = np.array([self.state.began], dtype=np.int64)
        return Watched(np.array([codes], dtype=np.int8), _floats(self.state.last)[None, :], began)

    def step(self, row: Sequence[float], running: bool = True, at_ms: int = 0) -> list[int]:
        """The same for one row of k values."""
        state, habits = self.state, self._habits
        last, stood, jumped, silent, began = state.last, state.stood, state.jumped, state.silent, state.began
        codes = [OK] * len(row)
        for channel, value in enumerate(row):
            before = last[channel]
            if value != value:  # noqa: PLR0124  # NaN is the one number that differs from itself
                silent[channel] += 1
                if silent[channel] >= habits.silence[channel]:
                    codes[channel] = MISSING
                    continue
            else:
                silent[channel] = 0
                last[channel] = value
                if before is not None and abs(value - before) <= habits.step[channel]:
                    stood[channel] += running
                else:
                    jumped[channel] = before is not None and abs(value - before) > habits.span[channel]
                    stood[channel], began[channel] = 1, at_ms
            if stood[channel] >= (self._after_jump if jumped[channel] else self._patience)[channel]:
                codes[channel] = STUCK
        return codes

    def _block(self, values: Floats, running: Flags, times: Ints) -> Watched:
        heard = ~np.isnan(values)
        before, after = _around(values, heard, _floats(self.state.last))
        stood, jumped, began = self._standing(values, before, heard, running, times)
        spoke, at = _latest(heard), np.arange(len(values))[:, None]
        silent = np.where(spoke < 0, np.array(self.state.silent) + at + 1, at - spoke)
        self.state = WatchState(
            [None if math.isnan(value) else value for value in after[-1].tolist()],
            stood[-1].tolist(),
            jumped[-1].tolist(),
            silent[-1].tolist(),
            began[-1].tolist(),
        )
        usual, after_jump = self._limits
        codes = np.where(stood >= np.where(jumped, after_jump, usual), STUCK, OK)
        return Watched(np.where(silent >= self._habits.silence, MISSING, codes).astype(np.int8), after, began)

    def _standing(
        self, values: Floats, before: Floats, heard: Flags, running: Flags, times: Ints
    ) -> tuple[Ints, Flags, Ints]:
        """For how many readings in running each value has stood (n, k), whether it had jumped there, and since when."""
        with np.errstate(invalid="ignore"):
            moved = np.abs(values - before)
        rests = moved <= self._habits.step
        began = _latest(heard & ~rests)
        new, source = began >= 0, np.maximum(began, 0)
        counted = np.cumsum(rests & running[:, None], axis=0, dtype=np.int64)
        stood = counted + np.where(new, 1 - np.take_along_axis(counted, source, axis=0), np.array(self.state.stood))
        leaps = np.take_along_axis(moved > self._habits.span, source, axis=0)
        jumped = np.where(new, leaps, np.array(self.state.jumped))
        return stood, jumped, np.where(new, times[source], np.array(self.state.began))


def _floats(values: Sequence[float | None]) -> Floats:
    return np.array([math.nan if value is None else value for value in values])


def _around(values: Floats, heard: Flags, last: Floats) -> tuple[Floats, Floats]:
    """The value heard before each row and the one heard up to it (n, k); NaN where there was none."""
    at = _latest(heard)
    after = np.where(at < 0, last, np.take_along_axis(values, np.maximum(at, 0), axis=0))
    return np.concatenate((last[None, :], after[:-1])), after


def _latest(flags: Flags) -> Ints:
    """Per row and channel the number of the latest row up to it that is flagged (n, k); -1 where there is none."""
    return np.asarray(np.maximum.accumulate(np.where(flags, np.arange(len(flags))[:, None], -1), axis=0))
