"""Moments and periods as a person writes them on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from ronda.installation import InstallationError

_BETWEEN = ".."


def moment_ms(text: str | None, option: str) -> int | None:
    """Epoch ms of `2026-11-22T10:00` (UTC unless it says otherwise) or of epoch ms. Raises: InstallationError."""
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InstallationError(f"{option} {text!r} is no time, such as 2026-11-22T10:00 or epoch ms") from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def spans_ms(texts: Sequence[str], option: str) -> tuple[tuple[int, int], ...]:
    """(from, through) of each `FROM..THROUGH`. Raises: InstallationError for one that is no period."""
    return tuple(_span_ms(text, option) for text in texts)


def _span_ms(text: str, option: str) -> tuple[int, int]:
    begin, mark, end = text.partition(_BETWEEN)
    from_ms, through_ms = moment_ms(begin, option), moment_ms(end, option)
    if not mark or from_ms is None or through_ms is None or through_ms < from_ms:
        raise InstallationError(f"{option} {text!r} is no period, such as 2026-11-22T10:00..2026-11-22T10:30")
    return from_ms, through_ms


def shown(at_ms: int | None) -> str:
    """`2026-11-22 10:00:05` in UTC; `now` for what has not ended."""
    return "now" if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
