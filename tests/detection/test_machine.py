"""A detector with its watches beside it: one call, one state, all changes in the order of their rows."""

from __future__ import annotations

import numpy as np
import pytest

from detection.change import Change
from detection.detector import Detector
from detection.episode import Phase
from detection.errors import DetectionError
from detection.fit import fit
from detection.kinds import Alarm
from detection.limits import Limit
from detection.machine import Machine
from detection.rows import Floats
from tests.support.machines import DEVIATIONS, METRICS, START_MS, UNITS, detector, healthy, times

AFTER_MS = START_MS + 900_000
MODEL = detector().model
LIMITS = [Limit(metric="current_a", high=4.6), Limit(metric="motor_temperature_c", high=80.0)]


def machine(limits: list[Limit] | None = None, state: bytes | None = None) -> Machine:
    wanted = LIMITS if limits is None else limits
    return Machine.begun(MODEL, device="pump-07", units=UNITS, limits=wanted, state=state)


def ill(rows: int = 400, *, start: int = 100) -> Floats:
    values = healthy(900 + rows)[900:]
    values[start:, 1] += 8 * DEVIATIONS[1]
    return values


def play(watched: Machine | Detector, values: Floats, start: int = 0) -> list[Change]:
    return watched.process(times(len(values), start_ms=AFTER_MS + 1000 * start), values.T, METRICS)


def test_alarms_of_both_kinds_come_in_the_order_of_their_rows() -> None:
    watched = machine()
    changes = play(watched, ill())
    assert {change.alarm for change in changes} == {Alarm.ANOMALY, Alarm.LIMIT}
    assert [change.row for change in changes] == sorted(change.row for change in changes)
    assert watched.active
    assert watched.limits is not None
    assert watched.limits.active


def test_without_limits_it_is_the_detector_alone() -> None:
    alone, watched = Detector(MODEL, device="pump-07", units=UNITS), machine([])
    assert play(watched, ill()) == play(alone, ill())
    assert (watched.limits, watched.trend, watched.remaining) == (None, None, None)
    assert (watched.score, watched.active, watched.running) == (alone.score, alone.active, alone.running)
    np.testing.assert_array_equal(watched.scores, alone.scores)


def test_it_goes_on_from_its_state_and_from_that_of_a_detector_alone() -> None:
    whole = machine()
    expected = play(whole, ill())
    first = machine()
    found = play(first, ill()[:130])
    second = machine(state=first.state())
    found += play(second, ill()[130:], 130)
    assert [(change.alarm, change.phase, change.explanation) for change in found] == [
        (change.alarm, change.phase, change.explanation) for change in expected
    ]
    assert second.state() == whole.state()
    old = Detector(MODEL, device="pump-07", units=UNITS)
    play(old, ill())
    assert machine(state=old.state()).active == old.active
    assert machine(state=old.state()).detector.state() == old.state()


def test_limits_change_while_it_runs_and_what_stays_is_kept() -> None:
    watched = machine([])
    play(watched, ill())
    watched.limited_by(LIMITS)
    [change] = [change for change in play(watched, ill()[300:], 400) if change.alarm is Alarm.LIMIT]
    assert change.phase is Phase.RAISED
    kept = watched.limits
    watched.limited_by(list(LIMITS))
    assert watched.limits is kept
    watched.limited_by([])
    [change] = [change for change in play(watched, ill()[300:], 500) if change.alarm is Alarm.LIMIT]
    assert (change.phase, change.row) == (Phase.CLEARED, 0)


def test_the_past_of_the_trend_is_that_of_judged_rows() -> None:
    watched = machine()
    values = healthy(1200)[900:]
    play(watched, values)
    assert watched.trend is not None
    judged = np.flatnonzero(~np.isnan(watched.scores))
    alone = machine()
    assert alone.trend is not None
    alone.trend.process(times(300, start_ms=AFTER_MS)[judged], values.T[:, judged], METRICS)
    assert watched.trend.state() == alone.trend.state()


def test_a_machine_that_measures_rarely_gets_a_longer_gap() -> None:
    values = healthy(1200)[900:]
    values[:, 1] += 8
    rare = fit(healthy(900), times(900, step_ms=120_000), METRICS).model
    slow = Machine.begun(rare, limits=LIMITS)
    slow.process(times(300, start_ms=2 * START_MS, step_ms=120_000), values.T, METRICS)
    assert slow.limits is not None
    assert slow.limits.active


def test_bytes_that_are_no_state_are_refused() -> None:
    for payload in (b"garbage", b"ronda-machine-1\n", b"ronda-machine-1\n\x80garbage"):
        with pytest.raises(DetectionError):
            machine(state=payload)


def test_the_state_is_small() -> None:
    watched = machine()
    play(watched, ill())
    beside = len(watched.state()) - len(watched.detector.state())
    assert beside <= 8_000
