"""However the same rows are handed over, the answers are the same to the bit."""

from __future__ import annotations

import functools
import tracemalloc

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.change import Change
from detection.detector import Detector
from detection.explain import shares_of
from tests.support.machines import METRICS, detector, healthy, times
from tests.support.stories import AFTER_MS, Story, kinds, names, story

_kinds = functools.cache(kinds)


@st.composite
def _stories(draw: st.DrawFn) -> Story:
    kind = _kinds()[draw(st.integers(0, 3))]
    return story(kind, draw(st.integers(1, 500)), draw(st.integers(0, 2**20)))


def _play(watcher: Detector, told: Story, start: int, stop: int) -> list[Change]:
    found = watcher.process(told.times[start:stop], told.values[start:stop].T, names(told.kind.channels))
    return [msgspec.structs.replace(change, row=change.row + start) for change in found]


@settings(max_examples=60, deadline=None)
@given(_stories(), st.data())
def test_every_kind_of_machine_is_judged_the_same_row_by_row_and_in_blocks(told: Story, data: st.DataObject) -> None:
    rows = len(told.times)
    whole, single, cut = (Detector(told.kind.model) for _ in range(3))
    expected = _play(whole, told, 0, rows)
    found, scores, turns = [], [], []
    for row in range(rows):
        found += _play(single, told, row, row + 1)
        scores.append(single.scores[0])
        turns += [row] * len(single.turns)
    assert found == expected
    np.testing.assert_array_equal(scores, whole.scores)
    assert turns == whole.turns
    assert single.state() == whole.state()
    edges = sorted(data.draw(st.sets(st.integers(0, rows), max_size=6)))
    pieces = []
    for start, stop in zip([0, *edges], [*edges, rows], strict=True):
        pieces += _play(cut, told, start, stop)
        cut = Detector(told.kind.model, state=cut.state())
    assert pieces == expected
    assert cut.state() == whole.state()


@settings(max_examples=20, deadline=None)
@given(_stories())
def test_the_leading_sensor_is_the_same_from_the_sums_and_from_the_rows(told: Story) -> None:
    watcher = Detector(told.kind.model)
    for row in range(len(told.times)):
        _play(watcher, told, row, row + 1)
        if not watcher.warming:
            _, shares = shares_of(watcher.judge.questions, watcher.judge.scene)
            np.testing.assert_array_equal(watcher.judge.shares(), shares)


@settings(max_examples=30, deadline=None)
@given(_stories(), st.data())
def test_what_comes_later_changes_nothing_that_was_said(told: Story, data: st.DataObject) -> None:
    rows = len(told.times)
    whole = Detector(told.kind.model)
    expected = _play(whole, told, 0, rows)
    for stop in data.draw(st.sets(st.integers(1, rows), min_size=1, max_size=4)):
        prefix = Detector(told.kind.model)
        assert _play(prefix, told, 0, stop) == [change for change in expected if change.row < stop]
        np.testing.assert_array_equal(prefix.scores, whole.scores[:stop])


def test_a_thousand_detectors_stay_below_forty_megabytes_however_long_they_run() -> None:
    count, model = 10, detector().model
    values, at = healthy(10_000, seed=5), times(10_000, start_ms=AFTER_MS)
    tracemalloc.start()
    try:
        detectors = [Detector(model) for _ in range(count)]
        seen = []
        for start in range(0, 10_000, 1000):
            for watcher in detectors:
                for row in range(start, start + 200):
                    watcher.process(at[row : row + 1], values[row : row + 1].T, METRICS)
                watcher.process(at[start + 200 : start + 1000], values[start + 200 : start + 1000].T, METRICS)
            seen.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert max(seen[2:]) - seen[1] < count * 1000
    assert max(seen) / count * 1000 < 40e6
