"""A glitch in the learned rows must not make the model deaf, and what is no glitch is kept."""

from __future__ import annotations

import numpy as np

from detection.fit import fit
from detection.wild import without_wild
from tests.support.machines import DEVIATIONS, METRICS, healthy, only, times


def test_one_wild_reading_is_left_out() -> None:
    values = healthy(600)
    values[300, 0] += 500 * DEVIATIONS[0]
    kept = without_wild(values)
    assert np.isnan(kept[300, 0])
    assert np.isnan(kept).sum() == 1


def test_a_model_learned_with_wild_readings_is_as_sharp_as_one_without() -> None:
    clean, wild = healthy(1800), healthy(1800)
    for row, channel in ((200, 0), (777, 0), (1500, 1)):
        wild[row, channel] += 400 * DEVIATIONS[channel]
    sharp, still = (fit(values, times(1800), METRICS).model for values in (clean, wild))
    np.testing.assert_allclose(still.deviation, sharp.deviation, rtol=0.02)
    np.testing.assert_allclose(np.diag(only(still).level_limit), np.diag(only(sharp).level_limit), rtol=0.1)


def test_steps_ramps_and_noise_are_kept() -> None:
    values = healthy(600)
    values[200:, 1] += 50 * DEVIATIONS[1]
    values[300:330, 2] += np.linspace(0, 30, 30) * DEVIATIONS[2]
    assert not np.isnan(without_wild(values)).any()


def test_a_coarse_channel_that_moves_by_a_digit_is_kept() -> None:
    values = np.round(20 + np.sin(np.arange(600) / 60), 0)[:, None]
    assert not np.isnan(without_wild(values)).any()
    values[5, 0] = 300.0
    assert np.isnan(without_wild(values)[5, 0])


def test_what_was_missing_stays_missing() -> None:
    values = healthy(100)
    values[10:20, 3] = np.nan
    assert np.isnan(without_wild(values)[10:20, 3]).all()
