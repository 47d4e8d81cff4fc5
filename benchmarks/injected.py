"""Found faults: each kind at its documented size, on machines at work, at every speed that they run at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from benchmarks.relearning import named_first
from benchmarks.watched import UNITS, Emulated, Watch, regimes
from detection.change import Change
from detection.episode import Phase
from detection.kinds import Alarm
from detection.machine import Machine
from edge.arrival import Arrived
from edge.faults import Fault, FaultKind
from edge.metrics import NAMES
from edge.schedule import HOUR_S
from edge.signatures import LOOK_FIRST

# How fast a fault grows to its size (s): it breaks out, as in the demonstration; it develops, as one that is told to a
# running pump; it creeps, as one planned in a fleet's file.
RAMPS_S = (4, 30, 300)
# A fault is tried while a speed has held for two minutes and still holds for seven; it is watched until the speed
# changes or for a quarter of an hour.
SETTLED_S, STAYS_S, WATCHED_S = 120, 420, 900
# The first trial comes three hours after the machine was added: it has learned for half an hour and was watched since.
ALONE_S = 3 * HOUR_S


class Trial(NamedTuple):
    """One fault: delays from its onset and from its full size (s; NaN: not found), and the sensor named first.

    `busy`: an alarm was open already, so that nothing can be said.
    """

    kind: FaultKind
    ramp_s: int
    pattern: str
    regime: int
    onset_s: int
    busy: bool
    delay_s: float
    question: str
    sensor: str

    @property
    def found(self) -> bool:
        """Was it raised while the fault was there?"""
        return not np.isnan(self.delay_s)

    @property
    def after_full_s(self) -> float:
        """Delay from the full size; below 0 when it was raised while it still grew."""
        return self.delay_s - self.ramp_s

    @property
    def right(self) -> bool:
        """Was one of the sensors named first at which a technician would look?"""
        return self.sensor in LOOK_FIRST[self.kind]


class Onset(NamedTuple):
    """When a fault begins and its watch ends (epoch s), and at which speed the machine runs meanwhile."""

    begin_s: int
    end_s: int
    regime: int


def onsets(emulated: Emulated, each: int) -> list[Onset]:
    """`each` times in every speed it runs at, drawn by its seed from its time after the first hours."""
    regime, since_s = regimes(emulated)
    second = np.arange(len(regime))
    changes = np.append(np.flatnonzero(np.diff(regime)) + 1, len(regime))
    until_s = changes[np.searchsorted(changes, second, side="right")] - second
    fit = (since_s >= SETTLED_S) & (until_s >= STAYS_S) & (second >= ALONE_S)
    draw, found = np.random.default_rng([emulated.seed, 1]), list[Onset]()
    for speed in np.unique(regime[regime > 0]):
        places = np.flatnonzero(fit & (regime == speed))
        for at in draw.choice(places, size=min(each, len(places)), replace=False):
            onset_s = emulated.first_s + int(at)
            found.append(Onset(onset_s, onset_s + int(min(until_s[at], WATCHED_S)), int(speed)))
    return sorted(found)


def trials(emulated: Emulated, watch: Watch, onset: Onset) -> Iterator[Trial]:
    """Every fault from the end of `watch` on, judged by what goes on from there."""
    state, busy, model = watch.machine.state(), watch.machine.active, watch.machine.model
    for kind in FaultKind:
        for ramp_s in RAMPS_S:
            fault = Fault(kind=kind, onset_s=onset.begin_s, ramp_s=ramp_s)
            seen = emulated.readings(onset.begin_s, onset.end_s - onset.begin_s, [fault])
            changes = Machine.begun(model, units=UNITS, state=state).process(seen.times_ms, seen.values.T, NAMES)
            told = _first(changes, seen, onset.begin_s)
            yield Trial(kind, ramp_s, emulated.pump.pattern.value, onset.regime, onset.begin_s, busy, *told)


def _first(changes: list[Change], seen: Arrived, onset_s: int) -> tuple[float, str, str]:
    """The first alarm about the machine: its delay (s), the question that was answered and the sensor named first."""
    for change in changes:
        if change.phase is Phase.RAISED and change.alarm is Alarm.ANOMALY:
            delay_s = int(seen.times_ms[change.row]) / 1000 - onset_s
            return delay_s, change.explanation.kind.value, named_first(change)
    return np.nan, "", ""
