"""Watches one machine: readings in, changes of its state out. Row by row or in blocks: the same answer to the bit.

Late readings are skipped and counted; a hole in the data empties the window and never alarms by itself; the centre
follows healthy running.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, tzinfo
from itertools import pairwise

import numpy as np

from detection import state as memory
from detection.change import Change
from detection.episode import Phase, Severity
from detection.errors import DetectionError
from detection.judge import Judge, Verdicts
from detection.kinds import Alarm
from detection.model import Maturity, Model, sha256
from detection.regimes import STARTING, UNSEEN, RegimeGate
from detection.returning import ReturnWatch
from detection.rows import STEPS, Floats, Ints, arranged, scaled, scaled_row
from detection.sensor_alarm import SensorAlarm, explained
from detection.sensors import MISSING, OK, STUCK, Codes, Flags, SensorWatch
from detection.state import State
from detection.words import Teller

Columns = Sequence[Sequence[float | None]] | Floats

# The number of the row in a block of one.
_FIRST = np.zeros(1, dtype=np.int64)


class Running(enum.StrEnum):
    """What the machine is doing."""

    OFF = "off"
    STARTING = "starting"
    RUNNING = "running"
    LEARNING = "learning"


# At a speed that was never seen there is nothing to judge by until it has been learned.
_PLACES: dict[int | None, Running] = {STARTING: Running.STARTING, UNSEEN: Running.LEARNING}


class Detector:
    """Judges `device` with `model`, going on from `state` when there is one.

    `units` (metric → unit) and `tz` are for the sentence that a person reads. A state that another model left hands
    over only the open anomaly and the position: its rows are in other units.
    Of the last block processed, `scores` (n) are NaN where a row was not judged, and `turns` the rows at which the
    machine began to run differently: alarms raised and cleared, and shifts between two neighbouring half minutes.
    `skipped` counts late rows.

    Raises: DetectionError for a state that is none.
    """

    def __init__(
        self,
        model: Model,
        *,
        device: str = "this machine",
        units: Mapping[str, str] | None = None,
        tz: tzinfo = UTC,
        state: bytes | None = None,
    ) -> None:
        self.model = model
        self.scores: Floats = np.empty(0)
        self.position_ms: int | None = None
        self.skipped = 0
        self._teller = Teller(device, units or {}, tz)
        self._judge = Judge(model, self._teller)
        self._gate = RegimeGate(model.regimes)
        self._return_watch = ReturnWatch(model.slow, len(model.metrics))
        self._sensor_watch, self._sensor_alarm = SensorWatch(model.habits), SensorAlarm()
        self.health = [OK] * len(model.metrics)
        self._fingerprint = sha256(model.to_bytes())
        self._centre, self._deviation = np.asarray(model.centre), np.asarray(model.deviation)
        self._per_unit = (STEPS / self._deviation).tolist()
        # A hole as long as the window: what stands on its far side says nothing about now.
        self._gap_ms = model.settings.window * model.cadence_ms
        self.place: int | None = None
        self.turns: list[int] = []
        if state is not None:
            self._resume(memory.from_bytes(state))

    @property
    def active(self) -> bool:
        """Is the machine outside its normal state?"""
        return self._judge.decisions.episode.active

    @property
    def score(self) -> float:
        """The last score there was; 1 is the limit."""
        return self._judge.score

    @property
    def running(self) -> Running:
        """Off, starting (or changing speed, or stopping), running, or learning: running as never seen before."""
        if self.place is not None and self.place == self.model.regimes.off:
            return Running.OFF
        return _PLACES.get(self.place, Running.RUNNING)

    @property
    def sensors(self) -> dict[str, str]:
        """The sensors that cannot be relied on: name → "stuck" or "missing"."""
        words = {STUCK: "stuck", MISSING: "missing"}
        return {self.model.metrics[at]: words[code] for at, code in enumerate(self.health) if code in words}

    @property
    def maturity(self) -> Maturity:
        """How far the model can be trusted."""
        return self.model.maturity

    @property
    def regime(self) -> int | None:
        """The number of the operating point the machine runs at, the slowest first; None when it does not run."""
        return self.place if self.running is Running.RUNNING else None

    @property
    def warming(self) -> bool:
        """Is the window still filling, so that nothing is judged?"""
        return self._judge.warming

    def process(self, measured_at_ms: Sequence[int] | Ints, values: Columns, metrics: Sequence[str]) -> list[Change]:
        """Judge n readings in the order given: times (n), and per metric, in any order, a column of n values.

        NaN or None is a value that is missing. Raises: DetectionError when the columns do not fit.
        """
        times = np.asarray(measured_at_ms, dtype=np.int64)
        columns = np.asarray(values, dtype=np.float64)
        if columns.shape != (len(metrics), len(times)):
            raise DetectionError(f"{len(metrics)} metrics at {len(times)} times do not fit columns of {columns.shape}")
        arrangement = arranged(columns.T, metrics, self.model.metrics)
        found = Verdicts([], np.full(len(times), np.nan), [])
        if len(times) == 1:
            self._one(arrangement, times, found)
        else:
            for places in self._stretches(times):
                self._watch(arrangement[places], times[places], np.arange(len(times))[places], found)
        self.scores, self.turns = found.scores, found.turns
        if found.changes:
            ends = (change.row for change in found.changes if change.phase is not Phase.UPDATED)
            self.turns = sorted({*found.turns, *ends})
        return found.changes

    def leading(self) -> tuple[str, float] | None:
        """The sensor with the largest part in the last score, and its share (0 to 1); None while the window fills."""
        if self.warming:
            return None
        shares = self._judge.shares()
        channel = int(np.argmax(shares))
        return self.model.metrics[channel], float(shares[channel])

    def state(self) -> bytes:
        """All that the next reading's judgement depends on, to go on from in another process."""
        return memory.to_bytes(
            State(
                model=self._fingerprint,
                position_ms=self.position_ms,
                skipped=self.skipped,
                place=self.place,
                gate=self._gate.state,
                returning=self._return_watch.state,
                sensor_watch=self._sensor_watch.state,
                sensor_alarm=self._sensor_alarm,
                health=self.health,
                judge=self._judge.state(),
            )
        )

    def _resume(self, state: State) -> None:
        self.position_ms, self.skipped = state.position_ms, state.skipped
        if state.model != self._fingerprint:
            self._judge.take_over(state.judge)
            return
        self._gate.state, self._sensor_watch.state = state.gate, state.sensor_watch
        self._return_watch.state, self._sensor_alarm = state.returning, state.sensor_alarm
        self.health = list(state.health)
        if state.place is not None:
            self._enter(state.place)
        self._judge.resume(state.judge)

    def _one(self, values: Floats, times: Ints, found: Verdicts) -> None:
        """A block of one row (1, k): the same, without looking for what only several rows can have."""
        at_ms, row = int(times[0]), values[0].tolist()
        if not self._is_next(at_ms):
            return
        code = self._gate.step(row)
        running = 0 <= code < self.model.regimes.running
        health = self._sensor_watch.step(row, running)
        usual = STUCK not in health and not self._sensor_alarm.stuck and self._return_watch.is_idle(code)
        if not usual or any(map(math.isnan, row)):
            self._judge_all(values, times, _FIRST, np.array([code]), np.array([health], dtype=np.int8), found)
            return
        self.health = health
        self._enter(code)
        if running:
            self._judge.judge_row(scaled_row(row, self.model.centre, self._per_unit), at_ms, found)

    def _is_next(self, at_ms: int) -> bool:
        """Take note of one row's time; False when it is late."""
        position = at_ms if self.position_ms is None else self.position_ms
        if at_ms < position:
            self.skipped += 1
            return False
        if at_ms - position > self._gap_ms:
            self._interrupt()
        self.position_ms = at_ms
        return True

    def _stretches(self, times: Ints) -> Iterator[Ints | slice]:
        """Places in the block of the rows that are not late, stretch by stretch between the holes in the data."""
        if not len(times):
            return
        position = int(times[0]) if self.position_ms is None else self.position_ms
        steps = np.diff(times, prepend=position)
        if steps.min() >= 0 and steps.max() <= self._gap_ms:
            self.position_ms = int(times[-1])
            yield slice(0, len(times))
            return
        front = np.maximum.accumulate(np.concatenate(([position], times)))
        kept = np.flatnonzero(times >= front[:-1])
        self.skipped += len(times) - len(kept)
        self.position_ms = int(front[-1])
        holes = np.flatnonzero(np.diff(times[kept], prepend=position) > self._gap_ms)
        for number, stretch in enumerate(np.split(kept, holes)):
            if number:
                self._interrupt()
            if len(stretch):
                yield stretch

    def _interrupt(self) -> None:
        """A hole in the data: nobody knows what the machine did meanwhile."""
        self._gate.interrupt()
        self._return_watch.interrupt()
        self.place = None
        self._judge.interrupt()

    def _watch(self, values: Floats, times: Ints, places: Ints, found: Verdicts) -> None:
        """Rows without a hole, operating point by operating point."""
        codes = self._gate.assign(values)
        health = self._sensor_watch.process(values, (codes >= 0) & (codes < self.model.regimes.running))
        self._judge_all(values, times, places, codes, health, found)

    def _judge_all(
        self, values: Floats, times: Ints, places: Ints, codes: Ints, health: Codes, found: Verdicts
    ) -> None:
        stuck = health == STUCK
        withheld = stuck | self._return_watch.process(values, codes)
        rows = scaled(values, self._centre, self._deviation)
        for start, stop in pairwise(self._edges(codes, stuck)):
            part = slice(start, stop)
            self._enter(int(codes[start]))
            if self.running is Running.RUNNING:
                self._judge.judge(rows[part], times[part], places[part], withheld[part], found)
            at = stop - 1
            found.changes.extend(self._sensor_change(stuck[at], values[at], int(times[at]), int(places[at])))
        self.health = health[-1].tolist()

    def _edges(self, codes: Ints, stuck: Flags) -> list[int]:
        """Where the rows are cut: before another operating point, and after each row where a sensor fails or heals."""
        cuts = {0, len(codes)}
        if len(codes) > 1:
            cuts |= set((np.flatnonzero(np.diff(codes)) + 1).tolist())
        if self._sensor_alarm.stuck or stuck.any():
            before = np.zeros(stuck.shape[1], dtype=bool)
            before[list(self._sensor_alarm.stuck)] = True
            turned = (np.concatenate((before[None, :], stuck[:-1])) != stuck).any(axis=1)
            cuts |= set((np.flatnonzero(turned) + 1).tolist())
        return sorted(cuts)

    def _sensor_change(self, stuck: Flags, values: Floats, at_ms: int, place: int) -> Iterator[Change]:
        """A sensor begins to stand still at the row just judged, or moves again."""
        alarm = self._sensor_alarm
        phase = alarm.step({channel: float(values[channel]) for channel in np.flatnonzero(stuck).tolist()}, at_ms)
        if phase is None:
            return
        if phase is not Phase.CLEARED or alarm.explanation is None:
            alarm.explanation = explained(self.model, alarm.stuck, self._judge.scene, self._teller, at_ms)
        yield Change(
            phase=phase,
            row=place,
            severity=Severity.WARNING,
            score=1.0,
            peak_score=1.0,
            since_ms=alarm.since_ms,
            explanation=alarm.explanation,
            alarm=Alarm.SENSOR,
        )

    def _enter(self, place: int) -> None:
        """The machine is at another operating point: what its window holds says nothing about now."""
        if place == self.place:
            return
        if self.place is not None:
            self._judge.interrupt()
        self.place = place
        if 0 <= place < self.model.regimes.running:
            self._judge.enter(place)
