"""One sensor's evidence in words: what was seen, against what was expected."""

from __future__ import annotations

from typing import NamedTuple

from cloud.notifications.notice import Language
from cloud.notifications.numbers import decimals_apart, decimals_for, measure, span
from cloud.notifications.plain import one_line
from cloud.notifications.sensors import SensorName, sensor_name
from cloud.notifications.words import WORDS
from contract.events import SensorEvidence


class Seen(NamedTuple):
    """`value` with its unit; `expected` is the range; `relation` is above, below or within, in words."""

    name: SensorName
    unit: str
    value: str
    expected: str
    relation: str
    outside: bool


def seen_of(sensor: SensorEvidence, language: Language) -> Seen:
    """The words for one sensor. A value outside never rounds to the limit that it crossed."""
    low, high, unit = sensor.expected_low, sensor.expected_high, one_line(sensor.unit)
    words = WORDS[language]
    return Seen(
        name=sensor_name(sensor.name, language),
        unit=unit,
        value=measure(sensor.seen, decimals_apart(sensor.seen, low, high), unit, language),
        expected=span(low, high, decimals_for(high - low), language),
        relation=words.above if sensor.seen > high else words.below if sensor.seen < low else words.within,
        outside=not low <= sensor.seen <= high,
    )
