"""What a message says, said once: the HTML and the text part lay out the same facts and cannot differ."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from cloud.notifications import times
from cloud.notifications.decision import Why
from cloud.notifications.headline import headline
from cloud.notifications.notice import Language, Notice
from cloud.notifications.numbers import number, percent
from cloud.notifications.picture import Picture, picture_of
from cloud.notifications.plain import one_line
from cloud.notifications.seen import seen_of
from cloud.notifications.words import WORDS, Words
from contract.events import SensorEvidence, Severity

GLYPH = {Severity.WARNING: "◆", Severity.CRITICAL: "▲"}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One sensor of the seen-against-expected table; `outside` is what may be drawn in the severity's colour."""

    sensor: str
    seen: str
    expected: str
    share: str
    outside: bool


class Detail(msgspec.Struct, frozen=True):
    """A line of the small print; `code` is the part that somebody may copy."""

    label: str
    value: str
    code: str = ""


class Looks(msgspec.Struct, frozen=True):
    """What it looks like, and what says so."""

    told: str
    source: str


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All that a reader is told, as plain unescaped text in their language."""

    language: Language
    subject: str
    severity: Severity
    glyph: str
    badge: str
    device: str
    site: str
    when: str
    sentence: str
    looks: Looks | None
    picture: Picture | None
    heads: Sequence[str]
    rows: Sequence[Row]
    button: str
    url: str
    details: Sequence[Detail]
    footer: str


def facts_of(notice: Notice) -> Facts:
    """The facts of one notice."""
    event, locale = notice.event, notice.locale
    words = WORDS[locale.language]
    device, site = one_line(event.device), one_line(event.site)
    glyph, badge = GLYPH[event.severity], words.severity[event.severity]
    window = event.evidence.window.measured_at_ms
    pattern = times.clock_format(window[-1] - window[0] if window else 0)
    return Facts(
        language=locale.language,
        subject=f"{glyph} {badge}: {device}, {headline(event, locale.language)}",
        severity=event.severity,
        glyph=glyph,
        badge=badge,
        device=device,
        site=site,
        when=times.day_and_clock(event.measured_at_ms, locale, pattern),
        sentence=one_line(notice.sentence),
        looks=_looks(notice, words),
        picture=picture_of(notice, pattern),
        heads=(words.sensor, words.seen, words.expected, words.share),
        rows=[_row(sensor, notice) for sensor in event.evidence.sensors],
        button=words.open.format(device=device),
        url=notice.links.device,
        details=_details(notice, words, pattern),
        footer=words.footer.format(site=site, zone=times.zone_name(event.measured_at_ms, locale)),
    )


def _looks(notice: Notice, words: Words) -> Looks | None:
    cause = notice.event.evidence.cause
    told = cause.sentence.get(notice.locale.language, "") if cause else ""
    if cause is None or not told:
        return None
    by = words.by_rule if cause.by == "rule" else words.by_classifier
    return Looks(one_line(told), by.format(source=one_line(cause.source)))


def _since(notice: Notice, pattern: str) -> str:
    event, locale = notice.event, notice.locale
    same_day = times.local(event.since_ms, locale).date() == times.local(event.measured_at_ms, locale).date()
    spell = times.clock if same_day else times.day_and_clock
    return spell(event.since_ms, locale, pattern)


def _row(sensor: SensorEvidence, notice: Notice) -> Row:
    language = notice.locale.language
    seen = seen_of(sensor, language)
    return Row(
        sensor=seen.name.full,
        seen=seen.value,
        expected=f"{seen.relation} {seen.expected}",
        share=percent(sensor.share, language),
        outside=seen.outside,
    )


def _details(notice: Notice, words: Words, pattern: str) -> list[Detail]:
    event, language = notice.event, notice.locale.language
    score = words.score_value.format(
        score=number(event.score, 2, language),
        limit=number(1, 2, language),
        since=_since(notice, pattern),
    )
    model = words.model_value.format(name=one_line(event.model.name), version=one_line(event.model.version))
    # A first message has no last one; it counts only what the cooldown of an earlier anomaly held back.
    held_back = [] if _is_first(notice) else [Detail(words.held_back, _held_back(notice.suppressed, words))]
    return [
        Detail(words.score, score),
        Detail(words.sent_because, _because(notice, words)),
        *held_back,
        Detail(words.model, model, one_line(event.model.run_id)),
        Detail(words.correlation_id, "", one_line(event.correlation_id)),
    ]


def _because(notice: Notice, words: Words) -> str:
    reminder_ms = notice.event.measured_at_ms + notice.policy.repeat_interval_ms
    because = words.because[notice.decision.reason]
    return words.reminder.format(because=because, at=times.clock(reminder_ms, notice.locale))


def _is_first(notice: Notice) -> bool:
    return notice.decision.reason is Why.FIRST and not notice.suppressed


def _held_back(count: int, words: Words) -> str:
    return words.held_back_value[min(count, 2)].format(count=count)
