"""The benchmark lives through a machine's time as the product does, and counts what is said about it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from benchmarks.healthy import Journal
from benchmarks.injected import SETTLED_S, STAYS_S, Onset, onsets, trials
from benchmarks.watched import Emulated, Watched
from edge.faults import FaultKind
from edge.schedule import DAY_S, HOUR_S

LEARN_ROWS = 1800


@pytest.fixture(scope="module")
def steady() -> Emulated:
    return Emulated(seed=6, number=0, seconds=4 * HOUR_S)


def test_a_machine_is_learned_first_from_as_many_readings_as_the_product_takes_and_again_from_twice_as_many(steady):
    watched = Watched(steady, LEARN_ROWS)
    for _ in watched.stretches():
        pass
    first, *later = [training.rows for training in watched.trained]
    assert first == LEARN_ROWS
    assert later
    assert all(after >= 2 * before for before, after in itertools.pairwise([first, *later]))


def test_every_second_after_the_learning_is_judged_once(steady):
    watched = Watched(steady, LEARN_ROWS, again=False)
    times = np.concatenate([watch.readings.times_ms for watch in watched.stretches([steady.first_s + 3 * HOUR_S + 7])])
    assert (np.diff(times) > 0).all()
    assert times[-1] // 1000 == steady.end_s - 1
    assert len(times) > 0.98 * (4 * HOUR_S - 1.1 * LEARN_ROWS)


def test_a_fault_is_tried_at_every_speed_while_it_lasts():
    machine = Emulated(seed=2, number=0, seconds=2 * DAY_S)
    regime = machine.pump.regime(machine.first_s, 2 * DAY_S)
    found = onsets(machine, 3)
    assert {onset.regime for onset in found} == {1, 2, 3}
    for onset in found:
        around = regime[onset.begin_s - machine.first_s - SETTLED_S : onset.begin_s - machine.first_s + STAYS_S]
        assert set(around) == {onset.regime}


def test_every_fault_is_tried_from_the_same_state_and_leaves_the_healthy_watch_alone(steady):
    def raised(*, trying: bool) -> tuple[list[float], set[FaultKind]]:
        journal, kinds = Journal(steady), set[FaultKind]()
        stop = steady.first_s + 3 * HOUR_S
        for watch in Watched(steady, LEARN_ROWS, again=False).stretches([stop]):
            journal.note(watch)
            if trying and watch.end_s == stop:
                kinds |= {trial.kind for trial in trials(steady, watch, Onset(stop, stop + 100, 1)) if trial.found}
        return [entry.at_s for entry in journal.told()], kinds

    alone, _ = raised(trying=False)
    beside, found = raised(trying=True)
    assert beside == alone
    assert found == set(FaultKind)
