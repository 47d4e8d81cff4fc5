"""A request that creates something is done once, however often it is sent with the same key."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI

from cloud.api.idempotency import KEPT_S
from cloud.api.kept import KeptHere
from cloud.api.ports import Parts
from cloud.api.sealing import BrokenSealError, Seal
from contract.errors import TransientError
from tests.api.conftest import SECRET, bearer
from tests.api.test_simulation import SIMULATE, rested_machines

DEVICES = "/api/v1/devices"
KEY = {"Idempotency-Key": "8e03978e-40d5-43e8-bc93-6894a57f9324"}
PUMP = {"site": "plant-1", "device": "pump-07"}


async def test_the_same_request_is_answered_again_and_not_done_again(http: httpx.AsyncClient, parts: Parts):
    await rested_machines(parts, 2)
    first = await http.post(SIMULATE, headers=bearer() | KEY)
    again = await http.post(SIMULATE, headers=bearer() | KEY)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    other = await http.post(SIMULATE, headers=bearer() | {"Idempotency-Key": "another"})
    assert other.json()["device"] != first.json()["device"]


async def test_a_password_that_was_not_heard_can_be_heard_again(http: httpx.AsyncClient, parts: Parts):
    first = await http.post(DEVICES, json=PUMP, headers=bearer() | KEY)
    again = await http.post(DEVICES, json=PUMP, headers=bearer() | KEY)
    assert again.json() == first.json()
    assert parts.credentials.verify("plant-1/pump-07", again.json()["password"])
    without = await http.post(DEVICES, json=PUMP, headers=bearer())
    assert (without.status_code, without.json()["reason"]) == (409, "already_registered")


async def test_a_key_of_another_request_is_refused(http: httpx.AsyncClient):
    assert (await http.post(DEVICES, json=PUMP, headers=bearer() | KEY)).status_code == 201
    for path, body in ((DEVICES, PUMP | {"device": "pump-08"}), (SIMULATE, {"fault": "none"})):
        answer = await http.post(path, json=body, headers=bearer() | KEY)
        assert (answer.status_code, answer.json()["reason"]) == (422, "idempotency_key_reused"), path


async def test_one_callers_key_is_nothing_to_another_and_the_scope_is_checked_first(http: httpx.AsyncClient):
    assert (await http.post(DEVICES, json=PUMP, headers=bearer() | KEY)).status_code == 201
    other = await http.post(DEVICES, json=PUMP, headers=bearer(subject="somebody else") | KEY)
    assert (other.status_code, other.json()["reason"]) == (409, "already_registered")
    reader = await http.post(DEVICES, json=PUMP, headers=bearer("data:read") | KEY)
    assert reader.status_code == 403


async def test_while_it_is_being_done_a_repeat_is_told_to_ask_again(
    app: FastAPI, http: httpx.AsyncClient, parts: Parts, monkeypatch: pytest.MonkeyPatch
):
    await rested_machines(parts, 1)
    demonstration = app.state.services.demonstration
    start, begun, may_end = demonstration.start, asyncio.Event(), asyncio.Event()

    async def slowly(fault: object) -> object:
        begun.set()
        await may_end.wait()
        return await start(fault)

    monkeypatch.setattr(demonstration, "start", slowly)
    first = asyncio.create_task(http.post(SIMULATE, headers=bearer() | KEY))
    await asyncio.wait_for(begun.wait(), 5)
    repeat = await http.post(SIMULATE, headers=bearer() | KEY)
    assert (repeat.status_code, repeat.json()["reason"]) == (409, "idempotency_in_flight")
    assert repeat.headers["retry-after"] == "1"
    may_end.set()
    assert (await first).status_code == 202
    assert (await http.post(SIMULATE, headers=bearer() | KEY)).headers["idempotency-replayed"] == "true"


async def test_what_failed_may_be_tried_again_with_the_same_key(http: httpx.AsyncClient, parts: Parts):
    assert (await http.post(SIMULATE, headers=bearer() | KEY)).status_code == 503
    await rested_machines(parts, 1)
    answer = await http.post(SIMULATE, headers=bearer() | KEY)
    assert answer.status_code == 202
    assert "idempotency-replayed" not in answer.headers


async def test_a_machine_whose_password_nobody_heard_can_be_added_again(
    app: FastAPI, http: httpx.AsyncClient, parts: Parts, monkeypatch: pytest.MonkeyPatch
):
    async def never(user: str, password: str) -> None:
        raise TransientError("the broker did not let it in")

    with monkeypatch.context() as away:
        away.setattr(app.state.services.registration, "_admitted", never)
        assert (await http.post(DEVICES, json=PUMP, headers=bearer() | KEY)).status_code == 503
    assert "plant-1/pump-07" not in parts.credentials.users()
    assert (await http.post(DEVICES, json=PUMP, headers=bearer() | KEY)).status_code == 201


@pytest.mark.parametrize("key", ["", "two words", "x" * 256, "caf\xe9"])
async def test_a_key_that_is_none_is_refused(http: httpx.AsyncClient, key: str):
    headers = [(b"authorization", bearer()["Authorization"].encode()), (b"idempotency-key", key.encode("latin-1"))]
    answer = await http.post(DEVICES, json=PUMP, headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (422, "invalid_request")
    assert "Idempotency-Key" in answer.json()["detail"]


async def test_the_document_says_where_a_key_is_taken_and_what_may_come(http: httpx.AsyncClient):
    document = (await http.get("/openapi.json")).json()
    taking = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", ())):
                taking[f"{method} {path}"] = operation["responses"]
    assert set(taking) == {f"post {DEVICES}", f"post {SIMULATE}"}
    for responses in taking.values():
        assert {"409", "422", "429"} <= set(responses)
        [done] = [told for status, told in responses.items() if status.startswith("2")]
        assert "Idempotency-Replayed" in done["headers"]


async def test_notes_end_with_their_time_and_the_oldest_goes_first():
    now = [0.0]
    kept = KeptHere(lambda: now[0], most=2)
    assert await kept.claim("a", b"1", 60) is None
    assert await kept.claim("a", b"2", 60) == b"1"
    await kept.replace("a", b"2", b"3", KEPT_S)
    await kept.release("a", b"2")
    assert await kept.claim("a", b"4", 60) == b"1", "only who wrote it may change it"
    await kept.replace("a", b"1", b"5", KEPT_S)
    now[0] = KEPT_S - 1
    assert await kept.claim("a", b"6", 60) == b"5"
    now[0] = KEPT_S
    assert await kept.claim("a", b"7", 60) is None
    assert await kept.claim("b", b"8", 60) is None
    assert await kept.claim("c", b"9", 60) is None
    assert await kept.claim("a", b"0", 60) is None


def test_a_seal_opens_in_its_place_with_its_secret_or_the_one_before():
    sealed = Seal("old secret").close(b"the password", "here")
    assert b"password" not in sealed
    assert Seal("old secret").open(sealed, "here") == b"the password"
    assert Seal(SECRET, ["old secret"]).open(sealed, "here") == b"the password"
    for seal, place, content in (
        (Seal(SECRET), "here", sealed),
        (Seal("old secret"), "there", sealed),
        (Seal("old secret"), "here", sealed[:-1] + b"\0"),
        (Seal("old secret"), "here", b""),
    ):
        with pytest.raises(BrokenSealError):
            seal.open(content, place)
