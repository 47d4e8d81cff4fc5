"""What moves models in and out of force, put together on a store and a bus.

A roll-back begins here, so nothing that fits or tries models is imported.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from broker.credentials import SERVICE_PREFIX
from broker.mqtt import MqttBus
from cloud.models.artifacts import Artifacts
from cloud.models.championship import Announce, Championship
from cloud.storage.backtests import BacktestStore
from cloud.storage.database import Database
from cloud.storage.model_versions import ModelVersion, ModelVersionStore
from cloud.storage.promotions import PromotionStore
from contract.codec import encode_events
from contract.events import ModelPromotedEvent
from ronda.installation import folder_of
from ronda.mlflow.tracking import tracking
from ronda.parts import Surroundings, clock_ms
from ronda.settings import load_settings
from ronda.store import opened_store

# A roll-back is over within five seconds: who keeps the bytes is asked once and not waited for.
_HASTE_S = 1.5


class CheckedArtifacts:
    """Are a model's bytes still those that were registered?"""

    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts

    async def check(self, model: ModelVersion) -> None:
        """Raises: ArtifactError when they were changed, TransientError when their keeper is away."""
        await asyncio.to_thread(self._artifacts.load, model.artifact_uri, model.sha256)


def artifacts(around: Surroundings, *, in_haste: bool = False) -> Artifacts:
    """Where the models' bytes are read."""
    where = around.settings.mlflow_s3_endpoint_url, tracking(around.settings).login
    if in_haste:
        return Artifacts(around.runtime.tracking_uri, *where, timeout_s=_HASTE_S)
    return Artifacts(around.runtime.tracking_uri, *where)


def championship(around: Surroundings, database: Database, announce: Announce) -> Championship:
    """What moves models in and out of force."""
    return Championship(
        PromotionStore(database),
        ModelVersionStore(database),
        BacktestStore(database),
        CheckedArtifacts(artifacts(around, in_haste=True)),
        announce,
        clock_ms,
    )


class Announcer:
    """Tells the bus who judges a machine, in the name of the trainer; retained, for those who come later."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    async def __call__(self, events: Sequence[ModelPromotedEvent]) -> None:
        """Say it and hang up."""
        address = self._around.mqtt("trainer")
        # By chance: a roll-back at the command line must not push a training off the broker.
        client_id = f"{SERVICE_PREFIX}trainer-{uuid.uuid4().hex[:16]}"
        async with MqttBus(address, client_id, persistent=False) as bus:
            await bus.publish(encode_events(events), retain=True)


@asynccontextmanager
async def opened(data: Path | None) -> AsyncIterator[tuple[Surroundings, Database]]:
    """What surrounds a command about models, and the store."""
    around = Surroundings("trainer", folder_of(load_settings("trainer"), data))
    async with opened_store(around.runtime.database_url, around.settings) as database:
        yield around, database
