"""Learn a machine's healthy running from its stored readings and put the model in force."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from cloud.models.registry import Provenance
from cloud.storage.promotions import Promotion
from contract.events import ModelPromotedEvent
from detection.errors import FitError
from detection.fit import Fitted, fit
from detection.rows import Floats, Ints
from detection.settings import Settings

log = logging.getLogger("ronda.models")


class Rows(Protocol):
    """n stored readings by their own time: times (n), values (n, k; NaN for none), names (k)."""

    @property
    def measured_at_ms(self) -> Ints: ...
    @property
    def values(self) -> Floats: ...
    @property
    def metrics(self) -> Sequence[str]: ...


class Store(Protocol):
    """Where readings are read back from."""

    async def training_rows(self, site: str, device: str, *, limit: int) -> Rows:
        """The oldest `limit` readings of a device."""


class Registrar(Protocol):
    """Where models are registered; blocking."""

    def register(self, site: str, device: str, fitted: Fitted, provenance: Provenance) -> Promotion:
        """Register and make it the champion."""


class Record(Protocol):
    """Where promotions are written down."""

    async def promote(self, promotion: Promotion) -> None:
        """Keep it; the same again changes nothing."""


class Pupil(Protocol):
    """A device that shall learn from its first `learn_rows` readings."""

    @property
    def site(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def learn_rows(self) -> int: ...


async def train(
    store: Store,
    registry: Registrar,
    record: Record,
    pupils: Sequence[Pupil],
    *,
    code_version: str,
    clock_ms: Callable[[], int],
    settings: Settings | None = None,
) -> list[ModelPromotedEvent]:
    """Train and promote each of `pupils`; one from whose rows nothing can be learned is logged and left out."""
    events = []
    for pupil in pupils:
        rows = await store.training_rows(pupil.site, pupil.device, limit=pupil.learn_rows)
        asset = f"{pupil.site}/{pupil.device}"
        try:
            fitted = fit(rows.values, rows.measured_at_ms, rows.metrics, settings)
        except FitError as error:
            log.warning("model.unlearnable", extra={"asset": asset, "why": str(error)})
            continue
        provenance = Provenance(code_version=code_version, promoted_at_ms=clock_ms())
        promotion = await asyncio.to_thread(registry.register, pupil.site, pupil.device, fitted, provenance)
        await record.promote(promotion)
        log.info("model.promoted", extra={"asset": asset, "version": promotion.version, "rows": promotion.rows})
        events.append(promotion.event)
    return events
