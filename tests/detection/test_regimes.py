"""Off, starting, running at which speed: learned from healthy rows, and only where there is no doubt."""

from __future__ import annotations

import time

import msgspec
import numpy as np
import pytest

from detection.errors import ModelError
from detection.regimes import LEAVE_ROWS, STARTING, STEADY_ROWS, UNSEEN, GateState, OperatingPoint, RegimeGate, Regimes
from detection.regimes_fit import learn_regimes
from detection.roles import role_of
from detection.rows import Floats, Ints
from edge.faults import Fault, FaultKind, Stop
from edge.metrics import COLUMN, NAMES
from edge.pump import Pump
from tests.support.recordings import recording

START_S, HOUR = 1_763_800_000, 3600
PARTS = [*(f"valve2/{n}" for n in range(4)), *(f"other/{n}" for n in range(1, 8))]
# Affinity laws: flow goes with the speed, head and vibration with its square, power with its cube; temperatures and the
# grid's voltage do not.
AFFINITY = np.array([2, 2, 3, 2, 0, 0, 0, 1])
VIBRATION_AND_CURRENT = [COLUMN.vibration_de, COLUMN.current]


def times(rows: int) -> Ints:
    return 1000 * np.arange(rows, dtype=np.int64)


def learned(values: Floats) -> Regimes:
    regimes = learn_regimes(values, times(len(values)))
    regimes.check(values.shape[1])
    return regimes


def measured(pump: Pump, first: int, count: int, faults: list[Fault] | None = None, *stops: Stop) -> Floats:
    return np.array(pump.measure(START_S + first, count, faults or [], stops))


def two_speeds(
    pump: Pump, *, slow: float, ramp: int = 3, dwell: int = 450, dwells: int = 8, faults: list[Fault] | None = None
) -> Floats:
    """Full speed and `slow` in turn, `dwell` seconds each, `ramp` seconds in between."""
    speeds = [1.0 if number % 2 == 0 else slow for number in range(dwells)]
    at = [number * dwell + edge for number in range(dwells) for edge in ((ramp if number else 0), dwell - 1)]
    speed = np.interp(np.arange(dwells * dwell), at, np.repeat(speeds, 2))
    rows = np.asarray(pump.rows(START_S, dwells * dwell, faults or []))
    return rows * speed[:, None] ** AFFINITY


def codes_where_they_change(codes: Ints) -> list[int]:
    return codes[np.concatenate(([0], np.flatnonzero(np.diff(codes)) + 1))].tolist()


@pytest.fixture(scope="module")
def hour() -> Floats:
    return measured(Pump(1), 0, HOUR)


@pytest.fixture(scope="module")
def stopped() -> Regimes:
    """What a pump with two stops in its healthy hour learns."""
    stops = [Stop(begin_s=START_S + a, end_s=START_S + b) for a, b in ((900, 1300), (2000, 2600))]
    return learned(measured(Pump(1), 0, HOUR, None, *stops))


@pytest.mark.parametrize("name", PARTS)
def test_the_rig_runs_at_one_point_in_every_recording_whatever_its_fault(name: str) -> None:
    part = recording(name)
    regimes = learned(part.values[:400])
    assert regimes.running == 1
    assert set(RegimeGate(regimes).assign(part.values).tolist()) == {0}
    assert learned(part.values).running == 1


@pytest.mark.parametrize("rows", [400, 800, 1800, 9405])
def test_the_healthy_run_of_the_rig_is_one_point_wherever_it_is_cut(rows: int) -> None:
    values = recording("anomaly-free/anomaly-free").values
    for start in range(0, len(values) - rows + 1, 900):
        regimes = learned(values[start : start + rows])
        assert regimes.running == 1
        assert set(RegimeGate(regimes).assign(values).tolist()) == {0}


def test_three_speeds_of_the_rig_in_turn_are_three_points() -> None:
    slow, middle, fast = (recording(name).values[:400] for name in ("valve2/0", "other/1", "other/5"))
    values = np.concatenate([slow, middle, fast, slow, middle, fast, middle, slow])
    regimes = learned(values)
    assert regimes.running == 3
    codes = [code for code in codes_where_they_change(RegimeGate(regimes).assign(values)) if code != STARTING]
    assert codes == [0, 1, 2, 0, 1, 2, 1, 0]


@pytest.mark.parametrize("seed", range(12))
def test_an_emulated_pump_runs_at_one_point(seed: int) -> None:
    regimes = learned(measured(Pump(seed), 5000 * seed, HOUR))
    assert (regimes.running, regimes.off) == (1, 1)


def single_regime(kind: str, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    n, k = 3600, 6
    noise = rng.standard_normal((n, k)) * rng.uniform(0.5, 3, k) + rng.uniform(20, 80, k)
    at = np.linspace(0, 1, n)[:, None]
    pull = rng.uniform(5, 40, k)
    heavy = rng.standard_t(2, (n, k))
    spikes = np.where(rng.random((n, 1)) < 0.02, rng.choice([-1e4, 1e6]), 0.0)
    walk = np.cumsum(rng.standard_normal((n, k)), axis=0)
    dead = np.where((np.arange(n)[:, None] // 300 % 2 == 1) & (np.arange(k) == 2), -1.0, 0.0) * noise
    return {
        "noise": noise,
        "ramp": noise + pull * at,
        "slow wave": noise + pull * np.sin(2 * np.pi * rng.uniform(1, 6) * at + 1),
        "warming up": noise - 3 * pull * np.exp(-5 * at),
        "heavy tails": noise + 5 * heavy,
        "outliers": noise + spikes,
        "random walk": noise + walk,
        "one step": noise + 2 * pull * (at > rng.uniform(0.2, 0.8)),
        "coarse": np.round(noise / 8) * 8,
        "one channel switches": noise + dead,
        "silence": np.where(rng.random((n, k)) < 0.3, np.nan, noise),
    }[kind]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "kind",
    [
        *("noise", "ramp", "slow wave", "warming up", "heavy tails", "outliers", "random walk", "one step", "coarse"),
        *("one channel switches", "silence"),
    ],
)
def test_what_is_not_dwelt_at_and_returned_to_is_no_point(kind: str, seed: int) -> None:
    values = single_regime(kind, seed)
    regimes = learned(values)
    assert regimes.running == 1
    assert learned(values[:, :1]).running == 1


def test_a_machine_of_one_channel_may_have_two_points() -> None:
    assert learned(two_speeds(Pump(3), slow=0.6)[:, [COLUMN.current]]).running == 2


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("slow", [0.9, 0.8, 0.6, 0.4])
@pytest.mark.parametrize("ramp", [1, 10, 60])
def test_two_speeds_are_learned_and_followed(slow: float, ramp: int, seed: int) -> None:
    values = two_speeds(Pump(seed), slow=slow, ramp=ramp)
    regimes = learned(values)
    assert regimes.running == 2
    codes = RegimeGate(regimes).assign(values)
    assert codes_where_they_change(codes) == [1, -1, 0, -1, 1, -1, 0, -1, 1, -1, 0, -1, 1, -1, 0]
    assert np.mean(codes == STARTING) < 8 * (ramp + 2 * STEADY_ROWS) / len(codes)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", FaultKind)
def test_a_fault_is_no_change_of_speed(kind: FaultKind, seed: int) -> None:
    regimes = learned(two_speeds(Pump(seed), slow=0.6))
    for slow in (0.6, 1.0):
        faulty = two_speeds(
            Pump(seed), slow=slow, dwells=2, faults=[Fault(kind=kind, onset_s=START_S + 100, ramp_s=60)]
        )
        codes = RegimeGate(regimes).assign(faulty)
        assert codes_where_they_change(codes) == ([1, -1, 0] if slow == 0.6 else [1])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", FaultKind)
def test_a_faulty_machine_that_changes_its_speed_is_judged_at_the_speed_it_runs_at(kind: FaultKind, seed: int) -> None:
    regimes = learned(two_speeds(Pump(seed), slow=0.6))
    faulty = two_speeds(Pump(seed), slow=0.6, faults=[Fault(kind=kind, onset_s=START_S + 100, ramp_s=60)])
    codes = RegimeGate(regimes).assign(faulty)
    fast = np.arange(len(codes)) // 450 % 2 == 0
    settled = np.arange(len(codes)) % 450 > regimes.settle_rows + STEADY_ROWS
    assert (codes[settled] == np.where(fast, 1, 0)[settled]).all()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", FaultKind)
@pytest.mark.parametrize("channels", [list(range(8)), VIBRATION_AND_CURRENT])
def test_a_fault_is_no_stop(channels: list[int], kind: FaultKind, seed: int) -> None:
    pump = Pump(seed)
    faulty = measured(pump, HOUR, 600, [Fault(kind=kind, onset_s=START_S + HOUR + 60, ramp_s=4)])[:, channels]
    regimes = learned(measured(pump, 0, HOUR)[:, channels])
    assert regimes.off == 1
    assert set(RegimeGate(regimes).assign(faulty).tolist()) == {0}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("channels", [list(range(8)), VIBRATION_AND_CURRENT, [0, 2, 4, 6]])
def test_a_stop_that_was_never_seen_is_recognised_and_so_is_the_start_after_it(channels: list[int], seed: int) -> None:
    pump = Pump(seed)
    regimes = learned(measured(pump, 0, HOUR)[:, channels])
    stop = Stop(begin_s=START_S + HOUR + 200, end_s=START_S + HOUR + 500)
    codes = RegimeGate(regimes).assign(measured(pump, HOUR, 800, None, stop)[:, channels])
    assert codes_where_they_change(codes) == [0, STARTING, 1, STARTING, 0]
    assert codes[200 + LEAVE_ROWS] == STARTING
    assert (codes[230:500] == 1).all()
    assert (codes[560:] == 0).all()


@pytest.mark.parametrize("seed", range(6))
def test_a_stop_that_was_seen_is_learned_as_off(stopped: Regimes, seed: int) -> None:
    assert (stopped.running, stopped.off) == (1, 1)
    assert 0.2 < stopped.points[1].share < 0.3
    assert COLUMN.motor_temperature not in stopped.channels
    stop = Stop(begin_s=START_S + HOUR + 200, end_s=START_S + HOUR + 230 + 50 * seed)
    codes = RegimeGate(stopped).assign(measured(Pump(1), HOUR, 800, None, stop))
    assert codes_where_they_change(codes) == [0, STARTING, 1, STARTING, 0]


def test_half_an_hour_at_another_speed_is_a_point_however_long_the_machine_ran_elsewhere() -> None:
    pump = Pump(3)
    rows = measured(pump, 0, 10 * HOUR, None, Stop(begin_s=START_S + 7200, end_s=START_S + 8100))
    rows[-1800:] *= 0.7**AFFINITY
    regimes = learn_regimes(rows, times(len(rows)), [role_of(name).quantity for name in NAMES])
    assert regimes.running == 2
    assert regimes.off == 2


def test_off_between_two_speeds_is_told_from_both() -> None:
    pump = Pump(2)
    values = two_speeds(pump, slow=0.7, dwells=6)
    stop = Stop(begin_s=START_S + 1000, end_s=START_S + 1400)
    share = stop.speed(START_S + np.arange(len(values), dtype=np.float64))
    regimes = learned(values * share[:, None] ** AFFINITY)
    assert (regimes.running, regimes.off) == (2, 2)


def test_a_pump_that_runs_dry_has_not_stopped(hour: Floats) -> None:
    """No flow and no head; half of the shaft power is left, which heats what is in the casing; it vibrates on."""
    dry = hour[:600].copy()
    dry[200:, [COLUMN.flow, COLUMN.pressure]] *= 0.02
    dry[200:, COLUMN.current] *= 0.45
    assert set(RegimeGate(learned(hour)).assign(dry).tolist()) == {0}


@pytest.mark.parametrize("seed", range(4))
def test_learning_may_begin_with_a_machine_that_stands(seed: int) -> None:
    values = measured(Pump(seed), 0, HOUR, None, Stop(begin_s=START_S - 900, end_s=START_S + 400))
    regimes = learned(values)
    assert (regimes.running, regimes.off, 0.1 < regimes.points[1].share < 0.15) == (1, 1, True)
    assert learned(values[:, [COLUMN.current]]).off == 1


def test_a_single_dead_sensor_is_no_stop(hour: Floats) -> None:
    regimes = learned(hour)
    for channel in range(8):
        values = hour.copy()
        values[1000:, channel] = 0.0
        assert set(RegimeGate(regimes).assign(values).tolist()) == {0}
    assert learned(hour[:, [COLUMN.current]]) == Regimes()


def test_an_unknown_speed_is_unseen_after_the_time_a_transition_takes_until_a_known_one_is_back() -> None:
    regimes = learned(two_speeds(Pump(1), slow=0.4))
    elsewhere = two_speeds(Pump(1), slow=0.7, dwells=3)
    codes = RegimeGate(regimes).assign(elsewhere)
    assert codes_where_they_change(codes) == [1, STARTING, UNSEEN, 1]
    assert np.sum(codes == STARTING) <= regimes.settle_rows + 1


def test_a_speed_never_seen_is_told_even_where_only_one_was(hour: Floats) -> None:
    codes = RegimeGate(learned(hour)).assign(two_speeds(Pump(1), slow=0.8, dwells=3))
    assert codes_where_they_change(codes) == [0, STARTING, UNSEEN, 0]


def test_noise_at_the_border_does_not_toggle() -> None:
    regimes = learned(two_speeds(Pump(1), slow=0.6))
    fast = regimes.points[1]
    border = np.tile(measured(Pump(1), 0, 1), (4000, 1))
    border[:, regimes.channels] = fast.centre
    way = np.array(regimes.points[0].centre) - np.array(fast.centre)
    rng = np.random.default_rng(0)
    border[:, regimes.channels] += 0.15 * way + rng.standard_normal((4000, len(way))) * np.array(fast.radius) / 3
    codes = RegimeGate(regimes).assign(border)
    assert np.sum(np.diff(codes) != 0) < 40
    assert set(codes.tolist()) <= {1, STARTING, UNSEEN}


def test_a_row_that_is_wrong_on_every_channel_changes_nothing(hour: Floats) -> None:
    spiked = hour.copy()
    spiked[500] = 0.0
    assert set(RegimeGate(learned(hour)).assign(spiked).tolist()) == {0}


def eventful(seed: int) -> Floats:
    """A fast and a slow speed, stops, spikes, and holes in single channels and in all of them."""
    rng = np.random.default_rng(seed)
    values = two_speeds(Pump(seed), slow=0.6, dwell=120, dwells=6, ramp=8)
    first = int(rng.integers(50, 600))
    values[first : first + 60] *= 0.01
    values[650:] *= 0.8**AFFINITY
    values[rng.random(values.shape) < 0.1] = np.nan
    values[rng.random(len(values)) < 0.02] = np.nan
    values[rng.random(len(values)) < 0.02] = 0.0
    return values


@pytest.mark.parametrize("seed", range(5))
def test_row_by_row_and_in_any_blocks_the_codes_are_the_same(seed: int) -> None:
    regimes, values = learned(two_speeds(Pump(seed), slow=0.6)), eventful(seed)
    whole = RegimeGate(regimes).assign(values)
    assert len(set(whole.tolist())) >= 3
    gate = RegimeGate(regimes)
    assert [gate.step(row.tolist()) for row in values] == whole.tolist()
    rng = np.random.default_rng(seed)
    gate, cuts = RegimeGate(regimes), np.sort(rng.integers(0, len(values), 40))
    assert np.concatenate([gate.assign(part) for part in np.split(values, cuts)]).tolist() == whole.tolist()


def test_a_gate_goes_on_from_its_state_at_every_cut() -> None:
    regimes, values = learned(two_speeds(Pump(1), slow=0.6)), eventful(1)
    whole = RegimeGate(regimes).assign(values)
    gate = RegimeGate(regimes)
    for cut in range(1, len(values)):
        gate.assign(values[cut - 1 : cut])
        saved = msgspec.json.decode(msgspec.json.encode(gate.state), type=GateState)
        assert RegimeGate(regimes, saved).assign(values[cut : cut + 30]).tolist() == whole[cut : cut + 30].tolist()


def test_after_a_hole_the_machine_is_where_it_is_found(stopped: Regimes, hour: Floats) -> None:
    gate = RegimeGate(stopped)
    assert gate.assign(hour[:5]).tolist() == [0] * 5
    gate.interrupt()
    silence = np.full((3, 8), np.nan)
    assert gate.assign(silence).tolist() == [0] * 3
    still = measured(Pump(1), 0, 60, None, Stop(begin_s=START_S - 600, end_s=START_S + 600))
    assert gate.assign(still).tolist() == [1] * 60


def test_sensors_that_are_missing_do_not_hide_a_stop(stopped: Regimes) -> None:
    values = measured(Pump(1), HOUR, 600, None, Stop(begin_s=START_S + HOUR + 200, end_s=START_S + HOUR + 400))
    values[:, [COLUMN.flow, COLUMN.vibration_nde]] = np.nan
    assert codes_where_they_change(RegimeGate(stopped).assign(values)) == [0, STARTING, 1, STARTING, 0]


def test_what_was_learned_survives_its_journey_as_json(stopped: Regimes) -> None:
    assert msgspec.json.decode(msgspec.json.encode(stopped), type=Regimes) == stopped
    assert len(msgspec.json.encode(stopped)) < 1500


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"channels": [0, 0]}, "rising"),
        ({"channels": [0, 9]}, "below 8"),
        ({"channels": []}, "tell them apart"),
        ({"points": []}, "1 to 5"),
        ({"off": 0}, "last"),
        ({"settle_rows": 0}, "settle_rows"),
        ({"channels": [0, 1]}, "2 centres"),
        ({"points": [OperatingPoint(centre=[float("nan")] * 5, radius=[1.0] * 5, share=1.0)] * 2}, "finite"),
        ({"points": [OperatingPoint(centre=[1.0] * 5, radius=[1.0] * 5, share=1.0)] * 2}, "no channel"),
        ({"points": [OperatingPoint(centre=[1.0] * 5, radius=[0.0] * 5, share=1.0)] * 2}, "radii"),
    ],
)
def test_regimes_that_could_not_tell_points_apart_are_refused(
    stopped: Regimes, change: dict[str, object], says: str
) -> None:
    with pytest.raises(ModelError, match=says):
        msgspec.structs.replace(stopped, **change).check(len(NAMES))


def test_learning_takes_less_than_a_tenth_of_a_second_of_work(hour: Floats) -> None:
    took = []
    for _ in range(3):
        began = time.process_time()
        learned(hour)
        took.append(time.process_time() - began)
    assert min(took) < 0.1
