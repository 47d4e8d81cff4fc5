"""Who was heard when, and of whose silence people were told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import text

from cloud.storage.anomalies import AnomalyStore
from cloud.storage.database import Database
from contract.events import AnomalyDetectedEvent

# Of two weeks, so that three weekends' pauses are not waited for but three nights' are known.
_PAUSES_OF_MS = 14 * 24 * 60 * 60 * 1000
# Half an hour of a device that speaks every second; less of one that says more at once.
_ARRIVALS = 2000

# One step into the index per device. Left out are those that only show something, since a demonstration ends.
_HEARD = text("""
SELECT devices.site, devices.device, newest.received_at_ms, newest.measured_at_ms, newest.boot, newest.seq
FROM devices CROSS JOIN LATERAL (
    SELECT r.received_at_ms, r.measured_at_ms, r.boot, r.seq
    FROM readings r
    WHERE r.site = devices.site AND r.device = devices.device
    ORDER BY r.measured_at_ms DESC
    LIMIT 1
) AS newest
WHERE devices.revoked_at_ms IS NULL AND devices.origin NOT IN ('demo', 'seed', 'replay')
""")
_NEWEST = """
SELECT received_at_ms, measured_at_ms, boot, seq FROM readings
WHERE site = :site AND device = :device ORDER BY measured_at_ms DESC LIMIT :limit
"""
_LATELY = text(f"SELECT * FROM ({_NEWEST}) AS newest ORDER BY received_at_ms DESC LIMIT 1")  # noqa: S608  # ours
_TIMES = text(f"SELECT DISTINCT received_at_ms FROM ({_NEWEST}) AS newest")  # noqa: S608  # ours
# From the end of one minute with readings to the beginning of the next: at most two minutes less than the pause was.
_PAUSES = text("""
SELECT from_ms - before_ms - 60000 AS pause_ms
FROM (
    SELECT from_ms, lag(from_ms) OVER (ORDER BY from_ms) AS before_ms
    FROM readings_by_minute
    WHERE site = :site AND device = :device AND from_ms >= :from_ms
) AS minutes
WHERE from_ms - before_ms > 60000
ORDER BY 1 DESC LIMIT 10
""")
_TOLD = text("SELECT latest FROM anomalies WHERE phase <> 'cleared' AND event ->> 'kind' = 'silent' ORDER BY serial")


class LastWord(msgspec.Struct, frozen=True, kw_only=True):
    """A device's newest reading, or the last that arrived."""

    received_at_ms: int
    measured_at_ms: int
    boot: str
    seq: int


class SilenceStore:
    """The store's part in listening for who is not heard."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._anomalies = AnomalyStore(database)
        self.outbox = self._anomalies.outbox

    async def heard(self) -> dict[tuple[str, str], LastWord]:
        """Every waited-for device's newest reading by its own time."""
        rows = await self._rows(_HEARD, {})
        return {(row.site, row.device): _last_word(row) for row in rows}

    async def heard_lately(self, site: str, device: str) -> LastWord | None:
        """The reading that arrived last."""
        rows = await self._rows(_LATELY, {"site": site, "device": device, "limit": _ARRIVALS})
        return _last_word(rows[0]) if rows else None

    async def arrivals(self, site: str, device: str) -> list[int]:
        """When its last messages arrived."""
        return [row[0] for row in await self._rows(_TIMES, {"site": site, "device": device, "limit": _ARRIVALS})]

    async def pauses(self, site: str, device: str, now_ms: int) -> list[int]:
        """The longest pauses of the last two weeks, in its own time."""
        about = {"site": site, "device": device, "from_ms": now_ms - _PAUSES_OF_MS}
        return [row[0] for row in await self._rows(_PAUSES, about)]

    async def told(self) -> list[AnomalyDetectedEvent]:
        """The silences that are open."""
        return [msgspec.convert(row.latest, AnomalyDetectedEvent) for row in await self._rows(_TOLD, {})]

    async def keep(self, events: Sequence[AnomalyDetectedEvent], *, now_ms: int) -> list[AnomalyDetectedEvent]:
        """Keep these, to be published. Returns those that were new."""
        return await self._anomalies.apply(events, [], now_ms=now_ms)

    async def _rows(self, query: Any, about: dict[str, Any]) -> list[Any]:
        async with self._database.begin() as connection:
            return list(await connection.execute(query, about))


def _last_word(row: Any) -> LastWord:
    return LastWord(received_at_ms=row.received_at_ms, measured_at_ms=row.measured_at_ms, boot=row.boot, seq=row.seq)
