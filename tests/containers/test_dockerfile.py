"""The images: small doors, a locked content, and nothing of this machine in them."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml

from tests.containers.manifest import ROOT, ours

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
LINES = DOCKERFILE.splitlines()
SCRIPTS = sorted((ROOT / "deploy" / "compose").glob("*.sh"))


def stage(name: str) -> str:
    """The text of one stage."""
    _, _, rest = DOCKERFILE.partition(f" AS {name}\n")
    return re.split(r"^FROM ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def test_the_bases_are_pinned_and_the_same() -> None:
    images = set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))
    stages = set(re.findall(r" AS (\S+)$", DOCKERFILE, re.MULTILINE))
    assert images - stages == {"python:3.11-slim"}


def test_no_front_end_is_fetched_and_no_host_is_named() -> None:
    assert "syntax=" not in LINES[0]
    assert "://" not in DOCKERFILE.replace("http://127.0.0.1", "")


def test_there_is_a_target_for_each_image_of_the_stack() -> None:
    targets = {service["build"]["target"] for service in ours().values()}
    assert targets == {"cloud", "edge", "mlflow"}
    assert all(f" AS {target}\n" in DOCKERFILE for target in targets)


@pytest.mark.parametrize("packages", ["edge-packages", "cloud-packages"])
def test_the_packages_are_those_of_the_lock_and_come_before_our_source(packages: str) -> None:
    text = stage(packages)
    assert "COPY pyproject.toml uv.lock ./" in text
    assert "uv sync --frozen --no-dev" in text
    assert "COPY . ." not in text


def test_the_edge_carries_its_own_extra_and_the_cloud_all() -> None:
    assert "--extra edge " in stage("edge-packages")
    assert "--extra all " in stage("cloud-packages")
    assert "COPY --from=edge-packages" in stage("edge")
    assert "COPY --from=cloud-packages" in stage("cloud")


def test_nobody_runs_as_root_and_everybody_is_asked_to_end() -> None:
    assert "USER 10001:10001" in stage("runtime")
    assert "STOPSIGNAL SIGTERM" in stage("runtime")
    assert {service["user"] for service in ours().values()} == {"10001:10001"}


@pytest.mark.parametrize("target", ["edge", "cloud", "mlflow"])
def test_an_image_can_tell_whether_it_is_well(target: str) -> None:
    assert re.search(r'HEALTHCHECK [^\n]*(\\\n\s*)?CMD \["ronda", "health", "', stage(target))


def test_a_network_that_stumbles_is_asked_again() -> None:
    assert "PIP_RETRIES=10" in stage("build")
    assert "UV_HTTP_RETRIES=10" in stage("build")


def test_uv_is_the_version_that_everybody_gets() -> None:
    assert re.search(r"uv==\d+\.\d+\.\d+$", stage("build"), re.MULTILINE)


def test_secrets_and_settings_never_enter_an_image() -> None:
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    assert "*" in rules
    taken = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    project = {"pyproject.toml", "uv.lock", "README.md", "LICENSE"}
    assert taken == project | {"contract", "detection", "broker", "edge", "cloud", "dashboard", "ronda"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_is_one_for_any_shell(script: object) -> None:
    subprocess.run(["sh", "-n", str(script)], check=True, timeout=10)


def test_the_manifest_is_read_as_yaml_without_surprises() -> None:
    # `yes`, `no` and octal numbers change their meaning between readers.
    loaded = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    assert all(service["restart"] in {"no", "unless-stopped"} for service in loaded["services"].values())
