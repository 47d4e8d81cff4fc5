"""Readings on their way: late by milliseconds, missing here and there, wild once a day, and always sayable."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.plausibility import fault
from edge.arrival import MISSED, MOST_JITTER_MS, WILD, Arrived, arrived
from edge.duty import DutyPump
from edge.metrics import METRICS, NAMES, Rows, rounded
from edge.schedule import DAY_S, WEEK_S

T0 = 20_409 * DAY_S


@pytest.fixture(scope="module")
def rows() -> Rows:
    return DutyPump(0).rows(T0, WEEK_S)


@pytest.fixture(scope="module")
def week(rows: Rows) -> Arrived:
    return arrived(0, T0, rows)


def test_times_go_forward_and_stay_within_their_second(week):
    assert (np.diff(week.times_ms) > 0).all()
    away = week.times_ms - 1000 * (T0 + week.second) - 500
    assert np.abs(away).max() <= MOST_JITTER_MS
    assert 10 < away.std() < 30


def test_every_reading_is_one_that_the_contract_accepts(rows, week):
    registered = {metric.name: metric for metric in METRICS}
    odd = np.flatnonzero((np.abs(week.values - rounded(rows)[week.second]) > 0).any(axis=1))
    for row in [*odd, *range(500)]:
        said = {name: value for name, value in zip(NAMES, week.values[row], strict=True) if np.isfinite(value)}
        assert fault(int(week.times_ms[row]), said, registered, int(week.times_ms[-1])) is None


def test_wild_values_come_at_their_rate_and_alone(rows, week):
    wild = np.abs(week.values - rounded(rows)[week.second]) > 0
    expected = WILD * week.values.size
    assert 0.5 * expected < wild.sum() < 1.6 * expected
    assert not (wild[1:] & wild[:-1]).any()


def test_about_one_reading_in_a_thousand_is_missing_and_some_minutes_more(week):
    lost = WEEK_S - len(week.times_ms)
    assert 0.8 * MISSED < lost / WEEK_S < 4 * MISSED
    assert np.isnan(week.values).any()
    assert np.isnan(week.values).mean() < 1e-3


@settings(deadline=None, max_examples=20)
@given(st.integers(0, WEEK_S - 4000), st.integers(1, 4000))
def test_the_same_second_arrives_the_same_in_whatever_slice(rows, week, offset, count):
    part = arrived(0, T0 + offset, rows[offset : offset + count])
    same = (week.second >= offset) & (week.second < offset + count)
    assert np.array_equal(part.times_ms, week.times_ms[same])
    assert np.array_equal(part.values, week.values[same], equal_nan=True)
