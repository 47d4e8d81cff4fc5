"""Pages of readings, newest first, and the cursor that stands for where a page ended."""

from __future__ import annotations

import msgspec

from cloud.api.ports import Readings
from cloud.api.problems import Problem
from cloud.api.views import ReadingView, reading_views
from cloud.storage.reading_blocks import Position

# Readings of one device in the same millisecond: two boots at most, unless a clock stood still.
_TIES = 16


class ReadingPage(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first; `next` is the cursor of the page behind, None when there is none."""

    items: list[ReadingView]
    next: str | None


async def reading_page(
    readings: Readings, site: str, device: str, from_ms: int | None, to_ms: int | None, cursor: str | None, limit: int
) -> ReadingPage:
    """The newest `limit` of a span, or those behind the cursor. Raises: Problem 422 for a cursor that is none."""
    before = None if cursor is None else read_cursor(cursor)
    if before is not None:
        to_ms = before.measured_at_ms if to_ms is None else min(to_ms, before.measured_at_ms)
    extra = 1
    while True:
        block = await readings.readings(site, device, from_ms=from_ms, to_ms=to_ms, limit=limit + extra)
        views = [view for view in reversed(reading_views(block)) if before is None or _place(view) < _order(before)]
        if len(views) > limit or len(block) < limit + extra:
            break
        # Those of the page before, measured in the same millisecond, took the room.
        extra = extra * 2 + _TIES
    shown = views[:limit]
    return ReadingPage(items=shown, next=write_cursor(shown[-1]) if len(views) > limit else None)


def write_cursor(view: ReadingView) -> str:
    """`measured_at_ms.boot.seq` of the last reading shown."""
    return f"{view.measured_at_ms}.{view.boot}.{view.seq}"


def read_cursor(cursor: str) -> Position:
    """The reverse. Raises: Problem 422."""
    try:
        measured_at_ms, boot, seq = cursor.split(".")
        return Position(int(measured_at_ms), boot, int(seq))
    except ValueError:
        raise bad_cursor(cursor) from None


def bad_cursor(cursor: str) -> Problem:
    """A cursor that no page of ours gave."""
    return Problem(422, "invalid_request", f"cursor={cursor[:60]!r} is none of ours; begin without one")


def _place(view: ReadingView) -> tuple[int, str, int]:
    return view.measured_at_ms, view.boot, view.seq


def _order(position: Position) -> tuple[int, str, int]:
    return position.measured_at_ms, position.boot, position.seq
