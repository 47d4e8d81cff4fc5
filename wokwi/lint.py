"""Checks the simulation's files without Wokwi: `python -m wokwi.lint` prints what is wrong, and fails when anything is.

The wiring against a table of parts, its pins against the firmware's configuration, the chip's own files, and each
scenario against the sliders that there are and the lines that the firmware prints.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from wokwi.circuit import Circuit, Fault
from wokwi.parts import CUSTOM, Part, custom
from wokwi.scenario import scenario_faults

WOKWI = Path(__file__).parent
ROOT = WOKWI.parent
FIRMWARE = ROOT / "firmware" / "esp32"
# What a user has to download is named here.
GUIDE = ROOT / "docs" / "esp32" / "wokwi.md"

_DIAGRAM = {"version": int, "author": str, "editor": str, "parts": list, "connections": list, "dependencies": dict}
_PART = {"type": str, "id": str, "top": int | float, "left": int | float, "attrs": dict}
_CHIP = {"name": str, "binary": str}
_CONTROL = {"id": str, "label": str, "type": str, "min": int | float, "max": int | float, "step": int | float}


def faults(folder: Path = WOKWI) -> list[Fault]:
    """Everything that is wrong with the simulation in `folder`."""
    try:
        return list(_faults(folder))
    except (OSError, ValueError) as error:  # JSON, TOML and a file that is not there
        return [Fault("unreadable", str(error))]


def _faults(folder: Path) -> Iterator[Fault]:
    """Each stage is looked at only when what it stands on is right."""
    settings = tomllib.loads(_text(folder / "wokwi.toml"))
    if wrong := list(_settings_faults(folder, settings)):
        yield from wrong
        return
    chips = {chip["name"]: folder / chip["binary"] for chip in settings.get("chip", [])}
    if wrong := [fault for binary in chips.values() for fault in _chip_files(binary)]:
        yield from wrong
        return
    definitions = {name: json.loads(_text(_definition(binary))) for name, binary in chips.items()}
    diagram = json.loads(_text(folder / "diagram.json"))
    wrong = [fault for name, definition in definitions.items() for fault in _definition_faults(name, definition)]
    wrong += _shape_faults(diagram)
    yield from wrong or _diagram_faults(folder, diagram, definitions)


def _diagram_faults(
    folder: Path, diagram: Mapping[str, Any], definitions: Mapping[str, Mapping[str, Any]]
) -> Iterator[Fault]:
    pins: dict[str, int] = json.loads(_text(FIRMWARE / "config.example.json"))["pins"]
    example = json.loads(_text(folder / "config.example.json"))
    if example.get("pins", pins) != pins:
        yield Fault("other-pins", "config.example.json here has other pins than the firmware's")
    own: dict[str, Part] = {f"{CUSTOM}{name}": custom(definition["pins"]) for name, definition in definitions.items()}
    yield from Circuit(diagram, own).faults(pins)
    sliders = {
        part["id"]: definitions[part["type"].removeprefix(CUSTOM)].get("controls", [])
        for part in diagram["parts"]
        if part["type"] in own
    }
    for path in sorted(folder.glob("*.test.yaml")):
        yield from scenario_faults(path, sliders, FIRMWARE)


def _settings_faults(folder: Path, settings: Mapping[str, Any]) -> Iterator[Fault]:
    wokwi = settings.get("wokwi", {})
    if wokwi.get("version") != 1:
        yield Fault("settings", "wokwi.toml: [wokwi] needs version = 1")
    if not isinstance(wokwi.get("rfc2217ServerPort"), int):
        yield Fault("settings", "wokwi.toml: without rfc2217ServerPort no file can be copied onto the chip")
    for chip in settings.get("chip", []):
        if wrong := _mistyped(chip, _CHIP):
            yield Fault("settings", f"wokwi.toml: a [[chip]] lacks {', '.join(wrong)}")
    firmware = wokwi.get("firmware", "")
    if not firmware or not ((folder / firmware).exists() or f"`{firmware}`" in _text(GUIDE)):
        yield Fault("no-firmware", f"wokwi.toml: {firmware!r} is not there, and {GUIDE.name} does not say where from")


def _chip_files(binary: Path) -> Iterator[Fault]:
    """Wokwi looks for the chip's definition beside its binary; the binary may still have to be built."""
    if not _definition(binary).exists():
        yield Fault("no-chip", f"{binary.name} has no {_definition(binary).name} beside it")
    if not (binary.exists() or binary.with_suffix(".c").exists()):
        yield Fault("no-chip", f"neither {binary.name} nor its source is there")


def _definition(binary: Path) -> Path:
    return binary.with_suffix(".json")


def _definition_faults(name: str, definition: Mapping[str, Any]) -> Iterator[Fault]:
    if not (isinstance(definition.get("pins"), list) and all(isinstance(pin, str) for pin in definition["pins"])):
        yield Fault("chip", f"{name}: pins must be a list of names")
    for control in definition.get("controls", []):
        wrong = _mistyped(control, _CONTROL)
        if wrong or control["type"] != "range" or not control["min"] < control["max"]:
            yield Fault("chip", f"{name}: the control {control.get('id')} is no slider with a range: {wrong}")


def _shape_faults(diagram: Mapping[str, Any]) -> Iterator[Fault]:
    if wrong := _mistyped(diagram, _DIAGRAM):
        yield Fault("shape", f"diagram.json: missing or of another type: {', '.join(wrong)}")
        return
    if diagram["version"] != 1:
        yield Fault("shape", "diagram.json: version must be 1")
    for part in diagram["parts"]:
        if wrong := _mistyped(part, _PART):
            yield Fault("shape", f"diagram.json: part {part.get('id')}: missing or of another type: {', '.join(wrong)}")
    for wire in diagram["connections"]:
        if not (len(wire) == 4 and all(isinstance(text, str) for text in wire[:3]) and isinstance(wire[3], list)):
            yield Fault("shape", f"diagram.json: {wire} is not [from, to, colour, [path]]")


def _mistyped(given: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    return [name for name, kind in wanted.items() if not isinstance(given.get(name), kind)]


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def main() -> None:
    """Print the faults, one a line."""
    found = faults()
    for fault in found:
        print(f"{fault.rule}: {fault.text}")  # noqa: T201  # the answer
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
