"""Watches one machine: readings in, changes of its state out. Row by row or in blocks: the same answer to the bit.

Late readings are skipped and counted; a hole in the data empties the window and never alarms by itself; the centre
follows healthy running.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, tzinfo
from itertools import pairwise

import numpy as np

from detection import state as memory
from detection.change import Change
from detection.episode import Phase
from detection.judge import Judge
from detection.model import Maturity, Model, sha256
from detection.order import cuts, in_order
from detection.regimes import RegimeGate
from detection.returning import ReturnWatch
from detection.rows import STEPS, Columns, Floats, Ints, arranged, in_steps, readings, scaled
from detection.running import Running, running_at
from detection.sensors import MISSING, OK, STUCK, SensorWatch, Watched
from detection.standing import StandingWatch
from detection.state import State
from detection.verdicts import Verdicts, unjudged_row
from detection.words import Teller

__all__ = ["Detector", "Running"]

# The number of the row in a block of one.
_FIRST = np.zeros(1, dtype=np.int64)


class Detector:
    """Judges `device` with `model`, going on from `state` when there is one.

    `units` (metric → unit) and `tz` are for the sentence that a person reads. A state that another model left hands
    over only what is open, with the sensors that stand still, and the position: its rows are in other units.
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
        self.judge = Judge(model, self._teller)
        self._gate = RegimeGate(model.regimes)
        self._return_watch = ReturnWatch(model.slow, len(model.metrics))
        self._sensor_watch, self._standing = SensorWatch(model.habits), StandingWatch(model, self._teller)
        self.health = [OK] * len(model.metrics)
        self._fingerprint = sha256(model.to_bytes())
        self.centre, self._deviation = np.asarray(model.centre), np.asarray(model.deviation)
        self.per_unit = STEPS / self._deviation
        # A hole as long as the window: what stands on its far side says nothing about now.
        self._gap_ms = model.settings.window * model.cadence_ms
        # How many windows in a row a hole has emptied before a row was judged.
        self._holes = 0
        self.place: int | None = None
        self.turns: list[int] = []
        if state is not None:
            self._resume(memory.from_bytes(state))

    @property
    def active(self) -> bool:
        """Is the machine outside its normal state?"""
        return self.judge.decisions.episode.active

    @property
    def score(self) -> float:
        """The last score there was; 1 is the limit."""
        return self.judge.score

    @property
    def running(self) -> Running:
        """Off, starting, running or learning, as `running_at` says."""
        return running_at(self.place, self.model, self._holes if self.warming else 0)

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
        return self.place if self._runs else None

    @property
    def warming(self) -> bool:
        """Is the window still filling, so that nothing is judged?"""
        return self.judge.warming

    def process(self, measured_at_ms: Sequence[int] | Ints, values: Columns, metrics: Sequence[str]) -> list[Change]:
        """Judge n readings in the order given: times (n), and per metric, in any order, a column of n values.

        NaN or None is a value that is missing. Raises: DetectionError when the columns do not fit.
        """
        times, rows = self.checked(measured_at_ms, values, metrics)
        if len(times) == 1:
            found = unjudged_row()
            if self.watch_row(rows, times, found):
                self.judge.judge_row(in_steps(rows[0], self.centre, self.per_unit), int(times[0]), found)
            return self.conclude(found)
        found = Verdicts([], np.full(len(times), np.nan), [])
        order = in_order(times, self.position_ms, self._gap_ms)
        self.position_ms, self.skipped = order.position_ms, self.skipped + order.late
        for number, places in enumerate(order.stretches):
            if number:
                self._interrupt()
            if len(places):
                self._watch(rows[places], times[places], places, found)
        return self.conclude(found)

    def checked(
        self, measured_at_ms: Sequence[int] | Ints, values: Columns, metrics: Sequence[str]
    ) -> tuple[Ints, Floats]:
        """Times (n) and rows (n, k) in the model's order. Raises: DetectionError when the columns do not fit."""
        times, columns = readings(measured_at_ms, values, metrics)
        return times, arranged(columns.T, metrics, self.model.metrics)

    def watch_row(self, values: Floats, times: Ints, found: Verdicts) -> bool:
        """Look at one row (1, k) and where it leaves the machine; True: `judge.judge_row` is still to be asked.

        A row in which every sensor works and speaks, of a machine that runs, is left to that; all others are judged.
        """
        at_ms, row = int(times[0]), values[0].tolist()
        if not self._is_next(at_ms):
            return False
        code = self._gate.step(row)
        running = 0 <= code < self.model.regimes.running
        health = self._sensor_watch.step(row, running, at_ms)
        if STUCK in health or not (self._standing.idle and self._return_watch.is_idle(code)):
            self._judge_all(values, times, _FIRST, np.array([code]), self._sensor_watch.now(health), found)
            return False
        self.health = health
        if code != self.place:
            self._enter(code)
        if not running:
            return False
        if not math.isnan(sum(row)):
            return True
        self.judge.judge(scaled(values, self.centre, self._deviation), times, _FIRST, None, found)
        return False

    def conclude(self, found: Verdicts) -> list[Change]:
        """Keep what was found of a block; returns its changes."""
        self.scores, self.turns = found.scores, found.turns
        if found.changes:
            ends = (change.row for change in found.changes if change.phase is not Phase.UPDATED)
            self.turns = sorted({*found.turns, *ends})
        return found.changes

    def leading(self) -> tuple[str, float] | None:
        """The sensor with the largest part in the last score, and its share (0 to 1); None while the window fills."""
        if self.warming:
            return None
        shares = self.judge.shares()
        channel = int(shares.argmax())
        return self.model.metrics[channel], float(shares[channel])

    def state(self) -> bytes:
        """All that the next reading's judgement depends on, to go on from in another process."""
        return memory.to_bytes(
            State(
                model=self._fingerprint,
                standing={at: self.model.metrics[at] for at in self._standing.known},
                position_ms=self.position_ms,
                skipped=self.skipped,
                holes=self._holes,
                place=self.place,
                gate=self._gate.state,
                returning=self._return_watch.state,
                sensor_watch=self._sensor_watch.state.dated(-(self.position_ms or 0)),
                sensor_alarm=self._standing.alarm,
                health=self.health,
                judge=self.judge.state(),
            )
        )

    def _resume(self, state: State) -> None:
        self.position_ms, self.skipped = state.position_ms, state.skipped
        state.check_sensors()
        self._sensor_watch.state = state.sensor_watch.dated(state.position_ms or 0)
        if state.model != self._fingerprint:
            self._take_over(state)
            return
        state.check(self.model)
        self._holes = state.holes
        self._gate.state = state.gate
        self._return_watch.state, self._standing.alarm = state.returning, state.sensor_alarm
        self.health = list(state.health)
        if state.place is not None:
            self._enter(state.place)
        self.judge.resume(state.judge)

    def _take_over(self, state: State) -> None:
        """From another model: the sensors that stand still, where they are watched here, and what is open."""
        places = {name: channel for channel, name in state.standing.items()}
        channels = [places.get(name) for name in self.model.metrics]
        self._sensor_watch.state = self._sensor_watch.state.arranged(channels)
        self._standing.alarm = state.sensor_alarm.renumbered(channels)
        self.health = [OK if channel is None else state.health[channel] for channel in channels]
        self.judge.take_over(state.judge)

    @property
    def _runs(self) -> bool:
        """Is the machine settled at a point at which it runs?"""
        return self.place is not None and 0 <= self.place < self.model.regimes.running

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

    def _interrupt(self) -> None:
        """A hole in the data: nobody knows what the machine did meanwhile."""
        self._holes = self._holes + 1 if self.warming else 1
        self._gate.interrupt()
        self._return_watch.interrupt()
        self.place = None
        self.judge.interrupt()

    def _watch(self, values: Floats, times: Ints, places: Ints, found: Verdicts) -> None:
        """Rows without a hole, operating point by operating point."""
        codes = self._gate.assign(values)
        running = (codes >= 0) & (codes < self.model.regimes.running)
        self._judge_all(values, times, places, codes, self._sensor_watch.watch(values, running, times), found)

    def _judge_all(
        self, values: Floats, times: Ints, places: Ints, codes: Ints, sensors: Watched, found: Verdicts
    ) -> None:
        """Judge rows without a hole, operating point by operating point, up to where a sensor fails or heals."""
        stuck, returning = sensors.codes == STUCK, self._return_watch.process(values, codes)
        rows, standing = scaled(values, self.centre, self._deviation), self._standing
        for begin, end in pairwise(cuts(codes, stuck, standing.channels)):
            self._enter(int(codes[begin]))
            stop = begin
            while stop < end:
                start = stop
                left_out = standing.left_out(stuck[start], sensors.began[start], int(times[start]), self.judge)
                stop = end if standing.is_settled(left_out) else start + 1
                part, at = slice(start, stop), stop - 1
                if self._runs:
                    self.judge.judge(rows[part], times[part], places[part], returning[part] | left_out, found)
                now = sensors.values[at], sensors.began[at], int(times[at])
                change = standing.change(left_out, *now, int(places[at]), self.judge)
                found.changes.extend([] if change is None else [change])
        self.health = sensors.codes[-1].tolist()

    def _enter(self, place: int) -> None:
        """The machine is at another operating point: what its window holds says nothing about now."""
        if place == self.place:
            return
        if self.place is not None:
            self.judge.interrupt()
        self.place = place
        if 0 <= place < self.model.regimes.running:
            self.judge.enter(place)
