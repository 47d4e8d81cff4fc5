"""The Blueprint for Render: no schema of it is to be had here, so every reference and every setting is followed."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import typer
import yaml

from ronda.cli import app
from ronda.settings import Settings
from tests.deploy.doors import open_paths
from tests.support.installation import ROOT

BLUEPRINT = yaml.safe_load((ROOT / "render.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = {service["name"]: service for service in BLUEPRINT["services"]}
DATABASES = {database["name"]: database for database in BLUEPRINT["databases"]}
GROUPS = {group["name"]: group["envVars"] for group in BLUEPRINT["envVarGroups"]}
OURS = {name: service for name, service in SERVICES.items() if service["type"] != "keyvalue"}
FIELDS = {name.upper(): field for name, field in Settings.model_fields.items()}
# Where a variable of Render's may come from; each has exactly one source.
SOURCES = {"value", "generateValue", "sync", "fromDatabase", "fromService"}
PLANS = {"starter", "standard", "pro", "basic-256mb", "basic-1gb"}
# Read by Render itself: where the service listens.
_RENDERS_OWN = {"PORT"}
_PORTS = {"ronda": 8000, "ronda-broker": 1883, "ronda-mlflow": 5000}


def variables(service: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The service's variables by name, those of its group included."""
    entries = [
        inner
        for entry in service.get("envVars", [])
        for inner in (GROUPS[entry["fromGroup"]] if "fromGroup" in entry else [entry])
    ]
    return {entry["key"]: entry for entry in entries}


def shell_variables(service: dict[str, Any]) -> set[str]:
    """Those of which the service's command makes a setting."""
    return set(re.findall(r"\$([A-Z_]+)", service["dockerCommand"]))


def command(service: dict[str, Any]) -> list[str]:
    """The words after `ronda` in the service's command."""
    words = shlex.split(service["dockerCommand"])
    if words[:2] == ["sh", "-c"]:
        words = shlex.split(words[2].partition("exec ")[2])
    assert words[0] == "ronda"
    return words[1:]


def every_variable() -> list[tuple[str, dict[str, Any]]]:
    return [(name, entry) for name, service in OURS.items() for entry in variables(service).values()]


def test_it_has_what_the_product_is_made_of() -> None:
    assert {name: service["type"] for name, service in SERVICES.items()} == {
        "ronda": "web",
        "ronda-agents": "worker",
        "ronda-trainer": "worker",
        "ronda-broker": "pserv",
        "ronda-mlflow": "pserv",
        "ronda-redis": "keyvalue",
    }
    assert len({*SERVICES, *DATABASES}) == len(SERVICES) + len(DATABASES)
    assert {each["plan"] for each in [*SERVICES.values(), *DATABASES.values()]} <= PLANS
    assert len({each["region"] for each in [*SERVICES.values(), *DATABASES.values()]}) == 1


@pytest.mark.parametrize("service", OURS.values(), ids=OURS)
def test_it_is_built_from_a_file_that_is_there_and_started_by_a_command_that_exists(service: dict[str, Any]) -> None:
    assert (ROOT / service["dockerfilePath"]).is_file()
    known = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # the app is a group
    name, *arguments = command(service)
    options = {option for parameter in known[name].params for option in parameter.opts}
    assert {word for word in arguments if word.startswith("--")} <= options


def test_the_image_has_no_entry_point_so_that_a_command_is_the_whole_command() -> None:
    dockerfile = (ROOT / OURS["ronda"]["dockerfilePath"]).read_text()
    assert not re.search(r"^ENTRYPOINT", dockerfile, re.MULTILINE)
    for line in ("python:3.11-slim", "uv=="):
        assert line in dockerfile
    version = re.search(r"uv==([\d.]+)", dockerfile)
    assert version
    assert version[0] in (ROOT / "Dockerfile").read_text()


@pytest.mark.parametrize(("name", "entry"), every_variable())
def test_a_variable_is_a_setting_with_one_source_that_exists(name: str, entry: dict[str, Any]) -> None:
    assert entry["key"] in {*FIELDS, *_RENDERS_OWN, *shell_variables(SERVICES[name])}
    (source,) = SOURCES & set(entry)
    if source == "fromDatabase":
        assert entry[source]["name"] in DATABASES
        assert entry[source]["property"] == "connectionString"
    elif source == "fromService":
        other = SERVICES[entry[source]["name"]]
        assert entry[source]["type"] == other["type"]
        wanted = entry[source].get("envVarKey")
        assert entry[source].get("property") in {"hostport", "connectionString", None}
        assert wanted is None or wanted in variables(other)


@pytest.mark.parametrize(("name", "entry"), every_variable())
def test_no_secret_stands_in_the_file(name: str, entry: dict[str, Any]) -> None:
    field = FIELDS.get(entry["key"])
    is_secret = (field is not None and "SecretStr" in str(field.annotation)) or "KEY" in entry["key"]
    assert not (is_secret and "value" in entry)


def test_a_group_has_nothing_that_render_takes_from_services_only() -> None:
    assert all({"value", "generateValue"} & set(entry) for entries in GROUPS.values() for entry in entries)


def test_the_values_are_such_as_the_settings_take() -> None:
    for service in OURS.values():
        given = {key.lower(): entry["value"] for key, entry in variables(service).items() if "value" in entry}
        Settings(_env_file=None, **given)  # type: ignore[call-arg]  # pydantic reads the strings


def test_production_finds_every_secret_that_it_asks_for() -> None:
    assert variables(OURS["ronda"])["ENV"]["value"] == "production"
    for name in ("JWT_SECRET", "API_KEY", "ADMIN_PASSWORD"):
        assert variables(OURS["ronda"])[name]["generateValue"] is True


def test_every_part_knows_the_brokers_secret_and_who_speaks_to_it_its_address() -> None:
    assert all(variables(service)["MQTT_SERVICES_SECRET"]["generateValue"] for service in OURS.values())
    for name in ("ronda", "ronda-agents", "ronda-trainer"):
        assert "MQTT_URL=mqtt://$BROKER" in OURS[name]["dockerCommand"]
        assert {"BROKER", "MLFLOW", "DATABASE_URL"} <= set(variables(OURS[name]))


def test_the_ports_are_those_on_which_the_parts_listen() -> None:
    for name, port in _PORTS.items():
        assert variables(OURS[name])["PORT"]["value"] == str(port)
    assert command(OURS["ronda-broker"])[-2:] != []
    assert "--mqtt-port 1883" in OURS["ronda-broker"]["dockerCommand"]


def test_the_health_check_is_a_door_that_is_open() -> None:
    assert OURS["ronda"]["healthCheckPath"] in open_paths()


def test_the_broker_keeps_its_queues_on_a_disk() -> None:
    broker = OURS["ronda-broker"]
    folder = shlex.split(broker["dockerCommand"])[shlex.split(broker["dockerCommand"]).index("--data") + 1]
    # Below it, since a disk comes with a folder of its own (lost+found).
    assert folder.startswith(broker["disk"]["mountPath"] + "/")


def test_nobody_from_outside_reaches_an_engine() -> None:
    engines = [SERVICES["ronda-redis"], *DATABASES.values()]
    assert all(engine["ipAllowList"] == [] for engine in engines)
