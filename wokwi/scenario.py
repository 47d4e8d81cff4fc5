"""A scenario of Wokwi's automation: steps that exist, sliders that exist, and lines that the firmware can print."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from wokwi.circuit import Fault

Sliders = Mapping[str, Sequence[Mapping[str, Any]]]
"""Part of the diagram → its chip's controls."""

_STEPS = {"delay", "wait-serial", "set-control"}
_DELAY = re.compile(r"\d+(?:ns|us|ms|s)")
# noun.verb at the beginning of what is waited for.
_HAPPENING = re.compile(r"([a-z]+\.[a-z_]+)(?: |$)")
_VALUE = re.compile(r"([a-z_]+)=")


def scenario_faults(path: Path, sliders: Sliders, firmware: Path) -> Iterator[Fault]:
    """Everything that is wrong with the scenario in `path`."""
    scenario = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(scenario, dict) or scenario.get("version") != 1 or not isinstance(scenario.get("name"), str):
        yield Fault("scenario", f"{path.name} needs a name, version 1 and steps")
        return
    said = printed(firmware)
    for number, step in enumerate(scenario.get("steps") or [], start=1):
        for rule, text in _step_faults(step, sliders, said):
            yield Fault(rule, f"{path.name}, step {number}: {text}")


def printed(firmware: Path) -> set[str]:
    """What stands in the firmware's lines: each happening, each name of a value."""
    sources = [path.read_text(encoding="utf-8") for path in sorted(firmware.rglob("*.py"))]
    calls = [line for source in sources for line in source.splitlines() if "say(" in line]
    happenings = re.findall(r'"([a-z]+\.[a-z_]+)"', "\n".join(calls))
    metrics = re.search(r"^METRICS = \(([^)]*)\)", (firmware / "app.py").read_text(encoding="utf-8"), re.MULTILINE)
    return {*happenings, *re.findall(r'"(\w+)"', metrics[1] if metrics else "")}


def _step_faults(step: Mapping[str, Any], sliders: Sliders, said: set[str]) -> Iterator[tuple[str, str]]:
    kinds = set(step) - {"name"}
    if len(kinds) != 1 or not kinds <= _STEPS:
        yield "step", f"{sorted(kinds)} is not one of {sorted(_STEPS)}"
    elif "delay" in step and not _DELAY.fullmatch(str(step["delay"])):
        yield "step", f"the delay {step['delay']} has no unit, such as 500ms"
    elif "wait-serial" in step:
        waited = (_HAPPENING.match(step["wait-serial"]) or _VALUE.match(step["wait-serial"]) or [None, ""])[1]
        if waited not in said:
            yield "never-printed", f"the firmware never prints {step['wait-serial']!r}"
    elif "set-control" in step:
        yield from _slider_faults(step["set-control"], sliders)


def _slider_faults(wanted: Mapping[str, Any], sliders: Sliders) -> Iterator[tuple[str, str]]:
    part, name, value = (wanted.get(key) for key in ("part-id", "control", "value"))
    controls = {control["id"]: control for control in sliders.get(str(part), [])}
    if name not in controls:
        yield "no-slider", f"there is no slider {name} on a part {part}"
    elif not (isinstance(value, int | float) and controls[name]["min"] <= value <= controls[name]["max"]):
        yield "no-slider", f"{value} is beyond the slider {name}"
