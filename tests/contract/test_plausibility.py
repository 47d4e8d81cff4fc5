"""Can this reading be true? The limits, to the millisecond."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import Reason
from contract.plausibility import FUTURE_TOLERANCE_MS, Metric, fault, time_fault, values_fault
from tests.contract import strategies as ours

NOW = 1_763_800_001_000
METRICS = {"temperature_c": Metric(name="temperature_c", unit="°C", low=-40.0, high=150.0)}


@pytest.mark.parametrize(
    ("measured_at_ms", "reason"),
    [
        (NOW, None),
        (NOW + FUTURE_TOLERANCE_MS, None),
        (NOW + FUTURE_TOLERANCE_MS + 1, Reason.TIME_IN_FUTURE),
        (946_684_800_000, None),
        (946_684_799_999, Reason.TIME_BEFORE_2000),
        (946_684_799, Reason.TIME_BEFORE_2000),
        (946_684_800, Reason.TIME_IN_SECONDS),
        (4_102_444_799, Reason.TIME_IN_SECONDS),
        (4_102_444_800, Reason.TIME_BEFORE_2000),
        (946_684_799_999_999, Reason.TIME_IN_FUTURE),
        (946_684_800_000_000, Reason.TIME_IN_MICROSECONDS),
        (4_102_444_799_999_999, Reason.TIME_IN_MICROSECONDS),
        (4_102_444_800_000_000, Reason.TIME_IN_FUTURE),
        (0, Reason.TIME_BEFORE_2000),
        (-NOW, Reason.TIME_BEFORE_2000),
    ],
)
def test_a_clock_in_the_wrong_unit_is_called_what_it_is(measured_at_ms: int, reason: Reason | None) -> None:
    found = time_fault(measured_at_ms, NOW)
    assert (found.reason if found else None) is reason


@given(st.integers(946_684_800, 4_102_444_799))
def test_every_time_of_this_century_is_known_in_seconds_and_in_microseconds(second: int) -> None:
    seconds, microseconds = time_fault(second, NOW), time_fault(second * 1_000_000, NOW)
    assert seconds is not None
    assert seconds.reason is Reason.TIME_IN_SECONDS
    assert microseconds is not None
    assert microseconds.reason is Reason.TIME_IN_MICROSECONDS


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"temperature_c": 150.0}, None),
        ({"temperature_c": -40.0}, None),
        ({"temperature_c": 150.001}, Reason.OUT_OF_RANGE),
        ({"temperature_c": math.nan}, Reason.NOT_FINITE),
        ({"temperature_c": -math.inf}, Reason.NOT_FINITE),
        ({"pressure_bar": 3.0}, Reason.UNKNOWN_METRIC),
        ({}, None),
    ],
)
def test_only_registered_metrics_within_their_range_are_possible(
    values: dict[str, float], reason: Reason | None
) -> None:
    found = values_fault(values, METRICS)
    assert (found.reason if found else None) is reason


@given(ours.values)
def test_a_device_without_registered_metrics_may_measure_anything(values: dict[str, float]) -> None:
    assert fault(NOW, values, None, NOW) is None


def test_a_wrong_clock_is_told_before_a_wrong_value() -> None:
    found = fault(0, {"nonsense": math.nan}, METRICS, NOW)
    assert found is not None
    assert found.reason is Reason.TIME_BEFORE_2000
