"""Two API processes with one Redis are one to their callers: limits, guesses and keys count for both."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis

from cloud.api.ports import Parts
from cloud.storage.database import Database
from tests.api.conftest import bearer
from tests.api.test_simulation import SIMULATE, rested_machines
from tests.support.redis import RedisServer

LIMIT = 30
KEY = {"Idempotency-Key": "8e03978e-40d5-43e8-bc93-6894a57f9324"}
PUMP = {"site": "plant-1", "device": "pump-07"}


@contextlib.asynccontextmanager
async def process(database_url: str, redis_url: str, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API process of its own."""
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.api.process", database_url, redis_url, str(folder), str(LIMIT),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert started.stdin is not None
    assert started.stdout is not None
    try:
        port = int(await asyncio.wait_for(started.stdout.readline(), 30))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            yield http
    finally:
        started.stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(started.wait(), 10)
        if started.returncode is None:
            started.kill()
            await started.wait()


@pytest.mark.timeout(120)
async def test_limits_guesses_and_keys_are_shared(
    database: Database, database_url: str, redis_server: RedisServer, parts: Parts, tmp_path: Path
):
    url = redis_server.url
    async with process(database_url, url, tmp_path) as one, process(database_url, url, tmp_path) as two:
        await the_limit_is_one(one, two)
        await guesses_are_counted_together(one, two)
        await a_machine_is_added_once(one, two)
        await of_many_repeats_at_once_one_is_done(one, two, parts)
        await nothing_in_redis_tells_a_secret(one, url)


async def the_limit_is_one(one: httpx.AsyncClient, two: httpx.AsyncClient) -> None:
    who = bearer(subject="runs wild")
    answers = await asyncio.gather(
        *(http.get("/api/v1/ledger", headers=who) for _ in range(LIMIT) for http in (one, two))
    )
    assert Counter(answer.status_code for answer in answers) == {200: LIMIT, 429: LIMIT}
    assert all(0 < int(answer.headers["retry-after"]) <= 60 for answer in answers if answer.status_code == 429)
    assert (await two.get("/api/v1/ledger", headers=bearer(subject="waits"))).status_code == 200


async def guesses_are_counted_together(one: httpx.AsyncClient, two: httpx.AsyncClient) -> None:
    guess = {"username": "plant-1/pump-99", "password": "no"}
    statuses = [(await http.post("/api/v1/auth/token", data=guess)).status_code for http in (one, two) * 3]
    assert statuses == [401] * 5 + [429]


async def a_machine_is_added_once(one: httpx.AsyncClient, two: httpx.AsyncClient) -> None:
    first = await one.post("/api/v1/devices", json=PUMP, headers=bearer() | KEY)
    again = await two.post("/api/v1/devices", json=PUMP, headers=bearer() | KEY)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    other = await two.post("/api/v1/devices", json=PUMP | {"device": "pump-08"}, headers=bearer() | KEY)
    assert (other.status_code, other.json()["reason"]) == (422, "idempotency_key_reused")


async def of_many_repeats_at_once_one_is_done(one: httpx.AsyncClient, two: httpx.AsyncClient, parts: Parts) -> None:
    await rested_machines(parts, 3)
    who = bearer(subject="impatient") | {"Idempotency-Key": "click"}
    answers = await asyncio.gather(*(http.post(SIMULATE, headers=who) for _ in range(5) for http in (one, two)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    told = [answer.json()["correlation_id"] for answer in answers if answer.status_code == 202]
    assert len(set(told)) == 1
    after = await two.post(SIMULATE, headers=who)
    assert (after.status_code, after.json()["correlation_id"]) == (202, told[0])


async def nothing_in_redis_tells_a_secret(one: httpx.AsyncClient, url: str) -> None:
    again = await one.post("/api/v1/devices", json=PUMP, headers=bearer() | KEY)
    password, everything = again.json()["password"], b""
    async with Redis.from_url(url) as redis:
        async for name in redis.scan_iter():
            assert await redis.ttl(name) > 0, f"{name!r} would lie there for ever"
            everything += name + b"\n" + (await redis.get(name) or b"") + b"\n"
    assert everything.count(b"ronda:once:") == 2
    for secret in (password, KEY["Idempotency-Key"], "pump-99", PUMP["device"]):
        assert secret.encode() not in everything, secret
