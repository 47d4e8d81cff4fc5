"""From stored rows to a champion that the bus is told of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from cloud.models.artifacts import Artifacts
from cloud.models.registry import Registry
from cloud.models.training import train
from cloud.storage.promotions import Promotion
from cloud.storage.reading_blocks import TrainingRows
from detection.rows import Floats
from tests.support.machines import DEVIATIONS, METRICS, START_MS, healthy, times

NOW_MS = 1_763_900_000_000


class Pupil(NamedTuple):
    site: str
    device: str
    learn_rows: int = 1_800


class StoredRows:
    """A store that has these rows for every device, and remembers how many were asked for."""

    def __init__(self, values: Floats) -> None:
        self.values = values
        self.asked: list[int] = []

    async def training_rows(self, site: str, device: str, *, limit: int) -> TrainingRows:
        self.asked.append(limit)
        values = self.values[:limit]
        return TrainingRows(site=site, device=device, metrics=METRICS, measured_at_ms=times(len(values)), values=values)


class Promotions:
    """Remembers what was promoted."""

    def __init__(self) -> None:
        self.kept: list[Promotion] = []

    async def promote(self, promotion: Promotion) -> None:
        self.kept.append(promotion)


async def test_stored_rows_become_a_champion_that_is_recorded_and_announced(registry: Registry) -> None:
    store, record = StoredRows(healthy(3000)), Promotions()
    pupils = [Pupil("plant-3", "pump-01"), Pupil("plant-3", "replay-0", learn_rows=400)]
    events = await train(store, registry, record, pupils, code_version="test", clock_ms=lambda: NOW_MS)
    assert store.asked == [1800, 400]
    assert events == [promotion.event for promotion in record.kept]
    assert [event.device for event in events] == ["pump-01", "replay-0"]
    assert [event.trained_through_ms for event in events] == [START_MS + 1_799_000, START_MS + 399_000]
    assert {event.promoted_at_ms for event in events} == {NOW_MS}
    for event in events:
        assert registry.champion(event.site, event.device) in record.kept
        Artifacts().load(event.artifact_uri, event.model.sha256)


async def test_changing_the_stored_rows_changes_the_data_hash_and_the_limits(registry: Registry) -> None:
    changed = healthy(1800)
    changed[900:, 0] += np.random.default_rng(2).standard_normal(900) * DEVIATIONS[0]
    models, hashes = [], []
    for values in (healthy(1800), changed):
        store, pupil = StoredRows(values), Pupil("plant-3", "pump-02")
        [event] = await train(store, registry, Promotions(), [pupil], code_version="test", clock_ms=lambda: NOW_MS)
        models.append(Artifacts().load(event.artifact_uri, event.model.sha256))
        hashes.append(event.data_hash)
    assert hashes[0] != hashes[1]
    assert models[0].level_limit != models[1].level_limit


async def test_a_device_that_cannot_be_learned_is_logged_and_stops_no_other(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    pupils = [Pupil("plant-3", "young", learn_rows=50), Pupil("plant-3", "grown")]
    events = await train(
        StoredRows(healthy(1800)), registry, Promotions(), pupils, code_version="t", clock_ms=lambda: NOW_MS
    )
    assert [event.device for event in events] == ["grown"]
    [record] = [record for record in caplog.records if record.message == "model.unlearnable"]
    assert record.__dict__["asset"] == "plant-3/young"
    assert "50 rows are too few" in record.__dict__["why"]
