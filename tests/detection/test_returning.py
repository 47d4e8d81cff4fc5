"""A motor that stood still is cold: what is on its way back is left out, what is not is judged."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from detection.errors import ModelError
from detection.regimes import RegimeGate, Regimes
from detection.regimes_fit import learn_regimes
from detection.returning import ReturnState, ReturnWatch, SlowChannels, learn_slow
from detection.rows import Floats, Ints
from edge.faults import Fault, FaultKind, Stop
from edge.metrics import COLUMN
from edge.pump import Pump
from tests.support.recordings import recording

START_S, HOUR = 1_763_800_000, 3600
STOP = (600, 1800)


def measured(first: int, count: int, *stops: tuple[int, int], faults: list[Fault] | None = None) -> Floats:
    planned = [Stop(begin_s=START_S + first + begin, end_s=START_S + first + end) for begin, end in stops]
    return np.array(Pump(1).measure(START_S + first, count, faults or [], planned))


@pytest.fixture(scope="module")
def learned() -> tuple[Regimes, SlowChannels]:
    """From an hour without a stop."""
    values = measured(0, HOUR)
    regimes = learn_regimes(values, 1000 * np.arange(HOUR))
    slow = learn_slow(values, RegimeGate(regimes).assign(values), regimes)
    slow.check(values.shape[1], regimes.running)
    return regimes, slow


def left_out(learned: tuple[Regimes, SlowChannels], values: Floats) -> tuple[np.ndarray, Ints]:
    regimes, slow = learned
    codes = RegimeGate(regimes).assign(values)
    return ReturnWatch(slow, values.shape[1]).process(values, codes), codes


def test_the_temperatures_of_a_pump_are_slow(learned: tuple[Regimes, SlowChannels]) -> None:
    assert learned[1].channels == [COLUMN.motor_temperature, COLUMN.fluid_temperature]


def test_a_cold_motor_is_left_out_until_it_is_warm_again(learned: tuple[Regimes, SlowChannels]) -> None:
    values = measured(HOUR, 3 * HOUR, STOP)
    returning, codes = left_out(learned, values)
    running = np.flatnonzero(codes == 0)
    after = running[running > STOP[1]]
    motor = np.flatnonzero(returning[:, COLUMN.motor_temperature])
    assert motor[0] == after[0]
    assert motor.tolist() == list(range(motor[0], motor[-1] + 1))
    assert HOUR < motor[-1] < 2.5 * HOUR
    usual = np.median(values[: STOP[0], COLUMN.motor_temperature])
    assert abs(values[motor[-1] + 1, COLUMN.motor_temperature] - usual) < 1.5
    assert not np.delete(returning, COLUMN.motor_temperature, axis=1).any()


def test_a_motor_that_overheats_after_a_start_is_judged_as_soon_as_it_is_too_warm(
    learned: tuple[Regimes, SlowChannels],
) -> None:
    hot = Fault(kind=FaultKind.OVERHEATING, onset_s=START_S + HOUR + STOP[1] + 60, ramp_s=60)
    values = measured(HOUR, 2 * HOUR, STOP, faults=[hot])
    returning, _ = left_out(learned, values)
    usual = np.median(values[: STOP[0], COLUMN.motor_temperature])
    too_warm = int(np.argmax(values[:, COLUMN.motor_temperature] > usual + 2))
    assert STOP[1] + 60 < too_warm < STOP[1] + 300
    assert not returning[too_warm:, COLUMN.motor_temperature].any()


@pytest.mark.parametrize("off", [-20.0, 20.0])
def test_a_channel_that_does_not_come_back_is_judged_after_five_minutes(
    learned: tuple[Regimes, SlowChannels], off: float
) -> None:
    values = measured(HOUR, 2 * HOUR, (600, 660))
    values[600:, COLUMN.fluid_temperature] += off
    returning, _ = left_out(learned, values)
    assert 250 < returning[:, COLUMN.fluid_temperature].sum() < 420


def test_what_a_watch_finds_when_it_begins_is_judged(learned: tuple[Regimes, SlowChannels]) -> None:
    values = measured(HOUR, 600)
    values[:, COLUMN.motor_temperature] -= 20
    assert not left_out(learned, values)[0].any()


def test_after_a_hole_a_cold_machine_is_on_its_way_back_until_it_is_seen_not_to_be(
    learned: tuple[Regimes, SlowChannels],
) -> None:
    values = measured(HOUR, 600)
    values[:, COLUMN.motor_temperature] -= 20
    watch = ReturnWatch(learned[1], 8)
    watch.process(measured(HOUR, 50), np.array([0] * 20 + [-1] * 30))
    watch.interrupt()
    returning = watch.process(values, np.zeros(600, dtype=np.int64))[:, COLUMN.motor_temperature]
    assert returning[:300].all()
    assert not returning[400:].any()


def test_a_rig_that_never_stops_leaves_nothing_out() -> None:
    part = recording("valve2/0")
    regimes = learn_regimes(part.values[:400], part.times[:400])
    codes = RegimeGate(regimes).assign(part.values)
    assert not ReturnWatch(learn_slow(part.values[:400], codes[:400], regimes), 8).process(part.values, codes).any()


@pytest.fixture(scope="module")
def eventful() -> Floats:
    values = measured(HOUR, 2400, (100, 500), (1200, 1230), (2000, 2050))
    values[np.random.default_rng(0).random(values.shape) < 0.1] = np.nan
    return values


def test_row_by_row_and_at_every_cut_the_answer_is_the_same(
    learned: tuple[Regimes, SlowChannels], eventful: Floats
) -> None:
    whole, codes = left_out(learned, eventful)
    assert whole.any()
    watch = ReturnWatch(learned[1], 8)
    for cut in range(len(eventful)):
        saved = msgspec.json.decode(msgspec.json.encode(watch.state), type=ReturnState)
        part = slice(cut, cut + 7)
        again = ReturnWatch(learned[1], 8, saved).process(eventful[part], codes[part])
        assert (again == whole[part]).all()
        watch.process(eventful[cut : cut + 1], codes[cut : cut + 1])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"channels": [5, 4]}, "rising"),
        ({"centre": [[1.0]]}, "2 numbers"),
        ({"reach": []}, "per running point"),
        ({"reach": [[float("nan"), 1.0]]}, "finite"),
    ],
)
def test_slow_channels_that_do_not_fit_are_refused(
    learned: tuple[Regimes, SlowChannels], change: dict[str, object], says: str
) -> None:
    with pytest.raises(ModelError, match=says):
        msgspec.structs.replace(learned[1], **change).check(8, 1)
