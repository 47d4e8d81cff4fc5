"""What the API does while its Redis is away: it goes on, counts for itself, and promises nothing it cannot keep."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from cloud.api.ports import Parts
from cloud.api.redis_link import RedisAwayError, RedisLink, ping
from tests.api.conftest import bearer, http_on, running
from tests.support.ports import free_port
from tests.support.redis import RedisServer
from tests.support.smtp import certificate

LEDGER = "/api/v1/ledger"
PUMP = {"site": "plant-1", "device": "pump-07"}
KEY = {"Idempotency-Key": "once"}
LIMIT = 10


@pytest.fixture
async def shared(parts: Parts, redis_server: RedisServer) -> AsyncIterator[FastAPI]:
    """An API with a Redis."""
    changes = {"redis_url": redis_server.url, "rate_limit_per_minute": LIMIT, "agents": ()}
    async with running(replace(parts, **changes)) as app:
        yield app


@pytest.fixture
async def http(shared: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with http_on(shared) as client:
        yield client


async def degraded(http: httpx.AsyncClient) -> list[str]:
    answer = await http.get("/readyz")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["degraded"])


async def back(app: FastAPI, http: httpx.AsyncClient) -> None:
    """Wait until the API has found its Redis again."""
    link = app.state.services.redis
    async with asyncio.timeout(10):
        while link._away:
            await degraded(http)
            await asyncio.sleep(0.05)


async def test_it_goes_on_without_and_finds_it_again(
    shared: FastAPI, http: httpx.AsyncClient, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO, "ronda.api.redis")
    assert await degraded(http) == []
    assert (await http.get(LEDGER, headers=bearer())).headers["ratelimit"] == '"caller";r=9'
    redis_server.kill()
    answers = [await http.get(LEDGER, headers=bearer()) for _ in range(LIMIT + 2)]
    assert [answer.status_code for answer in answers] == [200] * LIMIT + [429] * 2, "the limit holds, from zero"
    assert await degraded(http) == ["redis"]
    assert "ronda_redis_away 1.0" in (await http.get("/metrics", headers=bearer())).text
    assert [record.message for record in caplog.records] == ["redis.away"], "told once, not with every request"
    redis_server.start()
    await back(shared, http)
    assert await degraded(http) == []
    assert "ronda_redis_away 0.0" in (await http.get("/metrics", headers=bearer())).text
    assert [record.message for record in caplog.records] == ["redis.away", "redis.back"]
    assert (await http.get(LEDGER, headers=bearer(subject="ben"))).headers["ratelimit"] == '"caller";r=9'


async def test_what_asks_to_be_done_once_is_not_done_rather_than_perhaps_twice(
    shared: FastAPI, http: httpx.AsyncClient, parts: Parts, redis_server: RedisServer
):
    redis_server.kill()
    answer = await http.post("/api/v1/devices", json=PUMP, headers=bearer() | KEY)
    assert (answer.status_code, answer.json()["reason"]) == (503, "idempotency_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert "plant-1/pump-07" not in parts.credentials.users()
    assert (await http.post("/api/v1/devices", json=PUMP, headers=bearer())).status_code == 201, "it was not asked to"
    redis_server.start()
    await back(shared, http)
    other = PUMP | {"device": "pump-08"}
    assert (await http.post("/api/v1/devices", json=other, headers=bearer() | KEY)).status_code == 201


async def test_what_was_done_is_answered_although_its_key_could_not_be_written(
    shared: FastAPI,
    http: httpx.AsyncClient,
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    registration = shared.state.services.registration
    add = registration.add

    async def and_then_it_dies(*args: object, **more: object) -> object:
        redis_server.kill()
        return await add(*args, **more)

    monkeypatch.setattr(registration, "add", and_then_it_dies)
    assert (await http.post("/api/v1/devices", json=PUMP, headers=bearer() | KEY)).status_code == 201
    assert "idempotency.not_kept" in [record.message for record in caplog.records]


async def test_guesses_are_slowed_down_all_the_same(http: httpx.AsyncClient, redis_server: RedisServer):
    redis_server.kill()
    guess = {"username": "plant-1/pump-07", "password": "no"}
    statuses = [(await http.post("/api/v1/auth/token", data=guess)).status_code for _ in range(6)]
    assert statuses == [401] * 5 + [429]


async def test_one_that_hangs_holds_nobody_up(
    shared: FastAPI, http: httpx.AsyncClient, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
):
    assert (await http.get(LEDGER, headers=bearer())).status_code == 200
    redis_server.freeze()
    try:
        begun = time.monotonic()
        answers = await asyncio.gather(*(http.get(LEDGER, headers=bearer(subject=str(n))) for n in range(50)))
        assert time.monotonic() - begun < 5, "each waits for one time-out at most, and all of them at once"
        assert {answer.status_code for answer in answers} == {200}
        begun = time.monotonic()
        assert (await http.get(LEDGER, headers=bearer())).status_code == 200
        assert time.monotonic() - begun < 0.4, "known to be away, it is not asked"
    finally:
        redis_server.thaw()
    await back(shared, http)
    assert [record.message for record in caplog.records if record.name == "ronda.api.redis"] == [
        "redis.away",
        "redis.back",
    ]


async def test_the_api_starts_without_it(parts: Parts, caplog: pytest.LogCaptureFixture):
    url = f"redis://:hunter2@127.0.0.1:{free_port()}/0"
    async with running(replace(parts, redis_url=url, agents=(), rate_limit_per_minute=5)) as app, http_on(app) as http:
        assert (await http.get(LEDGER, headers=bearer())).status_code == 200
        assert await degraded(http) == ["redis"]
    assert "hunter2" not in "".join(str(vars(record)) for record in caplog.records)


async def test_a_call_that_is_tried_while_it_is_away_is_one_in_a_while(redis_server: RedisServer):
    now, tried = [0.0], []
    async with RedisLink(redis_server.url, now_s=lambda: now[0]) as link:

        async def call() -> None:
            tried.append(now[0])
            raise ConnectionRefusedError

        for now[0] in (0.0, 0.5, 1.9, 2.0, 2.1, 3.9, 4.0):
            with pytest.raises(RedisAwayError):
                await link.ask(call)
        assert tried == [0.0, 2.0, 4.0]


async def test_ping_says_what_is_wrong_and_never_the_password(tmp_path: Path):
    server = RedisServer(tmp_path, "--requirepass", "hunter2")
    server.start()
    try:
        await ping(f"redis://:hunter2@127.0.0.1:{server.port}/0")
        for url, why in (
            (server.url, "Authentication required"),
            (f"redis://:hunter3@127.0.0.1:{server.port}/0", "WRONGPASS|invalid"),
            (f"redis://:hunter2@127.0.0.1:{free_port()}/0", "refused|Connect"),
        ):
            with pytest.raises(RedisAwayError, match=why) as told:
                await ping(url)
            assert "hunter" not in str(told.value)
    finally:
        server.kill()


async def test_tls_needs_an_authority_that_we_trust(tmp_path: Path):
    certificate(tmp_path)
    pem = str(tmp_path / "server.pem")
    port = free_port()
    server = RedisServer(
        tmp_path, "--tls-port", str(port), "--tls-cert-file", pem, "--tls-key-file", pem, "--tls-ca-cert-file", pem,
        "--tls-auth-clients", "no",
    )  # fmt: skip
    server.start()
    try:
        await ping(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={pem}")
        with pytest.raises(RedisAwayError, match=r"(?i)certificate"):
            await ping(f"rediss://127.0.0.1:{port}/0")
    finally:
        server.kill()
