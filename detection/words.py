"""One sentence a technician understands, in English and Portuguese.

Which machine and sensor, how much, since when, what else changed or did not, and what that looks like.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import NamedTuple

from detection.diagnosis import Diagnosis, diagnosed
from detection.explain import Explanation, Findings, Sensor
from detection.kinds import Kind
from detection.roles import Quantity, role_of
from detection.signs import LOAD, Signs

LANGUAGES = ("en", "pt")

# A sensor that carries at least a fifth of the anomaly is named beside the first.
ALSO_SHARE = 0.2
# "1.1 times" tells nobody anything; the difference in its unit does.
_RATIO_UP, _RATIO_DOWN = 1.3, 0.7
# A ratio needs a zero that means something: the centre at least three half-widths of its range away from it.
_AWAY_FROM_ZERO = 3.0

_NAMES = {
    "en": {
        "vibration_de_rms_g": "vibration at the drive end",
        "vibration_de_mm_s": "vibration at the drive end",
        "vibration_nde_rms_g": "vibration at the non-drive end",
        "vibration_nde_mm_s": "vibration at the non-drive end",
        "current_a": "motor current",
        "pressure_bar": "pressure",
        "motor_temperature_c": "motor temperature",
        "fluid_temperature_c": "fluid temperature",
        "voltage_v": "voltage",
        "flow_lpm": "flow",
        "temperature_c": "temperature",
    },
    "pt": {
        "vibration_de_rms_g": "vibração no lado acoplado",
        "vibration_de_mm_s": "vibração no lado acoplado",
        "vibration_nde_rms_g": "vibração no lado oposto ao acoplamento",
        "vibration_nde_mm_s": "vibração no lado oposto ao acoplamento",
        "current_a": "corrente do motor",
        "pressure_bar": "pressão",
        "motor_temperature_c": "temperatura do motor",
        "fluid_temperature_c": "temperatura do fluido",
        "voltage_v": "tensão",
        "flow_lpm": "vazão",
        "temperature_c": "temperatura",
    },
}
# On these scales 40 is not twice 20.
_NO_RATIO_UNITS = frozenset({"°C", "°F"})

_QUANTITIES = {
    "en": {
        Quantity.CURRENT: "current",
        Quantity.POWER: "power",
        Quantity.FLOW: "flow",
        Quantity.PRESSURE: "pressure",
        Quantity.SPEED: "speed",
        Quantity.VIBRATION: "vibration",
    },
    # All of them feminine, and so is "inalterada".
    "pt": {
        Quantity.CURRENT: "corrente",
        Quantity.POWER: "potência",
        Quantity.FLOW: "vazão",
        Quantity.PRESSURE: "pressão",
        Quantity.SPEED: "rotação",
        Quantity.VIBRATION: "vibração",
    },
}
# Current, flow and pressure say that the load is the same; a fourth name would only be read past.
_UNCHANGED = 3

_WORDS = {
    "en": {
        "ratio": "{name} of {device} has been {times} times its usual level {since}",
        "above": "{name} of {device} has been {amount} above its usual level {since}",
        "below": "{name} of {device} has been {amount} below its usual level {since}",
        "risen": "{name} of {device} has risen by {amount} {since}, faster than usual",
        "fallen": "{name} of {device} has fallen by {amount} {since}, faster than usual",
        "rough": "{name} of {device} has fluctuated {times} times as much as usual {since}",
        "since": "since {at}",
        "since_one": "since {at}",
        "article": "the",
        "alone": "the other sensors look normal",
        "others": "also affected: {names}",
        "one": "{names} unchanged",
        "several": "{names} unchanged",
        "and": "and",
    },
    "pt": {
        "ratio": "{name} de {device} está em {times} vezes o nível habitual {since}",
        "above": "{name} de {device} está {amount} acima do nível habitual {since}",
        "below": "{name} de {device} está {amount} abaixo do nível habitual {since}",
        "risen": "{name} de {device} subiu {amount} {since}, mais rápido que o habitual",
        "fallen": "{name} de {device} caiu {amount} {since}, mais rápido que o habitual",
        "rough": "{name} de {device} oscila {times} vezes o habitual {since}",
        # "As dez e dois", but "a uma e dois" and "a zero hora e dois".
        "since": "desde as {at}",
        "since_one": "desde a {at}",
        "article": "a",
        "alone": "os outros sensores parecem normais",
        "others": "também fora do habitual: {names}",
        "one": "{names} inalterada",
        "several": "{names} inalteradas",
        "and": "e",
    },
}


class Teller(NamedTuple):
    """For the sentence that a person reads: the machine's name, metric → unit, and its clock."""

    device: str
    units: Mapping[str, str]
    tz: tzinfo


def told(found: Findings, *, device: str, since_ms: int, tz: tzinfo) -> Explanation:
    """What was found with its sentence in each language (en, pt); `since_ms` is told in `tz`."""
    at = datetime.fromtimestamp(since_ms / 1000, tz)
    signs, looks = Signs(found), diagnosed(found)
    sentence = {language: _sentence(language, found, signs, looks, device, at) for language in LANGUAGES}
    return Explanation(
        kind=found.kind,
        sensors=found.sensors,
        window_ms=found.window_ms,
        window=found.window,
        since_ms=since_ms,
        sentence=sentence,
    )


def human_name(metric: str, language: str) -> str:
    """What people call the metric, such as "vibration at the drive end"; an unknown name in quotes as it is."""
    return _NAMES[language].get(metric, f"“{metric}”")


def ratio_of(sensor: Sensor) -> float | None:
    """How many times the expected value was seen, where such a ratio says something, else None."""
    half = (sensor.expected_high - sensor.expected_low) / 2
    if sensor.unit in _NO_RATIO_UNITS or sensor.expected == 0 or abs(sensor.expected) < _AWAY_FROM_ZERO * half:
        return None
    ratio = sensor.seen / sensor.expected
    return ratio if ratio >= _RATIO_UP or 0 < ratio <= _RATIO_DOWN else None


def _sentence(language: str, found: Findings, signs: Signs, looks: Diagnosis | None, device: str, at: datetime) -> str:
    """What the leading sensor shows, what else changed, what did not, and what that looks like."""
    words, unchanged = _WORDS[language], _unchanged(language, found, signs)
    also = [human_name(sensor.name, language) for sensor in _also(found, signs)]
    text = _main(language, found, device, at)
    if also:
        text += f"; {words['others'].format(names=', '.join(also))}"
    elif len(found.sensors) > 1 and not (unchanged or looks):
        text += f"; {words['alone']}"
    if unchanged:
        text += f"{';' if also or ', ' in unchanged else ','} {unchanged}"
    return f"{text}: {looks.looks[language]}." if looks else f"{text}."


def _also(found: Findings, signs: Signs) -> list[Sensor]:
    """The sensors beside the first that are worth naming."""
    part = [sensor for sensor in found.sensors[1:] if sensor.share >= ALSO_SHARE or sensor.outside]
    return [sensor for sensor in part if not signs.is_still(sensor)]


def _unchanged(language: str, found: Findings, signs: Signs) -> str:
    """Which of the load is as usual, or the vibration where it is the load that changed; empty where none is told."""
    lead = role_of(found.sensors[0].name, found.sensors[0].unit).quantity
    asked = (Quantity.VIBRATION,) if lead in LOAD else LOAD
    names = [_QUANTITIES[language][quantity] for quantity in asked if signs.still(quantity)][:_UNCHANGED]
    if not names:
        return ""
    *first, last = names
    words = _WORDS[language]
    listed = f"{', '.join(first)} {words['and']} {last}" if first else last
    return words["several" if first else "one"].format(names=listed)


def _main(language: str, found: Findings, device: str, at: datetime) -> str:
    words, kind, lead = _WORDS[language], found.kind, found.sensors[0]
    name = human_name(lead.name, language)
    if not name.startswith("“"):
        name = f"{words['article']} {name}".capitalize()
    since = words["since_one" if at.hour in {0, 1} else "since"].format(at=f"{at:%H:%M}")
    ratio = lead.ratio if kind is Kind.ROUGHNESS else None if kind is Kind.JUMP else ratio_of(lead)
    if ratio is not None:
        key = "rough" if kind is Kind.ROUGHNESS else "ratio"
        return words[key].format(name=name, device=device, times=_number(ratio, language), since=since)
    rose = lead.seen >= lead.expected
    key = ("risen" if rose else "fallen") if kind is Kind.JUMP else ("above" if rose else "below")
    amount = _number(abs(lead.seen - lead.expected), language) + (f"\N{NO-BREAK SPACE}{lead.unit}" if lead.unit else "")
    return words[key].format(name=name, device=device, amount=amount, since=since)


def _number(value: float, language: str) -> str:
    """Two significant digits below 100, whole numbers above, with the language's decimal sign."""
    text = f"{value:,.0f}" if value >= 100 else f"{float(f'{value:.2g}'):.10f}".rstrip("0").rstrip(".")
    return text.translate(str.maketrans(",.", ".,")) if language == "pt" else text
