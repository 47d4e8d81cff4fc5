from __future__ import annotations

import time

from tests.api.conftest import bearer


async def test_health(http):
    answer = await http.get("/healthz")
    assert answer.status_code == 200


async def test_store(http, chain):
    body = {"site": "plant-1", "device": "pump-1", "boot": "9f2c41d07be3a655", "seq": 0, "ts": int(time.time() * 1000), "values": {"a": 1.5}}
    answer = await http.post("/api/v1/ingest?wait=stored", json=body, headers=bearer())
    print(answer.text)
    assert answer.status_code == 201
    answer = await http.get("/api/v1/readings", params={"site": "plant-1", "device": "pump-1"}, headers=bearer())
    print(answer.text)
    for path in ["/api/v1/devices", "/api/v1/anomalies", "/api/v1/ledger", "/api/v1/mails", "/readyz", "/metrics", "/docs", "/openapi.json", "/api/nope", "/api/v1/trace/plant-1.pump-1.9f2c41d07be3a655.0"]:
        answer = await http.get(path, headers=bearer())
        print(path, answer.status_code, answer.text[:400])
