"""The guide's commands fit the files, the bridge and the firmware that there are."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from edge.bridge import SHORTEST_PREFIX, BridgeError, check_prefix
from firmware.generate import ESP32
from ronda.cli import app
from tests.support.installation import ROOT
from wokwi.lint import GUIDE, WOKWI

TEXT = GUIDE.read_text(encoding="utf-8")
EXAMPLE: dict[str, Any] = json.loads((WOKWI / "config.example.json").read_text())
WORKFLOW = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)[0])


def copied() -> set[str]:
    """What the guide's copy command puts onto the chip, by its path there."""
    words = shlex.split(re.findall(r"^ +mpremote (connect .*)$", TEXT, re.MULTILINE)[0])
    sources = words[words.index("-r") + 1 : words.index(":")]
    assert words[words.index(":") :] == [":", "+", "reset"]
    files: set[str] = set()
    for source in sources:
        path = ESP32 / source
        inside = path.rglob("*.py") if path.is_dir() else [path]
        files |= {each.relative_to(ESP32).as_posix() if each.is_relative_to(ESP32) else source for each in inside}
    return files


def test_the_copy_command_takes_every_file_of_the_firmware_and_the_configuration() -> None:
    listed = set(json.loads((ESP32 / "manifest.json").read_text()))
    assert {Path(name).name if ".." in name else name for name in copied()} == {
        *listed, "manifest.json", "config.json"
    }  # fmt: skip


def test_what_holds_a_secret_or_was_downloaded_is_not_committed() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {"/wokwi/config.json", "/wokwi/*.bin", "/wokwi/*.wasm"} <= set(ignored)


def test_the_example_is_for_wokwis_network_and_the_bridges_site() -> None:
    assert EXAMPLE["wifi"] == {"ssid": "Wokwi-GUEST", "password": ""}
    assert EXAMPLE["site"] == "wokwi"
    assert f"mqtt://{EXAMPLE['mqtt']['host']}" in TEXT


def test_the_examples_prefix_is_refused_until_it_is_a_secret() -> None:
    with pytest.raises(BridgeError):
        check_prefix(EXAMPLE["mqtt"]["prefix"])
    # 16 bytes in hexadecimal, as the guide has them made.
    assert len(check_prefix(bytes(16).hex())) >= SHORTEST_PREFIX


def test_the_scenario_waits_for_the_examples_own_names() -> None:
    waited = [
        step.get("wait-serial", "") for step in yaml.safe_load((WOKWI / "bearing.test.yaml").read_text())["steps"]
    ]
    mqtt = EXAMPLE["mqtt"]
    assert f"device.started {EXAMPLE['site']}/" in waited
    assert f"wifi.joined {EXAMPLE['wifi']['ssid']}" in waited
    assert f"mqtt.connected {mqtt['host']}:{mqtt['port']}" in waited


def test_the_bridges_command_has_these_options() -> None:
    words = shlex.split(re.findall(r"ronda (bridge .*)$", TEXT, re.MULTILINE)[-1].partition("#")[0])
    shown = CliRunner().invoke(app, ["bridge", "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"}).output
    assert [option for option in words if option.startswith("--") and option not in shown] == []


def test_the_workflow_runs_only_when_asked_and_names_files_that_there_are() -> None:
    # YAML 1.1 reads `on` as true.
    assert WORKFLOW[True] == "workflow_dispatch"
    action = WORKFLOW["jobs"]["bearing"]["steps"][-1]
    assert action["uses"] == "wokwi/wokwi-ci-action@v1"
    assert (ROOT / action["with"]["path"] / action["with"]["scenario"]).is_file()


def test_no_project_of_wokwi_is_linked() -> None:
    assert "wokwi.com/projects" not in TEXT


@pytest.mark.parametrize("link", re.findall(r"\]\((?!https?:|#)([^)#\s]+)", TEXT))
def test_a_link_leads_somewhere(link: str) -> None:
    assert (GUIDE.parent / link).exists()
