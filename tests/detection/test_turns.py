"""Change points: told once, near where the machine began to run differently."""

from __future__ import annotations

import numpy as np

from tests.support.machines import DEVIATIONS, detector, healthy, play


def turns(shift: float, *, start: int = 200, stop: int | None = None) -> list[int]:
    values = healthy(900 + 500)[900:]
    values[start:stop, 1] += shift * DEVIATIONS[1]
    watcher = detector()
    play(watcher, values)
    return watcher.turns


def test_healthy_running_has_none() -> None:
    assert turns(0) == []


def test_a_shift_is_told_within_its_half_minute() -> None:
    first = turns(10)[0]
    assert 200 <= first <= 230


def test_a_shift_and_its_end_are_two() -> None:
    found = np.array(turns(10, stop=350))
    assert ((found >= 200) & (found <= 230)).any()
    assert ((found >= 350) & (found <= 400)).any()
