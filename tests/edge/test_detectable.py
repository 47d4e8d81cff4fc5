"""What the emulated pumps do to the real detector: silence for hours, and each fault found within its minute."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from detection.change import Change
from detection.detector import Detector
from detection.fit import fit
from detection.model import Model
from edge.demo import FAULTY_S, MINUTE_S, faulty_minute
from edge.faults import FaultKind
from edge.metrics import NAMES
from edge.past import HISTORY_ROWS
from edge.pump import Pump
from edge.signatures import LOOK_FIRST

T0 = 1_763_800_000
SEEDS = (0, 1, 2)


class Rested(NamedTuple):
    """A demonstration pump whose past was learned."""

    pump: Pump
    model: Model
    past: np.ndarray
    times_ms: list[int]


def times(first_s: int, count: int) -> list[int]:
    return [1000 * (first_s + n) for n in range(count)]


@pytest.fixture(scope="module", params=SEEDS)
def rested(request) -> Rested:
    pump, first_s = Pump(request.param), T0 - MINUTE_S - HISTORY_ROWS + 1
    past, at = np.array(pump.measure(first_s, HISTORY_ROWS)), times(first_s, HISTORY_ROWS)
    return Rested(pump, fit(past, at, list(NAMES)).model, past, at)


def click(rested: Rested, kind: FaultKind | None, hours_later: int) -> list[Change]:
    detector, now_s = Detector(rested.model), T0 + 3600 * hours_later
    assert detector.process(rested.times_ms, rested.past.T, NAMES) == []
    rows = np.array(rested.pump.measure(now_s - MINUTE_S + 1, MINUTE_S, faulty_minute(kind, now_s)))
    return detector.process(times(now_s - MINUTE_S + 1, MINUTE_S), rows.T, NAMES)


@pytest.mark.parametrize("hours_later", [0, 1, 9, 24])
@pytest.mark.parametrize("kind", FaultKind)
def test_each_simulated_fault_is_raised_within_the_minute_and_names_a_plausible_sensor(rested, kind, hours_later):
    changes = click(rested, kind, hours_later)
    assert [change.phase for change in changes] == ["raised"]
    assert MINUTE_S - FAULTY_S < changes[0].row < MINUTE_S - 5
    assert changes[0].explanation.sensors[0].name in LOOK_FIRST[kind]


@pytest.mark.parametrize("hours_later", [0, 1, 9, 24])
def test_a_healthy_minute_raises_nothing(rested, hours_later):
    assert click(rested, None, hours_later) == []


def test_a_healthy_pump_raises_nothing_for_half_a_day(rested):
    hours = 12 * 3600
    rows = np.array(rested.pump.measure(T0 - MINUTE_S + 1, hours))
    detector = Detector(rested.model)
    assert detector.process(times(T0 - MINUTE_S + 1, hours), rows.T, NAMES) == []
