"""The whole way on real parts: rows in PostgreSQL, a fit, MLflow, and the promotion written down."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import text

from cloud.models.artifacts import Artifacts
from cloud.models.registry import Registry
from cloud.models.training import train
from cloud.storage.database import Database
from cloud.storage.promotions import PromotionStore
from cloud.storage.readings import ReadingStore
from contract.events import ModelPromotedEvent
from tests.models.test_training import NOW_MS, Pupil
from tests.support.machines import METRICS, START_MS, healthy, times
from tests.support.readings import DEVICE, SITE, block


async def trained(database: Database, registry: Registry) -> ModelPromotedEvent:
    [event] = await train(
        ReadingStore(database),
        registry,
        PromotionStore(database),
        [Pupil(SITE, DEVICE, learn_rows=400)],
        code_version="test",
        clock_ms=lambda: NOW_MS,
    )
    return event


async def test_a_model_is_learned_from_stored_rows_and_follows_them(database: Database, registry: Registry) -> None:
    stored = block(range(500), metrics=METRICS, values=healthy(500).T.tolist(), measured_at_ms=times(500).tolist())
    await ReadingStore(database).store([stored], [])
    first = await trained(database, registry)
    again = await trained(database, registry)
    assert (again.data_hash, again.model.sha256) == (first.data_hash, first.model.sha256)
    assert first.trained_through_ms == START_MS + 399_000

    async with database.begin() as connection:
        await connection.execute(text("UPDATE readings SET values[1] = values[1] * 1.2 WHERE seq >= 200"))
    changed = await trained(database, registry)
    assert changed.data_hash != first.data_hash
    before, after = (Artifacts().load(event.artifact_uri, event.model.sha256) for event in (first, changed))
    assert after.centre[0] == pytest.approx(before.centre[0] * 1.1, rel=0.05)
    assert not np.allclose(after.level_limit, before.level_limit)
    current = await PromotionStore(database).current(SITE, DEVICE)
    assert current is not None
    assert current.event == changed
