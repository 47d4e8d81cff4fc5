"""The simulation's files are right, and the linter names each kind of mistake."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.installation import ROOT
from wokwi.lint import WOKWI, faults

Diagram = dict[str, Any]


def part(diagram: Diagram, identity: str) -> dict[str, Any]:
    return next(each for each in diagram["parts"] if each["id"] == identity)


def wires(diagram: Diagram) -> list[Any]:
    found: list[Any] = diagram["connections"]
    return found


def without(*ends: str) -> Callable[[Diagram], None]:
    """Cut the wire between these two."""

    def cut(diagram: Diagram) -> None:
        wires(diagram).remove(next(wire for wire in wires(diagram) if wire[:2] == list(ends)))

    return cut


def moved(before: str, after: str) -> Callable[[Diagram], None]:
    """Put every wire's end at `before` to `after`."""

    def move(diagram: Diagram) -> None:
        diagram["connections"] = [[after if end == before else end for end in wire] for wire in wires(diagram)]

    return move


def rewired(before: list[str], after: list[str]) -> Callable[[Diagram], None]:
    """Lay one wire elsewhere."""

    def rewire(diagram: Diagram) -> None:
        without(*before)(diagram)
        wires(diagram).append([*after, "", []])

    return rewire


def unplugged(diagram: Diagram, identity: str) -> None:
    """Take away every wire of this part."""
    diagram["connections"] = [wire for wire in wires(diagram) if f"{identity}:" not in f"{wire[0]} {wire[1]}"]


BROKEN: list[tuple[str, Callable[[Diagram], object]]] = [
    ("shape", lambda diagram: diagram.pop("connections")),
    ("shape", lambda diagram: diagram.update(version=2)),
    ("shape", lambda diagram: part(diagram, "mpu").pop("top")),
    ("shape", lambda diagram: wires(diagram)[0].pop()),
    ("unknown-part", lambda diagram: diagram["parts"].append(part(diagram, "pullup") | {"id": "it", "type": "it"})),
    ("unknown-pin", lambda diagram: wires(diagram).append(["esp:20", "mpu:INT", "", []])),
    ("unknown-pin", lambda diagram: wires(diagram).append(["esp:5", "display:SDA", "", []])),
    ("unknown-pin", lambda diagram: wires(diagram).append(["esp:5", "mpu:IRQ", "", []])),
    ("id-twice", lambda diagram: diagram["parts"].append(part(diagram, "pullup"))),
    ("board", lambda diagram: diagram["parts"].append(part(diagram, "esp") | {"id": "second"})),
    ("serial-monitor", without("esp:TX", "$serialMonitor:RX")),
    ("serial-monitor", without("esp:RX", "$serialMonitor:TX")),
    ("no-supply", without("esp:3V3", "mpu:VCC")),
    ("no-supply", without("esp:3V3", "thermometer:VCC")),
    ("no-ground", without("esp:GND.3", "thermometer:GND")),
    ("no-ground", without("esp:GND.2", "mpu:GND")),
    ("short-circuit", lambda diagram: wires(diagram).append(["esp:3V3", "esp:GND.1", "", []])),
    ("no-pull-up", without("pullup:1", "esp:3V3")),
    ("no-pull-up", without("pullup:2", "thermometer:DQ")),
    ("no-pull-up", rewired(["pullup:1", "esp:3V3"], ["pullup:1", "esp:GND.1"])),
    ("no-pull-up", lambda diagram: diagram["parts"].remove(part(diagram, "pullup")) or unplugged(diagram, "pullup")),
    ("no-pull-up", lambda diagram: part(diagram, "pullup")["attrs"].update(value="220")),
    ("wrong-pin", moved("esp:21", "esp:19")),
    ("wrong-pin", moved("esp:22", "esp:23")),
    ("wrong-pin", moved("esp:4", "esp:5")),
]

# A file, what stands in it, what shall stand there instead, and the rule that says so.
ALTERED = [
    ("settings", "wokwi.toml", "version = 1", "version = 2"),
    ("settings", "wokwi.toml", "rfc2217ServerPort = 4000", ""),
    ("no-firmware", "wokwi.toml", "ESP32_GENERIC.bin", "another.bin"),
    ("no-chip", "wokwi.toml", "vibration.chip.wasm", "another.chip.wasm"),
    ("unknown-part", "wokwi.toml", 'name = "vibration"', 'name = "shaking"'),
    ("settings", "wokwi.toml", "binary =", "file ="),
    ("unreadable", "wokwi.toml", "[wokwi]", "[wokwi"),
    ("unreadable", "diagram.json", '"version"', "version"),
    ("unknown-pin", "vibration.chip.json", '"AD0"', '"SLEEP"'),
    ("chip", "vibration.chip.json", '"pins"', '"legs"'),
    ("chip", "vibration.chip.json", '"max": 3000', '"max": 600'),
    ("chip", "vibration.chip.json", '"type": "range"', '"type": "knob"'),
    ("other-pins", "config.example.json", '"sda": 21', '"sda": 33'),
    ("scenario", "bearing.test.yaml", "version: 1", "version: 3"),
    ("step", "bearing.test.yaml", "delay: 3000ms", "delay: 3000"),
    ("step", "bearing.test.yaml", "- delay:", "- sleep:"),
    ("never-printed", "bearing.test.yaml", "clock.set", "clock.ticked"),
    ("never-printed", "bearing.test.yaml", "vibration_rms_g=1.", "vibration_rms=1."),
    ("no-slider", "bearing.test.yaml", "part-id: mpu", "part-id: esp"),
    ("no-slider", "bearing.test.yaml", "control: bearing", "control: bearings"),
    ("no-slider", "bearing.test.yaml", "value: 100", "value: 101"),
]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The simulation's files, to be broken."""
    return Path(shutil.copytree(WOKWI, tmp_path / "wokwi", ignore=shutil.ignore_patterns("*.bin", "__pycache__")))


def rules(folder: Path) -> set[str]:
    return {fault.rule for fault in faults(folder)}


def test_nothing_is_wrong_with_what_is_shipped() -> None:
    assert faults() == []


def test_the_command_says_so_and_succeeds() -> None:
    run = subprocess.run([sys.executable, "-m", "wokwi.lint"], cwd=ROOT, capture_output=True, check=False, timeout=30)
    assert (run.returncode, run.stdout) == (0, b"")


@pytest.mark.parametrize(("rule", "breakage"), BROKEN, ids=[f"{n}-{rule}" for n, (rule, _) in enumerate(BROKEN)])
def test_a_broken_wiring_is_named(copy: Path, rule: str, breakage: Callable[[Diagram], object]) -> None:
    path = copy / "diagram.json"
    diagram = json.loads(path.read_text())
    breakage(diagram)
    path.write_text(json.dumps(diagram))
    assert rules(copy) == {rule}


@pytest.mark.parametrize(
    ("rule", "name", "before", "after"), ALTERED, ids=[f"{n}-{a[0]}" for n, a in enumerate(ALTERED)]
)
def test_a_broken_file_is_named(copy: Path, rule: str, name: str, before: str, after: str) -> None:
    text = (copy / name).read_text()
    assert before in text
    (copy / name).write_text(text.replace(before, after))
    assert rule in rules(copy)


@pytest.mark.parametrize("name", ["diagram.json", "wokwi.toml", "vibration.chip.json", "config.example.json"])
def test_a_missing_file_is_missed(copy: Path, name: str) -> None:
    (copy / name).unlink()
    assert rules(copy) & {"unreadable", "no-chip"}


def test_a_sensor_that_the_firmware_wants_is_missed(copy: Path) -> None:
    diagram = json.loads((copy / "diagram.json").read_text())
    diagram["parts"].remove(part(diagram, "thermometer"))
    unplugged(diagram, "thermometer")
    (copy / "diagram.json").write_text(json.dumps(diagram))
    assert rules(copy) == {"no-sensor"}
