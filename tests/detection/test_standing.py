"""A channel that stands still: a sensor's fault where nothing else speaks for the machine, else the machine's."""

from __future__ import annotations

import functools

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.change import Change
from detection.detector import Detector
from detection.episode import Phase
from detection.fit import fit
from detection.kinds import Alarm
from detection.model import Model
from detection.rows import Floats
from tests.support.machines import CENTRES, DEVIATIONS, METRICS, START_MS, UNITS, detector, healthy, play, times

AFTER_MS = START_MS + 900_000
CURRENT, PRESSURE = 1, 2
FULL_SCALE = 10.0
MODEL = detector().model


def running(rows: int = 400) -> Floats:
    return healthy(900 + rows)[900:]


def closed(at: float, *, start: int = 100, stop: int = 300, rows: int = 400) -> Floats:
    """The pressure stands at a value from one row on, and the current goes with it."""
    values = running(rows)
    values[start:stop, PRESSURE] = at
    values[start:stop, CURRENT] -= 8 * DEVIATIONS[CURRENT]
    return values


def told(changes: list[Change]) -> list[tuple[Alarm, Phase]]:
    return [(change.alarm, change.phase) for change in changes]


@pytest.mark.parametrize("at", [0.0, FULL_SCALE])
def test_a_value_at_the_end_of_its_scale_that_others_went_with_is_the_machines_fault(at: float) -> None:
    changes = play(detector(), closed(at))
    assert {change.alarm for change in changes} == {Alarm.ANOMALY}
    assert (changes[0].phase, changes[-1].phase) == (Phase.RAISED, Phase.CLEARED)
    assert changes[0].row < 120
    assert changes[0].explanation.sensors[0].name == "pressure_bar"
    assert "motor current" in changes[0].explanation.sentence["en"]
    assert changes[-1].row > 300


def test_what_went_to_zero_over_some_seconds_was_on_its_way_before_it_stood() -> None:
    values = running()
    values[100:140, PRESSURE] *= np.linspace(1, 0, 40)
    values[140:300, PRESSURE] = 0.0
    changes = play(detector(), values)
    assert {change.alarm for change in changes} == {Alarm.ANOMALY}
    assert changes[-1].phase is Phase.CLEARED
    assert changes[-1].row > 300


def test_a_machine_that_measures_rarely_keeps_the_alarm_that_its_closed_valve_raised() -> None:
    rare, values = detector().model, running()
    slow = Detector(msgspec.structs.replace(rare, cadence_ms=10_000))
    values[100:300, PRESSURE] = 0.0
    changes = play(slow, values, step_ms=10_000)
    assert told(changes)[0] == (Alarm.ANOMALY, Phase.RAISED)
    assert all(change.row > 300 for change in changes if change.phase is Phase.CLEARED)


def test_a_sensor_that_dies_while_the_machine_has_another_fault_is_a_sensor() -> None:
    values = running(600)
    values[100:, 0] += 8 * DEVIATIONS[0]
    values[300:, PRESSURE] = 0.0
    watcher = detector()
    changes = play(watcher, values)
    assert told(changes)[-1] == (Alarm.SENSOR, Phase.RAISED)
    assert all(change.explanation.sensors[0].name == METRICS[0] for change in changes if change.alarm is Alarm.ANOMALY)
    assert watcher.active


def test_a_sensor_that_froze_where_it_was_is_a_sensor_whatever_the_machine_does() -> None:
    values = running()
    values[100:, PRESSURE] = CENTRES[PRESSURE]
    values[100:, 0] += 8 * DEVIATIONS[0]
    found = told(play(detector(), values))
    assert (Alarm.SENSOR, Phase.RAISED) in found
    assert (Alarm.ANOMALY, Phase.RAISED) in found


def test_it_is_told_since_when_the_sensor_stands_still() -> None:
    values = running()
    values[100:, PRESSURE] = values[100, PRESSURE]
    values[200:, CURRENT] = values[200, CURRENT]
    for blocks in (1, 400):
        watcher, changes = detector(), []
        for start in np.array_split(np.arange(400), blocks):
            changes += play(watcher, values[start], start_ms=AFTER_MS + 1000 * int(start[0]))
        raised, updated = changes
        assert (raised.phase, raised.since_ms) == (Phase.RAISED, AFTER_MS + 100_000)
        assert raised.explanation.since_ms == AFTER_MS + 100_000
        assert (updated.phase, updated.since_ms) == (Phase.UPDATED, AFTER_MS + 100_000)


def test_all_sensors_stand_since_the_last_of_them_does() -> None:
    values = running()
    values[100:, 1:] = values[100, 1:]
    values[200:, 0] = values[200, 0]
    change = play(detector(), values)[-1]
    assert len(change.explanation.sensors) == 4
    assert change.explanation.since_ms == AFTER_MS + 200_000


@functools.cache
def another(*, without: str = "") -> Model:
    """A model of the same machine, its channels in another order."""
    order = [at for at in (3, 2, 0, 1) if METRICS[at] != without]
    return fit(healthy(900, 2)[:, order], times(900), [METRICS[at] for at in order]).model


def frozen(rows: int = 100) -> tuple[Detector, Floats]:
    """A detector that told of a pressure sensor that stands still, and what comes next."""
    values = running(rows + 300)
    values[50 : rows + 100, PRESSURE] = values[50, PRESSURE]
    watcher = detector()
    assert told(play(watcher, values[:rows])) == [(Alarm.SENSOR, Phase.RAISED)]
    return watcher, values[rows:]


def test_the_alarm_about_a_sensor_goes_on_with_the_next_model_and_clears_when_it_moves() -> None:
    old, values = frozen()
    new = Detector(another(), state=old.state())
    assert new.sensors == {"pressure_bar": "stuck"}
    assert play(new, values[:100], start_ms=AFTER_MS + 100_000) == []
    assert new.sensors == {"pressure_bar": "stuck"}
    (change,) = play(new, values[100:], start_ms=AFTER_MS + 200_000)
    assert (change.alarm, change.phase, change.row) == (Alarm.SENSOR, Phase.CLEARED, 0)
    assert change.explanation.sensors[0].name == "pressure_bar"


def test_the_alarm_about_a_sensor_that_the_next_model_does_not_know_clears_with_its_first_row() -> None:
    old, values = frozen()
    for blocks in (1, 100):
        new, changes = Detector(another(without="pressure_bar"), state=old.state()), []
        for rows in np.array_split(np.arange(100), blocks):
            found = play(new, values[rows], start_ms=AFTER_MS + 100_000 + 1000 * int(rows[0]))
            changes += [(change.alarm, change.phase, change.row + int(rows[0])) for change in found]
        assert changes == [(Alarm.SENSOR, Phase.CLEARED, 0)]


@st.composite
def stories(draw: st.DrawFn) -> tuple[np.ndarray, Floats, list[int]]:
    """Channels that go to an end of their scale, at once or slowly, with others or alone; holes; where to cut."""
    rows, rng = draw(st.integers(150, 400)), np.random.default_rng(draw(st.integers(0, 2**16)))
    values = healthy(900 + rows, seed=int(rng.integers(0, 1000)))[900:]
    for _ in range(draw(st.integers(1, 2))):
        start, length = int(rng.integers(70, rows)), int(rng.integers(5, 150))
        channel, with_it = rng.choice(4, 2, replace=False)
        values[start : start + length, channel] = rng.choice([0.0, 2 * CENTRES[channel], CENTRES[channel]])
        if rng.random() < 0.7:
            values[start : start + length, with_it] += rng.normal(0, 12) * DEVIATIONS[with_it]
        ramp = slice(max(0, start - int(rng.integers(1, 40))), start)
        if rng.random() < 0.4:
            values[ramp, channel] = np.linspace(CENTRES[channel], values[start, channel], ramp.stop - ramp.start)
    values[rng.random(values.shape) < rng.choice([0.0, 0.01])] = np.nan
    steps = rng.choice([1000, 5000, 60_000], rows, p=[0.985, 0.01, 0.005])
    return AFTER_MS + np.cumsum(steps), values, sorted(draw(st.sets(st.integers(0, rows), max_size=12)))


@settings(max_examples=60, deadline=None)
@given(stories())
def test_what_stands_still_is_judged_the_same_row_by_row_in_blocks_and_restored(
    story: tuple[np.ndarray, Floats, list[int]],
) -> None:
    at, values, cuts = story
    whole = Detector(MODEL, units=UNITS)
    expected = whole.process(at, values.T, METRICS)
    for edges, restored in ((cuts, True), (list(range(len(at))), False)):
        watcher, found, scores = Detector(MODEL, units=UNITS), [], []
        for start, stop in zip([0, *edges], [*edges, len(at)], strict=True):
            changes = watcher.process(at[start:stop], values[start:stop].T, METRICS)
            found += [msgspec.structs.replace(change, row=change.row + start) for change in changes]
            scores.append(watcher.scores)
            if restored:
                watcher = Detector(MODEL, units=UNITS, state=watcher.state())
        assert found == expected
        np.testing.assert_array_equal(np.concatenate(scores), whole.scores)
        assert watcher.state() == whole.state()
