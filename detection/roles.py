"""What a sensor measures, and where, as its unit and its name tell: English, Portuguese and the usual short forms.

A rule about "vibration" or "flow" must find these on machines whose channels were named by other people. What neither
unit nor name tells stays unknown, and the rules are silent about it.
"""

from __future__ import annotations

import enum
import functools
import re
import unicodedata

import msgspec


class Quantity(enum.StrEnum):
    """What is measured."""

    VIBRATION = "vibration"
    CURRENT = "current"
    VOLTAGE = "voltage"
    POWER = "power"
    PRESSURE = "pressure"
    FLOW = "flow"
    TEMPERATURE = "temperature"
    SPEED = "speed"


class Place(enum.StrEnum):
    """Where on the machine."""

    DRIVE_END = "drive_end"
    OTHER_END = "other_end"
    BEARING = "bearing"
    MOTOR = "motor"
    FLUID = "fluid"
    SUCTION = "suction"
    DISCHARGE = "discharge"


class Role(msgspec.Struct, frozen=True):
    """What a metric is; None where nothing tells."""

    quantity: Quantity | None = None
    place: Place | None = None


# Left out because they say two things: Hz (speed, or the grid), mA and mV (what a transmitter sends, of anything).
_UNITS = {
    Quantity.VIBRATION: ("g", "m/s²", "m/s2", "m/s^2", "mm/s", "in/s", "µm", "μm", "um"),
    Quantity.CURRENT: ("a", "amp"),
    Quantity.VOLTAGE: ("v", "kv"),
    Quantity.POWER: ("w", "kw", "hp", "cv"),
    Quantity.PRESSURE: ("bar", "mbar", "pa", "kpa", "mpa", "psi", "kgf/cm²", "kgf/cm2"),
    Quantity.FLOW: ("l/min", "l/s", "l/h", "m³/h", "m3/h", "m³/s", "m3/s", "gpm"),
    Quantity.TEMPERATURE: ("°c", "ºc", "°f", "k", "degc"),
    Quantity.SPEED: ("rpm", "r/min", "1/min", "min⁻¹"),
}
# Words without accents. English and the short forms that both languages use, then Portuguese alone.
_WORDS = {
    Quantity.VIBRATION: ("vibration vib accelerometer acceleration accel", "vibracao acelerometro aceleracao"),
    Quantity.CURRENT: ("current amps ampere", "corrente"),
    Quantity.VOLTAGE: ("voltage volts", "tensao"),
    Quantity.POWER: ("power", "potencia"),
    Quantity.PRESSURE: ("pressure", "pressao"),
    Quantity.FLOW: ("flow flowrate", "vazao caudal"),
    Quantity.TEMPERATURE: ("temperature temp thermocouple pt100 rtd", "temperatura termopar"),
    Quantity.SPEED: ("speed rpm", "rotacao velocidade"),
}
_ENGLISH = {word: quantity for quantity, (english, _) in _WORDS.items() for word in english.split()}
_PORTUGUESE = {word: quantity for quantity, (_, portuguese) in _WORDS.items() for word in portuguese.split()}
# In this order: "non drive end" has "drive end" in it, and a bearing's drive end is that end.
_PLACES = (
    (Place.OTHER_END, ("nde", "non drive end", "loa", "lado oposto")),
    (Place.DRIVE_END, ("drive end", "lado acoplado")),
    (Place.BEARING, ("bearing", "mancal", "rolamento")),
    (Place.SUCTION, ("suction", "inlet", "succao", "entrada")),
    (Place.DISCHARGE, ("discharge", "outlet", "descarga", "recalque", "saida")),
    (Place.MOTOR, ("motor", "engine", "winding", "stator", "enrolamento", "estator")),
    (Place.FLUID, ("fluid", "liquid", "water", "fluido", "liquido", "agua")),
)
# A site's sensors have a few hundred names, each asked for with every alarm.
_REMEMBERED = 4096
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NO_WORD = re.compile(r"[^a-z0-9]+|(?<=[a-z]{3})(?=\d)(?!100)|(?<=\d)(?=[a-z])")


@functools.lru_cache(maxsize=_REMEMBERED)
def role_of(metric: str, unit: str = "") -> Role:
    """What `metric` in `unit` is. The unit wins where both speak; a name of two quantities says nothing."""
    words = _words(metric)
    named = {quantity for word in words if (quantity := _quantity(word))}
    said = _quantity_in(unit) or (named.pop() if len(named) == 1 else None)
    return Role(said, _place(words) if said else None)


def _quantity(word: str) -> Quantity | None:
    return _ENGLISH.get(word) or _PORTUGUESE.get(word)


def _quantity_in(unit: str) -> Quantity | None:
    spelled = unit.strip().lower()
    return next((quantity for quantity, units in _UNITS.items() if spelled in units), None)


def _words(metric: str) -> list[str]:
    """`Accelerometer1RMS` → accelerometer, 1, rms; accents and capitals are taken off."""
    apart = unicodedata.normalize("NFKD", _CAMEL.sub(" ", metric))
    plain = "".join(sign for sign in apart if not unicodedata.combining(sign)).lower()
    return [word for word in _NO_WORD.split(plain) if word]


def _place(words: list[str]) -> Place | None:
    found = _place_in(words)
    return Place.DRIVE_END if found in {None, Place.BEARING, Place.MOTOR} and _has_drive_end(words) else found


def _place_in(words: list[str]) -> Place | None:
    text = f" {' '.join(words)} "
    return next((place for place, names in _PLACES if any(f" {name} " in text for name in names)), None)


def _has_drive_end(words: list[str]) -> bool:
    """Is there a "de" that is no Portuguese "of": neither beside a Portuguese word nor right before the place?"""
    if "de" not in words or any(word in _PORTUGUESE for word in words):
        return False
    return _place_in(words[words.index("de") + 1 :][:1]) is None
