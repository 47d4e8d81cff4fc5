"""The HTTP door alone: no store, no broker; remembers what it would have published."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from broker.memory import MEMORY
from cloud.api.app import create_api
from cloud.api.auth import AuthSettings
from cloud.api.ports import Parts
from cloud.storage.devices import DeviceRecord
from contract.plausibility import Metric
from tests.api.conftest import SECRET, at_once, bearer, http_on, now_ms


class Door:
    """One API; `metrics` are those of every device, `now_ms` is its clock when it judges a reading's time."""

    promises = MEMORY

    def __init__(self) -> None:
        self.published: list[tuple[str, bytes]] = []
        self.metrics: list[Metric] | None = None
        self.now_ms: int | None = None
        nothing: Any = None
        parts = Parts(
            auth=AuthSettings(jwt_secret=SECRET),
            bus=self,  # type: ignore[arg-type]  # only publishes
            users=nothing,
            ended_tokens=nothing,
            credentials=nothing,
            admitted=at_once,
            devices=self,  # type: ignore[arg-type]  # only knows devices
            readings=nothing,
            anomalies=nothing,
            notifications=nothing,
            hops=nothing,
            quarantine=nothing,
            promotions=nothing,
            limits=nothing,
            verdicts=nothing,
            model_versions=nothing,
            championship=nothing,
            lookups=self,  # type: ignore[arg-type]  # only lives
            mailbox=None,
            agents=(),
            broker_up=lambda: True,
            asyncapi=Path("asyncapi.yaml"),
            cooldown_ms=0,
            clock_ms=now_ms,
            new_id=lambda: "id",
        )
        self.app = create_api(parts)
        self.app.state.services.ingestion._clock_ms = lambda: self.now_ms or now_ms()
        self.http = http_on(self.app)
        self._headers = bearer("ingest:write") | {"Content-Type": "application/json"}

    async def post(self, body: bytes) -> httpx.Response:
        """What the door says to these bytes."""
        self.published.clear()
        return await self.http.post("/api/v1/ingest", content=body, headers=self._headers)

    async def publish(self, messages: Sequence[tuple[str, bytes]], *, retain: bool = False) -> None:
        self.published += messages

    async def alive(self) -> None:
        """Always."""

    async def get(self, site: str, device: str) -> DeviceRecord:
        return DeviceRecord(
            site=site, device=device, origin="http", metrics=self.metrics, learn_rows=None, created_at_ms=0,
            revoked_at_ms=None,
        )  # fmt: skip
