"""Readings that were stored once and are gone because of their age must not be stored and counted again."""

from __future__ import annotations

from collections.abc import Mapping

from cloud.storage.ingest_rows import Identity, Row, Sorted
from cloud.storage.ingest_sql import Connection, Known

# Retention leaves at least a day.
_OLD_MS = 24 * 60 * 60 * 1000

# Of a time that is gone, of which something was stored: in that minute, or in that hour where its minutes are gone too.
_GONE = """
SELECT wanted.number
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::boolean[])
     AS wanted (number, site, device, at_ms, counted)
WHERE EXISTS (
    SELECT FROM retired WHERE what = 'readings' AND wanted.at_ms >= from_ms AND wanted.at_ms < end_ms
) AND (wanted.counted OR EXISTS (
    SELECT FROM readings_by_minute m
    WHERE m.site = wanted.site AND m.device = wanted.device AND m.from_ms = wanted.at_ms - wanted.at_ms % 60000
) OR EXISTS (
    SELECT FROM retired WHERE what = 'minutes' AND wanted.at_ms >= from_ms AND wanted.at_ms < end_ms
) AND EXISTS (
    SELECT FROM readings_by_hour h
    WHERE h.site = wanted.site AND h.device = wanted.device AND h.from_ms = wanted.at_ms - wanted.at_ms % 3600000
))
"""


async def take_out_what_is_retired(connection: Connection, arrived: Sorted, known: Mapping[Identity, Known]) -> int:
    """Take the repeats of readings that are gone out of `arrived`. Returns how many.

    What a device counted and is accounted for, of a time that is gone, was stored there. One that does not count is
    believed where nothing of it was stored at about that time.
    """
    asked = [*_accounted(arrived, known), *_uncounted(arrived)]
    if not asked:
        return 0
    gone = await connection.fetch(
        _GONE,
        list(range(len(asked))),
        [key.site for (key, _), _ in asked],
        [key.device for (key, _), _ in asked],
        [row.measured_at_ms for _, row in asked],
        [key.counted for (key, _), _ in asked],
    )
    for (number,) in gone:
        key, seq = asked[number][0]
        del arrived.rows[key][seq]
    return len(gone)


def _accounted(arrived: Sorted, known: Mapping[Identity, Known]) -> list[tuple[Identity, Row]]:
    """Accounted for before, but neither stored nor refused: lost, or gone."""
    return [
        ((key, seq), arrived.rows[key][seq])
        for (key, seq), had in known.items()
        if had.content is None and not had.refused and seq in arrived.rows.get(key, ())
    ]


def _uncounted(arrived: Sorted) -> list[tuple[Identity, Row]]:
    return [
        ((key, seq), row)
        for key, taken in arrived.rows.items()
        if not key.counted
        for seq, row in taken.items()
        if row.received_at_ms - row.measured_at_ms > _OLD_MS
    ]
