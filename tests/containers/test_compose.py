"""docker-compose.yml keeps its promises on paper: what can be known without a Docker daemon."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ronda.installation import AGENT_NAMES
from ronda.settings import Settings
from ronda.stack.secrets import make_secrets
from tests.containers.manifest import FILE, ROOT, lasting, manifest, once, ours, secrets_of, services, variables

_ALL = sorted(services())
# Not settings of ours: MLflow's and boto3's own names go through `Settings` too, so there are none.
_FIELDS = {name.upper() for name in Settings.model_fields}
# Whoever asks for it starts it: `docker compose run`.
_BY_HAND = {"tools"}


def test_it_keeps_to_the_compose_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", _ALL)
def test_a_service_has_limits(name: str) -> None:
    limits = services()[name]["deploy"]["resources"]["limits"]
    assert set(limits) == {"cpus", "memory", "pids"}


@pytest.mark.parametrize("name", _ALL)
def test_a_service_can_do_no_more_than_its_work(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert str(service["user"]).partition(":")[0] not in {"0", "root"}
    assert not service.get("privileged")
    assert "cap_add" not in service


@pytest.mark.parametrize("name", _ALL)
def test_a_service_cannot_fill_the_disk_with_its_log(name: str) -> None:
    assert {"max-size", "max-file"} <= set(services()[name]["logging"]["options"])


@pytest.mark.parametrize("name", sorted(lasting()))
def test_a_service_that_stays_is_started_again_and_tells_whether_it_is_well(name: str) -> None:
    service = services()[name]
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}


@pytest.mark.parametrize("name", sorted(set(once()) - _BY_HAND))
def test_what_runs_once_is_waited_for(name: str) -> None:
    waiting = [
        other
        for other, service in lasting().items()
        if service.get("depends_on", {}).get(name, {}).get("condition") == "service_completed_successfully"
    ]
    assert waiting


@pytest.mark.parametrize("name", sorted(ours()))
def test_a_part_of_ours_asks_its_health_in_python(name: str) -> None:
    if name in lasting():
        assert services()[name]["healthcheck"]["test"][:3] == ["CMD", "ronda", "health"]


def test_images_are_pinned_and_name_no_registry() -> None:
    for name, service in services().items():
        image, _, version = service["image"].rpartition(":")
        assert version not in {"", "latest"}, name
        assert "." not in image.partition("/")[0], name


def test_only_the_api_here_and_mqtt_with_tls_are_published() -> None:
    published = {name: service["ports"] for name, service in services().items() if "ports" in service}
    assert published == {
        "api": ["127.0.0.1:${RONDA_HTTP_PORT:-8000}:8000"],
        "mosquitto": ["${RONDA_MQTTS_PORT:-8883}:8883"],
        "grafana": ["127.0.0.1:${RONDA_GRAFANA_PORT:-3000}:3000"],
    }


def test_who_keeps_the_data_has_no_way_out() -> None:
    assert manifest()["networks"]["inside"] == {"internal": True}
    outside = {name for name, service in services().items() if "outside" in service.get("networks", [])}
    assert outside == {"api", "mosquitto", "notification", "grafana"}


def test_every_agent_has_a_service_with_its_own_user_on_the_broker() -> None:
    for agent in AGENT_NAMES:
        service = services()[agent]
        assert service["command"] == ["agent", agent]
        assert secrets_of(service)["mqtt_url"] == f"mqtt_url_{agent}"


def test_every_secret_is_made_declared_and_used(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    declared = manifest()["secrets"]
    used = {source for service in services().values() for source in secrets_of(service).values()}
    assert used == set(declared)
    for name, secret in declared.items():
        assert secret == {"file": f"${{RONDA_SECRETS:-./secrets}}/{name}"}
        assert (tmp_path / name).is_file(), name


def test_no_secret_stands_in_the_environment() -> None:
    for service in services().values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN|API_KEY", name):
                assert name.endswith(("_FILE", "__FILE")), name
                assert str(value).startswith(("/run/secrets/", "/var/lib/ronda/broker/")), name


@pytest.mark.parametrize("name", sorted(ours()))
def test_what_a_part_of_ours_is_told_is_a_setting(name: str) -> None:
    assert set(services()[name].get("environment", {})) <= _FIELDS


def test_every_variable_is_a_setting_or_explained_in_the_example() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    explained = set(re.findall(r"^#([A-Z0-9_]+)=", example, re.MULTILINE))
    assert variables() <= _FIELDS | explained
    assert explained <= variables() | {"COMPOSE_PROFILES"}


def test_the_example_copied_as_it_is_changes_nothing() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    given = dict(re.findall(r"^([A-Z0-9_]+)=(.+)$", example, re.MULTILINE))
    defaults = dict(re.findall(r"\$\{([A-Z0-9_]+):-([^}]*)\}", FILE.read_text(encoding="utf-8")))
    shared = given.keys() & defaults.keys()
    assert shared
    assert {name: given[name] for name in shared} == {name: defaults[name] for name in shared}


def test_the_database_has_a_connection_for_everybody() -> None:
    """TimescaleDB's image tunes itself by its memory limit, and would allow 25 below 2 GB."""
    pool = Settings.model_fields["database_pool_size"].default
    asked = sum(
        int(service.get("environment", {}).get("DATABASE_POOL_SIZE", pool))
        for service in lasting().values()
        if "database_url" in secrets_of(service)
    )
    assert int(services()["postgres"]["environment"]["TS_TUNE_MAX_CONNS"]) >= 2 * asked


def test_every_file_that_is_mounted_is_there() -> None:
    files = [config["file"] for config in manifest()["configs"].values()]
    mounts = [
        mount for service in services().values() for mount in service.get("volumes", []) if isinstance(mount, str)
    ]
    files += [mount.partition(":")[0] for mount in mounts if mount.startswith("./")]
    assert files
    assert [file for file in files if not (ROOT / file).exists()] == []


def test_prometheus_asks_services_that_tell_their_numbers() -> None:
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    groups = [group for job in config["scrape_configs"] for group in job["static_configs"]]
    targets = {target for group in groups for target in group["targets"]} - {"localhost:9090"}
    told = {name: service.get("environment", {}).get("METRICS_PORT") for name, service in services().items()}
    assert {target.partition(":")[0] for target in targets} >= {"api", *AGENT_NAMES}
    assert {target: told.get(target.partition(":")[0]) for target in targets} == {
        target: target.partition(":")[2] for target in targets
    }
