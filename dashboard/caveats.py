"""What to know beside a machine's state: a sensor that cannot be believed, readings that moved away, a young model."""

from __future__ import annotations

from dash import html

from dashboard.elements import marked
from dashboard.facts import Device
from dashboard.language import Words
from dashboard.sensors import label


def caveat(device: Device, state: str, say: Words, *, named: bool = False) -> html.Span | None:
    """The most important one; `named`: with the names of the sensors, where there is room."""
    if device.machine is None or state not in ("healthy", "off"):
        return None
    if doubtful := device.machine.sensors:
        word = say.count("{n} sensor stuck or silent", "{n} sensors stuck or silent", len(doubtful))
        names = ", ".join(label(name, say) for name in sorted(doubtful))
        return marked("info", say, f"{word}: {names}" if named else word)
    if device.drifting:
        names = ", ".join(label(name, say) for name in sorted(device.drifting))
        word = say("Readings drift")
        return marked("info", say, f"{word}: {names}" if named else word)
    return marked("learning", say, say("Young model")) if device.machine.maturity == "young" else None
