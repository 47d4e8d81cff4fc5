"""Many machines judged side by side: the same answers as one after the other, to the bit."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.detector import Detector
from detection.errors import DetectionError
from detection.kinds import Alarm
from detection.limit import Limit
from detection.machine import Machine
from detection.many import Block, process_machines, process_many
from tests.support.machines import METRICS, START_MS, detector, healthy, times
from tests.support.stories import Story, kinds, names, story

_kinds = functools.cache(kinds)
_ROWS = 250


def _block(told: Story, start: int, stop: int) -> Block:
    return Block(told.times[start:stop], told.values[start:stop].T, names(told.kind.channels))


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**20), st.integers(2, 8), st.sampled_from([1, 3, 20]))
def test_side_by_side_is_one_after_the_other_to_the_bit(seed: int, machines: int, longest: int) -> None:
    rng = np.random.default_rng(seed)
    told = [story(_kinds()[int(rng.integers(0, 4))], _ROWS, seed + at) for at in range(machines)]
    together, alone = ([Detector(each.kind.model) for each in told] for _ in range(2))
    starts = [0] * machines
    while min(starts) < _ROWS:
        who = [at for at in range(machines) if starts[at] < _ROWS and rng.random() < 0.9]
        stops = {at: starts[at] + int(rng.integers(0, longest + 1)) for at in who}
        blocks = [_block(told[at], starts[at], stops[at]) for at in who]
        found = process_many([together[at] for at in who], blocks)
        assert found == [alone[at].process(*block) for at, block in zip(who, blocks, strict=True)]
        for at in who:
            np.testing.assert_array_equal(together[at].scores, alone[at].scores)
            assert together[at].turns == alone[at].turns
            assert together[at].leading() == alone[at].leading()
            starts[at] = stops[at]
    assert [each.state() for each in together] == [each.state() for each in alone]


def test_healthy_machines_are_ready_to_be_judged_side_by_side() -> None:
    values = healthy(900 + 200)[900:]
    detectors = [detector() for _ in range(3)]
    for row in range(200):
        block = Block(times(200, start_ms=START_MS + 900_000)[row : row + 1], values[row : row + 1].T, METRICS)
        process_many(detectors, [block] * 3)
    assert all(each.judge.steady is not None for each in detectors)


def test_machines_keep_their_limits_and_trends() -> None:
    told = [story(_kinds()[1], 300, seed) for seed in range(4)]
    limits = [Limit(metric=METRICS[1], high=4.2)]
    together, alone = ([Machine.begun(each.kind.model, limits=limits) for each in told] for _ in range(2))
    raised = 0
    for row in range(300):
        blocks = [_block(each, row, row + 1) for each in told]
        found = process_machines(together, blocks)
        assert found == [machine.process(*block) for machine, block in zip(alone, blocks, strict=True)]
        raised += sum(change.alarm is Alarm.LIMIT for changes in found for change in changes)
    assert raised
    assert [each.state() for each in together] == [each.state() for each in alone]


def test_columns_that_do_not_fit_are_refused_before_anything_is_judged() -> None:
    kind = _kinds()[1]
    detectors = [Detector(kind.model) for _ in range(2)]
    block = _block(story(kind, 3, 1), 0, 1)
    with pytest.raises(DetectionError, match="do not fit columns of"):
        process_many(detectors, [block, block._replace(metrics=["one"])])
    assert detectors[0].position_ms is None
    with pytest.raises(DetectionError, match="comes once"):
        process_many([detectors[0]] * 2, [block] * 2)
