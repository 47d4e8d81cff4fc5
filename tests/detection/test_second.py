"""A second fault during an open alarm is told, once it lasted, and naming its own sensor."""

from __future__ import annotations

import numpy as np

from detection.change import Change
from detection.detector import Detector
from detection.episode import Phase
from detection.kinds import Kind
from detection.rows import Floats
from tests.support.machines import DEVIATIONS, METRICS, START_MS, detector, healthy, play

AFTER_MS = START_MS + 900_000


def ill(rows: int = 900, *, by: float = 20) -> Floats:
    """Vibration is far outside from row 100 on, so far that nothing that follows is a quarter more."""
    values = healthy(900 + rows)[900:]
    values[100:, 0] += by * DEVIATIONS[0]
    return values


def updates(changes: list[Change], *, after: int) -> list[Change]:
    return [change for change in changes if change.phase is Phase.UPDATED and change.row > after]


def test_a_second_sensor_beyond_its_limit_is_told_once() -> None:
    values = ill()
    values[300:, 2] += 5 * DEVIATIONS[2]
    first, change = [each for each in play(detector(), values) if not 150 < each.row < 200]
    assert "pressure unchanged" in first.explanation.sentence["en"]
    assert 310 < change.row < 340
    assert change.phase is Phase.UPDATED
    assert change.explanation.sensors[0].name == METRICS[0]
    assert "also affected: pressure" in change.explanation.sentence["en"]


def test_a_second_sensor_that_turns_rough_is_told() -> None:
    values = ill(by=40)
    values[300:, 1] += 6 * DEVIATIONS[1] * np.random.default_rng(1).standard_normal(600)
    (change, *_) = updates(play(detector(), values), after=200)
    assert change.explanation.kind is Kind.ROUGHNESS
    assert change.explanation.sensors[0].name == "current_a"
    assert AFTER_MS + 300_000 < change.explanation.since_ms < AFTER_MS + 330_000
    assert "vibration at the drive end" in change.explanation.sentence["en"]


def test_a_second_fault_that_passes_within_seconds_is_not_told() -> None:
    values = ill()
    values[300:308, 2] += 5 * DEVIATIONS[2]
    assert updates(play(detector(), values), after=200) == []


def test_a_second_fault_is_told_a_minute_after_the_alarm_at_the_earliest() -> None:
    values = ill()
    values[125:, 2] += 6 * DEVIATIONS[2]
    changes = play(detector(), values)
    first, *others = changes
    assert first.phase is Phase.RAISED
    assert others[0].row - first.row == 60
    assert "also affected: pressure" in others[0].explanation.sentence["en"]


def test_a_fault_that_takes_over_from_the_first_is_told() -> None:
    values = healthy(900 + 900)[900:]
    values[100:300, 0] += 20 * DEVIATIONS[0]
    values[320:, 1] += 20 * DEVIATIONS[1]
    changes = play(detector(), values)
    (change,) = updates(changes, after=200)
    assert change.explanation.sensors[0].name == "current_a"
    assert Phase.CLEARED not in {change.phase for change in changes}


def test_the_alarm_is_not_over_while_the_second_fault_is_there() -> None:
    values = healthy(900 + 1200)[900:]
    values[100:500, 0] += 20 * DEVIATIONS[0]
    values[300:800, 2] += 5 * DEVIATIONS[2]
    changes = play(detector(), values)
    (cleared,) = [change for change in changes if change.phase is Phase.CLEARED]
    assert cleared.row > 800
    assert not cleared.new_level


def test_what_was_told_is_not_told_again_by_a_detector_that_goes_on_from_a_state_or_with_another_model() -> None:
    values = ill()
    values[300:, 2] += 5 * DEVIATIONS[2]
    first = detector()
    play(first, values[:400])
    same = Detector(first.model, state=first.state())
    assert updates(play(same, values[400:], start_ms=AFTER_MS + 400_000), after=0) == []
    other = Detector(detector(seed=2).model, state=first.state())
    for change in play(other, values[400:], start_ms=AFTER_MS + 400_000):
        assert change.explanation.sensors[0].name in {METRICS[0], METRICS[2]}
