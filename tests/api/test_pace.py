"""Who runs wild is slowed down, and nobody else."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import httpx
import pytest

from cloud.api.callers import Caller
from cloud.api.counters import Counters, LocalCounts
from cloud.api.origin import network_of
from cloud.api.pace import KEY_SHARE, Budget, Pace, budget
from cloud.api.ports import Parts
from tests.api.conftest import API_KEY, bearer, http_on, running

LEDGER = "/api/v1/ledger"


def asked(path: str = LEDGER, caller: Caller | None = None, address: str = "203.0.113.9") -> dict[str, Any]:
    state = {} if caller is None else {"caller": caller}
    return {"type": "http", "path": path, "client": (address, 50_000), "state": state}


def caller(subject: str = "ana", token_id: str | None = "1") -> Caller:
    return Caller(subject=subject, scopes=frozenset(), token_id=token_id)


def test_who_is_known_pays_for_itself_and_strangers_for_their_address():
    assert budget(asked(caller=caller()), 10) == Budget("subject:ana", 10)
    assert budget(asked(caller=caller("plant-1/pump-07")), 10) == Budget("subject:plant-1/pump-07", 10)
    assert budget(asked(), 10) == Budget("address:203.0.113.9", 10)


def test_the_machines_key_stands_for_many_and_each_of_its_gateways_pays_for_itself():
    key = caller("api-key", token_id=None)
    assert budget(asked(caller=key), 10) == Budget("key:203.0.113.9", 10 * KEY_SHARE)
    assert budget(asked(caller=caller("api-key")), 10) == Budget("subject:api-key", 10), "a person of that name"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/ui/", "/ui/assets/x.css"])
def test_probes_and_the_files_of_the_pages_are_free(path: str):
    assert budget(asked(path), 10) is None


def test_without_a_limit_nothing_is_counted():
    assert budget(asked(), 0) is None


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("not:an:address", "not:an:address"),
        ("testclient", "testclient"),
    ],
)
def test_one_owner_of_many_addresses_is_one(address: str, network: str):
    assert network_of(address) == network


async def test_after_the_limit_the_caller_is_told_when_to_go_on_and_the_others_go_on(parts: Parts):
    async with running(replace(parts, rate_limit_per_minute=3)) as app, http_on(app) as http:
        for left in ("2", "1", "0"):
            answer = await http.get(LEDGER, headers=bearer())
            assert answer.status_code == 200
            assert answer.headers["ratelimit-policy"] == '"caller";q=3;w=60'
            assert answer.headers["ratelimit"] == f'"caller";r={left}'
        for _ in range(2):
            answer = await http.get(LEDGER, headers=bearer())
            assert (answer.status_code, answer.json()["reason"]) == (429, "too_many_requests")
            assert answer.headers["content-type"] == "application/problem+json"
            assert 55 <= int(answer.headers["retry-after"]) <= 60
            assert answer.headers["ratelimit"] == f'"caller";r=0;t={answer.headers["retry-after"]}'
            assert answer.headers["x-request-id"] == answer.json()["request_id"]
        assert (await http.get(LEDGER, headers=bearer(subject="ben"))).status_code == 200
        assert (await http.get("/healthz")).status_code == 200
        assert "ratelimit" not in (await http.get("/healthz")).headers


async def test_what_the_gate_turns_away_counts_for_its_address(parts: Parts):
    async with running(replace(parts, rate_limit_per_minute=3)) as app, http_on(app) as http:
        guess = {"Authorization": "Bearer a.b.c"}
        assert [(await http.get(LEDGER, headers=guess)).status_code for _ in range(4)] == [401, 401, 401, 429]
        assert (await http.get(LEDGER, headers=bearer())).status_code == 200, "who shows a token of ours is no stranger"
        async with http_on(app, "203.0.113.10") as other:
            assert (await other.get(LEDGER)).status_code == 401


async def test_the_key_of_machines_may_send_more(parts: Parts):
    async with running(replace(parts, rate_limit_per_minute=1)) as app, http_on(app) as http:
        answers = [
            (await http.post("/api/v1/ingest", json=[], headers={"X-API-Key": API_KEY})).status_code
            for _ in range(KEY_SHARE + 1)
        ]
    assert answers == [422] * KEY_SHARE + [429]


async def test_the_document_says_that_any_request_may_be_one_too_many(http: httpx.AsyncClient):
    document = (await http.get("/openapi.json")).json()
    for path, methods in document["paths"].items():
        for operation in methods.values():
            told = operation["responses"].get("429")
            assert (told is None) == (path in ("/healthz", "/readyz", "/metrics")), path
            assert told is None or {"Retry-After", "RateLimit", "RateLimit-Policy"} == set(told["headers"])


async def test_the_next_minute_begins_with_the_first_request_after_the_last_one_ended():
    now = [1000.0]
    pace = Pace(Counters(lambda: now[0]), 2, lambda: now[0])

    async def wait_s() -> int:
        counted = await pace.count(asked())
        assert counted is not None
        return counted.wait_s

    assert [await wait_s() for _ in range(3)] == [0, 0, 60]
    now[0] = 1059.5
    assert await wait_s() == 1
    now[0] = 1060.0
    assert [await wait_s() for _ in range(3)] == [0, 0, 60]


class TellsWholeSeconds(Counters):
    """Rounds the time that is left, as Redis does."""

    async def ends_in_s(self, key: str) -> float:
        return float(round(await super().ends_in_s(key)))


async def test_in_the_last_half_second_of_a_minute_nobody_loses_what_is_left():
    now = [0.0]
    pace = Pace(TellsWholeSeconds(lambda: now[0]), 6000, lambda: now[0])
    for at_s, requests in ((0.0, 5000), (59.6, 1000)):
        now[0] = at_s
        counted = [await pace.count(asked()) for _ in range(requests)]
        assert {each.wait_s for each in counted if each is not None} == {0}


async def test_processes_share_the_limit_block_by_block_and_never_exceed_it():
    now = [0.0]
    counters = Counters(lambda: now[0])
    one, two = (Pace(counters, 1000, lambda: now[0]) for _ in range(2))
    passed = 0
    for number in range(1500):
        counted = await (one if number % 3 else two).count(asked())
        assert counted is not None
        passed += not counted.wait_s
    assert passed == 1000
    now[0] = 60.0
    await two.count(asked())
    alone = [await one.count(asked()) for _ in range(1500)]
    assert sum(not counted.wait_s for counted in alone if counted) == 990, "the other one holds a block of ten"


class Slow(Counters):
    """Lets others go first, as a call to Redis does."""

    async def add(self, key: str, window_s: int, amount: int = 1) -> int:
        await asyncio.sleep(0.001)
        return await super().add(key, window_s, amount)

    async def ends_in_s(self, key: str) -> float:
        await asyncio.sleep(0.001)
        return await super().ends_in_s(key)


@pytest.mark.parametrize("limit", [50, 300])
async def test_of_requests_at_once_as_many_pass_as_may(limit: int):
    pace = Pace(Slow(time.time), limit, time.time)

    async def after(seconds: float) -> bool:
        await asyncio.sleep(seconds)
        counted = await pace.count(asked())
        return counted is not None and not counted.wait_s

    assert all(await asyncio.gather(*(after(number % 20 / 2000) for number in range(limit))))
    assert not any(await asyncio.gather(*(after(0) for _ in range(10))))


async def test_the_shared_store_is_asked_once_for_a_hundredth_of_the_limit():
    counters = Counters(time.time)
    pace, calls = Pace(counters, 6000, time.time), []
    add = counters.add

    async def counting(key: str, window_s: int, amount: int = 1) -> int:
        calls.append(amount)
        return await add(key, window_s, amount)

    counters.add = counting  # type: ignore[method-assign]
    for _ in range(120):
        await pace.count(asked())
    assert calls == [60, 60]


async def test_counts_that_ended_are_forgotten_and_there_are_never_more_than_allowed():
    now = [0.0]
    counts = LocalCounts(lambda: now[0], most=10)
    for number in range(100):
        assert await counts.incr(f"first-{number}", 60) == 1
    assert len(counts) == 10
    now[0] = 60.0
    assert await counts.get("first-99") == 0
    for number in range(10):
        assert await counts.incr(f"second-{number}", 60) == 1
        assert await counts.incr(f"second-{number}", 60) == 2
    assert len(counts) == 10
    assert await counts.get_expiry("second-3") == 120.0
    await counts.clear("second-3")
    assert await counts.get("second-3") == 0


@pytest.mark.parametrize("callers", [200, 20_000])
async def test_counting_costs_next_to_nothing_however_many_callers_there_are(callers: int):
    pace = Pace(Counters(time.time), 1_000_000, time.time)
    requests = [asked(caller=caller(f"plant-1/pump-{number}")) for number in range(callers)]
    for request in requests:
        await pace.count(request)
    begun = time.process_time()
    for number in range(2000):
        await pace.count(requests[number % callers])
    # About 4 µs; the bound only tells it from a cost that grows with the callers.
    assert (time.process_time() - begun) / 2000 < 100e-6
