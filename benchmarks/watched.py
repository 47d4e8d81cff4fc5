"""A machine of the emulated fleet, watched as the product does it, from its first reading on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.relearning import Learner, Trained
from detection.change import Change
from detection.machine import Machine
from edge.arrival import Arrived, arrived
from edge.duty import DutyPump
from edge.faults import Fault
from edge.metrics import METRICS, NAMES
from edge.schedule import DAY_S, HOUR_S

# Monday, 17 November 2025, 7 h: people add machines to a system in the morning, one every twenty minutes.
MONDAY_S = 20_409 * DAY_S
FIRST_S, NEXT_S = 7 * HOUR_S, 1200
# As much as is judged at once: half an hour, what an agent that catches up reads from the store.
BLOCK_S = 1800
UNITS = {metric.name: metric.unit for metric in METRICS}


class Emulated:
    """One machine of the fleet for `seconds`; its `number` in the fleet decides when it was added."""

    def __init__(self, seed: int, number: int, seconds: int) -> None:
        self.seed, self.pump = seed, DutyPump(seed)
        self.first_s = MONDAY_S + FIRST_S + number * NEXT_S
        self.end_s = self.first_s + seconds

    def readings(self, first_s: int, count: int, faults: Sequence[Fault] = ()) -> Arrived:
        """What arrives of these seconds."""
        return arrived(self.seed, first_s, self.pump.rows(first_s, count, faults))


class Watch(NamedTuple):
    """One stretch that was judged: its end (epoch s), what judges then, what it said, and of which readings."""

    end_s: int
    machine: Machine
    changes: list[Change]
    readings: Arrived


class Watched:
    """Goes through a machine's time; `again`: learns it anew whenever the product would."""

    def __init__(self, emulated: Emulated, learn_rows: int, *, again: bool = True) -> None:
        self._emulated, self._again = emulated, again
        # A reading or two in a hundred may be missing.
        self._learned_s = emulated.first_s + round(1.02 * learn_rows)
        self._learner = Learner(learn_rows)

    @property
    def trained(self) -> list[Trained]:
        """Every training so far."""
        return self._learner.trained

    def stretches(self, stops: Iterable[int] = ()) -> Iterator[Watch]:
        """What was judged, stretch by stretch, ending one at each of `stops` (epoch s) too."""
        ends = {*range(self._learned_s, self._emulated.end_s, BLOCK_S), self._emulated.end_s, *stops}
        machine, first_s = None, self._emulated.first_s
        for end_s in sorted(ends):
            seen = self._emulated.readings(first_s, end_s - first_s)
            first_s = end_s
            self._learner.store(seen)
            if machine is None:
                model = self._learner.first()
                machine = None if model is None else Machine.begun(model, units=UNITS)
                continue
            changes = machine.process(seen.times_ms, seen.values.T, NAMES)
            self._learner.note(seen, changes, machine)
            yield Watch(end_s, machine, changes, seen)
            if self._again and (model := self._learner.again()) is not None:
                machine = Machine.begun(model, units=UNITS, state=machine.state())


def regimes(emulated: Emulated) -> tuple[np.ndarray, np.ndarray]:
    """Of each second of its time: the set-point (0 off, 1 the slowest speed, …), and since when it holds (s)."""
    regime = emulated.pump.regime(emulated.first_s, emulated.end_s - emulated.first_s)
    seconds = np.arange(len(regime))
    changed = np.where(np.diff(regime, prepend=-1) != 0, seconds, 0)
    return regime, seconds - np.maximum.accumulate(changed)
