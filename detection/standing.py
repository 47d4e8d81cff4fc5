"""The channels that stand still: which are left out of the judgement, and what people are told about them.

A sensor that failed is left out and told. A channel that the machine itself holds still is judged on, and the machine's
alarm tells of it; only when that comes to nothing is it a sensor after all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detection.change import Change
from detection.culprit import Culprit, culprit
from detection.episode import Phase, Severity
from detection.judge import Judge
from detection.kinds import Alarm
from detection.model import Model
from detection.rows import Floats, Ints
from detection.sensor_alarm import SensorAlarm, Standing, explained
from detection.sensors import Flags
from detection.words import Teller


class StandingWatch:
    """Follows one machine's channels that stand still; `alarm` is all that it keeps."""

    def __init__(self, model: Model, teller: Teller) -> None:
        self.alarm = SensorAlarm()
        self._model, self._teller = model, teller
        # After so long a window is full of the value that stands: what it is to say about the machine, it says now.
        self._window_ms = model.settings.window * model.cadence_ms

    @property
    def idle(self) -> bool:
        """Does nothing stand still, nor has anything to be told of it?"""
        alarm = self.alarm
        return not (alarm.stuck or alarm.machines or alarm.told)

    @property
    def channels(self) -> list[int]:
        """All that stood still at the last row."""
        return [*self.alarm.stuck, *self.alarm.machines]

    @property
    def known(self) -> list[int]:
        """The channels that the alarm remembers: those that stand, and those that did lately."""
        return sorted({*self.channels, *self.alarm.lately})

    def left_out(self, stuck: Flags, began: Ints, at_ms: int, judge: Judge) -> Flags:
        """Before a row at `at_ms` is judged: which of the channels that are `stuck` there (k) are to be left out (k).

        `began` (k): since when each has stood.
        """
        standing = np.flatnonzero(stuck).tolist()
        self.alarm.machines = [
            channel
            for channel in standing
            if channel not in self.alarm.stuck
            and self._is_the_machine(channel, standing, int(began[channel]), at_ms, judge)
        ]
        out = stuck.copy()
        out[self.alarm.machines] = False
        return out

    def is_settled(self, left_out: Flags) -> bool:
        """Is there nothing to tell of those `left_out` (k), nor of the next rows while the same channels stand?"""
        alarm = self.alarm
        if alarm.machines or (alarm.told and not alarm.stuck):
            return False
        return np.flatnonzero(left_out).tolist() == sorted(alarm.stuck)

    def change(self, left_out: Flags, values: Floats, began: Ints, at_ms: int, row: int, judge: Judge) -> Change | None:
        """After that row (k), number `row` of its block, was judged: what there is to tell of those `left_out` (k)."""
        alarm = self.alarm
        phase = alarm.step(
            {at: Standing(float(values[at]), int(began[at])) for at in np.flatnonzero(left_out).tolist()}, at_ms
        )
        if phase is None:
            return None
        if phase is not Phase.CLEARED or alarm.explanation is None:
            alarm.explanation = explained(self._model, alarm.stuck, judge.scene, self._teller)
        return Change(
            phase=phase,
            row=row,
            severity=Severity.WARNING,
            score=1.0,
            peak_score=1.0,
            since_ms=alarm.since_ms,
            explanation=alarm.explanation,
            alarm=Alarm.SENSOR,
        )

    def _is_the_machine(self, channel: int, standing: Sequence[int], began_ms: int, at_ms: int, judge: Judge) -> bool:
        decisions = judge.decisions
        if channel in self.alarm.machines:
            return not decisions.idle or at_ms - began_ms <= self._window_ms
        found = culprit(channel, standing, began_ms, decisions, judge.questions, judge.scene)
        return found is not Culprit.SENSOR
