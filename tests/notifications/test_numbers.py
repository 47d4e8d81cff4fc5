"""Numbers, times and marks as a person in the plant reads them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.notifications.notice import Locale
from cloud.notifications.numbers import decimals_apart, decimals_for, measure, number, percent, span
from cloud.notifications.ticks import time_ticks, value_ticks
from cloud.notifications.times import clock_format, day_and_clock, zone_name
from tests.support.anomalies import RAISED_AT_MS

VITORIA = Locale(language="pt", zone="America/Sao_Paulo")


@pytest.mark.parametrize(
    ("low", "high", "decimals"), [(0.19, 0.24, 2), (57.0, 59.4, 1), (30.6, 32.3, 1), (4.08, 4.32, 2), (115, 121, 0)]
)
def test_a_range_is_shown_with_the_digits_it_makes_meaningful(low: float, high: float, decimals: int) -> None:
    assert decimals_for(high - low) == decimals


@pytest.mark.parametrize("width", [0.0, -1.0, math.nan, math.inf])
def test_a_range_without_a_width_still_has_digits(width: float) -> None:
    assert decimals_for(width) == 2


def test_a_value_outside_never_reads_like_the_limit_it_crossed() -> None:
    assert decimals_apart(32.32, 30.6, 32.3) == 2
    assert decimals_apart(32.4, 30.6, 32.3) == 1


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(1e-3, 1e3))
def test_digits_are_always_few(value: float, low: float, width: float) -> None:
    assert 0 <= decimals_apart(value, low, low + width) <= 8


def test_numbers_are_written_as_the_reader_writes_them() -> None:
    assert number(8412.5, 1, "en") == "8,412.5"
    assert number(8412.5, 1, "pt") == "8.412,5"
    assert number(-0.5, 1, "pt") == "−0,5"
    assert number(math.nan, 1, "en") == number(math.inf, 1, "en") == "–"
    assert number(1.5e9, 0, "en") == "1.5e+09"
    assert number(1.5e-9, 2, "en") == "1.5e−09"
    assert number(0.0, 2, "en") == "0.00"


def test_a_value_and_its_unit_are_never_torn_apart() -> None:
    assert measure(0.38, 2, "g", "pt") == "0,38\u00a0g"
    assert measure(0.38, 2, "", "pt") == "0,38"


def test_a_range_with_negative_ends_stays_readable() -> None:
    assert span(0.19, 0.24, 2, "en") == "0.19–0.24"
    assert span(-2, -1, 0, "en") == "−2\u00a0–\u00a0−1"


def test_a_trace_of_a_share_is_not_nothing() -> None:
    assert percent(0.71, "en") == "71\u00a0%"
    assert percent(0.001, "en") == "<1\u00a0%"
    # Half a per cent rounds to the even number, which is none.
    assert percent(0.005, "en") == "<1\u00a0%"
    assert percent(0, "en") == "0\u00a0%"


def test_times_are_the_sites_own() -> None:
    assert day_and_clock(RAISED_AT_MS, VITORIA) == "seg. 17 nov., 13:54"
    assert day_and_clock(RAISED_AT_MS, Locale(zone="Asia/Kolkata")) == "Mon 17 Nov, 22:24"


def test_the_zone_is_named_with_what_it_is_worth() -> None:
    assert zone_name(RAISED_AT_MS, VITORIA) == "America/Sao_Paulo, UTC−3"
    assert zone_name(RAISED_AT_MS, Locale(zone="Asia/Kolkata")) == "Asia/Kolkata, UTC+5:30"
    assert zone_name(RAISED_AT_MS, Locale(zone="Europe/Lisbon")) == "Europe/Lisbon, UTC"
    assert zone_name(RAISED_AT_MS, Locale()) == "UTC"


def test_a_short_window_is_told_to_the_second() -> None:
    assert clock_format(2 * 60_000) == "%H:%M:%S"
    assert clock_format(60 * 60_000) == "%H:%M"


@given(st.integers(0, 4_000_000_000_000), st.integers(1, 400 * 86_400_000))
def test_times_on_an_axis_are_few_and_within(start_ms: int, span_ms: int) -> None:
    ticks, _ = time_ticks(start_ms, start_ms + span_ms, VITORIA)
    assert len(ticks) <= 6
    assert all(start_ms <= at <= start_ms + span_ms for at in ticks)


def test_times_on_an_axis_are_round_in_the_sites_zone() -> None:
    ticks, pattern = time_ticks(RAISED_AT_MS - 86_400_000, RAISED_AT_MS, Locale(zone="Asia/Kolkata"))
    assert pattern == "%H:%M"
    assert [day_and_clock(at, Locale(zone="Asia/Kolkata")) for at in ticks][:2] == [
        "Mon 17 Nov, 00:00",
        "Mon 17 Nov, 06:00",
    ]


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
def test_values_on_an_axis_are_few_and_within(low: float, width: float) -> None:
    width = max(width, abs(low) * 1e-6)
    ticks, step = value_ticks(low, low + width)
    assert len(ticks) <= 6
    assert all(low - step / 1000 <= tick <= low + width + step / 1000 for tick in ticks)
