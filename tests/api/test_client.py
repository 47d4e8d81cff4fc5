"""The Python client says what the API says, and tells people what went wrong."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI

from cloud.api.ports import Parts
from cloud.storage.users import UserStore
from contract.errors import TransientError
from ronda.client import ApiError, RondaClient
from tests.api.conftest import now_ms, token
from tests.api.test_simulation import rested_machines

READING = {"site": "plant-1", "device": "pump-07", "boot": "9f2c41d07be3a655", "seq": 0, "values": {"a": 1.5}}


def client_of(app: FastAPI) -> RondaClient:
    return RondaClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False))


async def test_a_client_logs_in_and_keeps_its_token(app: FastAPI, parts: Parts):
    assert isinstance(parts.users, UserStore)
    await parts.users.add("ana", "pw", scopes=["data:read"], devices=[], now_ms=0)
    async with client_of(app) as client:
        with pytest.raises(ApiError, match="log in first"):
            await client.anomalies()
        await client.login("ana", "pw")
        assert (await client.whoami())["subject"] == "ana"
        assert await client.anomalies() == {"items": [], "next": None}


async def test_a_refusal_carries_the_problems_own_words(ronda: RondaClient):
    with pytest.raises(ApiError) as refused:
        await ronda.ingest([READING | {"ts": 1_763_800_000}], stored=True)
    assert (refused.value.status, refused.value.reason) == (422, "time_in_seconds")
    assert "send epoch milliseconds" in str(refused.value)
    assert refused.value.errors[0]["pointer"] == "#/0"
    assert refused.value.request_id


async def test_one_connection_serves_many_people(app: FastAPI):
    async with client_of(app) as client:
        reader, nobody = client.on_behalf_of(token("data:read")), client.on_behalf_of(None)
        assert (await reader.devices())["items"] == []
        with pytest.raises(ApiError) as refused:
            await nobody.devices()
        assert refused.value.status == 401
        with pytest.raises(ApiError) as refused:
            await reader.simulate()
        assert refused.value.reason == "insufficient_scope"


async def test_every_question_has_its_method(ronda: RondaClient, parts: Parts, chain):
    await rested_machines(parts, 1)
    assert (await ronda.ingest(READING | {"ts": int(now_ms())}, stored=True))["accepted"] == 1
    assert len((await ronda.readings("plant-1", "pump-07", limit=5))["items"]) == 1
    assert (await ronda.chart("plant-1", "pump-07", points=50))["series"][0]["values"] == [1.5]
    assert (await ronda.trace("plant-1.pump-07.9f2c41d07be3a655.0"))["readings"] == 1
    assert [line["stored"] for line in (await ronda.ledger(device="pump-07"))["items"]] == [1]
    assert (await ronda.simulate("none"))["device"] == "demo-1"
    assert (await ronda.add_device("plant-1", "pump-09"))["username"] == "plant-1/pump-09"
    await ronda.revoke_device("plant-1", "pump-09")
    assert (await ronda.mails()) == {"items": [], "local": True}
    assert await ronda.readiness() == {"ready": True, "missing": [], "degraded": [], "behind": []}
    for missing in (ronda.mail("1234567890123-0123456789abcdef"), ronda.anomaly("a/../b"), ronda.trace("a b")):
        with pytest.raises(ApiError) as refused:
            await missing
        assert refused.value.status == 404


async def test_a_server_that_is_not_there_is_a_transient_failure_with_advice():
    async with RondaClient("http://127.0.0.1:9") as client:
        with pytest.raises(TransientError, match="ronda up"):
            await client.devices()


async def test_a_proxys_page_is_told_as_what_it_is():
    def proxy(_: httpx.Request) -> httpx.Response:
        return httpx.Response(502, html="<h1>Bad gateway</h1>")

    async with RondaClient(transport=httpx.MockTransport(proxy)) as client:
        with pytest.raises(ApiError, match="expected JSON") as refused:
            await client.devices()
        assert refused.value.status == 502
