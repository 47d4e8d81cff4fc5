"""In which order a person should look at the machines, and how many of them are heard of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from dashboard.facts import Anomaly, Device

ORDER = ("critical", "warning", "healthy", "off", "learning", "resting", "no_data")
# As long as the API waits before it says "no data": a device that reports once a minute may miss four.
_REPORTING_MS = 5 * 60 * 1000


def state_of(device: Device) -> str:
    """The state for people: machines of the demonstration and of the seed that are silent rest, and are not missed."""
    if device.origin == "demo" and device.state in ("no_data", "healthy", "off"):
        return "resting"
    if device.origin == "seed" and device.state == "no_data":
        return "resting"
    return device.state


def worst_first(devices: Sequence[Device], alarms: Mapping[tuple[str, str], Anomaly]) -> list[Device]:
    """By state, then the higher score, then by name as people count: `demo-2` before `demo-10`."""

    def rank(device: Device) -> tuple[object, ...]:
        alarm = alarms.get((device.site, device.device))
        return _rank(device), -alarm.score if alarm else 0.0, _counted(device.site), _counted(device.device)

    return sorted(devices, key=rank)


def _counted(name: str) -> list[tuple[int, str]]:
    """The name in pieces that compare by number where they are one."""
    return [(int(piece), "") if piece.isdecimal() else (-1, piece) for piece in re.split(r"(\d+)", name) if piece]


def reporting(devices: Sequence[Device], now_ms: int) -> int:
    """How many were heard of lately, whatever their state."""
    return sum(each.last_seen_ms is not None and now_ms - each.last_seen_ms < _REPORTING_MS for each in devices)


def _rank(device: Device) -> int:
    state = state_of(device)
    return ORDER.index(state) if state in ORDER else len(ORDER)
