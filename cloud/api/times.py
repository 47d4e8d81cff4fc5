"""Times at the API's edge: UTC epoch milliseconds inside, ISO 8601 beside them for people and spreadsheets."""

from __future__ import annotations

from datetime import UTC, datetime

from cloud.api.problems import Problem

# What datetime can say: years 1 to 9999.
_LATEST_MS = 253_402_300_799_999


def iso(at_ms: float) -> str:
    """`2026-11-22T10:00:00.123Z`; the nearest one that can be said for what lies outside the years 1970 to 9999."""
    bounded = min(max(at_ms, 0), _LATEST_MS)
    return datetime.fromtimestamp(bounded / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text: str | None, name: str) -> int | None:
    """Epoch milliseconds from epoch milliseconds or ISO 8601 (UTC unless it says otherwise).

    Raises: Problem 422 for what is neither.
    """
    if text is None or not text.strip():
        return None
    # In a query an unescaped '+' of an offset arrives as a space.
    given = text.strip().replace(" ", "+") if "T" in text else text.strip()
    if given.removeprefix("-").isascii() and given.removeprefix("-").isdigit():
        return _bounded(int(given[:20]))
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        detail = f"{name}={text[:40]!r} is no time; write 2026-11-22T10:00:00Z or epoch milliseconds"
        raise Problem(422, "invalid_request", detail) from None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return _bounded(round(aware.timestamp() * 1000))


def _bounded(at_ms: int) -> int:
    return min(max(at_ms, 0), _LATEST_MS)
