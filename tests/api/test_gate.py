"""What the gate lets in and how it turns others away; that it holds before every address: `test_every_door`."""

from __future__ import annotations

import hashlib
import time

import httpx
import pytest
from fastapi import FastAPI

from cloud.api.auth import LEEWAY_S, AuthSettings, InvalidTokenError, Tokens, key_id
from tests.api.conftest import API_KEY, SECRET, bearer, http_on, token


def test_a_verified_token_expires_although_it_is_remembered():
    now = time.time()
    clock = [now]
    tokens = Tokens(SECRET, lambda: clock[0])
    good = tokens.mint("ana", ["data:read"])
    assert tokens.verify(good).subject == "ana"
    clock[0] = now + 3600
    with pytest.raises(InvalidTokenError):
        tokens.verify(good)


def test_an_empty_secret_is_refused():
    with pytest.raises(ValueError, match="JWT_SECRET"):
        AuthSettings(jwt_secret="")


def test_a_public_key_is_no_secret():
    with pytest.raises(ValueError, match="JWT_SECRET"):
        Tokens("-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----", time.time)


def test_a_secret_can_be_replaced_without_logging_anybody_out():
    before = Tokens("the old secret", time.time)
    old = before.mint("ana", ["data:read"])
    between = Tokens("the new secret", time.time, previous=["the old secret"])
    new = between.mint("ana", ["data:read"])
    assert between.verify(old).subject == between.verify(new).subject == "ana"
    with pytest.raises(InvalidTokenError):
        before.verify(new)
    after = Tokens("the new secret", time.time)
    assert after.verify(new).subject == "ana"
    with pytest.raises(InvalidTokenError):
        after.verify(old)


def test_the_name_of_a_key_is_short_and_the_same_everywhere():
    assert len(key_id(SECRET)) == 16
    assert key_id(SECRET) == key_id(SECRET) != key_id(SECRET + "x")
    assert not hashlib.sha256(SECRET.encode()).hexdigest().startswith(key_id(SECRET))


def test_another_process_may_be_ahead_by_half_a_minute_and_the_end_is_the_end():
    ahead = Tokens(SECRET, lambda: time.time() + LEEWAY_S - 1).mint("ana", [])
    assert Tokens(SECRET, time.time).verify(ahead).subject == "ana"
    too_far = Tokens(SECRET, lambda: time.time() + LEEWAY_S + 2).mint("ana", [])
    with pytest.raises(InvalidTokenError):
        Tokens(SECRET, time.time).verify(too_far)
    ended = Tokens(SECRET, lambda: time.time() - 3600).mint("ana", [])
    with pytest.raises(InvalidTokenError):
        Tokens(SECRET, time.time).verify(ended)


async def test_the_machines_key_may_send_and_nothing_else(http: httpx.AsyncClient):
    key = {"X-API-Key": API_KEY}
    assert (await http.get("/api/v1/anomalies", headers=key)).status_code == 403
    assert (await http.post("/api/v1/ingest", headers=key, json=[])).status_code == 422
    assert (await http.post("/api/v1/ingest", headers={"X-API-Key": "guess"}, json=[])).status_code == 401


async def test_pages_lead_to_the_login_and_programs_get_a_problem(http: httpx.AsyncClient):
    page = await http.get("/ui/asset/pump-07?tab=1")
    assert page.status_code == 303
    assert page.headers["location"] == "/ui/login?next=%2Fui%2Fasset%2Fpump-07%3Ftab%3D1"
    for method, path in (("POST", "/ui/_dash-update-component"), ("GET", "/ui/_dash-layout"), ("GET", "/other")):
        answer = await http.request(method, path)
        assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")


@pytest.mark.parametrize("path", ["/ui/login/../secret", "/ui/assetsx", "/docs/x", "/healthz/x", "//healthz"])
async def test_an_open_path_opens_nothing_beside_it(http: httpx.AsyncClient, path: str):
    answer = await http.get(httpx.URL("http://ronda.test").copy_with(raw_path=path.encode()))
    assert answer.status_code in (303, 401)


@pytest.mark.parametrize("path", ["/healthz", "/docs", "/openapi.json"])
async def test_what_is_open_answers_anybody(http: httpx.AsyncClient, path: str):
    assert (await http.get(path)).status_code == 200


async def test_metrics_are_for_this_machine_or_for_readers(app: FastAPI, http: httpx.AsyncClient):
    assert (await http.get("/metrics")).status_code == 401
    assert (await http.get("/metrics", headers=bearer("ingest:write"))).status_code == 403
    assert "ronda_http_requests_total" in (await http.get("/metrics", headers=bearer("data:read"))).text
    async with http_on(app, "127.0.0.1") as near:
        assert (await near.get("/metrics")).status_code == 200
        assert (await near.get("/metrics", headers={"X-Forwarded-For": "198.51.100.7"})).status_code == 401


async def test_a_change_by_cookie_must_come_from_our_own_page(http: httpx.AsyncClient):
    http.cookies.set("ronda_session", token())
    path = "/api/v1/devices/plant-1/pump-07"
    for shown in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://ronda.test.evil"}):
        answer = await http.delete(path, headers=shown)
        assert (answer.status_code, answer.json()["reason"]) == (403, "cross_site")
    for shown in ({"Origin": "http://ronda.test"}, {"X-Ronda-CSRF": "1"}):
        assert (await http.delete(path, headers=shown)).status_code == 404


async def test_an_unknown_path_below_api_is_a_problem_in_json(http: httpx.AsyncClient):
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
        for path in ("/api/nope", "/api/v1/nope", "/api", "/api/v1/anomalies/a/b"):
            for who in (bearer(), {}):
                answer = await http.request(method, path, headers=who)
                assert (answer.status_code, answer.json()["reason"]) == (404, "not_found"), (method, path)
                assert answer.headers["content-type"] == "application/problem+json"


async def test_a_wrong_method_is_told_the_right_one(http: httpx.AsyncClient):
    answer = await http.put("/api/v1/devices", headers=bearer())
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


async def test_every_answer_carries_the_requests_id(http: httpx.AsyncClient):
    given = await http.get("/api/nope", headers=bearer() | {"X-Request-ID": "mine-1"})
    assert given.headers["x-request-id"] == given.json()["request_id"] == "mine-1"
    bad = await http.get("/api/nope", headers=bearer() | {"X-Request-ID": "two words\t"})
    assert bad.headers["x-request-id"] == bad.json()["request_id"] != "two words\t"


async def test_a_crash_shows_no_traceback(app: FastAPI, http: httpx.AsyncClient, parts):
    class Broken:
        async def get(self, anomaly_id):
            raise RuntimeError("the secret inside")

    app.state.services.history._parts = type("P", (), {"anomalies": Broken()})()
    answer = await http.get("/api/v1/anomalies/x", headers=bearer())
    assert (answer.status_code, answer.json()["reason"]) == (500, "internal_error")
    assert "secret" not in answer.text
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    "path", ["/api/v1/anomalies/", "/api/v1/anomalies/%2e%2e", "/api/v1//anomalies", "/api/v1/trace/"]
)
async def test_a_spelling_that_the_gate_does_not_know_opens_nothing(http: httpx.AsyncClient, path: str):
    url = httpx.URL("http://ronda.test").copy_with(raw_path=f"/api/v1/{path}".encode())
    answer = await http.get(url, follow_redirects=True)
    assert answer.status_code in (401, 404)
