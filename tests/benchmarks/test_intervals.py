"""Intervals as the textbooks print them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.intervals import quantile, rate, resampled, share


def test_a_share_is_wilsons():
    # Agresti and Coull, "Approximate is better than exact", 1998: 0 of 10 and 9 of 10.
    assert share(0, 10)[1:] == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert share(9, 10)[1:] == pytest.approx((0.5958, 0.9821), abs=1e-4)


def test_no_trial_says_nothing():
    assert math.isnan(share(0, 0).value)
    assert share(0, 0)[1:] == (0.0, 1.0)


@pytest.mark.parametrize(("events", "ends"), [(0, (0.0, 3.689)), (1, (0.025, 5.572)), (10, (4.795, 18.390))])
def test_a_rate_is_exact_for_a_poisson_count(events, ends):
    # Garwood, "Fiducial limits for the Poisson distribution", 1936.
    assert rate(events, 1.0)[1:] == pytest.approx(ends, abs=1e-3)
    assert rate(events, 10.0).high == pytest.approx(ends[1] / 10, abs=1e-4)


def test_a_median_lies_between_order_statistics():
    found = quantile([float(value) for value in range(1, 21)], 0.5)
    # Ranks 6 and 15 of 20 (Conover, table A3).
    assert found == (10.5, 6, 15)


def test_a_median_of_nothing_is_nothing():
    assert all(map(math.isnan, quantile([], 0.5)))


def test_whole_cases_are_drawn_again():
    found = resampled([np.full(50, value) for value in (0.0, 1.0, 2.0)], lambda cases: float(np.mean(cases)))
    assert found.value == 1.0
    assert 0.0 <= found.low < 0.7
    assert 1.3 < found.high <= 2.0
