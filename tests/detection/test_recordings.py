"""The first cut on a real pump rig: the fault is found and named, and healthy running stays quiet."""

from __future__ import annotations

import numpy as np
import pytest

from detection.change import Change
from detection.detector import Detector
from detection.episode import Phase
from detection.fit import fit
from tests.support.recordings import Recording, recording, with_fault

LEARN = 400


def judged_row_by_row(part: Recording) -> list[tuple[int, Change]]:
    """Learn from the first 400 rows, play the rest; (row of the part, change)."""
    fitted = fit(part.values[:LEARN], part.times[:LEARN], part.metrics)
    detector, found = Detector(fitted.model), []
    for row in range(LEARN, len(part.times)):
        changes = detector.process(part.times[row : row + 1], part.values[row : row + 1].T, part.metrics)
        found += [(row, change) for change in changes]
    return found


def test_a_closing_valve_is_raised_within_its_labelled_fault_and_names_the_flow_first() -> None:
    valve = recording("valve2/0")
    raised = [(row, change) for row, change in judged_row_by_row(valve) if change.phase is Phase.RAISED]
    assert raised
    assert all(valve.faulty[row] for row, _ in raised)
    assert raised[0][1].explanation.sensors[0].name == "Volume Flow RateRMS"


@pytest.mark.parametrize("name", ["valve2/1", "valve2/2", "valve2/3", "other/3", "other/5", "other/6", "other/7"])
def test_the_other_faults_of_the_rig_are_raised_within_their_labels(name: str) -> None:
    part = recording(name)
    rows = [row for row, change in judged_row_by_row(part) if change.phase is Phase.RAISED]
    assert any(part.faulty[row] for row in rows)


@pytest.mark.parametrize("start", [2252, 2253, 2254])
def test_a_healthy_recording_of_the_same_length_raises_nothing(start: int) -> None:
    assert judged_row_by_row(recording("anomaly-free/anomaly-free").rows(start, start + 1126)) == []


@pytest.mark.parametrize("kind", ["step", "ramp", "spikes", "noise"])
@pytest.mark.parametrize("channel", range(8))
def test_a_fault_written_onto_any_channel_names_that_channel_whatever_the_channels_are_called(
    channel: int, kind: str
) -> None:
    part = recording("anomaly-free/anomaly-free").rows(2253, 3379)
    rng = np.random.default_rng(channel)
    size = 10 * part.values[:LEARN, channel].std()
    start = int(rng.integers(550, 800))
    values = with_fault(part.values, channel, start=start, kind=kind, size=size, seed=channel)
    names = [part.metrics[other] for other in rng.permutation(8)]
    raised = [
        (row, change)
        for row, change in judged_row_by_row(Recording(part.times, values, names, part.faulty))
        if change.phase is Phase.RAISED
    ]
    row, change = raised[0]
    assert start <= row <= start + 120
    assert change.explanation.sensors[0].name == names[channel]
