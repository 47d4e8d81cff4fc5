"""Input drift: found when a sensor's calibration shifts, silent on healthy running, the same in any slices."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from detection.drift_watch import DAY_MS, HOUR_MS, DriftWatch, Flags, Hour
from detection.errors import DetectionError
from detection.input_drift import effective_readings, shares_reached, shift, smirnov, stability_index
from detection.rows import Floats, Ints
from edge.metrics import COLUMN, NAMES
from edge.pump import Pump

START_S = 1_763_802_000
LEARNED = 1800
METRICS = ["flow", "temperature"]


def deciles_of(values: Floats, metrics: list[str]) -> dict[str, list[float]]:
    return {name: np.quantile(values[:, k], np.arange(11) / 10).tolist() for k, name in enumerate(metrics)}


def watch(values: Floats, metrics: list[str], state: bytes | None = None) -> DriftWatch:
    return DriftWatch(deciles_of(values, metrics), len(values), state=state)


def hours_of_pump(seed: int, hours: int, column: int = 0, factor: float = 1.0) -> list[Hour]:
    """An emulated pump after half an hour of learning, one sensor's calibration off by `factor`."""
    pump = Pump(seed)
    watcher = watch(pump.rows(START_S, LEARNED), list(NAMES))
    found: list[Hour] = []
    for hour in range(hours):
        first_s = START_S + LEARNED + hour * 3600
        rows = pump.rows(first_s, 3600)
        rows[:, column] *= factor
        times = (first_s + np.arange(3600)) * 1000
        found += watcher.process(times, rows.T, NAMES, np.ones(3600, dtype=bool))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_a_healthy_pump_raises_nothing_in_a_day(seed: int) -> None:
    found = hours_of_pump(seed, 24)
    assert len(found) == 24
    assert not any(channel.drifted for hour in found for channel in hour.channels)


@pytest.mark.parametrize("column", [COLUMN.flow, COLUMN.pressure, COLUMN.current, COLUMN.vibration_de])
def test_a_sensor_whose_calibration_is_off_by_two_percent_is_named_within_three_hours(column: int) -> None:
    (raised, *more) = [hour for hour in hours_of_pump(1, 4, column, 1.02) if hour.raised]
    assert [channel.name for channel in raised.channels if channel.drifted] == [NAMES[column]]
    assert more == []


def shifted_day(hours: int) -> list[Hour]:
    rng = np.random.default_rng(3)
    watcher = watch(rng.standard_normal((LEARNED, 2)), METRICS)
    times = np.arange(hours * 3600) * 1000
    values = rng.standard_normal((2, hours * 3600))
    values[0] += 1
    return watcher.process(times, values, METRICS, np.ones(len(times), dtype=bool))


def test_a_lasting_drift_is_raised_after_two_hours_and_again_a_day_later() -> None:
    raised = [hour.through_ms for hour in shifted_day(28) if hour.raised]
    assert [at // HOUR_MS for at in raised] == [1, 25]
    assert raised[1] - raised[0] >= DAY_MS


def test_rows_of_a_machine_that_is_off_or_ill_do_not_count() -> None:
    rng = np.random.default_rng(3)
    watcher = watch(rng.standard_normal((LEARNED, 2)), METRICS)
    times = np.arange(4 * 3600) * 1000
    values = rng.standard_normal((2, len(times)))
    off = np.arange(len(times)) % 600 > 400
    values[:, off] = 0
    found = watcher.process(times, values, METRICS, ~off)
    assert [hour.readings for hour in found] == [int((~off[:3600]).sum())] * 3
    assert not any(channel.drifted for hour in found for channel in hour.channels)
    assert watch(values.T, METRICS).process(times, values, METRICS, np.zeros(len(times), dtype=bool)) == []


def test_a_coarse_sensor_that_is_as_ever_has_not_drifted() -> None:
    rng = np.random.default_rng(3)
    values = np.round(rng.standard_normal((LEARNED + 7200, 1)) * 0.6)
    watcher = watch(values[:LEARNED], ["level"])
    times = np.arange(7200) * 1000
    (hour,) = watcher.process(times, values[LEARNED:].T, ["level"], np.ones(7200, dtype=bool))
    assert hour.channels[0].psi < 0.1


def test_a_sensor_that_is_silent_is_not_compared() -> None:
    rng = np.random.default_rng(3)
    watcher = watch(rng.standard_normal((LEARNED, 2)), METRICS)
    times = np.arange(7200) * 1000
    (hour,) = watcher.process(times, rng.standard_normal((1, 7200)), ["flow"], np.ones(7200, dtype=bool))
    assert [channel.name for channel in hour.channels] == ["flow"]


Told = tuple[list[Hour], bytes]


def run(values: Floats, times: Ints, counts: Flags, cuts: list[int], *, restart: bool) -> Told:
    reference = np.random.default_rng(5).standard_normal((200, 2))
    watcher = watch(reference, METRICS)
    found: list[Hour] = []
    for first, last in itertools.pairwise([0, *sorted(cuts), len(times)]):
        found += watcher.process(times[first:last], values[:, first:last], METRICS, counts[first:last])
        if restart:
            watcher = watch(reference, METRICS, watcher.state())
    return found, watcher.state()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), cuts=st.lists(st.integers(0, 400), max_size=6))
def test_any_slices_and_a_restart_between_any_two_give_the_same(seed: int, cuts: list[int]) -> None:
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.integers(5_000, 90_000, 400)) - rng.integers(0, 30_000, 400)
    values = rng.standard_normal((2, 400))
    values[rng.random((2, 400)) < 0.1] = np.nan
    counts = rng.random(400) < 0.9
    whole = run(values, times, counts, [], restart=False)
    assert len(whole[0]) > 2
    assert run(values, times, counts, cuts, restart=False) == whole
    assert run(values, times, counts, cuts, restart=True) == whole


def test_row_by_row_with_a_restart_at_every_cut_is_the_same() -> None:
    rng = np.random.default_rng(6)
    times, values = np.arange(0, 200 * 50_000, 50_000), rng.standard_normal((2, 200)) + 1
    counts = np.ones(200, dtype=bool)
    every = list(range(1, 200))
    assert run(values, times, counts, every, restart=True) == run(values, times, counts, [], restart=False)


def test_the_state_stays_small_and_one_of_another_reference_begins_anew() -> None:
    rng = np.random.default_rng(7)
    eight, names = rng.standard_normal((LEARNED, 8)), [str(k) for k in range(8)]
    watcher = watch(eight, names)
    times = np.arange(3000) * 1000
    watcher.process(times, rng.standard_normal((8, 3000)), names, np.ones(3000, dtype=bool))
    assert len(watcher.state()) < 4096
    fresh = watch(eight + 1, names).state()
    assert watch(eight + 1, names, watcher.state()).state() == fresh
    assert watch(eight + 1, names, b"damaged").state() == fresh


def test_deciles_that_are_none_are_refused() -> None:
    with pytest.raises(DetectionError, match="11 deciles"):
        DriftWatch({"flow": [1.0, 2.0]}, 100)


def test_the_p_value_is_that_of_the_textbook() -> None:
    rng = np.random.default_rng(8)
    for n, m, by in ((200, 300, 0.05), (2000, 500, 0.1), (60, 60, 0.3)):
        there, here = rng.standard_normal(n), rng.standard_normal(m) + by
        exact = stats.ks_2samp(there, here, method="exact")
        assert smirnov(exact.statistic, n, m) == pytest.approx(exact.pvalue, rel=0.15, abs=1e-3)
    assert smirnov(0.0, 100, 100) == 1


def test_the_stability_index_of_tenths_is_nothing_and_of_a_shift_by_one_deviation_about_one() -> None:
    assert stability_index(np.full(10, 0.1), 1000) == pytest.approx(0)
    edges = stats.norm.ppf(np.arange(1, 10) / 10)
    shares = np.diff(stats.norm.cdf(edges - 1), prepend=0, append=1)
    assert stability_index(shares, 10_000) == pytest.approx(1.0, abs=0.1)


def test_readings_that_hang_together_are_worth_fewer() -> None:
    rng = np.random.default_rng(9)
    white = rng.standard_normal((30, 120))
    slow = np.repeat(rng.standard_normal((10, 1)), 3, axis=0) + 0.1 * white
    worth = [effective_readings(each.mean(axis=1), float(each.var()), 3600) for each in (white, slow)]
    assert worth[0] > 1000
    assert worth[1] < 3
    assert effective_readings(np.ones(30), 0.0, 3600) == 1


def test_chance_alone_is_no_drift_however_large_the_index() -> None:
    below = upto = np.array([0, 0, 2, 8, 16, 28, 40, 50, 58])
    by_chance = shift("flow", below, upto, 60, effective=4, learned=4)
    assert by_chance.psi > 0.25
    assert not by_chance.drifted


def test_readings_on_an_edge_count_to_the_side_that_agrees_best() -> None:
    below, upto = np.full(9, 0), np.full(9, 60)
    assert shares_reached(below, upto, 60).tolist() == pytest.approx((np.arange(1, 10) / 10).tolist())
    assert shares_reached(below, below, 60).tolist() == [0] * 9
