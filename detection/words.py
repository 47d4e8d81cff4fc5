"""One sentence a technician understands: which machine and sensor, how much, since when; in English and Portuguese."""

from __future__ import annotations

from datetime import datetime, tzinfo

from detection.explain import Explanation, Findings, Kind, Sensor

LANGUAGES = ("en", "pt")

# A sensor that carries at least a fifth of the anomaly is named beside the first.
_ALSO_SHARE = 0.2
# "1.1 times" tells nobody anything; the difference in its unit does.
_RATIO_UP, _RATIO_DOWN = 1.3, 0.7
# A ratio needs a zero that means something: the centre at least three half-widths of its range away from it.
_AWAY_FROM_ZERO = 3.0

_NAMES = {
    "en": {
        "vibration_de_rms_g": "vibration at the drive end",
        "vibration_nde_rms_g": "vibration at the non-drive end",
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
        "vibration_nde_rms_g": "vibração no lado oposto ao acoplamento",
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

_WORDS = {
    "en": {
        "ratio": "Since {at}, the {name} has been {times} times what {device} shows in normal running",
        "above": "Since {at}, the {name} has been {amount} above what {device} shows in normal running",
        "below": "Since {at}, the {name} has been {amount} below what {device} shows in normal running",
        "risen": "Since {at}, the {name} of {device} has risen by {amount}, faster than in normal running",
        "fallen": "Since {at}, the {name} of {device} has fallen by {amount}, faster than in normal running",
        "rough": "Since {at}, the {name} of {device} has fluctuated {times} times as much as in normal running",
        "alone": "the other sensors look normal",
        "others": "also affected: {names}",
    },
    "pt": {
        "ratio": "Desde as {at}, {name} está {times} vezes o que {device} mostra em funcionamento normal",
        "above": "Desde as {at}, {name} está {amount} acima do que {device} mostra em funcionamento normal",
        "below": "Desde as {at}, {name} está {amount} abaixo do que {device} mostra em funcionamento normal",
        "risen": "Desde as {at}, {name} de {device} subiu {amount}, mais rápido que em funcionamento normal",
        "fallen": "Desde as {at}, {name} de {device} caiu {amount}, mais rápido que em funcionamento normal",
        "rough": "Desde as {at}, {name} de {device} oscila {times} vezes o que oscila em funcionamento normal",
        "alone": "os outros sensores parecem normais",
        "others": "também afetados: {names}",
    },
}


def told(found: Findings, *, device: str, since_ms: int, tz: tzinfo) -> Explanation:
    """What was found with its sentence in each language (en, pt); `since_ms` is told in `tz`."""
    at = datetime.fromtimestamp(since_ms / 1000, tz).strftime("%H:%M")
    sentence = {language: _sentence(language, found, device, at) for language in LANGUAGES}
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


def _sentence(language: str, found: Findings, device: str, at: str) -> str:
    lead, *rest = found.sensors
    words = _WORDS[language]
    main = _main(language, found.kind, lead, device, at)
    also = [human_name(sensor.name, language) for sensor in rest if sensor.share >= _ALSO_SHARE or sensor.outside]
    return f"{main}; {words['others'].format(names=', '.join(also)) if also else words['alone']}."


def _main(language: str, kind: Kind, lead: Sensor, device: str, at: str) -> str:
    words = _WORDS[language]
    name = human_name(lead.name, language)
    if language == "pt" and not name.startswith("“"):
        name = f"a {name}"
    if language == "en" and name.startswith("“"):
        words = {key: text.replace("the {name}", "{name}") for key, text in words.items()}
    ratio = lead.ratio if kind is Kind.ROUGHNESS else None if kind is Kind.JUMP else ratio_of(lead)
    if ratio is not None:
        key = "rough" if kind is Kind.ROUGHNESS else "ratio"
        return words[key].format(at=at, name=name, device=device, times=_number(ratio, language))
    rose = lead.seen >= lead.expected
    key = ("risen" if rose else "fallen") if kind is Kind.JUMP else ("above" if rose else "below")
    amount = _number(abs(lead.seen - lead.expected), language) + (f"\N{NO-BREAK SPACE}{lead.unit}" if lead.unit else "")
    return words[key].format(at=at, name=name, device=device, amount=amount)


def _number(value: float, language: str) -> str:
    """Two significant digits below 100, whole numbers above, with the language's decimal sign."""
    text = f"{value:,.0f}" if value >= 100 else f"{float(f'{value:.2g}'):.10f}".rstrip("0").rstrip(".")
    return text.translate(str.maketrans(",.", ".,")) if language == "pt" else text
