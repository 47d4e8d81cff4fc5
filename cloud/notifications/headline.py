"""The one fact of the subject line: what is wrong, in as few words as a phone shows."""

from __future__ import annotations

import re

from cloud.notifications.notice import Language
from cloud.notifications.numbers import number, percent
from cloud.notifications.plain import one_line
from cloud.notifications.seen import Seen, seen_of
from cloud.notifications.words import WORDS
from contract.events import AnomalyDetectedEvent, SensorEvidence

# "1.1 times normal" says less than the value beside its range. These and the next are as in the anomaly's sentence.
_RATIO_UP, _RATIO_DOWN = 1.3, 0.7
# A ratio needs a zero that means something: the centre at least three half-widths of its range away from it.
_AWAY_FROM_ZERO = 3.0

# A temperature's zero is a convention: 60 °C is not twice 30 °C.
_TEMPERATURE = re.compile(r"°|^(deg)?[cfk]$|temp|therm", re.IGNORECASE)


def headline(event: AnomalyDetectedEvent, language: Language) -> str:
    """What the most contributing sensor shows, such as `vibration 1.8 times normal`."""
    if not event.evidence.sensors:
        return one_line(event.evidence.sentence.get(language, ""))
    sensor = event.evidence.sensors[0]
    seen, words = seen_of(sensor, language), WORDS[language]
    if not seen.outside:
        return words.combination.format(name=seen.name.short)
    return _ratio(sensor, seen, language) or words.expected_fact.format(
        name=seen.name.short, seen=seen.value, range=seen.expected
    )


def _ratio(sensor: SensorEvidence, seen: Seen, language: Language) -> str | None:
    half = (sensor.expected_high - sensor.expected_low) / 2
    if sensor.expected <= 0 or sensor.expected < _AWAY_FROM_ZERO * half or _is_temperature(sensor):
        return None
    ratio, words = sensor.seen / sensor.expected, WORDS[language]
    if ratio >= _RATIO_UP:
        return words.times_normal.format(name=seen.name.short, ratio=number(ratio, 1 if ratio < 10 else 0, language))
    if 0 <= ratio <= _RATIO_DOWN:
        return words.share_of_normal.format(name=seen.name.short, percent=percent(ratio, language))
    return None


def _is_temperature(sensor: SensorEvidence) -> bool:
    return any(_TEMPERATURE.search(text) for text in (sensor.unit, sensor.name))
