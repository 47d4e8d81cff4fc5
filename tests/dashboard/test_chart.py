"""The device's chart as data: rows, bands, ranges, and the site's time."""

from __future__ import annotations

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest

from dashboard.axes import Span
from dashboard.chart import figure, offset_ms
from dashboard.facts import Anomaly, Series, fact
from dashboard.language import Words
from dashboard.legend import draws
from dashboard.pages.device import RANGES_MS, span_for
from tests.dashboard.plant import METRICS, NOW_MS, anomaly, wave

SPAN = Span(NOW_MS - 3_600_000, NOW_MS)
ILL = fact(Anomaly, anomaly())
TIMES = list(range(SPAN.since_ms, SPAN.until_ms, 10_000))
SERIES = [
    Series(
        name=str(each["name"]),
        unit=str(each["unit"]),
        measured_at_ms=TIMES,
        values=[wave(str(each["name"]), at, ILL.since_ms) for at in TIMES],
    )
    for each in METRICS
]


def drawn(anomalies: list[Anomaly], zone: str = "UTC") -> dict:
    return figure(SERIES, SPAN, anomalies, Words("en", ZoneInfo(zone)), site="plant-1", device="pump-07")


def roles(picture: dict, role: str) -> list[dict]:
    return [trace for trace in picture["data"] if trace["meta"].get("role") == role]


def test_each_sensor_has_a_row_of_its_own_on_one_time_axis() -> None:
    picture = drawn([])
    assert [trace["yaxis"] for trace in roles(picture, "seen")] == ["y", "y2", "y3", "y4", "y5"]
    assert [key for key in picture["layout"] if key.startswith("xaxis")] == ["xaxis"]


def test_without_evidence_nothing_is_expected() -> None:
    assert roles(drawn([]), "edge") == []


def test_only_what_left_its_range_during_the_anomaly_is_marked() -> None:
    vibration, _, current, *_ = roles(drawn([ILL]), "outside")
    marked = [at for at, value in zip(TIMES, vibration["y"], strict=True) if value is not None]
    assert marked
    assert min(marked) >= ILL.since_ms
    assert set(current["y"]) == {None}
    assert vibration["line"]["color"] == "--crit"


def test_an_open_anomaly_is_a_band_up_to_now() -> None:
    band = next(shape for shape in drawn([ILL])["layout"]["shapes"] if shape["type"] == "rect")
    assert (band["x0"], band["x1"], band["name"]) == (ILL.since_ms, SPAN.until_ms, "open")


def test_times_are_those_of_the_site() -> None:
    assert offset_ms(NOW_MS, ZoneInfo("America/Sao_Paulo")) == -3 * 3_600_000
    picture = drawn([ILL], "America/Sao_Paulo")
    assert roles(picture, "seen")[0]["x"][0] == SPAN.since_ms - 3 * 3_600_000


def test_every_value_fits_its_row() -> None:
    layout = drawn([ILL])["layout"]
    low, high = layout["yaxis"]["range"]
    assert low < min(SERIES[0].values)
    assert max(SERIES[0].values) < high


def test_a_device_without_readings_makes_an_empty_chart() -> None:
    nothing = [Series(name="a", unit="g")]
    assert figure(nothing, SPAN, [], Words("pt", UTC), site="s", device="d")["data"][0]["y"] == []


@pytest.mark.parametrize("key", RANGES_MS)
def test_a_range_ends_now(key: str) -> None:
    assert span_for(key, None, NOW_MS) == Span(NOW_MS - RANGES_MS[key], NOW_MS)


def test_an_old_anomaly_is_shown_with_what_was_before_and_after_it() -> None:
    old = fact(Anomaly, anomaly(since_ms=NOW_MS - 10**9, raised_at_ms=NOW_MS - 10**9 + 10_000, cleared_at_ms=None))
    span = span_for(None, old, NOW_MS)
    assert span.since_ms < old.since_ms < old.raised_at_ms < span.until_ms < NOW_MS


def test_no_line_leads_across_a_gap() -> None:
    missing = range(TIMES[100], TIMES[200])
    whole = SERIES[0]
    kept = [(at, value) for at, value in zip(TIMES, whole.values, strict=True) if at not in missing]
    line = Series(name=whole.name, unit="g", measured_at_ms=[at for at, _ in kept], values=[value for _, value in kept])
    picture = figure([line], SPAN, [ILL], Words("en", UTC), site="plant-1", device="pump-07")
    seen = roles(picture, "seen")[0]
    at = seen["y"].index(None)
    assert seen["x"][at - 1] < missing.start < seen["x"][at] < missing.stop <= seen["x"][at + 1]
    assert picture["layout"]["meta"]["gap"] < missing.stop - missing.start


def test_the_legend_names_only_what_is_drawn() -> None:
    assert draws(drawn([ILL]), "edge")
    assert draws(drawn([ILL]), "outside")
    assert not draws(drawn([]), "edge")
    assert not draws(drawn([]), "outside")
