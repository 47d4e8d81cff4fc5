"""How a sensor is called, and how finely its values are written."""

from __future__ import annotations

import math

from dashboard.facts import Sensor
from dashboard.language import NO_BREAK, Words


def label(name: str, say: Words) -> str:
    """The sensor's name for people, as in the mail's table; a name of the owner's own is shown as it is."""
    known = {
        "vibration_de_rms_g": say("Vibration, drive end"),
        "vibration_de_mm_s": say("Vibration, drive end"),
        "vibration_nde_rms_g": say("Vibration, non-drive end"),
        "vibration_nde_mm_s": say("Vibration, non-drive end"),
        "current_a": say("Motor current"),
        "pressure_bar": say("Pressure"),
        "motor_temperature_c": say("Motor temperature"),
        "fluid_temperature_c": say("Fluid temperature"),
        "voltage_v": say("Voltage"),
        "flow_lpm": say("Flow"),
        "temperature_c": say("Temperature"),
    }
    return known.get(name, name)


def digits(sensor: Sensor) -> int:
    """Decimals that resolve a fifth of the expected range, 0 to 6, so that neighbouring values differ when written."""
    width = sensor.expected_high - sensor.expected_low
    if not math.isfinite(width) or width <= 0:
        return 2
    return min(6, max(0, math.ceil(-math.log10(width / 5))))


def seen(sensor: Sensor, say: Words) -> str:
    """The value with its unit, as fine as its range."""
    number = say.number(sensor.seen, digits(sensor))
    return f"{number}{NO_BREAK}{sensor.unit}" if sensor.unit else number


def against(sensor: Sensor, say: Words) -> str:
    """`above 0.19–0.24`: the value's place against what was expected."""
    span = say_range(sensor, say)
    if sensor.where == "above":
        return say("above {span}", span=span)
    if sensor.where == "below":
        return say("below {span}", span=span)
    return say("within {span}", span=span)


def say_range(sensor: Sensor, say: Words) -> str:
    """The expected range, `0.19–0.24`."""
    fine = digits(sensor)
    return f"{say.number(sensor.expected_low, fine)}–{say.number(sensor.expected_high, fine)}"
