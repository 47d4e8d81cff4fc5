"""What is said of a limit that was crossed, and of one that will be: one sentence, in English and Portuguese."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo

import msgspec

from detection.iso20816 import SOURCE, spoken
from detection.limit import Limit
from detection.words import LANGUAGES, human_name

_WORDS = {
    "en": {
        "above": "{name} of {device} has been above the {limit} {since} ({seen})",
        "below": "{name} of {device} has been below the {limit} {since} ({seen})",
        "since": "since {at}",
        "since_one": "since {at}",
        "warning": "limit of {bound}",
        "critical": "critical limit of {bound}",
        "others": "also beyond a limit: {names}",
        "trend": "At its present pace, {name} of {device} reaches the {limit} around {at} ({between})",
        "between": "between {earliest} and {latest}",
        "after": "not before {earliest}",
    },
    "pt": {
        "above": "{name} de {device} está acima do {limit} {since} ({seen})",
        "below": "{name} de {device} está abaixo do {limit} {since} ({seen})",
        # "As dez e dois", but "a uma e dois" and "a zero hora e dois".
        "since": "desde as {at}",
        "since_one": "desde a {at}",
        "warning": "limite de {bound}",
        "critical": "limite crítico de {bound}",
        "others": "também além de um limite: {names}",
        "trend": "No ritmo atual, {name} de {device} chega ao {limit} por volta de {at} ({between})",
        "between": "entre {earliest} e {latest}",
        "after": "não antes de {earliest}",
    },
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SPACE = "\N{NO-BREAK SPACE}"


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """How a machine is told of: its name, the unit of each metric, and the time zone of its people."""

    device: str
    units: Mapping[str, str]
    tz: tzinfo

    def unit(self, metric: str) -> str:
        """The metric's unit, empty where none is registered."""
        return self.units.get(metric, "")


def crossed(limit: Limit, seen: float, others: Sequence[str], *, since_ms: int, told: Told) -> dict[str, str]:
    """Per language: which limit the sensor is beyond, since when, and which other metrics are beyond theirs."""
    return {language: _crossed(language, limit, seen, others, since_ms, told) for language in LANGUAGES}


def drifting(limit: Limit, span: tuple[int, int, int | None], bound: float, told: Told) -> dict[str, str]:
    """Per language: when the sensor reaches `bound` of its limit should it go on so: (about, earliest, latest)."""
    return {language: _drifting(language, limit, span, bound, told) for language in LANGUAGES}


def number(value: float, language: str, digits: int = 4) -> str:
    """At most `digits` significant ones, never an exponent, with the language's decimal sign."""
    text = f"{float(f'{value:.{digits}g}'):,.10f}".rstrip("0").rstrip(".")
    return text.translate(str.maketrans(",.", ".,")) if language == "pt" else text


def _crossed(language: str, limit: Limit, seen: float, others: Sequence[str], since_ms: int, told: Told) -> str:
    words, bound, unit = _WORDS[language], limit.bound(seen), told.unit(limit.metric)
    key = "above" if limit.high is not None and bound == limit.high else "below"
    at = datetime.fromtimestamp(since_ms / 1000, told.tz)
    main = words[key].format(
        name=_name(limit.metric, language),
        device=told.device,
        limit=words[limit.severity].format(bound=_amount(bound, unit, language)),
        since=words["since_one" if at.hour in {0, 1} else "since"].format(at=f"{at:%H:%M}"),
        seen="; ".join(filter(None, (_seen(seen, bound, unit, language), _label(limit, language)))),
    )
    more = words["others"].format(names=", ".join(human_name(each, language) for each in others)) if others else ""
    return "; ".join(filter(None, (main[:1].upper() + main[1:], more))) + "."


def _drifting(language: str, limit: Limit, span: tuple[int, int, int | None], bound: float, told: Told) -> str:
    words = _WORDS[language]
    at, earliest, latest = (None if at_ms is None else _day(at_ms, told.tz, language) for at_ms in span)
    between = words["after" if latest is None else "between"].format(earliest=earliest, latest=latest)
    main = words["trend"].format(
        name=_name(limit.metric, language),
        device=told.device,
        limit=words[limit.severity].format(bound=_amount(bound, told.unit(limit.metric), language)),
        at=at,
        between="; ".join(filter(None, (between, _label(limit, language)))),
    )
    return f"{main}."


def _name(metric: str, language: str) -> str:
    name = human_name(metric, language)
    if name.startswith("“"):
        return name
    return f"the {name}" if language == "en" else f"a {name}"


def _label(limit: Limit, language: str) -> str:
    return spoken(limit.label, language) if limit.source == SOURCE else limit.label


def _amount(value: float, unit: str, language: str) -> str:
    return number(value, language) + (f"{_SPACE}{unit}" if unit else "")


def _seen(seen: float, bound: float, unit: str, language: str) -> str:
    """Two digits where they tell it from the limit, else as many as that takes."""
    enough = (digits for digits in range(2, 7) if number(seen, language, digits) != number(bound, language))
    digits = 3 if abs(seen) >= 100 else 2
    return number(seen, language, max(digits, next(enough, 7))) + (f"{_SPACE}{unit}" if unit else "")


def _day(at_ms: int, tz: tzinfo, language: str) -> str:
    at = datetime.fromtimestamp(at_ms / 1000, tz)
    day = f"{at.day} {_MONTHS[at.month - 1]}" if language == "en" else f"{at:%d/%m}"
    return f"{day} {at:%H:%M}"
