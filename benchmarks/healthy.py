"""False alarms: what the detector says about machines that have nothing."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.relearning import named_first
from benchmarks.watched import Emulated, Watch, regimes
from detection.change import Change
from detection.episode import Phase
from detection.fit import fit
from detection.kinds import Alarm
from detection.machine import Machine


class Raised(NamedTuple):
    """One alarm about a healthy machine: when (epoch s), of which kind, question and sensor, and how long it lasted.

    `regime`: 0 off, 1 the slowest speed, …; `since_s`: how long that set-point held.
    """

    at_s: int
    alarm: str
    question: str
    sensor: str
    peak: float
    regime: int
    since_s: int
    lasted_s: float


class Recorded(NamedTuple):
    """Alarms over the healthy hours of a recording, after learning from `learned` of its rows from `first` on."""

    first: int
    learned: int
    hours: float
    alarms: int


class Journal:
    """Collects what is raised and cleared, with what the machine did at that time."""

    def __init__(self, emulated: Emulated) -> None:
        self._raised: list[Raised] = []
        self._first_s, self._end_s = emulated.first_s, emulated.end_s
        self._regime, self._since_s = regimes(emulated)

    def note(self, watch: Watch) -> None:
        """Write down one stretch."""
        for change in watch.changes:
            at_s = int(watch.readings.times_ms[change.row]) // 1000
            if change.phase is Phase.RAISED:
                self._raised.append(self._entry(change, at_s))
            elif change.phase is Phase.CLEARED:
                self._close(change, at_s)

    def told(self) -> list[Raised]:
        """What was raised, in its order; one that is open lasts until the machine's end."""
        return [
            entry._replace(lasted_s=self._end_s - entry.at_s) if np.isnan(entry.lasted_s) else entry
            for entry in self._raised
        ]

    def _entry(self, change: Change, at_s: int) -> Raised:
        why, second = change.explanation, at_s - self._first_s
        return Raised(
            at_s,
            change.alarm.value,
            why.kind.value,
            named_first(change),
            change.peak_score,
            int(self._regime[second]),
            int(self._since_s[second]),
            np.nan,
        )

    def _close(self, change: Change, at_s: int) -> None:
        """The last open one of its kind; of sensors, that of the same sensor."""
        kind, sensor = change.alarm, named_first(change)
        for place in reversed(range(len(self._raised))):
            entry = self._raised[place]
            same = entry.alarm == kind.value and (kind is not Alarm.SENSOR or entry.sensor == sensor)
            if same and np.isnan(entry.lasted_s):
                self._raised[place] = entry._replace(lasted_s=at_s - entry.at_s, peak=change.peak_score)
                return


def recorded(data: Path, rows: int, starts: Sequence[int]) -> list[Recorded]:
    """SKAB's healthy run: learn from `rows` rows from each start, judge all that follow."""
    times, values, names = healthy_recording(data)
    found = []
    for first in starts:
        learn, after = slice(first, first + rows), slice(first + rows, None)
        machine = Machine.begun(fit(values[learn], times[learn], names).model)
        changes = machine.process(times[after], values[after].T, names)
        alarms = sum(change.phase is Phase.RAISED for change in changes)
        found.append(Recorded(first, rows, len(times[after]) / 3600, alarms))
    return found


def healthy_recording(data: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Times (n, epoch ms), values (n, k) and names (k) of `anomaly-free.csv` in the folder of SKAB."""
    with (data / "anomaly-free" / "anomaly-free.csv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    names = [name for name in rows[0] if name != "datetime"]
    moments = [datetime.fromisoformat(row["datetime"]).replace(tzinfo=UTC) for row in rows]
    times = np.array([round(moment.timestamp() * 1000) for moment in moments], dtype=np.int64)
    return times, np.array([[float(row[name]) for name in names] for row in rows]), names
