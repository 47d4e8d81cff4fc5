"""Names and passwords in, tokens out."""

from __future__ import annotations

import time

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from cloud.api.app import create_api
from cloud.api.auth import Tokens
from cloud.api.counters import Counters
from cloud.api.ports import Parts
from cloud.api.throttle import FailureLimit
from cloud.storage.database import Database
from cloud.storage.users import UserStore
from tests.api.conftest import SECRET, http_on, running

TOKEN = "/api/v1/auth/token"
PASSWORD = "correct horse battery staple"


@pytest.fixture
async def ana(parts: Parts) -> str:
    """A user who may read and send for one site."""
    assert isinstance(parts.users, UserStore)
    await parts.users.add("ana", PASSWORD, scopes=["data:read", "ingest:write"], devices=["plant-1/*"], now_ms=0)
    return "ana"


async def test_neither_grant_type_nor_scope_is_needed_and_then_all_scopes_are_given(http: httpx.AsyncClient, ana):
    answer = await http.post(TOKEN, data={"username": ana, "password": PASSWORD})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("bearer", 3600, "data:read ingest:write")
    caller = Tokens(SECRET, time.time).verify(body["access_token"])
    assert (caller.subject, caller.devices) == ("ana", ("plant-1/*",))
    assert answer.headers["cache-control"] == "no-store"


async def test_a_token_can_be_narrowed_to_a_scope(http: httpx.AsyncClient, ana):
    form = {"grant_type": "password", "username": ana, "password": PASSWORD, "scope": "data:read"}
    body = (await http.post(TOKEN, data=form)).json()
    assert body["scope"] == "data:read"


async def test_a_scope_that_the_user_does_not_hold_is_refused(http: httpx.AsyncClient, ana):
    answer = await http.post(TOKEN, data={"username": ana, "password": PASSWORD, "scope": "devices:write"})
    assert (answer.status_code, answer.json()["reason"]) == (400, "invalid_scope")


async def test_an_unknown_user_and_a_wrong_password_read_the_same(http: httpx.AsyncClient, ana):
    wrong = await http.post(TOKEN, data={"username": ana, "password": "no"})
    unknown = await http.post(TOKEN, data={"username": "nobody", "password": "no"})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() | {"request_id": ""} == unknown.json() | {"request_id": ""}


async def test_after_five_failures_there_is_a_pause_for_that_user_from_that_address(app: FastAPI, ana):
    async with http_on(app, "203.0.113.1") as guesser, http_on(app, "203.0.113.2") as other:
        for _ in range(5):
            assert (await guesser.post(TOKEN, data={"username": ana, "password": "no"})).status_code == 401
        answer = await guesser.post(TOKEN, data={"username": ana, "password": PASSWORD})
        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= 60
        assert (await other.post(TOKEN, data={"username": ana, "password": PASSWORD})).status_code == 200


async def test_a_device_logs_in_with_its_own_credentials_and_speaks_for_itself_alone(
    http: httpx.AsyncClient, parts: Parts
):
    parts.credentials.set("plant-1/pump-07", "secret")
    parts.credentials.set("historian", "service-secret")
    body = (await http.post(TOKEN, data={"username": "plant-1/pump-07", "password": "secret"})).json()
    caller = Tokens(SECRET, time.time).verify(body["access_token"])
    assert (set(caller.scopes), caller.devices) == ({"ingest:write"}, ("plant-1/pump-07",))
    service = await http.post(TOKEN, data={"username": "historian", "password": "service-secret"})
    assert service.status_code == 401


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"username=ana", "application/x-www-form-urlencoded", 422),
        (b"username=a&password=" + b"x" * 70_000, "application/x-www-form-urlencoded", 413),
        (b"username=%ff&password=%ff", "application/x-www-form-urlencoded", 401),
        (b"username=ana&password=%00", "application/x-www-form-urlencoded", 401),
        (b"username=%00&password=x", "application/x-www-form-urlencoded", 401),
        (b"\xff\xfe", "application/x-www-form-urlencoded", 400),
        (b"username=ana&password=x&grant_type=client_credentials", "application/x-www-form-urlencoded", 400),
        (b'{"username": ["ana"], "password": 1}', "application/json", 400),
        (b"<xml/>", "text/xml", 415),
    ],
)
async def test_a_form_that_is_none_is_a_problem_not_a_crash(http: httpx.AsyncClient, content, kind, status):
    answer = await http.post(TOKEN, content=content, headers={"content-type": kind})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_cookie_is_closed_to_scripts_and_to_other_sites(http: httpx.AsyncClient, ana):
    answer = await http.post("/api/v1/auth/session", json={"username": ana, "password": PASSWORD})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "path=/" in cookie
    assert "secure" not in cookie
    assert answer.json()["subject"] == "ana"
    assert (await http.get("/api/v1/auth/session")).json()["subject"] == "ana"
    assert (await http.get("/api/v1/anomalies")).status_code == 200


async def test_over_tls_the_cookie_is_secure(app: FastAPI, ana):
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="https://ronda.test") as http:
        answer = await http.post("/api/v1/auth/session", data={"username": ana, "password": PASSWORD})
        assert "secure" in answer.headers["set-cookie"].lower()


async def test_after_logging_out_the_token_is_worthless_even_to_who_copied_it(http: httpx.AsyncClient, ana):
    await http.post("/api/v1/auth/session", json={"username": ana, "password": PASSWORD})
    copied = http.cookies["ronda_session"]
    answer = await http.delete("/api/v1/auth/session", headers={"X-Ronda-CSRF": "1"})
    assert answer.status_code == 204
    assert "ronda_session" not in http.cookies
    again = await http.get("/api/v1/anomalies", headers={"Authorization": f"Bearer {copied}"})
    assert (again.status_code, again.json()["reason"]) == (401, "invalid_token")


async def test_what_was_logged_out_stays_so_after_a_restart_and_in_every_process(
    http: httpx.AsyncClient, parts: Parts, ana
):
    before = create_api(parts)
    async with running(parts) as beside:
        await http.post("/api/v1/auth/session", json={"username": ana, "password": PASSWORD})
        copied = {"Authorization": f"Bearer {http.cookies['ronda_session']}"}
        async with http_on(beside) as other:
            assert (await other.get("/api/v1/anomalies", headers=copied)).status_code == 200
            await http.delete("/api/v1/auth/session", headers={"X-Ronda-CSRF": "1"})
            await beside.state.services.logouts.look()
            assert (await other.get("/api/v1/anomalies", headers=copied)).status_code == 401
    async with http_on(before) as later, before.router.lifespan_context(before):
        assert (await later.get("/api/v1/anomalies", headers=copied)).status_code == 401


async def test_an_ended_token_is_forgotten_when_it_would_have_ended_anyway(parts: Parts):
    store = parts.ended_tokens
    await store.add("short", expires_at_ms=1000, now_ms=0)
    await store.add("long", expires_at_ms=5000, now_ms=10)
    await store.add("long", expires_at_ms=5000, now_ms=20)
    assert await store.since(0, now_ms=900) == {"short": 1000, "long": 5000}
    assert await store.since(5, now_ms=900) == {"long": 5000}
    assert await store.forget(now_ms=1000) == 1
    assert await store.since(0, now_ms=0) == {"long": 5000}


async def test_another_site_cannot_log_a_browser_in(http: httpx.AsyncClient, ana):
    form = {"username": ana, "password": PASSWORD}
    answer = await http.post("/api/v1/auth/session", data=form, headers={"Origin": "https://evil.example"})
    assert (answer.status_code, answer.json()["reason"]) == (403, "cross_site")


async def test_failures_are_forgotten_after_the_window_that_the_first_began():
    now = [0.0]
    limit = FailureLimit(Counters(lambda: now[0]), "login", limit=2, window_s=60)
    for now[0] in (0.0, 30.0):
        assert await limit.wait_s("ana", "203.0.113.9") == 0
        await limit.failed("ana", "203.0.113.9")
    now[0] = 31.0
    assert await limit.wait_s("ana", "203.0.113.9") == 29
    assert await limit.wait_s("ana", "203.0.113.8") == 0
    assert await limit.wait_s("an", "a203.0.113.9") == 0, "who is counted is not a text that can be cut elsewhere"
    now[0] = 60.0
    assert await limit.wait_s("ana", "203.0.113.9") == 0


async def test_only_argon2id_of_a_password_is_kept(parts: Parts, database: Database, ana):
    async with database.begin() as connection:
        [kept] = (await connection.execute(text("SELECT password_hash FROM users"))).scalars()
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert PASSWORD not in kept
