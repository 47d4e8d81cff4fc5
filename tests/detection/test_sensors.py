"""A sensor that stands still or says nothing is told from a machine that is ill."""

from __future__ import annotations

from datetime import UTC

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.errors import ModelError
from detection.regimes import RegimeGate
from detection.regimes_fit import learn_regimes
from detection.rows import Floats
from detection.sensor_words import told_of_all_sensors, told_of_sensor
from detection.sensors import MISSING, OK, STUCK, SensorHabits, SensorWatch, WatchState, learn_habits
from edge.faults import Fault, FaultKind, Stop
from edge.metrics import COLUMN, METRICS, NAMES
from edge.pump import Pump
from tests.support.recordings import recording

START_S, HOUR = 1_763_800_000, 3600
PARTS = ["anomaly-free/anomaly-free", *(f"valve2/{n}" for n in range(4)), *(f"other/{n}" for n in range(1, 8))]


def measured(seed: int, first: int, count: int, faults: list[Fault] | None = None, *stops: Stop) -> Floats:
    return np.array(Pump(seed).measure(START_S + first, count, faults or [], stops))


@pytest.fixture(scope="module")
def habits() -> SensorHabits:
    found = learn_habits(measured(1, 0, HOUR))
    found.check(len(NAMES))
    return found


@pytest.mark.parametrize("name", PARTS)
def test_no_sensor_of_the_rig_is_ever_called_stuck_or_missing_whatever_the_fault(name: str) -> None:
    values = recording(name).values
    assert not SensorWatch(learn_habits(values[:400])).process(values).any()


@pytest.mark.parametrize("seed", range(3))
def test_twelve_healthy_hours_of_an_emulated_pump_hold_no_stuck_sensor(seed: int) -> None:
    watch = SensorWatch(learn_habits(measured(seed, 0, HOUR)))
    assert not watch.process(measured(seed, HOUR, 12 * HOUR)).any()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", FaultKind)
def test_a_fault_of_the_machine_is_no_fault_of_a_sensor(kind: FaultKind, seed: int) -> None:
    faulty = measured(seed, HOUR, HOUR, [Fault(kind=kind, onset_s=START_S + HOUR + 600, ramp_s=20)])
    assert not SensorWatch(learn_habits(measured(seed, 0, HOUR))).process(faulty).any()


@pytest.mark.parametrize("channel", range(8))
def test_a_sensor_that_froze_is_stuck_and_no_other_is(habits: SensorHabits, channel: int) -> None:
    values = measured(1, HOUR, 300)
    values[100:, channel] = values[100, channel]
    values[250:, channel] = measured(1, 2 * HOUR, 50)[:, channel]
    codes = SensorWatch(habits).process(values)
    stuck = np.flatnonzero(codes[:, channel] == STUCK)
    assert 100 + 5 <= stuck[0] <= 100 + habits.patience[channel]
    assert stuck.tolist() == list(range(stuck[0], 250 + (values[249, channel] == values[250, channel])))
    assert not np.delete(codes, channel, axis=1).any()


@pytest.mark.parametrize("channel", range(8))
@pytest.mark.parametrize("end", ["zero", "full scale"])
def test_a_sensor_that_died_is_stuck_before_an_alarm_could_blame_the_machine(
    habits: SensorHabits, channel: int, end: str
) -> None:
    values = measured(1, HOUR, 200)
    values[100:, channel] = 0.0 if end == "zero" else METRICS[channel].high
    codes = SensorWatch(habits).process(values)
    assert np.flatnonzero(codes[:, channel])[0] <= 100 + 8


@pytest.mark.parametrize("channel", [0, 1, 2, 4, 6])
def test_a_channel_of_the_rig_that_hardly_repeats_itself_is_stuck_within_ten_rows(channel: int) -> None:
    values = recording("anomaly-free/anomaly-free").values[:3000].copy()
    found = learn_habits(values[:1800])
    values[2000:, channel] = values[2000, channel]
    assert np.flatnonzero(SensorWatch(found).process(values)[:, channel])[0] <= 2009


def test_a_channel_that_never_repeats_itself_is_stuck_within_eight_rows() -> None:
    rng = np.random.default_rng(0)
    assert max(learn_habits(rng.standard_normal((1800, 8))).patience) <= 8


def test_a_dead_input_that_only_carries_the_converters_noise_is_flat() -> None:
    rng = np.random.default_rng(1)
    values = 5 + rng.standard_normal((3000, 2))
    watch = SensorWatch(learn_habits(values[:2000]))
    values[2500:, 0] = 5 + 0.001 * rng.standard_normal(500)
    codes = watch.process(values)
    assert (codes[2520:, 0] == STUCK).mean() > 0.95
    assert not codes[:, 1].any()


@pytest.mark.parametrize("resolution", [0.1, 0.125, 0.15, 0.2, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_temperature_in_coarse_degrees_is_never_called_stuck(seed: int, resolution: float) -> None:
    columns = [COLUMN.motor_temperature, COLUMN.fluid_temperature]
    values = np.round(measured(seed, 0, 8 * HOUR)[:, columns] / resolution) * resolution
    assert not SensorWatch(learn_habits(values[:1800])).process(values).any()


def test_a_setpoint_is_never_called_stuck() -> None:
    rng = np.random.default_rng(2)
    steps = np.repeat(rng.integers(40, 60, 60), rng.integers(100, 900, 60)).astype(float)
    values = np.stack([steps, np.full_like(steps, 50.0), rng.standard_normal(len(steps))], axis=1)
    found = learn_habits(values[:1800])
    assert found.patience[:2] == [0, 0]
    assert not SensorWatch(found).process(values).any()


def test_a_machine_that_stands_still_has_no_stuck_sensors() -> None:
    healthy = measured(1, 0, HOUR)
    stop = Stop(begin_s=START_S + HOUR + 200, end_s=START_S + HOUR + 900)
    values = measured(1, HOUR, 1200, None, stop)
    running = RegimeGate(learn_regimes(healthy, 1000 * np.arange(HOUR))).assign(values) == 0
    found = learn_habits(healthy)
    assert not SensorWatch(found).process(values, running).any()
    assert SensorWatch(found).process(values).any()


def test_stops_in_the_healthy_rows_teach_no_patience(habits: SensorHabits) -> None:
    stops = [Stop(begin_s=START_S + 900, end_s=START_S + 1500), Stop(begin_s=START_S + 2000, end_s=START_S + 2300)]
    values = measured(1, 0, HOUR, None, *stops)
    running = RegimeGate(learn_regimes(values, 1000 * np.arange(HOUR))).assign(values) == 0
    learned = learn_habits(values, running).patience
    assert all(0 < mine <= usual + 12 for mine, usual in zip(learned, habits.patience, strict=True))


def test_a_stuck_sensor_stays_so_while_the_machine_stands(habits: SensorHabits) -> None:
    values = measured(1, HOUR, 200)
    values[50:, COLUMN.flow] = 118.2
    running = np.arange(200) < 100
    assert (SensorWatch(habits).process(values, running)[80:, COLUMN.flow] == STUCK).all()


def test_a_dropped_reading_is_nothing_and_silence_is_missing(habits: SensorHabits) -> None:
    values = measured(1, HOUR, 100)
    values[[10, 20, 21, 30], COLUMN.flow] = np.nan
    values[50:70, COLUMN.flow] = np.nan
    codes = SensorWatch(habits).process(values)
    assert np.flatnonzero(codes[:, COLUMN.flow] == MISSING).tolist() == list(range(54, 70))
    assert codes[70, COLUMN.flow] == OK


def test_a_sparse_sensor_is_not_missing_between_its_readings() -> None:
    values = measured(1, 0, HOUR)
    values[np.arange(HOUR) % 10 > 0, COLUMN.fluid_temperature] = np.nan
    found = learn_habits(values)
    assert not SensorWatch(found).process(values).any()
    values[1000:, COLUMN.fluid_temperature] = np.nan
    assert np.flatnonzero(SensorWatch(found).process(values)[:, COLUMN.fluid_temperature])[0] < 1040


readings = st.lists(
    st.tuples(*[st.sampled_from([0.0, 1.0, 1.0005, 2.0, 50.0, float("nan")])] * 3, st.booleans()),
    min_size=1,
    max_size=60,
)
SMALL = SensorHabits(patience=[4, 10, 0], step=[0.001, 0.0, 0.0], span=[3.0, 3.0, 0.0], silence=[3, 1, 5])


@settings(max_examples=200, deadline=None)
@given(rows=readings, cuts=st.lists(st.integers(0, 60), max_size=5))
def test_row_by_row_and_in_any_blocks_the_verdicts_are_the_same(rows: list[tuple[float, ...]], cuts: list[int]) -> None:
    values, running = np.array([row[:3] for row in rows]), np.array([bool(row[3]) for row in rows])
    single = SensorWatch(SMALL)
    codes = [single.step(row.tolist(), bool(on)) for row, on in zip(values, running, strict=True)]
    watch, places = SensorWatch(SMALL), sorted(cut for cut in cuts if cut <= len(rows))
    parts = zip(np.split(values, places), np.split(running, places), strict=True)
    assert np.concatenate([watch.process(part, on) for part, on in parts]).tolist() == codes
    assert watch.state == single.state


@settings(max_examples=100, deadline=None)
@given(rows=readings)
def test_a_watch_goes_on_from_its_state_at_every_cut(rows: list[tuple[float, ...]]) -> None:
    values = np.array([row[:3] for row in rows])
    whole, watch = SensorWatch(SMALL).process(values), SensorWatch(SMALL)
    for cut in range(len(values)):
        saved = msgspec.json.decode(msgspec.json.encode(watch.state), type=WatchState)
        assert SensorWatch(SMALL, saved).process(values[cut:]).tolist() == whole[cut:].tolist()
        watch.process(values[cut : cut + 1])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"step": [0.1]}, "3 channels"),
        ({"patience": [-1, 0, 0]}, "patience"),
        ({"silence": [0, 1, 1]}, "silence"),
        ({"span": [float("nan"), 0.0, 0.0]}, "finite"),
    ],
)
def test_habits_that_do_not_fit_are_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        msgspec.structs.replace(SMALL, **change).check(3)


def test_a_person_is_told_to_check_the_sensor_and_not_the_machine() -> None:
    told = told_of_sensor(
        STUCK, "flow_lpm", device="pump-1", since_ms=14 * HOUR * 1000 + 120_000, tz=UTC, value=118.2, unit="l/min"
    )
    assert told == {
        "en": "The flow sensor has shown exactly 118.2\u00a0l/min since 14:02 while the others vary: "
        "check the sensor, not the machine.",
        "pt": "O sensor de vazão mostra exatamente 118,2\u00a0l/min desde as 14:02, enquanto os outros variam: "
        "verifique o sensor, não a máquina.",
    }


def test_a_person_is_told_of_a_silent_sensor_and_of_readings_that_all_stand_still() -> None:
    silent = told_of_sensor(MISSING, "vibration_de_rms_g", device="pump-1", since_ms=0, tz=UTC)
    assert silent["en"].startswith("The vibration sensor at the drive end has sent nothing since 00:00")
    assert silent["pt"].startswith("O sensor de vibração no lado acoplado não envia nada")
    assert told_of_sensor(STUCK, "x9", device="pump-1", since_ms=0, tz=UTC, value=0.0)["en"].startswith(
        "The sensor “x9” has shown exactly 0 since"
    )
    every = told_of_all_sensors(device="pump-1", since_ms=0, tz=UTC)
    assert every["en"].startswith("No sensor of pump-1 has moved since 00:00")
    assert "leituras" in every["pt"]
