"""What can be learned from, what cannot, and what the report says."""

from __future__ import annotations

import numpy as np
import pytest

from detection.detector import Detector
from detection.errors import FitError
from detection.fit import MIN_ROWS, data_hash, fit
from detection.model import Maturity
from detection.settings import Settings
from tests.support.machines import DEVIATIONS, METRICS, START_MS, healthy, only, times


def test_the_report_says_what_was_learned_from() -> None:
    report = fit(healthy(900), times(900), METRICS).report
    assert (report.rows, report.channels, report.cadence_ms) == (900, 4, 1000)
    assert (report.trained_from_ms, report.trained_through_ms) == (START_MS, START_MS + 899_000)
    assert report.drifting == ["motor_temperature_c"]
    assert report.excluded == {}
    assert report.exceedance is not None
    assert report.exceedance < 0.05
    assert 2 < report.largest < 7


def test_too_few_rows_are_refused_with_how_many_are_needed() -> None:
    with pytest.raises(FitError, match=f"119 rows are too few to learn from; at least {MIN_ROWS} are needed"):
        fit(healthy(119), times(119), METRICS)
    assert fit(healthy(MIN_ROWS), times(MIN_ROWS), METRICS).report.exceedance is None


def test_channels_that_never_change_or_never_speak_are_left_out_and_named() -> None:
    values = np.column_stack([healthy(400), np.full(400, 24.0), np.full(400, np.nan), np.full(400, np.nan)])
    values[::50, 6] = 1.0
    fitted = fit(values, times(400), [*METRICS, "supply_v", "dead", "rare"])
    assert fitted.model.metrics == METRICS
    assert fitted.report.excluded == {
        "supply_v": "never changed",
        "dead": "was silent",
        "rare": "was silent most of the time",
    }


def test_nothing_but_constant_channels_is_refused_by_name() -> None:
    with pytest.raises(FitError, match="no channel can be learned: a never changed, b never changed"):
        fit(np.ones((200, 2)), times(200), ["a", "b"])


def test_a_sensor_that_speaks_every_fifth_row_is_learned() -> None:
    values = healthy(900)
    values[np.arange(900) % 5 != 0, 3] = np.nan
    assert fit(values, times(900), METRICS).model.metrics == METRICS


def test_collinear_channels_are_learned_and_judged() -> None:
    values = np.column_stack([healthy(900), healthy(900)[:, 1] * 2 + 5])
    names = [*METRICS, "current_b"]
    detector = Detector(fit(values[:600], times(600), names).model)
    assert detector.process(times(900)[600:], values[600:].T, names) == []
    assert np.nanmax(detector.scores) < 1


def test_a_channel_that_only_flickers_between_two_digits_has_a_limit() -> None:
    values = healthy(900)
    values[:, 3] = 20 + (np.arange(900) // 300 % 2) * 0.1
    model = fit(values, times(900), METRICS).model
    assert min(only(model).rough_limit) > 0


def test_infinite_values_and_wrong_shapes_are_refused() -> None:
    values = healthy(300)
    values[7, 1] = np.inf
    with pytest.raises(FitError, match="infinite"):
        fit(values, times(300), METRICS)
    with pytest.raises(FitError, match="do not fit values of the shape"):
        fit(healthy(300), times(299), METRICS)
    with pytest.raises(FitError, match="different names"):
        fit(healthy(300), times(300), ["a", "a", "b", "c"])


def test_rows_broken_up_by_holes_are_refused() -> None:
    at = START_MS + np.cumsum(np.where(np.arange(300) % 15 == 0, 100_000, 1000))
    with pytest.raises(FitError, match="too broken up"):
        fit(healthy(300), at, METRICS)


def test_holes_between_long_stretches_are_no_obstacle() -> None:
    at = START_MS + np.cumsum(np.where(np.arange(900) % 300 == 0, 10**7, 1000))
    smooth, broken = fit(healthy(900), times(900), METRICS), fit(healthy(900), at, METRICS)
    np.testing.assert_allclose(
        np.diag(only(broken.model).level_limit), np.diag(only(smooth.model).level_limit), rtol=0.3
    )


def test_rows_in_any_order_are_learned_in_the_order_of_time() -> None:
    order = np.random.default_rng(1).permutation(500)
    assert fit(healthy(500)[order], times(500)[order], METRICS) == fit(healthy(500), times(500), METRICS)


def test_a_drifting_channel_gets_a_wider_limit_and_a_question_of_its_own() -> None:
    normal = only(fit(healthy(900), times(900), METRICS).model)
    assert normal.jump_channels == [3]
    assert normal.level_limit[3][3] > 20 * normal.level_limit[0][0]


def test_a_stricter_sensitivity_scales_the_limits() -> None:
    loose = fit(healthy(900), times(900), METRICS, Settings(sensitivity=2.0, margin=0)).model
    strict = fit(healthy(900), times(900), METRICS, Settings(sensitivity=1.0, margin=0)).model
    np.testing.assert_allclose(only(loose).level_limit, 4 * np.array(only(strict).level_limit))


def test_a_last_third_that_roams_further_widens_the_limit_without_any_label() -> None:
    calm, roaming = healthy(900), healthy(900)
    roaming[700:, 1] += 5 * DEVIATIONS[1]
    assert fit(calm, times(900), METRICS).report.factor == Settings().sensitivity
    report = fit(roaming, times(900), METRICS).report
    assert Settings().sensitivity < report.factor <= 2 * Settings().sensitivity


def test_a_model_is_young_until_it_has_seen_half_an_hour_that_it_foresaw() -> None:
    assert fit(healthy(1799), times(1799), METRICS).model.maturity is Maturity.YOUNG
    assert fit(healthy(1800), times(1800), METRICS).model.maturity is Maturity.READY
    changed = healthy(1800)
    changed[1200:, 1] += 30 * DEVIATIONS[1]
    assert fit(changed, times(1800), METRICS).model.maturity is Maturity.YOUNG


def test_the_deciles_are_those_of_the_rows_learned_from() -> None:
    model = fit(healthy(900), times(900), METRICS).model
    np.testing.assert_allclose(np.array(model.deciles)[:, 5], np.median(healthy(900)[60:], axis=0))


def test_the_data_hash_follows_the_rows_and_nothing_else() -> None:
    values = healthy(300)
    known = data_hash(values, times(300), METRICS)
    order = [2, 0, 3, 1]
    assert data_hash(values[:, order], times(300), [METRICS[column] for column in order]) == known
    changed = values.copy()
    changed[150, 2] += 1e-9
    assert data_hash(changed, times(300), METRICS) != known
    assert data_hash(values, times(300) + 1, METRICS) != known
    assert data_hash(values, times(300), [*METRICS[:3], "other"]) != known


def test_changed_rows_change_the_limits() -> None:
    calm, rough = healthy(900), healthy(900)
    rough[300:, 0] += np.random.default_rng(3).standard_normal(600) * DEVIATIONS[0]
    assert fit(calm, times(900), METRICS).model.to_bytes() != fit(rough, times(900), METRICS).model.to_bytes()


def test_the_same_rows_give_the_same_bytes() -> None:
    assert (
        fit(healthy(400), times(400), METRICS).model.to_bytes()
        == fit(healthy(400), times(400), METRICS).model.to_bytes()
    )


def test_the_voltage_of_the_mains_wanders_though_half_an_hour_of_it_stood_still() -> None:
    grid, other = ([name, *METRICS[1:]] for name in ("voltage_v", METRICS[0]))
    wide, narrow = (only(fit(healthy(900), times(900), names).model) for names in (grid, other))
    assert wide.level_limit[0][0] > 4 * narrow.level_limit[0][0]
    assert wide.level_limit[1][1] == narrow.level_limit[1][1]
    assert wide.jump_channels == narrow.jump_channels
