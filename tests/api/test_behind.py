"""A chain that cannot keep up says so before it is full: readiness falls, and the door lets nobody in who can wait."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from fastapi import FastAPI

from broker.fullness import Fill
from broker.memory import MemoryBroker
from broker.sys_tree import QUEUES, STORED, said
from cloud.api.ports import Parts
from contract.topics import Channel, DeviceTopic
from tests.api.conftest import bearer, now_ms, running, until

MESSAGE = {"site": "plant-1", "device": "pump-07", "boot": "9f2c41d07be3a655", "seq": 1, "values": {"a": 1.0}}
FULL = "queue of historian: 900 of 1,000 messages"


@pytest.fixture
async def app(parts: Parts) -> AsyncIterator[FastAPI]:
    """Nobody is missed: what is wrong is the queues alone."""
    async with running(replace(parts, agents=(), max_queued=1000)) as made:
        yield made


async def tell(app: FastAPI, broker: MemoryBroker, used: int) -> None:
    fill = Fill("queue of historian", used, 1000, "messages")
    broker.deliver(QUEUES, said([fill]), retain=False)
    pressure = app.state.services.pressure
    await until(lambda: fill in pressure._fullness.fills.values())


async def post(http: httpx.AsyncClient) -> httpx.Response:
    return await http.post("/api/v1/ingest", json=MESSAGE | {"ts": int(now_ms())}, headers=bearer())


async def test_readiness_falls_and_comes_back_with_the_queue(app, http: httpx.AsyncClient, broker: MemoryBroker):
    assert (await http.get("/readyz")).status_code == 200
    await tell(app, broker, 900)
    answer = await http.get("/readyz")
    assert (answer.status_code, answer.json()["behind"], answer.json()["missing"]) == (503, [FULL], [])
    assert answer.json()["detail"] == f"behind: {FULL}"
    await tell(app, broker, 600)
    assert (await http.get("/readyz")).status_code == 503, "half of the bound is worked off before it comes back"
    await tell(app, broker, 400)
    assert (await http.get("/readyz")).json() == {"ready": True, "missing": [], "behind": [], "degraded": []}


async def test_who_sends_over_http_waits_outside_and_nothing_is_taken(
    app, http: httpx.AsyncClient, broker: MemoryBroker
):
    topic = str(DeviceTopic("plant-1", "pump-07", Channel.TELEMETRY))
    async with broker.bus("ear") as ear:
        await ear.subscribe(topic)
        await tell(app, broker, 900)
        refused = await post(http)
        assert (refused.status_code, refused.json()["reason"], refused.json()["behind"]) == (503, "behind", [FULL])
        assert int(refused.headers["retry-after"]) > 0
        await tell(app, broker, 400)
        assert (await post(http)).status_code == 202
        assert [message.topic for message in await ear.receive()] == [topic], "only what was accepted is there"


async def test_mosquitto_is_behind_when_its_memory_holds_what_one_queue_may(
    app, http: httpx.AsyncClient, broker: MemoryBroker
):
    broker.deliver(STORED, b"760", retain=False)
    await until(lambda: app.state.services.pressure.behind)
    assert (await http.get("/readyz")).json()["behind"] == ["Mosquitto: 760 of 1,000 messages"]


async def test_a_broker_that_says_nothing_of_its_queues_is_never_behind(app, http: httpx.AsyncClient):
    assert (await http.get("/readyz")).status_code == 200
