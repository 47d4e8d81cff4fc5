"""All that is stored of one device, page by page: whoever reads it holds one page at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import text

from cloud.storage.database import Database
from cloud.storage.reading_blocks import Position, ReadingBlock
from cloud.storage.readings import ReadingStore
from cloud.storage.resolution import Span

# About 10 MB of readings with eight values, on their way through Python.
PAGE = 5000

_MINUTES_OR_HOURS = """
SELECT from_ms, generation, readings, counts, lows, highs, sums FROM {table} AS r
WHERE site = :site AND device = :device AND (from_ms, generation) > (:from_ms, :generation) AND from_ms <= :to_ms
  AND EXISTS (
    SELECT FROM retired WHERE what = :gone AND retired.from_ms <= r.from_ms AND retired.end_ms > r.from_ms
  )
ORDER BY from_ms, generation LIMIT :page
"""
_ANOMALIES = """
SELECT serial, event, latest FROM anomalies
WHERE site = :site AND device = :device AND serial > :serial AND since_ms <= :to_ms
  AND coalesce(cleared_at_ms, :from_ms) >= :from_ms
ORDER BY serial LIMIT :page
"""
_VERDICTS = """
SELECT v.anomaly_id, verdict, cause, comment, given_by, given_at_ms, model_version
FROM verdicts AS v JOIN anomalies AS a USING (anomaly_id)
WHERE v.site = :site AND v.device = :device AND a.since_ms <= :to_ms
  AND coalesce(a.cleared_at_ms, :from_ms) >= :from_ms
ORDER BY given_at_ms, v.anomaly_id
"""
# Which minutes stand for readings that are gone, and which hours for minutes.
_GONE = {"readings_by_minute": "readings", "readings_by_hour": "minutes"}
_BEFORE_ALL = -(2**63)


class DevicePages:
    """What is stored of one device within a span of its own time."""

    def __init__(self, database: Database, site: str, device: str, span: Span) -> None:
        self._database = database
        self._about = {"site": site, "device": device, "from_ms": span.from_ms, "to_ms": span.to_ms, "page": PAGE}
        self._site, self._device, self._span = site, device, span

    async def readings(self) -> AsyncIterator[ReadingBlock]:
        """Every reading, in the order of its own time."""
        store, at = ReadingStore(self._database), Position(self._span.from_ms)
        while block := await store.rows_after(self._site, self._device, at, limit=PAGE, to_ms=self._span.to_ms):
            yield block
            at = block.end or at

    async def rolled_up(self, table: str) -> AsyncIterator[list[Any]]:
        """The minutes, or hours, of times of which nothing finer is left."""
        at: dict[str, Any] = {"from_ms": self._span.from_ms, "generation": -1, "gone": _GONE[table]}
        while rows := await self._rows(_MINUTES_OR_HOURS.format(table=table), at):
            yield rows
            at |= {"from_ms": rows[-1].from_ms, "generation": rows[-1].generation}

    async def anomalies(self) -> AsyncIterator[list[Any]]:
        """Every anomaly that touches the span: (serial, event as raised, event as it stands)."""
        serial = _BEFORE_ALL
        while rows := await self._rows(_ANOMALIES, {"serial": serial}):
            yield rows
            serial = rows[-1].serial

    async def verdicts(self) -> list[Any]:
        """What people said of these."""
        return await self._rows(_VERDICTS, {})

    async def _rows(self, query: str, at: dict[str, Any]) -> list[Any]:
        async with self._database.begin() as connection:
            return list(await connection.execute(text(query), self._about | at))
