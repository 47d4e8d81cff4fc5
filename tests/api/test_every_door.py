"""Every door of the application, as its own document lists them: who may not come in stays out, who may gets in.

A new address fails here until it says below what it needs and how it is asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from websockets.exceptions import InvalidStatus

from cloud.api.app import create_api
from cloud.api.gate import OPEN
from cloud.api.ports import Parts
from cloud.notifications.mailbox import Mailbox
from cloud.storage.readings import ReadingStore
from cloud.storage.users import UserStore
from dashboard.app import create_dashboard
from ronda.client import RondaClient
from tests.api.conftest import ALL_SCOPES, API_KEY, bearer, http_on, now_ms, token
from tests.api.forged import forged, signed
from tests.api.test_history import keep
from tests.api.test_ingest import message
from tests.api.test_models import three_models
from tests.api.test_simulation import rested_machines
from tests.api.test_stream import address, open_stream, told
from tests.support.anomalies import anomaly
from tests.support.readings import rejected

__all__ = ["address"]

NOBODY, ANYBODY_KNOWN = "open", "known"
PASSWORD = "correct horse battery staple"
FORM = {"username": "ana", "password": PASSWORD}
PUMP = {"site": "plant-1", "device": "pump-07"}
MAIL, MAILED_AT_MS = b"Subject: pump-07\r\n\r\nvibration is up\r\n", 1_763_800_000_000
REFUSED = rejected(7)
MAIL_ID = f"{MAILED_AT_MS}-{hashlib.sha256(MAIL).hexdigest()[:16]}"


@dataclass(frozen=True)
class Door:
    """What an address needs (a scope, `NOBODY` or `ANYBODY_KNOWN`), how it is asked, and how it answers then."""

    needs: str
    status: int = 200
    path: dict[str, str] = field(default_factory=dict)
    asked: dict[str, Any] = field(default_factory=dict)


DOORS = {
    "POST /api/v1/auth/token": Door(NOBODY, asked={"data": FORM}),
    "POST /api/v1/auth/session": Door(NOBODY, asked={"data": FORM}),
    "GET /api/v1/auth/session": Door(ANYBODY_KNOWN),
    "DELETE /api/v1/auth/session": Door(ANYBODY_KNOWN, 204),
    "POST /api/v1/ingest": Door("ingest:write", 202, asked={"json": message()}),
    "GET /api/v1/readings": Door("data:read", asked={"params": PUMP}),
    "GET /api/v1/anomalies": Door("data:read"),
    "GET /api/v1/anomalies/{anomaly_id}": Door("data:read", path={"anomaly_id": "a1"}),
    "POST /api/v1/anomalies/{anomaly_id}/verdict": Door(
        "alarms:write", path={"anomaly_id": "a1"}, asked={"json": {"verdict": "true"}}
    ),
    "DELETE /api/v1/anomalies/{anomaly_id}/verdict": Door("alarms:write", 204, path={"anomaly_id": "a1"}),
    "GET /api/v1/models": Door("data:read"),
    "GET /api/v1/devices/{site}/{device}/models": Door("data:read", path=PUMP),
    "POST /api/v1/devices/{site}/{device}/models/{version}/promote": Door(
        "models:write", path=PUMP | {"version": "3"}, asked={"json": {"force": True}}
    ),
    "POST /api/v1/devices/{site}/{device}/models/rollback": Door("models:write", path=PUMP),
    "GET /api/v1/trace/{correlation_id}": Door("data:read", path={"correlation_id": "order-1"}),
    "GET /api/v1/devices": Door("data:read"),
    "POST /api/v1/devices": Door("devices:write", 201, asked={"json": {"site": "plant-1", "device": "pump-08"}}),
    "DELETE /api/v1/devices/{site}/{device}": Door("devices:write", 204, path=PUMP),
    "GET /api/v1/devices/{site}/{device}/limits": Door("data:read", path=PUMP),
    "PUT /api/v1/devices/{site}/{device}/limits": Door("devices:write", path=PUMP, asked={"json": []}),
    "GET /api/v1/devices/{site}/{device}/metrics": Door("data:read", path=PUMP),
    "PATCH /api/v1/devices/{site}/{device}/metrics": Door("devices:write", path=PUMP, asked={"json": []}),
    "GET /api/v1/quarantine": Door("data:read"),
    "GET /api/v1/quarantine/{rejection_id}": Door("data:read", path={"rejection_id": REFUSED.id}),
    "POST /api/v1/quarantine/replay": Door("devices:write", asked={"json": {"ids": []}}),
    "POST /api/v1/quarantine/archive": Door("devices:write", asked={"json": {"ids": []}}),
    "POST /api/v1/quarantine/unarchive": Door("devices:write", status=404, asked={"json": {"archive": "none"}}),
    "GET /api/v1/devices/{site}/{device}/drift": Door("data:read", path=PUMP),
    "GET /api/v1/ledger": Door("data:read"),
    "POST /api/v1/simulate/anomaly-event": Door("simulate:write", 202),
    "GET /api/v1/mails": Door("data:read"),
    "GET /api/v1/mails/{mail_id}": Door("data:read", path={"mail_id": MAIL_ID}),
    "GET /healthz": Door(NOBODY),
    "GET /readyz": Door(NOBODY, 503),
    # Also for anybody on this machine: `test_metrics_are_for_this_machine_or_for_readers`.
    "GET /metrics": Door("data:read"),
}
LOCKED = {name: door for name, door in DOORS.items() if door.needs != NOBODY}
SCOPED = {name: door for name, door in LOCKED.items() if door.needs != ANYBODY_KNOWN}
# Beside the documented ones: documents without data, the way to the pages, and what the login page is made of.
PUBLIC_PAGES = {
    "/",
    "/openapi.json",
    "/docs",
    "/asyncapi.yaml",
    "/ui/login",
    "/ui/assets",
    "/ui/_dash-component-suites/{package_name}/{fingerprinted_path:path}",
    "/ui/_favicon.ico",
}
# What is nowhere is told so to anybody: `test_an_unknown_path_below_api_is_a_problem_in_json`.
NOWHERE = {"/api", "/api/{path:path}"}


async def knock(http: httpx.AsyncClient, name: str, headers: dict[str, str]) -> httpx.Response:
    method, _, path = name.partition(" ")
    door = DOORS[name]
    return await http.request(method, path.format(**door.path), headers=headers, **door.asked)


@pytest.fixture
async def plant(parts: Parts) -> None:
    """A plant in which every door has something behind it."""
    assert isinstance(parts.users, UserStore)
    assert isinstance(parts.mailbox, Mailbox)
    await parts.users.add("ana", PASSWORD, scopes=ALL_SCOPES, devices=["*"], now_ms=0)
    await parts.devices.ensure("plant-1", "pump-07", "provisioned", now_ms=0)
    await keep(parts, anomaly(anomaly_id="a1", correlation_id="order-1"))
    await three_models(parts)
    assert isinstance(parts.readings, ReadingStore)
    await parts.readings.store([], [REFUSED])
    await rested_machines(parts, 1)
    assert parts.mailbox.keep(MAIL, MAILED_AT_MS) == MAIL_ID


def test_every_documented_address_is_a_door_here(app: FastAPI):
    documented = {f"{method.upper()} {path}" for path, methods in app.openapi()["paths"].items() for method in methods}
    assert documented == set(DOORS)


def test_the_document_names_the_scope_that_each_door_needs(app: FastAPI):
    for name, door in SCOPED.items():
        method, _, path = name.partition(" ")
        security = app.openapi()["paths"][path][method.lower()].get("security", [])
        scopes = {scope for need in security for names in need.values() for scope in names}
        # The metrics have no scope of their own on this machine, where Prometheus asks.
        assert scopes == ({door.needs} if path != "/metrics" else set()), name


def test_the_gate_is_open_where_nobody_is_asked_and_nowhere_else():
    """The routes check for themselves once more; a path that is open by mistake would stay unnoticed for that."""
    asked_by_route = {"/api/v1/auth/session"}
    nobody = {name.partition(" ")[2] for name, door in DOORS.items() if door.needs == NOBODY}
    locked = {name.partition(" ")[2] for name in LOCKED} - asked_by_route
    assert nobody <= set(OPEN)
    assert not locked & set(OPEN)


async def test_without_a_caller_every_locked_door_stays_shut(http: httpx.AsyncClient, plant: None):
    for name in LOCKED:
        answer = await knock(http, name, {})
        assert (answer.status_code, answer.json()["reason"]) == (401, "not_logged_in"), name
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_no_forged_token_opens_any_door(http: httpx.AsyncClient, plant: None):
    opened = []
    for wrong, shown in forged().items():
        for name in LOCKED:
            for headers in ({"Authorization": f"Bearer {shown}"}, {"Cookie": f"ronda_session={shown}"}):
                answer = await knock(http, name, headers)
                if answer.status_code != 401:
                    opened.append(f"{wrong}: {name}: {answer.status_code}")
    assert opened == []


async def test_what_is_forged_would_open_if_nothing_were_wrong_with_it(http: httpx.AsyncClient):
    assert (await http.get("/api/v1/ledger", headers={"Authorization": f"Bearer {signed()}"})).status_code == 200


async def test_other_ways_to_show_something_open_no_door(http: httpx.AsyncClient, plant: None):
    for shown in (
        {"Authorization": f"Basic {token()}"},
        {"Authorization": "Bearer"},
        {"Authorization": token()},
        {"X-API-Key": "guess"},
        {"X-API-Key": token()},
        {"Cookie": f"other={token()}"},
        {"X-Forwarded-User": "admin"},
    ):
        for name in LOCKED:
            assert (await knock(http, name, shown)).status_code == 401, (name, shown)
    for name, door in LOCKED.items():
        method, _, path = name.partition(" ")
        answer = await http.request(
            method, path.format(**door.path), params={"access_token": token(), "token": token()}
        )
        assert answer.status_code == 401, f"{name}: addresses end in logs, so a token in one is not looked at"


async def test_every_other_scope_together_opens_nothing(http: httpx.AsyncClient, plant: None):
    for name, door in SCOPED.items():
        others = set(ALL_SCOPES) - {door.needs}
        for headers in (bearer(*others), {"X-API-Key": API_KEY} if door.needs != "ingest:write" else bearer(*others)):
            answer = await knock(http, name, headers)
            assert (answer.status_code, answer.json()["reason"]) == (403, "insufficient_scope"), name


async def test_the_right_scope_alone_opens_its_door(http: httpx.AsyncClient, plant: None):
    # Those that take something away come last, and do not take the others' token with them.
    for name in sorted(LOCKED, key=lambda name: name.startswith("DELETE")):
        door = DOORS[name]
        answer = await knock(http, name, bearer(door.needs if door.needs != ANYBODY_KNOWN else "data:read"))
        assert answer.status_code == door.status, (name, answer.text)


async def test_the_open_doors_are_open(http: httpx.AsyncClient, plant: None):
    for name in [name for name in DOORS if name not in LOCKED]:
        for headers in ({}, {"Authorization": "Bearer a.b.c"}):
            http.cookies.clear()
            answer = await knock(http, name, headers)
            assert answer.status_code == DOORS[name].status, (name, answer.text)


async def test_the_token_of_one_device_says_nothing_for_another(http: httpx.AsyncClient, plant: None):
    mine = bearer("ingest:write", devices=("plant-1/pump-99",), subject="plant-1/pump-99")
    answer = await knock(http, "POST /api/v1/ingest", mine)
    assert (answer.status_code, answer.json()["reason"]) == (403, "not_your_device")
    for name in SCOPED.keys() - {"POST /api/v1/ingest"}:
        assert (await knock(http, name, mine)).status_code == 403, name


async def test_the_stream_lets_in_readers_alone(address: str):
    async with open_stream(address, shown=token("data:read")) as listener:
        assert (await told(listener))["type"] == "hello"
    others = token(*(set(ALL_SCOPES) - {"data:read"}))
    for shown in ("", others, *forged().values()):
        if len(shown) > 8192:
            continue  # the server itself refuses such a header
        with pytest.raises(InvalidStatus) as refused:
            async with open_stream(address, additional_headers={"Authorization": f"Bearer {shown}"}):
                pass
        assert refused.value.response.status_code == 403


async def test_what_is_not_documented_is_public_on_purpose_or_locked(parts: Parts):
    """Also the pages: the dashboard's own guards leave out half of what it serves."""
    api = create_api(parts)
    client = RondaClient(transport=httpx.ASGITransport(api))
    create_dashboard(api, client.on_behalf_of, clock_ms=lambda: int(now_ms()))
    documented = set(api.openapi()["paths"])
    seen = set()
    async with http_on(api) as http:
        for path, methods in reached_by_http(api):
            if path in documented:
                continue
            seen.add(path)
            asked = (
                path.replace("{path:path}", "anything")
                .replace("{fingerprinted_path:path}", "x")
                .format(package_name="dash")
            )
            for method in methods - {"HEAD", "OPTIONS"}:
                answer = await http.request(method, asked)
                if path in NOWHERE:
                    assert answer.status_code == 404, path
                elif path in PUBLIC_PAGES:
                    assert answer.status_code not in (401, 403), path
                else:
                    assert answer.status_code in (303, 401), (method, path)
    assert seen >= PUBLIC_PAGES | NOWHERE
    assert {path for path in OPEN if path not in documented and not path.endswith("/")} <= PUBLIC_PAGES | {
        "/favicon.ico",
        "/docs/oauth2-redirect",
    }


def every_route(app: FastAPI) -> Iterator[BaseRoute]:
    """What the application has, and what the routers have that it includes."""
    for route in app.routes:
        inner = getattr(route, "original_router", None)
        yield from [route] if inner is None else inner.routes


def reached_by_http(app: FastAPI) -> Iterator[tuple[str, set[str]]]:
    for route in every_route(app):
        if isinstance(route, Route):
            yield route.path, set(route.methods or ())
        elif isinstance(route, Mount):
            yield route.path, {"GET"}


def test_the_only_stream_is_the_one_that_is_tested(app: FastAPI):
    assert [each.path for each in every_route(app) if isinstance(each, WebSocketRoute)] == ["/api/v1/stream"]
