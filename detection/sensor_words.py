"""What a person is told about a sensor that stands still or says nothing; in English and Portuguese."""

from __future__ import annotations

from datetime import datetime, tzinfo

from detection.sensors import MISSING, STUCK
from detection.words import LANGUAGES, human_name

_WORDS = {
    "en": {
        STUCK: "{sensor} has shown exactly {value} {since} while the others vary: check the sensor, not the machine",
        MISSING: "{sensor} has sent nothing {since}: check the sensor and its cable; {device} is judged without it",
        "all": "No sensor of {device} has moved {since}: check what collects their readings",
    },
    "pt": {
        STUCK: "{sensor} mostra exatamente {value} {since}, enquanto os outros variam: "
        "verifique o sensor, não a máquina",
        MISSING: "{sensor} não envia nada {since}: verifique o sensor e o cabo; {device} é avaliada sem ele",
        "all": "Nenhum sensor de {device} se moveu {since}: verifique o que coleta as leituras",
    },
}


def told_of_sensor(
    code: int, metric: str, *, device: str, since_ms: int, tz: tzinfo, value: float | None = None, unit: str = ""
) -> dict[str, str]:
    """One sentence per language (en, pt) about a sensor that is STUCK at `value`, or MISSING, since `since_ms`."""
    return {
        language: _WORDS[language][code].format(
            sensor=sensor_name(metric, language),
            device=device,
            since=_since(since_ms, tz, language),
            value=_exactly(value, unit, language),
        )
        + "."
        for language in LANGUAGES
    }


def told_of_all_sensors(*, device: str, since_ms: int, tz: tzinfo) -> dict[str, str]:
    """The same when every sensor stands still at once: then it is none of them."""
    return {
        language: _WORDS[language]["all"].format(device=device, since=_since(since_ms, tz, language)) + "."
        for language in LANGUAGES
    }


def sensor_name(metric: str, language: str) -> str:
    """What people call the sensor, at the beginning of a sentence: "The vibration sensor at the drive end"."""
    name = human_name(metric, language)
    named = name.startswith("“")
    if language == "pt":
        return f"O sensor {name}" if named else f"O sensor de {name}"
    if named:
        return f"The sensor {name}"
    what, where, place = name.partition(" at ")
    return f"The {what} sensor{where}{place}"


def _exactly(value: float | None, unit: str, language: str) -> str:
    """All that the sensor says, at most six digits."""
    if value is None:
        return ""
    text = f"{value:.6g}"
    text = text.replace(".", ",") if language == "pt" else text
    return f"{text}\N{NO-BREAK SPACE}{unit}" if unit else text


def _since(at_ms: int, tz: tzinfo, language: str) -> str:
    """Such as "since 14:02"; in Portuguese the hours of midnight and one o'clock are singular."""
    at = datetime.fromtimestamp(at_ms / 1000, tz)
    word = "since" if language == "en" else "desde a" if at.hour <= 1 else "desde as"
    return f"{word} {at:%H:%M}"
