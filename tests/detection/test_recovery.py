"""When an alarm is over: its own direction is gone, and the machine stands still where it is."""

from __future__ import annotations

import numpy as np

from detection.change import Change
from detection.episode import Phase
from detection.rows import Floats
from tests.support.machines import DEVIATIONS, detector, healthy, play

FAULT, BACK = slice(100, 300), slice(300, None)


def machine(rows: int = 900) -> Floats:
    return healthy(900 + rows)[900:]


def cleared(values: Floats) -> list[Change]:
    return [change for change in play(detector(), values) if change.phase is Phase.CLEARED]


def test_what_remains_in_another_direction_is_a_new_level_to_verify() -> None:
    values = machine()
    values[FAULT, 0] += 20 * DEVIATIONS[0]
    values[BACK, 1] += 3 * DEVIATIONS[1]
    (change,) = cleared(values)
    assert change.new_level
    assert 320 <= change.row <= 400


def test_what_remains_of_the_fault_itself_is_not_over() -> None:
    values = machine()
    values[FAULT, 0] += 20 * DEVIATIONS[0]
    values[BACK, 0] += 8 * DEVIATIONS[0]
    assert cleared(values) == []


def test_another_fault_that_took_over_is_not_over() -> None:
    values = machine()
    values[FAULT, 0] += 20 * DEVIATIONS[0]
    values[BACK, 1] += 20 * DEVIATIONS[1]
    assert cleared(values) == []


def test_a_machine_on_its_way_back_is_at_no_level_yet() -> None:
    values = machine()
    values[FAULT, 0] += 20 * DEVIATIONS[0]
    values[300:600, 1] += np.linspace(40, 5, 300) * DEVIATIONS[1]
    values[600:, 1] += 5 * DEVIATIONS[1]
    assert [change.row for change in cleared(values) if change.row < 550] == []


def test_the_way_back_is_no_jump_of_its_own() -> None:
    values = machine()
    values[100:160, 3] += 20 * DEVIATIONS[3]
    phases = [change.phase for change in play(detector(), values)]
    assert phases.count(Phase.RAISED) == 1
    assert phases[-1] is Phase.CLEARED
