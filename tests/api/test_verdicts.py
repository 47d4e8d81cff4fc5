"""What people say of alarms over HTTP: kept with the alarm, taken back, and refused in words."""

from __future__ import annotations

import httpx
import pytest

from cloud.api.ports import Parts
from cloud.storage.database import Database
from cloud.storage.verdicts import VerdictStore
from contract.events import AlarmKind
from ronda.client import ApiError, RondaClient
from tests.api.conftest import bearer
from tests.api.test_history import keep
from tests.support.anomalies import RAISED_AT_MS, anomaly


async def test_a_verdict_is_kept_with_the_alarm_by_whom_and_why(ronda: RondaClient, parts: Parts) -> None:
    await keep(parts, anomaly(anomaly_id="a1"))
    assert (await ronda.anomaly("a1"))["verdict"] is None
    given = await ronda.give_verdict("a1", "true", cause="bearing_wear", comment="the cage was broken")
    assert given["precision"] == {"true": 1, "false": 0, "planned": 0, "share": 1.0}
    shown = (await ronda.anomaly("a1"))["verdict"]
    assert shown == given["verdict"]
    assert (shown["verdict"], shown["cause"], shown["given_by"]) == ("true", "bearing_wear", "tester")
    assert shown["model_version"] == anomaly().model.version
    [listed] = (await ronda.anomalies())["items"]
    assert listed["verdict"] == shown


async def test_the_last_word_counts_and_may_be_taken_back(ronda: RondaClient, parts: Parts) -> None:
    await keep(parts, anomaly(anomaly_id="a1"))
    await ronda.give_verdict("a1", "true", cause="bearing_wear")
    given = await ronda.give_verdict("a1", "false")
    assert (given["verdict"]["cause"], given["precision"]["share"]) == (None, 0.0)
    await ronda.take_back_verdict("a1")
    assert (await ronda.anomaly("a1"))["verdict"] is None
    with pytest.raises(ApiError, match="nobody has judged the anomaly a1") as refused:
        await ronda.take_back_verdict("a1")
    assert refused.value.status == 404


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 422, "required field `verdict`"),
        ({"verdict": "maybe"}, 422, "Invalid enum value 'maybe'"),
        ({"verdict": "false", "cause": "bearing_wear"}, 422, "a cause is found where an alarm was true"),
        ({"verdict": "true", "cause": "Bearing wear!"}, 422, "must be a fault's code, such as bearing_wear"),
        ({"verdict": "true", "cause": "unknown"}, 422, "leave out what is not known"),
        ({"verdict": "true", "comment": "x" * 2001}, 422, "length <= 2000"),
        ({"verdict": "true", "comment": "a\0b"}, 422, "matching regex"),
    ],
)
async def test_what_is_no_verdict_is_refused(
    http: httpx.AsyncClient, parts: Parts, body: dict[str, str], status: int, said: str
) -> None:
    await keep(parts, anomaly(anomaly_id="a1"))
    answer = await http.post("/api/v1/anomalies/a1/verdict", json=body, headers=bearer("alarms:write"))
    assert answer.status_code == status
    assert said in answer.json()["detail"]


async def test_an_alarm_that_is_none_cannot_be_judged(http: httpx.AsyncClient) -> None:
    for unknown in ("a404", "..", "%00"):
        path = f"/api/v1/anomalies/{unknown}/verdict"
        answer = await http.post(path, json={"verdict": "true"}, headers=bearer())
        assert answer.status_code == 404


async def test_alarms_of_limits_are_judged_but_are_no_models(ronda: RondaClient, parts: Parts) -> None:
    await keep(parts, anomaly(anomaly_id="a1", kind=AlarmKind.LIMIT))
    given = await ronda.give_verdict("a1", "false")
    assert given["verdict"]["verdict"] == "false"
    assert given["precision"] == {"true": 0, "false": 0, "planned": 0, "share": None}


async def test_what_was_confirmed_with_a_cause_is_there_for_the_classifier(
    ronda: RondaClient, parts: Parts, database: Database
) -> None:
    for number, (verdict, cause) in enumerate([("true", "imbalance"), ("true", None), ("false", None)]):
        await keep(parts, anomaly(anomaly_id=f"a{number}", seq=number))
        await ronda.give_verdict(f"a{number}", verdict, cause=cause)
    store = VerdictStore(database)
    [confirmed] = await store.confirmed("plant-1", limit=10)
    assert (confirmed.event.anomaly_id, confirmed.cause) == ("a0", "imbalance")
    assert await store.confirmed("plant-2", limit=10) == []
    episodes = await store.episodes("plant-1", "pump-07", RAISED_AT_MS, RAISED_AT_MS)
    assert [each.verdict for each in episodes] == ["true", "true", "false"]
    assert episodes[0].sensor == "vibration_de_rms_g"
