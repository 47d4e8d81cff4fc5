"""The machines' models over HTTP: shown with their precision, promoted and rolled back."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import msgspec

from broker.memory import MemoryBroker
from cloud.api.ports import Parts
from cloud.storage.backtests import BacktestRecord, BacktestStore
from cloud.storage.database import Database
from cloud.storage.machine_states import save_states
from cloud.storage.model_refusals import add_refusal
from cloud.storage.model_versions import LeftOut, ModelVersion, ModelVersionStore
from cloud.storage.promotions import PromotionStore
from contract.codec import decode_events
from contract.events import (
    MachineState,
    MachineStateEvent,
    Maturity,
    ModelPromotedEvent,
    ModelRefusedEvent,
    ModelRole,
)
from contract.topics import ModelTopic
from ronda.client import RondaClient
from tests.api.conftest import bearer
from tests.api.test_history import keep
from tests.support.anomalies import anomaly

SITE, DEVICE = "plant-1", "pump-07"
MODELS = f"/api/v1/devices/{SITE}/{DEVICE}/models"


def model(version: str, **changes: Any) -> ModelVersion:
    facts: dict[str, Any] = {
        "site": SITE, "device": DEVICE, "version": version, "name": "ronda.plant-1.pump-07", "run_id": f"run-{version}",
        "sha256": "0" * 64, "data_hash": "d", "artifact_uri": f"file:///{version}", "rows": 1800 * int(version),
        "trained_from_ms": 1, "trained_through_ms": 2, "created_at_ms": int(version), "code_version": "0.1.0",
        "exceedance": 0.01, "factor": 2.5, "excluded": [LeftOut(from_ms=3, through_ms=4, why="planned work")],
    }  # fmt: skip
    return ModelVersion(**facts | changes)


async def three_models(parts: Parts) -> None:
    """The first was replaced by the second; a third waits. None was tried."""
    assert isinstance(parts.promotions, PromotionStore)
    assert isinstance(parts.model_versions, ModelVersionStore)
    for version in ("1", "2", "3"):
        await parts.model_versions.add(model(version))
    for version in ("1", "2"):
        await parts.promotions.promote(model(version).promotion(int(version)))


async def told(broker: MemoryBroker) -> list[ModelPromotedEvent]:
    """What an agent hears that comes now."""
    async with broker.bus("late", persistent=False) as bus:
        await bus.subscribe(ModelTopic.filter())
        messages = await asyncio.wait_for(bus.receive(), 10)
    return [event for message in messages for event in decode_events(ModelPromotedEvent, message.payload)]


async def test_models_are_shown_with_where_they_come_from(http: httpx.AsyncClient, parts: Parts) -> None:
    await three_models(parts)
    shown = (await http.get(MODELS, headers=bearer("data:read"))).json()["items"]
    assert [(each["version"], each["status"]) for each in shown] == [
        ("3", "candidate"),
        ("2", "champion"),
        ("1", "retired"),
    ]
    assert (shown[0]["rows"], shown[0]["exceedance"], shown[0]["code_version"]) == (5400, 0.01, "0.1.0")
    assert shown[0]["excluded"] == [{"from_ms": 3, "through_ms": 4, "why": "planned work"}]
    in_question = (await http.get("/api/v1/models", headers=bearer("data:read"))).json()["items"]
    assert [each["version"] for each in in_question] == ["3", "2"]
    elsewhere = await http.get("/api/v1/models", params={"site": "plant-2"}, headers=bearer("data:read"))
    assert elsewhere.json() == {"items": []}


async def test_a_page_says_which_model_really_judges_and_which_was_not_put_to_use(
    http: httpx.AsyncClient, parts: Parts, database: Database
) -> None:
    await three_models(parts)
    first, second = (model(version).promotion(1).event.model for version in ("1", "2"))
    state = MachineStateEvent(
        site=SITE, device=DEVICE, state=MachineState.RUNNING, maturity=Maturity.READY, measured_at_ms=1, at_ms=2,
        model=first,
    )  # fmt: skip
    refusal = ModelRefusedEvent(site=SITE, device=DEVICE, model=second, in_use=first, why="it was changed", at_ms=5)
    async with database.begin() as connection:
        await save_states(connection, [state])
        await add_refusal(connection, refusal)
    shown = (await http.get(MODELS, headers=bearer("data:read"))).json()["items"]
    assert [(each["version"], each["judges"]) for each in shown] == [("3", False), ("2", False), ("1", True)]
    told = {"why": "it was changed", "in_use": "1", "at_ms": 5, "at": "1970-01-01T00:00:00.005Z"}
    assert [each["refused"] for each in shown] == [None, told, None]
    in_question = (await http.get("/api/v1/models", headers=bearer("data:read"))).json()["items"]
    assert [(each["version"], each["judges"], each["refused"] == told) for each in in_question] == [
        ("3", False, False),
        ("2", False, True),
    ]


async def test_precision_is_counted_per_model(ronda: RondaClient, parts: Parts) -> None:
    await three_models(parts)
    judged = [("1", "false"), ("2", "true"), ("2", "true"), ("2", "false"), ("2", "planned")]
    for number, (version, verdict) in enumerate(judged):
        event = anomaly(anomaly_id=f"a{number}")
        await keep(parts, anomaly(anomaly_id=f"a{number}", seq=number, model=_by(event, version)))
        await ronda.give_verdict(f"a{number}", verdict)
    shown = {each["version"]: each["precision"] for each in (await ronda.models(SITE, DEVICE))["items"]}
    assert shown["2"] == {"true": 2, "false": 1, "planned": 1, "share": 2 / 3}
    assert shown["1"] == {"true": 0, "false": 1, "planned": 0, "share": 0.0}
    assert shown["3"] == {"true": 0, "false": 0, "planned": 0, "share": None}


def _by(event: Any, version: str) -> Any:
    return msgspec.structs.replace(event.model, version=version)


async def test_rolling_back_tells_the_store_and_the_bus(ronda: RondaClient, parts: Parts, broker: MemoryBroker) -> None:
    await three_models(parts)
    done = await ronda.roll_back_model(SITE, DEVICE)
    assert (done["version"], done["run_id"]) == ("1", "run-1")
    [event] = await told(broker)
    assert (event.model.version, event.promoted_at_ms) == ("1", done["promoted_at_ms"])
    again = await ronda.roll_back_model(SITE, DEVICE, to="2")
    assert again["version"] == "2"
    assert again["promoted_at_ms"] > done["promoted_at_ms"]


async def test_what_was_never_tried_is_promoted_only_by_force(
    http: httpx.AsyncClient, parts: Parts, broker: MemoryBroker
) -> None:
    await three_models(parts)
    refused = await http.post(f"{MODELS}/3/promote", headers=bearer())
    assert (refused.status_code, refused.json()["reason"]) == (409, "model_refused")
    assert "ronda backtest plant-1/pump-07 --version 3" in refused.json()["detail"]
    done = await http.post(f"{MODELS}/3/promote", json={"force": True}, headers=bearer())
    assert (done.status_code, done.json()["version"]) == (200, "3")
    heard = {event.role: event for event in await told(broker)}
    assert heard[ModelRole.CHAMPION].model.version == "3"
    assert heard[ModelRole.CHALLENGER].artifact_uri == ""


async def test_the_last_back_test_decides(
    ronda: RondaClient, http: httpx.AsyncClient, parts: Parts, database: Database
):
    await three_models(parts)
    for at_ms, decision in ((1, "refuse"), (2, "wait")):
        trial = BacktestRecord(
            id=str(at_ms), site=SITE, device=DEVICE, version="3", against="2", from_ms=0, through_ms=1, readings=1,
            appeared=[], vanished=[], kept=0, decision=decision, reason="new_alarms: nine a day", at_ms=at_ms,
        )  # fmt: skip
        await BacktestStore(database).add(trial)
        answer = await http.post(f"{MODELS}/3/promote", headers=bearer("models:write"))
        assert answer.status_code == (409 if decision == "refuse" else 200)
        if decision == "refuse":
            assert answer.json()["detail"].endswith("speaks against it: new_alarms: nine a day")


async def test_models_that_are_none_are_told_as_such(http: httpx.AsyncClient, parts: Parts) -> None:
    await three_models(parts)
    for path, body, said in (
        ("9/promote", {}, "has no version '9'"),
        ("%00/promote", {}, "has no version '\\x00'"),
        ("rollback", {"to": "9"}, "'9' of plant-1/pump-07 was never in force"),
        ("rollback", {"to": "3"}, "'3' of plant-1/pump-07 was never in force; use `ronda model promote`"),
    ):
        answer = await http.post(f"{MODELS}/{path}", json=body, headers=bearer())
        assert (answer.status_code, answer.json()["reason"]) == (404, "not_found")
        assert said in answer.json()["detail"]
    nowhere = await http.post("/api/v1/devices/plant-1/nowhere/models/rollback", headers=bearer())
    assert nowhere.json()["detail"] == "plant-1/nowhere has no model"
