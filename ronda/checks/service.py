"""Gate P3: the service is well, lets in whom it should, and keeps up."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from ronda.checks.api import Door
from ronda.checks.line import Check, FailedCheckError

# What the roadmap asks of the bridge: requests a second, none of them failed. The long proof is `make load`.
ASKED_PER_S = 103
_TRIAL_S = 5
# Begun a little more often than asked, so that the last answer does not decide.
_BEGUN_PER_S = 110
_AT_ONCE = 32
_PROBE = ("ronda-check", "load")
# Far beyond what a trial sends: nothing is learned from readings that no machine made.
_NEVER_LEARN = 1_000_000
_REFUSED = frozenset({401, 403})


def checks(door: Door) -> Mapping[str, Check]:
    """The gate's lines by name."""
    return {
        "health": lambda: _health(door),
        "nobody without a token": lambda: _anonymous(door),
        "nobody beyond their scope": lambda: _wrong_scope(door),
        f"{ASKED_PER_S} requests/s without a failure": lambda: _load(door),
    }


async def _health(door: Door) -> str:
    async with door.anonymous() as http:
        alive = await http.get("/healthz")
        ready = await http.get("/readyz")
    if alive.status_code != 200 or ready.status_code != 200:
        raise FailedCheckError(
            f"/healthz answers {alive.status_code}, /readyz {ready.status_code}: {ready.text[:300]}",
            "start what is missing, and look into its log",
        )
    return "/healthz and /readyz answer 200"


async def _anonymous(door: Door) -> str:
    async with door.anonymous() as http:
        operations = list(_guarded(await _openapi(http)))
        answers = [(verb, path, (await http.request(verb, path)).status_code) for verb, path in operations]
    let_in = [f"{verb} {path} answers {status}" for verb, path, status in answers if status not in _REFUSED]
    if let_in or not answers:
        raise FailedCheckError("; ".join(let_in) or "the API names no guarded address", "do not publish this API")
    return f"{len(answers)} operations refuse a caller without a token"


async def _wrong_scope(door: Door) -> str:
    """A device's own token opens the bridge for its own readings, and nothing else."""
    async with probe_device(door) as (http, _):
        reading = {"site": "somebody", "device": "else", "values": {"x": 1.0}}
        answers = {
            "read the devices": (await http.get("/api/v1/devices")).status_code,
            "add a device": (await http.post("/api/v1/devices", json={"site": "s", "device": "d"})).status_code,
            "simulate": (await http.post("/api/v1/simulate/anomaly-event", json={})).status_code,
            "speak for another": (await http.post("/api/v1/ingest", json=reading)).status_code,
            "come with a changed token": await _with_changed_token(http),
        }
    if let_in := [f"{what} answers {status}" for what, status in answers.items() if status not in _REFUSED]:
        raise FailedCheckError(f"with a device's token: {'; '.join(let_in)}", "do not publish this API")
    return f"a device's token may not {', '.join(answers)}"


async def _with_changed_token(http: httpx.AsyncClient) -> int:
    head, _, signature = http.headers["authorization"].rpartition(".")
    changed = f"{head}.{signature[::-1]}"
    return (await http.get("/api/v1/auth/session", headers={"authorization": changed})).status_code


async def _load(door: Door) -> str:
    """A short trial at the asked rate; each request a reading of its own."""
    async with probe_device(door) as (http, boot):
        numbers = itertools.count()
        began = time.monotonic()
        gate = asyncio.Semaphore(_AT_ONCE)
        requests = [_paced(http, gate, boot, next(numbers), began) for _ in range(_BEGUN_PER_S * _TRIAL_S)]
        statuses = await asyncio.gather(*requests)
        seconds = time.monotonic() - began
    failed = Counter(status for status in statuses if status != 202)
    rate = len(statuses) / seconds
    said = f"{rate:.0f} requests/s over {seconds:.1f} s, {failed.total()} failed {dict(failed) or ''}".rstrip()
    if failed or rate < ASKED_PER_S:
        raise FailedCheckError(said, "see where the time goes with `make load`, and give the API another process")
    return said


async def _paced(http: httpx.AsyncClient, gate: asyncio.Semaphore, boot: str, number: int, began: float) -> int:
    await asyncio.sleep(max(0.0, began + number / _BEGUN_PER_S - time.monotonic()))
    site, device = _PROBE
    body = {"site": site, "device": device, "boot": boot, "seq": number, "ts": time.time_ns() // 1_000_000}
    async with gate:
        try:
            answer = await http.post("/api/v1/ingest", json=body | {"values": {"trial": 20 + number % 7 / 10}})
        except httpx.TransportError:
            return 0
    return answer.status_code


@contextlib.asynccontextmanager
async def probe_device(door: Door) -> AsyncIterator[tuple[httpx.AsyncClient, str]]:
    """A device of our own for the time of a trial: added, logged in by its own password, taken out of service."""
    site, device = _PROBE
    address = f"/api/v1/devices/{site}/{device}"
    async with door.as_admin() as admin:
        # Left behind by a trial that was cut off.
        await admin.delete(address)
        new = {"site": site, "device": device, "learn_rows": _NEVER_LEARN}
        added = await admin.post("/api/v1/devices", json=new)
        if added.status_code != 201:
            raise FailedCheckError(
                f"adding a device answers {added.status_code}: {added.text[:200]}", "look into its log"
            )
        account = added.json()
        try:
            async with door.logged_in(account["username"], account["password"]) as http:
                yield http, secrets.token_hex(8)
        finally:
            await admin.delete(address)


async def _openapi(http: httpx.AsyncClient) -> dict[str, Any]:
    answer = await http.get("/openapi.json")
    if answer.status_code != 200:
        raise FailedCheckError(f"/openapi.json answers {answer.status_code}", "look into the log of the API")
    return msgspec.json.decode(answer.content, type=dict[str, Any])


def _guarded(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Method and address of each operation that says it wants a token; any parameter by a word that names nothing."""
    for path, operations in document["paths"].items():
        for verb, operation in operations.items():
            if isinstance(operation, Mapping) and operation.get("security"):
                yield verb.upper(), _filled(path, operation.get("parameters", []))


def _filled(path: str, parameters: Sequence[Mapping[str, Any]]) -> str:
    for parameter in parameters:
        path = path.replace("{" + str(parameter["name"]) + "}", quote("nothing"))
    return path
