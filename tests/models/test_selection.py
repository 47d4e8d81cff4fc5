"""What a machine learns from: what people said of its alarms decides."""

from __future__ import annotations

import numpy as np
import pytest

from cloud.models.selection import healthy, left_out, merged
from cloud.storage.model_versions import LeftOut
from cloud.storage.verdicts import Episode, Judgement

MINUTE = 60_000


def episode(since_min: int, cleared_min: int | None, verdict: Judgement | None) -> Episode:
    cleared_ms = None if cleared_min is None else cleared_min * MINUTE
    since_ms = since_min * MINUTE
    return Episode(anomaly_id=str(since_min), since_ms=since_ms, cleared_at_ms=cleared_ms, verdict=verdict)


@pytest.mark.parametrize(
    ("verdict", "why"),
    [
        (Judgement.TRUE, "confirmed alarm"),
        (Judgement.PLANNED, "planned work"),
        (None, "alarm that nobody judged"),
    ],
)
def test_an_alarm_is_left_out_with_a_margin_unless_it_was_false(verdict: Judgement | None, why: str) -> None:
    [period] = left_out([episode(60, 70, verdict)], [], 100 * MINUTE)
    assert (period.from_ms, period.through_ms, period.why) == (55 * MINUTE, 75 * MINUTE, why)
    assert left_out([episode(60, 70, Judgement.FALSE)], [], 100 * MINUTE) == []


def test_an_alarm_that_is_still_on_lasts_until_now() -> None:
    [period] = left_out([episode(60, None, None)], [], 100 * MINUTE)
    assert period.through_ms == 105 * MINUTE


def test_a_period_that_a_person_marked_is_left_out_to_the_minute() -> None:
    periods = left_out([episode(60, 70, Judgement.FALSE)], [(10 * MINUTE, 20 * MINUTE)], 100 * MINUTE)
    assert periods == [LeftOut(from_ms=10 * MINUTE, through_ms=20 * MINUTE, why="marked as faulty")]
    times = np.arange(30) * MINUTE
    assert np.flatnonzero(~healthy(times, periods)).tolist() == list(range(10, 21))


def test_periods_that_touch_become_one() -> None:
    assert merged([(5, 9), (0, 6), (20, 30), (22, 25)]) == [(0, 9), (20, 30)]
