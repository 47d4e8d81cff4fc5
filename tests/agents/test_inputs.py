"""An hour of compared inputs: kept always, said when it drifted, the same after a restart in the middle of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from contract.events import Event, InputDriftedEvent
from tests.agents.detection_bench import DEVICE, SITE, Bench, block, promotion
from tests.support.machines import METRICS, healthy


@pytest.fixture
def bench() -> Bench:
    return Bench()


def shifted(count: int) -> np.ndarray:
    """The current reads 0.08 A too high: less than a deviation, and no alarm."""
    values = healthy(count, 4)
    values[:, 1] += 0.08
    return values


def drifts(events: Sequence[Event]) -> list[InputDriftedEvent]:
    return [event for event in events if isinstance(event, InputDriftedEvent)]


async def played(bench: Bench, values: np.ndarray, restart_at: int | None = None) -> list[InputDriftedEvent]:
    bench.store.promoted = [promotion("1")]
    await bench.agent.start()
    found: list[InputDriftedEvent] = []
    for first in range(0, len(values), 60):
        if first == restart_at:
            await bench.agent.stop()
            await bench.restarted().start()
        found += drifts(await bench.agent.handle([block(values[first : first + 60], first)]))
    return found


async def test_an_hour_that_is_as_learned_is_kept_and_nothing_is_said(bench: Bench) -> None:
    assert await played(bench, healthy(11_000, 4)) == []
    assert len(bench.store.hours) >= 2
    assert all(hour.readings > 1000 for hour in bench.store.hours)
    assert not any(channel.drifted for hour in bench.store.hours for channel in hour.channels)


async def test_a_sensor_whose_calibration_shifted_is_said_once_with_its_name(bench: Bench) -> None:
    (said,) = await played(bench, shifted(15_000))
    assert [channel.name for channel in said.channels if channel.drifted] == [METRICS[1]]
    assert said.model.version == "1"
    assert said in bench.store.hours


async def test_a_restart_in_the_middle_of_an_hour_changes_nothing(bench: Bench) -> None:
    values, other = shifted(11_000), Bench()
    assert await played(bench, values, restart_at=6000) == await played(other, values)
    assert bench.store.hours == other.store.hours
    assert bench.store.snapshots[SITE, DEVICE].drift == other.store.snapshots[SITE, DEVICE].drift


async def test_another_model_begins_the_hour_anew(bench: Bench) -> None:
    values = healthy(11_000, 4)
    bench.store.promoted = [promotion("1")]
    await bench.agent.start()
    for first in range(0, 11_000, 100):
        if first == 5000:
            await bench.agent.handle([promotion("2", promotion().promoted_at_ms + 1)])
        await bench.agent.handle([block(values[first : first + 100], first)])
    assert {hour.model.version for hour in bench.store.hours} == {"1", "2"}
