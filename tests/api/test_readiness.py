"""Ready means that the whole chain can do its work; what is missing is named."""

from __future__ import annotations

from dataclasses import replace

import httpx
import msgspec
import pytest

from broker.memory import MemoryBroker
from cloud.api.app import create_api
from cloud.api.ports import Parts
from cloud.storage.database import Database
from cloud.storage.devices import DeviceStore
from cloud.storage.promotions import Promotion, PromotionStore
from contract.events import AgentState, AgentStatus
from contract.topics import AgentTopic
from tests.api.conftest import AGENTS, bearer, http_on, until


async def announce(broker: MemoryBroker, name: str, state: AgentState = AgentState.ONLINE) -> None:
    status = AgentStatus(agent=name, instance="0-63", state=state, since_ms=1)
    async with broker.bus(f"agent {name}") as bus:
        await bus.publish([(str(AgentTopic(name, "0-63")), msgspec.json.encode(status))], retain=True)


async def promote(parts: Parts, device: str) -> None:
    assert isinstance(parts.promotions, PromotionStore)
    promotion = Promotion(
        site="plant-1", device=device, version="1", name="m", run_id="r", sha256="0" * 64, data_hash="d",
        artifact_uri="file:///m", rows=1, trained_from_ms=0, trained_through_ms=1, promoted_at_ms=2,
    )  # fmt: skip
    await parts.promotions.promote(promotion)


async def missing(http: httpx.AsyncClient) -> list[str]:
    answer = await http.get("/readyz")
    body = answer.json()
    assert answer.status_code == (503 if body["missing"] else 200)
    return list(body["missing"])


async def test_alive_needs_nobody(http: httpx.AsyncClient):
    assert (await http.get("/healthz")).json() == {"alive": True}


async def test_ready_once_every_agent_is_there_and_every_machine_is_judged(
    app, http: httpx.AsyncClient, parts: Parts, broker: MemoryBroker
):
    assert isinstance(parts.devices, DeviceStore)
    for device, origin in [("pump-01", "emulator"), *[(f"demo-{n}", "demo") for n in range(1, 6)], ("mine", "http")]:
        await parts.devices.ensure("plant-1", device, origin, now_ms=0)
    assert await missing(http) == [
        *(f"agent {name}" for name in AGENTS),
        *(f"champion plant-1/{name}" for name in ("pump-01", "demo-1", "demo-2", "demo-3")),
    ]
    for name in AGENTS:
        await announce(broker, name)
    presence = app.state.services.presence
    await until(lambda: presence.online == len(AGENTS))
    await promote(parts, "pump-01")
    await promote(parts, "demo-5")
    assert await missing(http) == ["champion plant-1/demo-1", "champion plant-1/demo-2"]
    await promote(parts, "demo-1")
    await promote(parts, "demo-2")
    assert await missing(http) == []


async def test_an_agent_that_died_is_missed(app, http: httpx.AsyncClient, broker: MemoryBroker):
    for name in AGENTS:
        await announce(broker, name)
    presence = app.state.services.presence
    await until(lambda: presence.online == len(AGENTS))
    await announce(broker, "validation", AgentState.OFFLINE)
    await until(lambda: presence.online == len(AGENTS) - 1)
    assert await missing(http) == ["agent validation"]


async def test_a_broker_that_is_away_is_named(parts: Parts):
    api = create_api(replace(parts, broker_up=lambda: False, agents=()))
    async with http_on(api) as http:
        assert await missing(http) == ["broker"]


async def test_a_database_that_is_away_is_named_and_reading_is_503(
    http: httpx.AsyncClient, app, database: Database, monkeypatch: pytest.MonkeyPatch
):
    await database.close()
    unreachable = Database("postgresql://nobody:x@127.0.0.1:9/none")
    monkeypatch.setattr(database, "_url", unreachable._url)
    with pytest.raises(Exception, match="away"):
        await database.open()
    assert (await missing(http))[0] == "database"
    answer = await http.get("/api/v1/anomalies", headers=bearer())
    assert (answer.status_code, answer.json()["reason"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
