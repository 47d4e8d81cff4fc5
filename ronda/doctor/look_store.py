"""Facts from the database, which is only read: neither migrated nor changed."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.storage.database import Database
from cloud.storage.devices import SEED_ORIGIN
from cloud.storage.layout import missing_indexes, schema_version
from cloud.storage.migrate import newest_version
from cloud.storage.quarantine import Quarantine
from contract.errors import RondaError
from contract.identity import UNCOUNTED_BOOT
from ronda.doctor.facts import Door, Gap, Mail, Refusal, Seen, Store, Unpublished

_HOUR_MS = 3_600_000
# More stalled boots than a person reads; the watermark of each is one step into an index.
_MOST_GAPS = 200
_UNPUBLISHED = """
SELECT kind, count(*) AS messages, min(created_at_ms) AS oldest_ms
FROM outbox WHERE published_at_ms IS NULL GROUP BY kind ORDER BY kind
"""
# The first number that is missing, and since when a later one is there.
_GAPS = """
SELECT site, device, boot, first, missing, (
    SELECT r.received_at_ms FROM readings r
    WHERE r.boot = waiting.boot AND r.seq >= waiting.next AND r.seq < waiting.next + 1000
      AND r.site = waiting.site AND r.device = waiting.device
    ORDER BY r.seq LIMIT 1
) AS since_ms
FROM (
    SELECT site, device, boot, upper(accounted) - stored - rejected - lost AS missing,
           (SELECT coalesce(min(upper(run)) FILTER (WHERE lower(run) = 0), 0) FROM unnest(accounted) AS run) AS first,
           (SELECT min(lower(run)) FROM unnest(accounted) AS run WHERE lower(run) > 0) AS next
    FROM boots
    WHERE boot <> :uncounted AND upper(accounted) > stored + rejected + lost
    ORDER BY missing DESC, site, device, boot
    LIMIT :most
) AS waiting
"""
# One step into the index per device. Made-up pasts and rested demonstrations are silent on purpose.
_SEEN = """
SELECT site, device, created_at_ms, newest.measured_at_ms, newest.received_at_ms,
       coalesce(newest.replayed, false) AS late
FROM devices LEFT JOIN LATERAL (
    SELECT r.measured_at_ms, r.received_at_ms, r.replayed
    FROM readings r
    WHERE r.site = devices.site AND r.device = devices.device
    ORDER BY r.measured_at_ms DESC
    LIMIT 1
) AS newest ON true
WHERE revoked_at_ms IS NULL AND origin <> ALL (:silent)
ORDER BY site, device
"""
_REFUSALS = """
SELECT r.site, r.device, r.version, r.event ->> 'why' AS why, r.at_ms
FROM (SELECT DISTINCT ON (site, device) * FROM model_refusals ORDER BY site, device, at_ms DESC, id) AS r
JOIN (SELECT DISTINCT ON (site, device) * FROM promotions ORDER BY site, device, promoted_at_ms DESC, version DESC) AS p
    USING (site, device, version)
LEFT JOIN detector_states AS d USING (site, device)
WHERE d.model_version IS DISTINCT FROM r.version
ORDER BY r.site, r.device
"""
_MAILS = """
SELECT channel, count(*) AS failed, min(sent_at_ms) AS since_ms, max(receipt) AS receipt
FROM notifications n
WHERE delivery = 'failed' AND sent_at_ms > coalesce((
    SELECT max(sent_at_ms) FROM notifications d WHERE d.channel = n.channel AND d.delivery = 'delivered'
), 0)
GROUP BY channel ORDER BY channel
"""


async def look_at_store(url: str, now_ms: int) -> Store:
    """What stands in the database; a door with an error when it does not answer, or is of another version."""
    where = f"PostgreSQL at {url.rpartition('@')[2].partition('?')[0]}"
    database = Database(url)
    try:
        await database.open()
        return await _look(database, where, now_ms)
    except RondaError as error:
        return Store(door=Door(where=where, error=str(error)))
    finally:
        await database.close()


async def _look(database: Database, where: str, now_ms: int) -> Store:
    door, wanted = Door(where=where), newest_version()
    async with database.begin() as connection:
        version = await schema_version(connection)
        if version != wanted:
            return Store(door=door, version=version, wanted=wanted)
        quarantine = Quarantine(database)
        return Store(
            door=door,
            version=version,
            wanted=wanted,
            missing_indexes=await missing_indexes(connection),
            ahead_ms=await _ahead(connection),
            unpublished=await _all(connection, Unpublished, _UNPUBLISHED),
            gaps=await _all(connection, Gap, _GAPS, uncounted=UNCOUNTED_BOOT, most=_MOST_GAPS),
            seen=await _all(connection, Seen, _SEEN, silent=[SEED_ORIGIN, "demo", "replay"]),
            totals=await quarantine.totals(),
            causes=await quarantine.causes(limit=100, since_ms=now_ms - _HOUR_MS),
            refusals=await _all(connection, Refusal, _REFUSALS),
            mails=await _all(connection, Mail, _MAILS),
        )


async def _ahead(connection: AsyncConnection) -> int:
    """The database's clock against ours, as of the middle of the question."""
    before = time.time()
    theirs = await connection.scalar(text("SELECT extract(epoch FROM clock_timestamp())"))
    return round((float(theirs) - (before + time.time()) / 2) * 1000)


async def _all(connection: AsyncConnection, kind: type[Any], query: str, **about: object) -> list[Any]:
    rows = await connection.execute(text(query), about)
    return [msgspec.convert({name: _plain(value) for name, value in row._asdict().items()}, kind) for row in rows]


def _plain(value: Any) -> Any:
    """Differences of 64-bit sums may come as decimals."""
    return value if value is None or isinstance(value, str | bool | int) else int(value)
