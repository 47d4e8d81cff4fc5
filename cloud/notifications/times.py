"""Times in the site's own zone, as its people read them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cloud.notifications.notice import Language, Locale

# A window this short is told to the second; ticks a minute apart would say too little.
_SHORT_MS = 15 * 60_000

_DAYS: dict[Language, tuple[str, ...]] = {
    "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    "pt": ("seg.", "ter.", "qua.", "qui.", "sex.", "sáb.", "dom."),
}
_MONTHS: dict[Language, tuple[str, ...]] = {
    "en": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    "pt": ("jan.", "fev.", "mar.", "abr.", "mai.", "jun.", "jul.", "ago.", "set.", "out.", "nov.", "dez."),
}


def local(at_ms: int, locale: Locale) -> datetime:
    """The instant in the site's zone."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(ZoneInfo(locale.zone))


def clock_format(span_ms: int) -> str:
    """The strftime pattern for times within a span of this length."""
    return "%H:%M:%S" if span_ms < _SHORT_MS else "%H:%M"


def clock(at_ms: int, locale: Locale, pattern: str = "%H:%M") -> str:
    """13:54, or 13:54:07."""
    return local(at_ms, locale).strftime(pattern)


def day_and_clock(at_ms: int, locale: Locale, pattern: str = "%H:%M") -> str:
    """`Tue 17 Nov, 13:54`, `ter. 17 nov., 13:54`."""
    at = local(at_ms, locale)
    day, month = _DAYS[locale.language][at.weekday()], _MONTHS[locale.language][at.month - 1]
    return f"{day} {at.day} {month}, {at.strftime(pattern)}"


def zone_name(at_ms: int, locale: Locale) -> str:
    """`America/Sao_Paulo, UTC−3`: the zone's name and what it was worth at that time; `UTC` for itself."""
    offset = local(at_ms, locale).utcoffset()
    minutes = round(offset.total_seconds() / 60) if offset is not None else 0
    if minutes == 0:
        return "UTC" if locale.zone in ("UTC", "Etc/UTC") else f"{locale.zone}, UTC"
    hours, rest = divmod(abs(minutes), 60)
    worth = f"UTC{'−' if minutes < 0 else '+'}{hours}" + (f":{rest:02d}" if rest else "")
    return f"{locale.zone}, {worth}"
