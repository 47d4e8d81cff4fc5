"""What the mail's picture shows, decided before anything is drawn: one sensor's window beside what was expected."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from cloud.notifications import times
from cloud.notifications.notice import Locale, Notice
from cloud.notifications.seen import Seen, seen_of
from cloud.notifications.words import WORDS
from contract.events import SensorEvidence, Severity


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """The most contributing sensor's series: n times (epoch ms) and n values in the sensor's unit, NaN where silent.

    `title`, `legend` and `alt` are the words around it, the last for those who do not see it.
    """

    measured_at_ms: Sequence[int]
    values: Sequence[float]
    expected: float
    expected_low: float
    expected_high: float
    since_ms: int
    severity: Severity
    locale: Locale
    pattern: str
    title: str
    legend: Sequence[str]
    alt: str


def picture_of(notice: Notice, pattern: str) -> Picture | None:
    """The picture of a notice, or None when no sensor of its evidence has two values to draw a line between."""
    window = notice.event.evidence.window
    for sensor in notice.event.evidence.sensors:
        values = [math.nan if value is None else value for value in window.series.get(sensor.name, ())]
        drawable = sum(map(math.isfinite, values)) >= 2 and len(values) == len(window.measured_at_ms)
        if drawable:
            return _picture(notice, sensor, values, pattern)
    return None


def _picture(notice: Notice, sensor: SensorEvidence, values: Sequence[float], pattern: str) -> Picture:
    event, locale = notice.event, notice.locale
    seen = seen_of(sensor, locale.language)
    return Picture(
        measured_at_ms=event.evidence.window.measured_at_ms,
        values=values,
        expected=sensor.expected,
        expected_low=sensor.expected_low,
        expected_high=sensor.expected_high,
        since_ms=event.since_ms,
        severity=event.severity,
        locale=locale,
        pattern=pattern,
        title=f"{seen.name.full}, {seen.unit}" if seen.unit else seen.name.full,
        legend=_legend(notice, pattern),
        alt=_alt(notice, seen, pattern),
    )


def _legend(notice: Notice, pattern: str) -> list[str]:
    event, words = notice.event, WORDS[notice.locale.language]
    since = times.clock(event.since_ms, notice.locale, pattern)
    return [
        words.chart_expected,
        words.chart_outside.format(hue=words.hue[event.severity]),
        words.chart_shaded.format(since=since),
    ]


def _alt(notice: Notice, seen: Seen, pattern: str) -> str:
    event, locale = notice.event, notice.locale
    words, window = WORDS[locale.language], event.evidence.window.measured_at_ms
    return words.alt.format(
        name=seen.name.full,
        start=times.clock(window[0], locale, pattern),
        end=times.clock(window[-1], locale, pattern),
        seen=seen.value,
        relation=seen.relation,
        range=seen.expected,
        since=times.clock(event.since_ms, locale, pattern),
    )
