"""The emulated pump: the same second always reads the same, and each fault looks like itself."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.plausibility import values_fault
from edge.faults import Fault, FaultKind, Stop
from edge.metrics import DECIMALS, METRICS, NAMES
from edge.noise import BLOCK, coloured, white
from edge.pump import Pump

T0 = 1_763_800_000
# Per sensor: what a fault does at full size. 0: it may not leave the healthy band.
UP, DOWN, SAME = 1, -1, 0
DIRECTIONS = {
    FaultKind.IMBALANCE: (UP, UP, SAME, SAME, SAME, SAME, SAME, SAME),
    FaultKind.BEARING_WEAR: (UP, UP, UP, SAME, UP, SAME, SAME, SAME),
    FaultKind.CAVITATION: (UP, UP, DOWN, DOWN, SAME, SAME, SAME, DOWN),
    FaultKind.BLOCKED_VALVE: (UP, UP, DOWN, UP, SAME, SAME, SAME, DOWN),
    FaultKind.OVERHEATING: (SAME, SAME, UP, SAME, UP, SAME, SAME, SAME),
}


def change(kind: FaultKind, seed: int, seconds: int = 600) -> np.ndarray:
    """Mean shift of each sensor at full size, in healthy standard deviations of the same seconds."""
    pump, fault = Pump(seed), Fault(kind=kind, onset_s=T0 - 1000, ramp_s=10)
    healthy, faulty = pump.rows(T0, seconds), pump.rows(T0, seconds, [fault])
    return (faulty - healthy).mean(axis=0) / healthy.std(axis=0)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.integers(0, 5000), st.integers(1, 700))
def test_the_same_second_reads_the_same_in_whatever_slice(seed, offset, count):
    whole = Pump(seed).measure(T0 + offset, count)
    middle = count // 2
    assert Pump(seed).measure(T0 + offset + middle, count - middle) == whole[middle:]
    assert Pump(seed).measure(T0 + offset + middle, 1) == whole[middle : middle + 1]


def test_two_pumps_are_not_alike():
    assert Pump(1).measure(T0, 5) != Pump(2).measure(T0, 5)


@pytest.mark.parametrize("kind", FaultKind)
@pytest.mark.parametrize("seed", [1, 7, 23])
def test_each_fault_moves_its_sensors_in_their_direction_and_no_others(kind, seed):
    for name, shift, direction in zip(NAMES, change(kind, seed), DIRECTIONS[kind], strict=True):
        if direction == SAME:
            assert abs(shift) < 0.5, name
        else:
            assert shift * direction > 0.8, name


def test_imbalance_shakes_the_drive_end_most():
    shift = change(FaultKind.IMBALANCE, 3)
    assert shift[0] > shift[1] > 5


def test_worn_bearing_shakes_first_and_warms_later():
    pump, fault = Pump(3), Fault(kind=FaultKind.BEARING_WEAR, onset_s=T0, ramp_s=20)
    healthy, faulty = pump.rows(T0, 600), pump.rows(T0, 600, [fault])
    rise = faulty - healthy
    assert rise[20:40, 0].mean() > 0.8 * rise[:, 0].max() * 0.6
    assert rise[20:40, 4].mean() < 0.5 * rise[300:, 4].mean()
    assert np.all(np.diff(rise[:, 4]) >= -1e-9)


@pytest.mark.parametrize("sensor", ["flow_lpm", "pressure_bar", "current_a"])
def test_cavitation_is_unsteady(sensor):
    column, pump = NAMES.index(sensor), Pump(5)
    fault = Fault(kind=FaultKind.CAVITATION, onset_s=T0 - 100, ramp_s=10)

    def restlessness(rows):
        return np.diff(rows[:, column]).std()

    assert restlessness(pump.rows(T0, 300, [fault])) > 2.5 * restlessness(pump.rows(T0, 300))


def test_a_healthy_load_moves_flow_and_current_together_and_pressure_against_them():
    rows = Pump(11).rows(T0, 3600)
    correlation = np.corrcoef(rows[:, [NAMES.index(n) for n in ("flow_lpm", "current_a", "pressure_bar")]].T)
    assert correlation[0, 1] > 0.3
    assert correlation[0, 2] < -0.3


def test_the_current_rises_where_the_voltage_falls():
    rows = Pump(11).rows(T0, 3600)
    assert np.corrcoef(rows[:, NAMES.index("voltage_v")], rows[:, NAMES.index("current_a")])[0, 1] < -0.2


def test_only_the_temperatures_drift_while_healthy():
    """The detector's drift share: variance of 40-row block means over variance of rows, on half an hour."""
    rows = Pump(2).rows(T0, 1800)
    share = rows.reshape(45, 40, 8).mean(axis=1).var(axis=0) / rows.var(axis=0)
    assert min(share[4], share[5]) > 0.5
    assert max(np.delete(share, [4, 5])) < 0.3


def test_there_is_no_seam_between_two_blocks():
    boundary = (T0 // BLOCK + 1) * BLOCK
    steps = np.abs(np.diff(Pump(4).rows(boundary - 2000, 4000), axis=0))
    at_seams = steps[(np.arange(boundary - 1999, boundary + 2000) % BLOCK) == 0]
    assert np.all(at_seams.mean(axis=0) < 2 * steps.mean(axis=0))


def test_coloured_noise_has_unit_variance_and_its_correlation_time():
    blocks = [white(9, block, 1) for block in range(400)]
    signal = np.concatenate([coloured(a[:, 0], b[:, 0], 20.0) for a, b in itertools.pairwise(blocks)])
    assert signal.std() == pytest.approx(1.0, abs=0.05)
    assert np.corrcoef(signal[:-20], signal[20:])[0, 1] == pytest.approx(np.exp(-1), abs=0.05)


def test_coloured_noise_refuses_a_memory_longer_than_two_blocks():
    with pytest.raises(ValueError, match="at most 32 s"):
        coloured(np.zeros(BLOCK), np.zeros(BLOCK), 33.0)


@pytest.mark.parametrize("kind", [None, *FaultKind])
def test_every_value_is_possible_and_as_fine_as_its_sensor(kind):
    faults = [] if kind is None else [Fault(kind=kind, onset_s=T0, ramp_s=30)]
    registered = {metric.name: metric for metric in METRICS}
    for values in Pump(8).measure(T0, 900, faults, [Stop(begin_s=T0 + 600, end_s=T0 + 640)]):
        assert values_fault(dict(zip(NAMES, values, strict=True)), registered) is None
        assert all(round(value, decimals) == value for value, decimals in zip(values, DECIMALS, strict=True))


def test_a_stopped_pump_stands_still_and_starts_with_a_surge_of_current():
    stop = Stop(begin_s=T0 + 10, end_s=T0 + 60)
    rows = Pump(6).rows(T0, 120, stops=[stop])
    standing, start, later = rows[40:59], rows[60], rows[90:]
    flow, current, pressure = (NAMES.index(n) for n in ("flow_lpm", "current_a", "pressure_bar"))
    assert np.all(standing[:, [flow, pressure]] < 2)
    assert np.all(standing[:, current] < 0.05)
    assert start[current] > 3 * later[:, current].mean()
    assert np.all(np.diff(rows[60:66, flow]) > 0)


def test_a_fault_grows_over_its_ramp_and_is_gone_at_its_end():
    fault = Fault(kind=FaultKind.IMBALANCE, onset_s=100, ramp_s=10, end_s=200)
    at = np.array([0.0, 100, 105, 110, 199, 200, 300])
    assert fault.severity(at).tolist() == [0, 0, 0.5, 1, 1, 0, 0]


@settings(deadline=None)
@given(st.floats(1, 500), st.floats(1, 500), st.floats(5, 300))
def test_heat_lags_behind_its_fault_and_dies_away_after_it(ramp_s, lasts_s, tau_s):
    fault = Fault(kind=FaultKind.OVERHEATING, onset_s=0, ramp_s=ramp_s, end_s=lasts_s)
    at = np.linspace(-50, 3000, 2000)
    heat, severity = fault.heat(at, tau_s), fault.severity(at)
    on = at < lasts_s
    assert np.all(heat[at <= 0] == 0)
    assert np.all(heat[on] <= severity[on] + 1e-9)
    assert np.all(np.diff(heat[~on]) <= 1e-12)
    assert heat[-1] < 1e-3
