"""A machine at work: the same second always reads the same, off is really off, and what drifts stays harmless."""

from __future__ import annotations

import json
import time
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.memory import MemoryBroker
from edge.clock import SystemClock
from edge.duty import FOULING, DutyPump
from edge.fleet import power_up
from edge.member import read_fleet
from edge.metrics import COLUMN, METRICS, rounded
from edge.pump import CURRENT_A, FLOW_LPM, OWN_HEAT_K, VOLTAGE_V, Pump
from edge.schedule import DAY_S, HOUR_S, WEEK_S, Pattern, cleaning, setpoints, weekday

MONDAY = 20_409
T0 = MONDAY * DAY_S
SEED = {pattern: number for number, pattern in enumerate(Pattern)}


@cache
def week(pattern: Pattern) -> np.ndarray:
    return DutyPump(SEED[pattern], pattern).rows(T0, WEEK_S)


@cache
def regimes(pattern: Pattern) -> np.ndarray:
    return DutyPump(SEED[pattern], pattern).regime(T0, WEEK_S)


def settled(regime: np.ndarray, wanted: int, seconds: int) -> np.ndarray:
    """Where that set-point has held for so many seconds and more."""
    other = np.where(regime == wanted, -1, np.arange(len(regime)))
    return np.arange(len(regime)) - np.maximum.accumulate(other) > seconds


def steady(pattern: Pattern) -> list[tuple[int, np.ndarray]]:
    """(set-point, rows after ten seconds of it) for each that the week knows."""
    regime = regimes(pattern)
    return [(int(each), week(pattern)[settled(regime, int(each), 10)]) for each in np.unique(regime)]


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(Pattern), st.integers(0, 2**40), st.integers(0, 2 * DAY_S), st.integers(2, 900))
def test_the_same_second_reads_the_same_in_whatever_slice(pattern, seed, offset, count):
    whole = DutyPump(seed, pattern).measure(T0 + offset, count)
    middle = count // 2
    assert DutyPump(seed, pattern).measure(T0 + offset + middle, count - middle) == whole[middle:]


def test_a_week_is_made_in_seconds():
    began = time.process_time()
    DutyPump(90, Pattern.LEVEL).rows(T0, WEEK_S)
    assert time.process_time() - began < 10


@pytest.mark.parametrize("pattern", Pattern)
def test_every_value_is_one_that_its_sensor_can_say(pattern):
    rows = rounded(week(pattern))
    assert np.isfinite(rows).all()
    assert (rows >= [metric.low for metric in METRICS]).all()
    assert (rows <= [metric.high for metric in METRICS]).all()


@pytest.mark.parametrize("pattern", Pattern)
def test_a_machine_that_is_off_moves_nothing_and_one_that_runs_does(pattern):
    for regime, rows in steady(pattern):
        if regime == 0:
            assert rows[:, COLUMN.flow].mean() < 1
            assert rows[:, COLUMN.current].max() < 0.2
            assert rows[:, COLUMN.vibration_de].max() < 0.01
        else:
            assert rows[:, COLUMN.flow].min() > 0.5 * FLOW_LPM
            assert rows[:, COLUMN.current].min() > 0.2 * CURRENT_A
            assert rows[:, COLUMN.vibration_de].min() > 0.08


@pytest.mark.parametrize("pattern", Pattern)
def test_every_speed_that_a_pattern_knows_is_run_in_its_week(pattern):
    running = [regime for regime, _ in steady(pattern) if regime]
    assert running == list(range(1, len(pattern.speeds) + 1))


def test_flow_follows_the_speed_and_current_its_cube():
    (_, slow), (_, fast) = (entry for entry in steady(Pattern.TWO_SPEEDS) if entry[0])
    ratio = slow.mean(axis=0) / fast.mean(axis=0)
    # At night consumers take less than by day, on top of what the speed makes.
    assert ratio[COLUMN.flow] == pytest.approx(0.75, rel=0.1)
    assert ratio[COLUMN.current] == pytest.approx(0.75**3, rel=0.1)
    assert ratio[COLUMN.vibration_de] == pytest.approx(0.75**2, rel=0.05)


@pytest.mark.parametrize("pattern", Pattern)
def test_healthy_running_at_one_speed_stays_within_a_tenth_of_its_flow_and_vibration(pattern):
    for regime, rows in steady(pattern):
        if regime:
            for column, share in ((COLUMN.flow, 0.16), (COLUMN.vibration_de, 0.12), (COLUMN.vibration_nde, 0.12)):
                middle = np.median(rows[:, column])
                assert np.abs(np.quantile(rows[:, column], [0.001, 0.999]) / middle - 1).max() < share


@pytest.mark.parametrize("pattern", Pattern)
def test_the_grid_stays_within_ten_percent(pattern):
    assert np.abs(week(pattern)[:, COLUMN.voltage] / VOLTAGE_V - 1).max() < 0.10


def test_only_a_direct_start_surges():
    def surge(pattern: Pattern) -> float:
        regime, current = regimes(pattern), week(pattern)[:, COLUMN.current]
        starts = np.flatnonzero(np.diff(regime) > 0) + 1
        return max(current[start : start + 10].max() / np.median(current[regime == regime.max()]) for start in starts)

    assert surge(Pattern.SHIFTS) > 3
    assert surge(Pattern.SHIFTS_TWO_SPEEDS) < 1.3


def test_a_motor_warms_up_within_an_hour_of_its_start_and_cools_over_night():
    regime, motor = regimes(Pattern.SHIFTS), week(Pattern.SHIFTS)[:, COLUMN.motor_temperature]
    start = int(np.flatnonzero(np.diff(regime) > 0)[0]) + 1
    assert motor[start + HOUR_S] - motor[start] > 0.9 * OWN_HEAT_K
    assert motor[start + 60] - motor[start] < 0.15 * OWN_HEAT_K


def test_nights_and_weekends_are_off_where_people_work_in_shifts():
    regime = regimes(Pattern.SHIFTS).reshape(7, DAY_S)
    assert not regime[:, : 5 * HOUR_S].any()
    assert not regime[:, 23 * HOUR_S :].any()
    assert not regime[5:].any()
    assert (regime[:5, 12 * HOUR_S] == 1).all()


def test_the_filter_fouls_by_its_rate_and_is_cleaned_once_a_week():
    pump, stop = DutyPump(4, Pattern.STEADY), cleaning(4)
    assert [day for day in range(7) if len(setpoints(Pattern.STEADY, 4, MONDAY + day)) > 1] == [stop.weekday]
    cleaned = T0 + stop.weekday * DAY_S + stop.end_s
    before, after = (pump.course(at, 1).load[0] for at in (cleaned - 1, cleaned))
    assert after / before - 1 == pytest.approx(FOULING, rel=0.1)


def test_monday_is_monday():
    assert weekday(MONDAY) == 0
    assert weekday(0) == 3


def test_a_pump_that_is_not_told_how_to_run_says_what_it_always_said():
    assert Pump(3).measure(1_763_800_000, 1) == [(0.222, 0.168, 2.31, 2.54, 62.3, 22.43, 399.4, 122.5)]


@pytest.mark.parametrize(("duty", "kind"), [({}, Pump), ({"duty": "shifts"}, DutyPump)])
def test_a_member_of_the_fleet_runs_as_its_entry_says(tmp_path, duty, kind):
    entry = {"site": "plant-1", "device": "pump-9", "username": "plant-1/pump-9", "password": "p"}
    (tmp_path / "fleet.json").write_text(json.dumps([entry | duty]))
    [member] = read_fleet(tmp_path / "fleet.json")
    device = power_up(member, MemoryBroker().bus("pump-9"), tmp_path / "state.json", SystemClock())
    assert type(device._role._pump) is kind
