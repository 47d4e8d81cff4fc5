"""A device's readings over a stretch of time, at the coarsest resolution that serves and that is there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.storage.database import Database
from cloud.storage.reading_blocks import ReadingBlock
from cloud.storage.resolution import Drawn, Resolution, Span, coarsest, rolled

Fetch = Callable[[int | None, int | None, int], Awaitable[ReadingBlock]]

_TABLE = {Resolution.MINUTES: "readings_by_minute", Resolution.HOURS: "readings_by_hour"}
# The ends of what is there: each a step into an index.
_ENDS = text("""
SELECT least(
    (SELECT min(measured_at_ms) FROM readings WHERE site = :site AND device = :device),
    (SELECT min(from_ms) FROM readings_by_hour WHERE site = :site AND device = :device)
), (SELECT max(measured_at_ms) FROM readings WHERE site = :site AND device = :device)
""")
_RETIRED = text("SELECT DISTINCT what FROM retired WHERE from_ms <= :to_ms AND end_ms > :from_ms")
_AT_MOST = text("""
SELECT count(*) FROM (
    SELECT FROM readings
    WHERE site = :site AND device = :device AND measured_at_ms >= :from_ms AND measured_at_ms <= :to_ms
    LIMIT :most
) AS found
""")
# Up to where everything was added up: the last minute that was, which may go on, or the first that has to be again. A
# late reading of a time that is gone does not bring back the others.
_EDGE = text("""
WITH span AS (
    SELECT CAST(:from_ms AS bigint) AS from_ms, CAST(:to_ms AS bigint) AS to_ms
), waiting AS (
    SELECT unnest(due) AS run FROM boots WHERE site = :site AND device = :device
    UNION ALL
    SELECT unnest(minutes) FROM roll_ups_due WHERE site = :site AND device = :device
), again AS (
    SELECT lower(run) * 60000 AS from_ms, upper(run) * 60000 AS end_ms FROM waiting
)
SELECT least((
    SELECT max(m.from_ms) FROM readings_by_minute AS m, span
    WHERE m.site = :site AND m.device = :device AND m.from_ms >= span.from_ms - 60000 AND m.from_ms <= span.to_ms
), (
    SELECT min(greatest(again.from_ms, span.from_ms)) FROM again, span
    WHERE again.from_ms <= span.to_ms AND again.end_ms > span.from_ms AND NOT EXISTS (
        SELECT FROM retired
        WHERE what = 'readings' AND retired.from_ms <= again.from_ms AND retired.end_ms >= again.end_ms
    )
))
""")


async def drawn(
    database: Database,
    site: str,
    device: str,
    fetch: Fetch,
    asked: tuple[int | None, int | None],
    *,
    points: int,
    most: int,
) -> Drawn:
    """What a chart of `points` needs of the time asked for (None: all there is); `most`: as many rows are looked at.

    `fetch` reads the newest single readings (from, to, limit).
    """
    async with database.begin() as connection:
        span = await _span(connection, site, device, asked)
        about = {"site": site, "device": device} | (span._asdict() if span else {})
        wanted = await _resolution(connection, about, span, points) if span else Resolution.READINGS
    if span is None or wanted is Resolution.READINGS:
        block = await fetch(*asked, most)
        if span is None or len(block) < most:
            return Drawn(resolution=Resolution.READINGS, rolled=None, block=block, whole=len(block) < most)
        wanted = Resolution.MINUTES
    return await _rolled_up(database, about, span, fetch, wanted, most)


async def _span(
    connection: AsyncConnection, site: str, device: str, asked: tuple[int | None, int | None]
) -> Span | None:
    """The time asked for; an open end is that of what is there. None: nothing is."""
    from_ms, to_ms = asked
    if from_ms is None or to_ms is None:
        first, last = (await connection.execute(_ENDS, {"site": site, "device": device})).one()
        from_ms, to_ms = first if from_ms is None else from_ms, last if to_ms is None else to_ms
    return None if from_ms is None or to_ms is None or from_ms > to_ms else Span(from_ms, to_ms)


async def _resolution(connection: AsyncConnection, about: dict[str, Any], span: Span, points: int) -> Resolution:
    """Where single readings or minutes are gone, what is left of them; where there are few readings, those."""
    gone = set((await connection.execute(_RETIRED, {"from_ms": span.from_ms, "to_ms": span.to_ms})).scalars())
    wanted = coarsest(span, points)
    if "minutes" in gone:
        return Resolution.HOURS
    if "readings" in gone:
        return max(wanted, Resolution.MINUTES, key=lambda each: each.step_ms)
    if wanted is not Resolution.READINGS:
        there = await connection.scalar(_AT_MOST, about | {"most": points + 1})
        return Resolution.READINGS if (there or 0) <= points else wanted
    return wanted


async def _rolled_up(
    database: Database, about: dict[str, Any], span: Span, fetch: Fetch, wanted: Resolution, most: int
) -> Drawn:
    async with database.begin() as connection:
        edge = await connection.scalar(_EDGE, about)
        edge = (span.from_ms if edge is None else edge) // wanted.step_ms * wanted.step_ms
        rows = await _rows(connection, about, wanted, edge, most)
        if len(rows) >= most and wanted is Resolution.MINUTES:
            wanted = Resolution.HOURS
            edge = edge // wanted.step_ms * wanted.step_ms
            rows = await _rows(connection, about, wanted, edge, most)
    block = await fetch(max(edge, span.from_ms), span.to_ms, most)
    if not block.seq:
        # The last readings of the span are gone as well.
        async with database.begin() as connection:
            rows = await _rows(connection, about, wanted, span.to_ms + 1, most)
    return Drawn(
        resolution=wanted if rows else Resolution.READINGS,
        rolled=rolled(rows, len(block.metrics)) if rows else None,
        block=block,
        whole=max(len(block), len(rows)) < most,
    )


async def _rows(
    connection: AsyncConnection, about: dict[str, Any], resolution: Resolution, edge: int, most: int
) -> list[Any]:
    """Those that begin within the span and before `edge`."""
    found = text(f"""
    SELECT from_ms, readings, lows, highs FROM {_TABLE[resolution]}
    WHERE site = :site AND device = :device AND from_ms >= :from_ms AND from_ms < :edge
    ORDER BY from_ms LIMIT :most
    """)  # noqa: S608  # names of ours
    return list(await connection.execute(found, about | {"edge": edge, "most": most}))
