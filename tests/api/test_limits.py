"""A machine's fixed limits: set by people or by a standard, refused in words where they could not be kept."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import httpx
import pytest

from cloud.api.ports import Parts
from contract.plausibility import Metric
from ronda import limits as command
from ronda.client import ApiError, RondaClient
from tests.api.conftest import bearer

LIMITS = "/api/v1/devices/plant-1/pump-07/limits"
METRICS = [
    Metric(name="vibration_de_mm_s", unit="mm/s"),
    Metric(name="vibration_de_rms_g", unit="g"),
    Metric(name="shaft_ips", unit="in/s"),
    Metric(name="motor_temperature_c", unit="°C"),
]
ZONES = {"iso20816": {"metric": "vibration_de_mm_s", "class": "group2-rigid"}}


@pytest.fixture(autouse=True)
async def pump(parts: Parts) -> None:
    await parts.devices.ensure("plant-1", "pump-07", "provisioned", now_ms=0, metrics=METRICS)


async def put(http: httpx.AsyncClient, body: Any) -> httpx.Response:
    return await http.put(LIMITS, json=body, headers=bearer("devices:write"))


async def items(http: httpx.AsyncClient) -> list[dict[str, Any]]:
    return (await http.get(LIMITS, headers=bearer("data:read"))).json()["items"]


async def test_a_limit_of_ones_own_is_kept_and_shown_with_its_unit(http: httpx.AsyncClient):
    assert await items(http) == []
    own = {"metric": "motor_temperature_c", "low": 5, "high": 90, "severity": "critical", "label": "winding class F"}
    answer = await put(http, [own])
    assert answer.status_code == 200, answer.text
    told = {"unit": "°C", "source": "user", "class": None, "label": {"en": own["label"], "pt": own["label"]}}
    assert answer.json()["items"] == [own | told]
    assert await items(http) == answer.json()["items"]


async def test_a_standard_gives_a_warning_and_a_critical_limit_that_say_where_they_are_from(http: httpx.AsyncClient):
    assert (await put(http, [ZONES])).status_code == 200
    warning, critical = await items(http)
    assert (warning["severity"], warning["high"], critical["severity"], critical["high"]) == (
        "warning", 2.8, "critical", 4.5,
    )  # fmt: skip
    assert (critical["source"], critical["class"]) == ("iso20816", "group2-rigid")
    assert critical["label"] == {
        "en": "ISO 20816-3, zone C/D, group 2 rigid",
        "pt": "ISO 20816-3, zona C/D, grupo 2 rígido",
    }


async def test_inches_a_second_are_compared_with_inches_a_second(http: httpx.AsyncClient):
    await put(http, [{"iso20816": {"metric": "shaft_ips", "class": "group2-rigid"}}])
    assert [item["high"] for item in await items(http)] == [0.110236, 0.177165]


async def test_what_is_put_takes_the_place_of_all_there_was(http: httpx.AsyncClient):
    await put(http, [ZONES, {"metric": "motor_temperature_c", "high": 90}])
    await put(http, [{"metric": "motor_temperature_c", "high": 95}])
    assert [(item["metric"], item["high"]) for item in await items(http)] == [("motor_temperature_c", 95)]
    assert (await put(http, [])).json() == {"items": []}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (
            [{"iso20816": {"metric": "vibration_de_rms_g", "class": "group2-rigid"}}],
            "acceleration in g has no ISO 20816",
        ),
        ([{"iso20816": {"metric": "vibration_de_mm_s", "class": "group3"}}], "there is no machine class 'group3'"),
        (
            [{"iso20816": {"metric": "flow_lpm", "class": "group2-rigid"}}],
            "'flow_lpm' is not registered for this device",
        ),
        ([{"metric": "flow_lpm", "high": 1}], "which has: vibration_de_mm_s, vibration_de_rms_g"),
        ([{"metric": "shaft_ips"}], "shaft_ips: a limit needs low or high, or both"),
        ([{"metric": "shaft_ips", "low": 2, "high": 1}], "shaft_ips: low 2 must be below high 1"),
        ([{"metric": "shaft_ips", "high": 1, "severity": "red"}], "Invalid enum value 'red'"),
        ([{"metric": "shaft_ips", "hihg": 1}], "unknown field `hihg`"),
        ([{"metric": "shaft_ips", "high": 1, "label": "a\nb"}], "matching regex"),
        ([{}], "a limit has a metric with low or high, or is"),
        ([ZONES | {"metric": "shaft_ips", "high": 1}], "a limit has a metric with low or high, or is"),
        ([ZONES, ZONES], "there are two limits of severity warning"),
        (
            [
                {"metric": "shaft_ips", "high": 2, "severity": "warning"},
                {"metric": "shaft_ips", "high": 1, "severity": "critical"},
            ],
            "shaft_ips: the critical limit must not lie inside the warning",
        ),
        ([{"metric": "shaft_ips", "high": 1}] * 300, "a device has at most 256 limits, these are 300"),
        ({}, "Expected `array`"),
    ],
)
async def test_what_could_not_be_kept_is_refused_in_words_and_changes_nothing(
    http: httpx.AsyncClient, body: Any, why: str
):
    await put(http, [ZONES])
    before = await items(http)
    answer = await put(http, body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert why in answer.json()["detail"]
    assert await items(http) == before


async def test_a_machine_that_is_not_there_or_has_said_nothing_yet_has_no_limits_to_set(
    http: httpx.AsyncClient, parts: Parts
):
    await parts.devices.ensure("plant-1", "mute", "provisioned", now_ms=0)
    mute = LIMITS.replace("pump-07", "mute")
    answer = await http.put(mute, json=[{"metric": "a", "high": 1}], headers=bearer())
    assert (answer.status_code, answer.json()["reason"]) == (409, "no_metrics")
    for path in (LIMITS.replace("pump-07", "pump-99"), LIMITS.replace("pump-07", "a.b")):
        assert (await http.get(path, headers=bearer())).status_code in (404, 422)
    await parts.devices.revoke("plant-1", "pump-07", now_ms=1)
    assert (await put(http, [])).status_code == 404


async def test_the_client_sets_and_shows_them(ronda: RondaClient):
    set_ = await ronda.set_limits("plant-1", "pump-07", [ZONES])
    assert await ronda.limits("plant-1", "pump-07") == set_
    with pytest.raises(ApiError, match="measure the velocity in mm/s"):
        await ronda.set_limits(
            "plant-1", "pump-07", [{"iso20816": {"metric": "vibration_de_rms_g", "class": "group1-rigid"}}]
        )


async def test_the_command_sets_beside_what_is_set_and_shows_all(
    ronda: RondaClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    @contextlib.asynccontextmanager
    async def admin(_: Path):
        yield ronda

    monkeypatch.setattr(command, "as_admin", admin)

    async def told(new: list[str], iso: str | None = None, *, clear: bool = False) -> list[list[str]]:
        metrics = ["vibration_de_mm_s"] if iso else []
        await command.change_limits(Path("data"), "plant-1/pump-07", new, iso, metrics, clear=clear)
        return [line.split()[:4] for line in capsys.readouterr().out.splitlines()]

    own = ["motor_temperature_c", "below", "90", "°C"]
    assert await told([]) == [["no", "limits", "are", "set"]]
    assert await told(["motor_temperature_c:high=90:warning"]) == [own]
    zones = [["vibration_de_mm_s", "below", bound, "mm/s"] for bound in ("2.8", "4.5")]
    assert await told([], "group2-rigid") == [own, *zones]
    assert await told(["motor_temperature_c:high=95:warning"], clear=True) == [[*own[:2], "95", "°C"]]
    with pytest.raises(command.LimitsError, match="give both, or none"):
        await command.change_limits(Path("data"), "plant-1/pump-07", [], "group2-rigid", [], clear=False)
