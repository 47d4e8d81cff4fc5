"""A chart of a long time is made of minutes or hours, and says the same as the readings would."""

from __future__ import annotations

import numpy as np
import pytest

from cloud.api.charts import chart
from cloud.storage.database import Database
from cloud.storage.readings import ReadingStore
from cloud.storage.resolution import Drawn, Resolution, Span, coarsest, rolled
from cloud.storage.rollups import RollUps
from tests.support.readings import DEVICE, METRICS, SITE, START_MS, block

_HOUR_MS = 3_600_000
_DAY_S = 24 * 3600
# 22 November 2025, 08:00.
_ROUND_MS = START_MS - START_MS % _HOUR_MS


@pytest.mark.parametrize(
    ("span_ms", "points", "resolution"),
    [
        (_HOUR_MS, 2000, Resolution.READINGS),
        (24 * _HOUR_MS, 3000, Resolution.READINGS),
        (24 * _HOUR_MS, 2000, Resolution.MINUTES),
        (24 * 30 * _HOUR_MS, 2000, Resolution.MINUTES),
        (24 * 60 * _HOUR_MS, 2000, Resolution.HOURS),
        (24 * _HOUR_MS, 20, Resolution.HOURS),
        (0, 3, Resolution.READINGS),
    ],
)
def test_the_coarsest_that_still_fills_the_points_is_taken(span_ms: int, points: int, resolution: Resolution) -> None:
    assert coarsest(Span(START_MS, START_MS + span_ms), points) is resolution


@pytest.fixture
async def store(database: Database) -> ReadingStore:
    """A day at one reading a second, with one spike, added up but for its last hour."""
    store = ReadingStore(database)
    for first in range(0, _DAY_S, 7200):
        await _store(store, range(first, first + 7200))
        if first + 7200 < _DAY_S:
            await RollUps(database).bring_up_to_date()
    return store


async def _store(store: ReadingStore, seqs: range) -> None:
    values = [[1000.0 if seq == 4567 else float(seq % 7) for seq in seqs] for _ in METRICS]
    await store.store([block(seqs, values=values, measured_at_ms=[_ROUND_MS + 1000 * seq for seq in seqs])], [])


async def _drawn(store: ReadingStore, first_s: int = 0, last_s: int = _DAY_S, points: int = 1000) -> Drawn:
    span = {"from_ms": _ROUND_MS + 1000 * first_s, "to_ms": _ROUND_MS + 1000 * last_s}
    return await store.drawn(SITE, DEVICE, **span, points=points, most=100_000)


async def test_a_day_is_made_of_minutes_and_its_end_of_readings(store: ReadingStore) -> None:
    day = await _drawn(store)
    assert day.resolution is Resolution.MINUTES
    assert day.rolled is not None
    assert day.rolled.from_ms.tolist() == list(range(_ROUND_MS, _ROUND_MS + 22 * _HOUR_MS - 60_000, 60_000))
    assert day.block.measured_at_ms[0] == _ROUND_MS + 22 * _HOUR_MS - 60_000
    assert day.rolled.readings + len(day.block) == _DAY_S
    assert day.whole


async def test_a_spike_of_one_reading_is_on_the_chart_of_a_day(store: ReadingStore) -> None:
    for points in (20, 1000, 2880):
        drawn = chart(await _drawn(store, points=points), (), points)
        assert drawn.rows == _DAY_S
        for series in drawn.series:
            assert len(series.values) <= points
            assert (min(series.values), max(series.values)) == (0.0, 1000.0)
            assert series.measured_at_ms == sorted(series.measured_at_ms)
            spike_ms = series.measured_at_ms[int(np.argmax(series.values))]
            assert abs(spike_ms - (_ROUND_MS + 4567_000)) <= drawn.resolution.step_ms


async def test_few_points_of_a_day_are_made_of_hours(store: ReadingStore) -> None:
    day = await _drawn(store, points=20)
    assert day.resolution is Resolution.HOURS
    assert day.rolled is not None
    assert day.rolled.from_ms.tolist() == list(range(_ROUND_MS, _ROUND_MS + 21 * _HOUR_MS, _HOUR_MS))
    assert day.rolled.readings + len(day.block) == _DAY_S


async def test_an_hour_is_made_of_readings(store: ReadingStore) -> None:
    hour = await _drawn(store, 3600, 7200, points=2000)
    assert (hour.resolution, hour.rolled, len(hour.block)) == (Resolution.READINGS, None, 3601)


async def test_what_was_not_added_up_yet_is_read_as_it_is(database: Database) -> None:
    store = ReadingStore(database)
    await _store(store, range(_DAY_S))
    day = await _drawn(store)
    assert (day.resolution, day.rolled, len(day.block)) == (Resolution.READINGS, None, _DAY_S)


async def test_a_late_reading_is_on_the_chart_before_it_is_added_up(store: ReadingStore, database: Database) -> None:
    await RollUps(database).bring_up_to_date()
    late = block([999_999], measured_at_ms=[_ROUND_MS + 12 * _HOUR_MS + 1], values=[[-50.0]] * 3)
    await store.store([late], [])
    day = await _drawn(store)
    assert min(chart(day, (), 1000).series[0].values) == -50.0
    assert day.rolled is not None
    assert day.rolled.readings + len(day.block) == _DAY_S + 1
    await RollUps(database).bring_up_to_date()
    assert min(chart(await _drawn(store), (), 1000).series[0].values) == -50.0


async def test_a_device_that_speaks_seldom_is_drawn_from_its_readings(database: Database) -> None:
    store = ReadingStore(database)
    times = [_ROUND_MS + 600_000 * n for n in range(144)]
    await store.store([block(range(144), measured_at_ms=times)], [])
    await RollUps(database).bring_up_to_date()
    day = await _drawn(store)
    assert (day.resolution, day.block.measured_at_ms) == (Resolution.READINGS, times)


async def test_without_a_span_all_that_is_there_is_drawn(store: ReadingStore, database: Database) -> None:
    all_of_it = await store.drawn(SITE, DEVICE, from_ms=None, to_ms=None, points=1000, most=100_000)
    assert all_of_it.resolution is Resolution.MINUTES
    assert all_of_it.rolled is not None
    assert all_of_it.rolled.readings + len(all_of_it.block) == _DAY_S
    nobody = await store.drawn(SITE, "ghost", from_ms=None, to_ms=None, points=1000, most=100_000)
    assert (nobody.rolled, len(nobody.block), nobody.whole) == (None, 0, True)


async def test_more_readings_than_are_looked_at_are_drawn_by_the_minute(store: ReadingStore) -> None:
    span = {"from_ms": _ROUND_MS, "to_ms": _ROUND_MS + 6 * _HOUR_MS}
    hours = await store.drawn(SITE, DEVICE, **span, points=5000, most=10_000)
    assert (hours.resolution, hours.whole) == (Resolution.MINUTES, True)


def test_minutes_that_came_in_two_parts_are_one() -> None:
    both = rolled([(0, 5, [1.0, None], [4.0, None]), (0, 1, [0.5], [0.5]), (60_000, 1, [2.0, 3.0], [2.0, 3.0])], 2)
    assert both.from_ms.tolist() == [0, 60_000]
    assert both.readings == 7
    assert both.lows[:, 0].tolist() == [0.5, 2.0]
    assert both.highs[:, 0].tolist() == [4.0, 2.0]
    assert np.isnan(both.lows[0, 1])
