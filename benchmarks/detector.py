"""What the detector costs: CPU per reading, bytes of state per machine, memory of a process that scores.

On readings of an emulated pump at work (eight channels, gaps and wild values included), beside scikit-learn's isolation
forest and LOF in the same run. Times are of the processor: median of the rounds, with the least and the most.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor

from benchmarks.machine import described
from benchmarks.resident import beyond_numpy
from benchmarks.watched import UNITS, Emulated
from detection.change import Change
from detection.detector import Detector
from detection.episode import Phase
from detection.fit import fit
from detection.many import Block, process_many
from detection.model import Model
from edge.faults import Fault, FaultKind
from edge.metrics import NAMES
from edge.schedule import DAY_S

LEARNED = 1800
# Twenty messages of fifty readings: what an agent that is a little behind is given of one device.
BLOCK = 1000
SINGLES, MACHINES, EACH = 2000, 1000, 10
# A fault of this kind moves five of the eight sensors, so there is much to tell.
TOLD, TOLD_AFTER_S, TOLD_WITHIN_S = FaultKind.CAVITATION, 120, 90
# Neighbours and trees as scikit-learn's documentation recommends them; a forest's single row takes milliseconds.
NEIGHBOURS, TREES, PEER_SINGLES = 20, 100, 50

Score = Callable[[np.ndarray], np.ndarray]


class Subject(NamedTuple):
    """A learned model, the healthy rows it learned from, and n readings that follow: times (n), values (n, 8)."""

    emulated: Emulated
    model: Model
    healthy: np.ndarray
    times: np.ndarray
    values: np.ndarray

    def judged(self) -> Detector:
        """A detector that has seen one block."""
        detector = Detector(self.model, units=UNITS)
        detector.process(self.times[:BLOCK], self.values[:BLOCK].T, NAMES)
        return detector


def main(arguments: Sequence[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks detector", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args(arguments).rounds
    subject = prepared()
    print(f"{described()}; median of {rounds} rounds [least, most]\n  {'':<56}{'measured':<26}goal")
    mine: Sequence[tuple[str, Callable[[], float], str]] = (
        (f"µs a reading, in blocks of {BLOCK:,}", partial(batched, subject), "≤ 5"),
        ("µs a reading, one at a time", partial(single, subject, explained=False), ""),
        ("µs a reading, one at a time, leading sensor each time", partial(single, subject, explained=True), "≤ 30"),
        ("µs of the reading that raises an alarm, told in full", partial(raising, subject), ""),
        (f"µs a reading, one of each of {MACHINES:,} machines", partial(many, subject, together=False), ""),
        (f"µs a reading, {MACHINES:,} machines side by side", partial(many, subject, together=True), ""),
    )
    for title, measure, goal in mine:
        _print(title, [measure() for _ in range(rounds)], goal)
    for name, score in peers(subject.healthy):
        blocks, singles = ([peer(score, subject, size) for _ in range(rounds)] for size in (BLOCK, 1))
        _print(f"µs a reading, {name}, in blocks of {BLOCK:,}", blocks)
        _print(f"µs a reading, {name}, one at a time", singles)
    _print("bytes of state per machine", [len(subject.judged().state())], "≤ 20,000")
    _print("bytes of state with an open anomaly", [len(alarmed(subject).state())], "≤ 20,000")
    for machines in (1, MACHINES):
        memory = beyond_numpy(subject.model, subject.times[:BLOCK], subject.values[:BLOCK], machines)
        _print(f"MB of a process beyond NumPy's own, machines: {machines:,}", memory, "≤ 60")


def prepared() -> Subject:
    """Machine 0 of the emulated fleet, which always runs, and its readings after those learned from."""
    emulated = Emulated(seed=0, number=0, seconds=DAY_S)
    healthy = emulated.readings(emulated.first_s, LEARNED)
    model = fit(healthy.values, healthy.times_ms, list(NAMES)).model
    after = emulated.readings(emulated.first_s + LEARNED, 21 * BLOCK)
    whole = healthy.values[np.isfinite(healthy.values).all(axis=1)]
    return Subject(emulated, model, whole, after.times_ms, after.values)


def batched(subject: Subject) -> float:
    """µs a reading in blocks."""
    detector, starts = subject.judged(), range(BLOCK, len(subject.times) - BLOCK, BLOCK)
    began = time.process_time()
    for start in starts:
        detector.process(subject.times[start : start + BLOCK], subject.values[start : start + BLOCK].T, NAMES)
    return (time.process_time() - began) / (len(starts) * BLOCK) * 1e6


def single(subject: Subject, *, explained: bool) -> float:
    """µs a reading, each judged as it comes."""
    detector, rows = subject.judged(), range(BLOCK, BLOCK + SINGLES)
    began = time.process_time()
    for row in rows:
        detector.process(subject.times[row : row + 1], subject.values[row : row + 1].T, NAMES)
        if explained:
            detector.leading()
    return (time.process_time() - began) / len(rows) * 1e6


def many(subject: Subject, *, together: bool) -> float:
    """µs a reading, ten of each of many machines, all of which have judged a reading since they were begun."""
    state = subject.judged().state()
    detectors = [Detector(subject.model, units=UNITS, state=state) for _ in range(MACHINES)]
    blocks = [
        Block(subject.times[row : row + 1], subject.values[row : row + 1].T, NAMES)
        for row in range(BLOCK, BLOCK + EACH + 1)
    ]
    process_many(detectors, blocks[:1] * MACHINES)
    began = time.process_time()
    for block in blocks[1:]:
        if together:
            process_many(detectors, [block] * MACHINES)
        else:
            for detector in detectors:
                detector.process(*block)
    return (time.process_time() - began) / (MACHINES * EACH) * 1e6


def raising(subject: Subject) -> float:
    """µs of the one reading that raises: contributions, what was seen against what was expected, and sentences."""
    return next(took for took, changes in _with_fault(subject, subject.judged()) if changes)


def alarmed(subject: Subject) -> Detector:
    """A detector with an open anomaly."""
    detector = subject.judged()
    next(changes for _, changes in _with_fault(subject, detector) if changes)
    return detector


def peers(healthy: np.ndarray) -> Iterator[tuple[str, Score]]:
    """scikit-learn's two, fitted on the same healthy rows; they judge single rows without a memory."""
    forest: Any = IsolationForest(n_estimators=TREES, random_state=0).fit(healthy)
    yield "isolation forest", forest.score_samples
    neighbours: Any = LocalOutlierFactor(n_neighbors=NEIGHBOURS, novelty=True).fit(healthy)
    yield "LOF", neighbours.score_samples


def peer(score: Score, subject: Subject, block: int) -> float:
    """µs a reading of another detector."""
    values = subject.values[np.isfinite(subject.values).all(axis=1)]
    count = BLOCK if block > 1 else PEER_SINGLES
    began = time.process_time()
    for start in range(0, count, block):
        score(values[start : start + block])
    return (time.process_time() - began) / count * 1e6


def _with_fault(subject: Subject, detector: Detector) -> Iterator[tuple[float, list[Change]]]:
    """Row by row into a fault: µs of each, and the alarms it raised."""
    begin_s = int(subject.times[BLOCK - 1]) // 1000 + 1
    fault = Fault(kind=TOLD, onset_s=begin_s + TOLD_AFTER_S, ramp_s=4)
    seen = subject.emulated.readings(begin_s, TOLD_AFTER_S + TOLD_WITHIN_S, [fault])
    for row in range(len(seen.times_ms)):
        began = time.process_time()
        changes = detector.process(seen.times_ms[row : row + 1], seen.values[row : row + 1].T, NAMES)
        yield (time.process_time() - began) * 1e6, [c for c in changes if c.phase is Phase.RAISED]


def _print(title: str, found: Sequence[float], goal: str = "") -> None:
    form = "{:,.0f}" if min(found) >= 100 else "{:.1f}"
    middle, least, most = (form.format(value) for value in (statistics.median(found), min(found), max(found)))
    print(f"  {title:<56}{middle + (f' [{least}, {most}]' if len(found) > 1 else ''):<26}{goal}", flush=True)
