"""Shares, seen against expected, and the picture of the window."""

from __future__ import annotations

import numpy as np
import pytest

from detection.change import Change
from detection.kinds import Kind
from tests.support.machines import CENTRES, DEVIATIONS, UNITS, detector, healthy, play


def raised(channel: int, fault: np.ndarray) -> Change:
    values = healthy(900 + 300)[900:]
    values[100:, channel] += fault * DEVIATIONS[channel]
    return play(detector(), values)[0]


def test_seen_and_expected_are_in_the_sensors_unit_and_the_seen_is_outside_its_range() -> None:
    lead = raised(1, np.full(200, 8.0)).explanation.sensors[0]
    assert (lead.name, lead.unit) == ("current_a", UNITS["current_a"])
    assert lead.expected == pytest.approx(CENTRES[1], abs=DEVIATIONS[1])
    assert lead.expected_low < lead.expected < lead.expected_high
    assert lead.expected_high - lead.expected <= 3 * DEVIATIONS[1] * 1.1
    assert lead.expected_high < lead.seen < CENTRES[1] + 9 * DEVIATIONS[1]
    assert lead.outside


def test_shares_sum_to_one_and_come_largest_first() -> None:
    shares = [sensor.share for sensor in raised(2, np.full(200, 8.0)).explanation.sensors]
    assert sum(shares) == pytest.approx(1, abs=1e-3)
    assert shares == sorted(shares, reverse=True)


def test_the_window_shows_the_readings_of_the_first_three_sensors_as_they_were() -> None:
    change = raised(0, np.full(200, 8.0))
    assert change.explanation.kind is Kind.LEVEL
    values = healthy(900 + 300)[900:]
    values[100:, 0] += 8 * DEVIATIONS[0]
    window, at = change.explanation.window, change.explanation.window_ms
    assert list(window) == [sensor.name for sensor in change.explanation.sensors[:3]]
    assert len(at) == len(window["vibration_de_rms_g"]) == change.row + 1
    np.testing.assert_allclose(window["vibration_de_rms_g"], values[: change.row + 1, 0], atol=DEVIATIONS[0] / 100)


def test_a_silent_sensor_has_no_value_in_the_window() -> None:
    values = healthy(900 + 300)[900:]
    values[:, 1] += 8 * DEVIATIONS[1]
    values[:, 2] = np.nan
    explanation = play(detector(), values)[0].explanation
    assert "pressure_bar" not in {sensor.name for sensor in explanation.sensors}


def test_rougher_readings_are_told_as_such_with_how_many_times() -> None:
    change = raised(0, 6 * np.random.default_rng(1).standard_normal(200))
    lead = change.explanation.sensors[0]
    assert change.explanation.kind is Kind.ROUGHNESS
    assert lead.name == "vibration_de_rms_g"
    assert lead.ratio is not None
    assert 3 < lead.ratio < 8
    assert lead.outside


def test_a_jump_of_a_drifting_sensor_is_compared_with_the_minute_before() -> None:
    change = raised(3, np.full(200, 6.0))
    lead = change.explanation.sensors[0]
    assert change.explanation.kind is Kind.JUMP
    assert lead.name == "motor_temperature_c"
    assert lead.seen - lead.expected == pytest.approx(6 * DEVIATIONS[3], rel=0.35)
    assert lead.outside


def test_a_steady_climb_is_no_roughness_even_in_a_smooth_channel() -> None:
    change = raised(3, np.minimum(np.arange(200) * 0.4, 30))
    assert change.explanation.kind is Kind.JUMP
    assert change.explanation.sensors[0].name == "motor_temperature_c"


def test_soon_after_a_hole_a_jump_is_still_told_from_drift() -> None:
    values = healthy(900 + 120)[900:]
    values[38:, 3] += np.minimum(np.arange(82) * 0.5, 10) * DEVIATIONS[3]
    change = play(detector(), values)[0]
    assert change.explanation.kind is Kind.JUMP
    assert change.row < 90
