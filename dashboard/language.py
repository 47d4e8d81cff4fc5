"""In which words? English message ids and the Portuguese catalogue, numbers and times as the reader writes them."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from datetime import datetime, tzinfo
from pathlib import Path

from babel.core import Locale
from babel.dates import format_date, format_time, get_timezone_location
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent

LOCALES = Path(__file__).parent / "locales"
# English is what the message ids are written in; every other language has a folder in LOCALES.
BABEL_LOCALE = {"en": "en", "pt": "pt_BR"}
LANGUAGES = tuple(BABEL_LOCALE)
DEFAULT_LANGUAGE = "en"
# Neither may a line break between a value and its unit.
NO_BREAK = "\u00a0"

# A device that reports each second was seen "just now" between two of its readings, and not ever so many ms ago.
JUST_NOW_MS = 5_000

_BROWSER_CHOICE = re.compile(r"\s*([a-z]{2})", re.IGNORECASE)

Catalogue = Mapping[str, str | tuple[str, ...]]


class Words:
    """Speaks one language: `say("Fleet")`, `say("{n} s ago", n=3)`, `say.count("{n} alarm", "{n} alarms", 2)`."""

    def __init__(self, language: str, zone: tzinfo) -> None:
        self.language = language
        self.zone = zone
        self._catalogue = catalogue(language)
        self._locale = Locale.parse(BABEL_LOCALE[language])

    def __call__(self, message: str, **values: object) -> str:
        text = self._catalogue.get(message) or message
        return str(text).format(**values) if values else str(text)

    def count(self, one: str, many: str, n: int, **values: object) -> str:
        """The singular for one, else the plural; `{n}` is written with the reader's separators."""
        forms = self._catalogue.get(one) or (one, many)
        text = forms if isinstance(forms, str) else forms[0 if n == 1 else 1]
        return text.format(n=self.number(n), **values)

    def number(self, value: float, digits: int | None = None) -> str:
        """`value` in the reader's notation; without `digits` to about three significant figures."""
        places = _places(value) if digits is None else digits
        pattern = "#,##0" + ("." + "0" * places if places else "")
        return str(format_decimal(value, format=pattern, locale=self._locale))

    def value(self, value: float, unit: str) -> str:
        """`0.52 g`: a number with its unit, not to be broken over two lines."""
        return f"{self.number(value)}{NO_BREAK}{unit}" if unit else self.number(value)

    def percent(self, share: float) -> str:
        """A share of 0 to 1 as whole per cent; a trace of a share is `<1 %`, never nothing."""
        if 0 < share <= 0.005:
            return f"<1{NO_BREAK}%"
        return (
            str(format_percent(share, locale=self._locale)).replace("%", f"{NO_BREAK}%").replace(NO_BREAK * 2, NO_BREAK)
        )

    def clock(self, at_ms: float, *, millis: bool = False) -> str:
        """Site time of day, to the second or the millisecond."""
        at = self._at(at_ms)
        text = format_time(at, "HH:mm:ss", locale=self._locale)
        decimal = "," if self.language == "pt" else "."
        return f"{text}{decimal}{at.microsecond // 1000:03d}" if millis else str(text)

    def when(self, at_ms: float, now_ms: float) -> str:
        """The shortest site time that is clear from here: the time today, else the day before it."""
        at, now = self._at(at_ms), self._at(now_ms)
        time = format_time(at, "HH:mm", locale=self._locale)
        if at.date() == now.date():
            return str(time)
        pattern = "EEE" if abs((now.date() - at.date()).days) < 7 else "d MMM"
        return f"{format_date(at, pattern, locale=self._locale)} {time}"

    def day(self, at_ms: float) -> str:
        """The site's date, written out."""
        return str(format_date(self._at(at_ms), "long", locale=self._locale))

    def place(self) -> str:
        """The city that the site's time zone is named after."""
        return str(get_timezone_location(self.zone, self._locale, return_city=True))

    def length(self, milliseconds: float) -> str:
        """How long, in the two largest units: `398 ms`, `2.4 s`, `40 s`, `4 min`, `2 h 38 min`, `3 d 4 h`."""
        if milliseconds < 1000:
            return f"{milliseconds:.0f}{NO_BREAK}ms"
        seconds = int(milliseconds / 1000)
        if seconds < 10:
            return f"{self.number(milliseconds // 100 / 10, 1)}{NO_BREAK}s"
        if seconds < 60:
            return f"{seconds}{NO_BREAK}s"
        if seconds < 3600:
            return f"{seconds // 60}{NO_BREAK}min"
        if seconds < 86400:
            return f"{seconds // 3600}{NO_BREAK}h{NO_BREAK}{seconds % 3600 // 60:02d}{NO_BREAK}min"
        return f"{seconds // 86400}{NO_BREAK}d{NO_BREAK}{seconds % 86400 // 3600}{NO_BREAK}h"

    def ago(self, since_ms: float, now_ms: float) -> str:
        """How long ago, for what should be seconds ago."""
        say = self  # the name by which messages are found
        if now_ms - since_ms < JUST_NOW_MS:
            return say("just now")
        return say("{length} ago", length=self.length(now_ms - since_ms))

    def _at(self, at_ms: float) -> datetime:
        return datetime.fromtimestamp(at_ms / 1000, self.zone)


def choose_language(cookie: str | None, accepts: str) -> str:
    """The reader's own choice, else the first language of the browser that we speak, else English."""
    if cookie in LANGUAGES:
        return cookie
    asked = (_BROWSER_CHOICE.match(part) for part in accepts.split(","))
    spoken = (match[1].lower() for match in asked if match and match[1].lower() in LANGUAGES)
    return next(spoken, DEFAULT_LANGUAGE)


@functools.cache
def catalogue(language: str) -> Catalogue:
    """Message id → translation (a tuple where there is a plural); empty for English."""
    path = LOCALES / language / "LC_MESSAGES" / "ronda.po"
    if not path.exists():
        return {}
    with path.open("rb") as file:
        entries = [message for message in read_po(file) if message.id]
    return {_key(entry.id): _text(entry.string) for entry in entries}


def _key(message: str | tuple[str, ...] | list[str]) -> str:
    return message if isinstance(message, str) else message[0]


def _text(translation: object) -> str | tuple[str, ...]:
    return tuple(map(str, translation)) if isinstance(translation, (tuple, list)) else str(translation or "")


def _places(value: float) -> int:
    size = abs(value)
    if size == int(size) and size < 1e15:
        return 0
    return 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 0.1 else 3
