"""The demonstration's minute: every fault of an emulated pump is raised in it and told as what it is."""

from __future__ import annotations

import numpy as np
import pytest

from detection.change import Change
from detection.detector import Detector
from detection.episode import Phase
from detection.fit import fit
from edge.demo import MINUTE_S, faulty_minute
from edge.faults import FaultKind
from edge.metrics import METRICS, NAMES
from edge.pump import Pump

START_S, LEARN, REST_S = 1_763_800_000, 1800, 600

PLAUSIBLE = {
    FaultKind.IMBALANCE: {"vibration_de_rms_g", "vibration_nde_rms_g"},
    FaultKind.BEARING_WEAR: {"vibration_de_rms_g"},
    FaultKind.CAVITATION: {"vibration_de_rms_g", "vibration_nde_rms_g", "pressure_bar", "flow_lpm"},
    FaultKind.BLOCKED_VALVE: {"flow_lpm", "pressure_bar", "current_a"},
    FaultKind.OVERHEATING: {"motor_temperature_c"},
}


def minute_after_a_rest(seed: int, kind: FaultKind | None) -> list[Change]:
    """Learn from half an hour, rest, then judge the minute before the click."""
    pump, end_s = Pump(seed), START_S + LEARN + REST_S
    past = np.array(pump.measure(START_S, LEARN))
    model = fit(past, 1000 * (START_S + np.arange(LEARN)), NAMES).model
    first_s = end_s - MINUTE_S + 1
    minute = np.array(pump.measure(first_s, MINUTE_S, faulty_minute(kind, end_s)))
    detector = Detector(model, device="demo-1", units={metric.name: metric.unit for metric in METRICS})
    return detector.process(1000 * (first_s + np.arange(MINUTE_S)), minute.T, NAMES)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", FaultKind)
def test_every_fault_is_raised_within_its_minute_and_names_a_plausible_sensor(kind: FaultKind, seed: int) -> None:
    raised = minute_after_a_rest(seed, kind)[0]
    assert raised.phase is Phase.RAISED
    assert raised.row <= MINUTE_S - 10
    assert raised.explanation.sensors[0].name in PLAUSIBLE[kind]
    assert "demo-1" in raised.explanation.sentence["pt"]


@pytest.mark.parametrize("seed", range(4))
def test_a_minute_without_a_fault_raises_nothing(seed: int) -> None:
    assert minute_after_a_rest(seed, None) == []


def test_four_hours_of_healthy_running_raise_nothing() -> None:
    pump, hours = Pump(7), 4 * 3600
    model = fit(np.array(pump.measure(START_S, LEARN)), 1000 * (START_S + np.arange(LEARN)), NAMES).model
    rows = np.array(pump.measure(START_S + LEARN, hours))
    assert Detector(model).process(1000 * (START_S + LEARN + np.arange(hours)), rows.T, NAMES) == []
