"""The benchmark judges with the very class that the agent runs: over MQTT the same rows are flagged, one by one."""

from __future__ import annotations

import pytest

from benchmarks.skab_over_mqtt import played
from benchmarks.skab_protocol import recordings
from tests.support.datasets import recording
from tests.support.installation import Ronda

# A closing valve and an imbalance.
NAMES = ("valve2/0", "other/5")


@pytest.mark.timeout(240)
def test_the_flags_over_mqtt_are_row_by_row_those_of_the_benchmark(ronda: Ronda) -> None:
    files = recordings(recording("skab/valve2/0.csv").parents[1], NAMES)
    found = played(ronda, files)
    assert [(each.recording.name, each.different) for each in found] == [(name, []) for name in NAMES]
    assert all(each.by_agent.any() for each in found)
