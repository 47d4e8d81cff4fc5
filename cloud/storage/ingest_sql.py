"""The statements that the Historian's transaction consists of, one function each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import asyncpg

from cloud.storage.ingest_rows import BootKey, Content, Identity, Row
from cloud.storage.seqs import Accounted
from contract.events import ReadingRejectedEvent

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class Known(NamedTuple):
    """What the store has of a reading: its content if stored, and whether it counts as refused."""

    content: Content | None
    refused: bool


class Change(NamedTuple):
    """What a transaction adds to one boot; `accounted` is a multirange's text, and so is `due`.

    `due`: the minutes whose readings have to be added up again.
    """

    key: BootKey
    accounted: str
    stored: int
    rejected: int
    first_seen_ms: int
    due: str


class BootState(NamedTuple):
    """Where a boot stands after the transaction."""

    first_seen_ms: int
    accounted: Accounted


async def make_room(connection: Connection, days: Iterable[int]) -> None:
    """Have a place for readings of these days (since 1970)."""
    if wanted := sorted(days):
        await connection.execute("SELECT readings_make_room($1)", wanted)


async def lock_boots(connection: Connection, first_seen: Mapping[BootKey, int]) -> dict[BootKey, Accounted]:
    """Take the boots' row locks, always in the same order so that two Historians never wait for each other.

    Until the commit nobody else adds readings of these boots.
    """
    keys = sorted(first_seen)
    await connection.execute(
        """
        INSERT INTO boots (site, device, boot, first_seen_ms)
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
        ON CONFLICT DO NOTHING
        """,
        *_columns(keys, 3),
        [first_seen[key] for key in keys],
    )
    rows = await connection.fetch(
        """
        SELECT site, device, boot, accounted
        FROM boots JOIN unnest($1::text[], $2::text[], $3::text[]) AS wanted (site, device, boot)
        USING (site, device, boot)
        ORDER BY site, device, boot
        FOR UPDATE OF boots
        """,
        *_columns(keys, 3),
    )
    return {BootKey(site, device, boot): Accounted(accounted) for site, device, boot, accounted in rows}


async def look_up(connection: Connection, identities: Iterable[Identity]) -> dict[Identity, Known]:
    """What the store has of these readings.

    OFFSET 0 and the setting leave the planner one way, a step into each index per reading: before its first statistics
    it would take the index by time, and read all of a device's rows for each.
    """
    wanted = [(*key, seq) for key, seq in identities]
    if not wanted:
        return {}
    await connection.execute("SET LOCAL enable_seqscan = off")
    rows = await connection.fetch(
        """
        SELECT wanted.*, r.measured_at_ms, r.values, EXISTS (
            SELECT FROM (SELECT site, device FROM refused WHERE boot = wanted.boot AND seq = wanted.seq OFFSET 0) AS q
            WHERE q.site = wanted.site AND q.device = wanted.device
        )
        FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS wanted (site, device, boot, seq)
        LEFT JOIN LATERAL (
            SELECT * FROM readings WHERE boot = wanted.boot AND seq = wanted.seq OFFSET 0
        ) AS r ON r.site = wanted.site AND r.device = wanted.device
        """,
        *_columns(wanted, 4),
    )
    known: dict[Identity, Known] = {}
    for site, device, boot, seq, measured_at_ms, values, refused in rows:
        content = None if values is None else Content(measured_at_ms, tuple(values))
        known[BootKey(site, device, boot), seq] = Known(content, refused)
    return known


async def insert_readings(connection: Connection, rows: Sequence[Row]) -> dict[BootKey, int]:
    """COPY through the staging table, so that a row that is there already is absorbed. Returns how many were new.

    `make_room` came before.
    """
    if not rows:
        return {}
    await connection.execute("CREATE TEMP TABLE IF NOT EXISTS staged (LIKE readings) ON COMMIT DELETE ROWS")
    await connection.copy_records_to_table("staged", records=rows, columns=Row._fields)
    columns = ", ".join(f'"{name}"' for name in Row._fields)
    counts = await connection.fetch(
        f"""
        WITH inserted AS (
            INSERT INTO readings ({columns}) SELECT {columns} FROM staged ON CONFLICT DO NOTHING
            RETURNING site, device, boot
        )
        SELECT site, device, boot, count(*) FROM inserted GROUP BY site, device, boot
        """  # noqa: S608  # column names of ours
    )
    return {BootKey(site, device, boot): count for site, device, boot, count in counts}


async def quarantine(connection: Connection, events: Sequence[ReadingRejectedEvent]) -> set[str]:
    """Keep what was refused. Returns the ids that were not there before."""
    if not events:
        return set()
    records = [
        (e.id, e.site, e.device, e.boot, _bigint(e.seq), e.stage, e.reason, _text(e.detail), _text(e.topic), e.payload,
         e.received_at_ms, e.correlation_id)
        for e in events
    ]  # fmt: skip
    rows = await connection.fetch(
        """
        INSERT INTO rejected (id, site, device, boot, seq, stage, reason, detail, topic, payload, received_at_ms,
                              correlation_id)
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[],
                             $8::text[], $9::text[], $10::bytea[], $11::bigint[], $12::text[])
        ON CONFLICT DO NOTHING
        RETURNING id
        """,
        *_columns(records, 12),
    )
    return {row["id"] for row in rows}


async def count_as_refused(connection: Connection, identities: Iterable[Identity]) -> None:
    """From now on these readings count as refused."""
    if wanted := sorted((*key, seq) for key, seq in identities):
        await connection.execute(
            """
            INSERT INTO refused (site, device, boot, seq)
            SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
            ON CONFLICT DO NOTHING
            """,
            *_columns(wanted, 4),
        )


async def count_as_stored(connection: Connection, identities: Mapping[Identity, int]) -> None:
    """These readings were refused and are stored after all: what the quarantine has of them is settled at that time."""
    if not (wanted := sorted((*key, seq, at_ms) for (key, seq), at_ms in identities.items())):
        return
    await connection.execute(
        """
        WITH wanted AS (
            SELECT *
            FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
                 AS wanted (site, device, boot, seq, at_ms)
        ), gone AS (
            DELETE FROM refused r USING wanted w
            WHERE r.boot = w.boot AND r.seq = w.seq AND r.site = w.site AND r.device = w.device
        )
        UPDATE rejected r SET settled_at_ms = w.at_ms FROM wanted w
        WHERE r.boot = w.boot AND r.seq = w.seq AND r.site = w.site AND r.device = w.device
          AND r.settled_at_ms IS NULL
        """,
        *_columns(wanted, 5),
    )


async def account(connection: Connection, changes: Sequence[Change]) -> dict[BootKey, BootState]:
    """Add what was done to the boots; what is accounted for but neither stored nor rejected is lost."""
    rows = await connection.fetch(
        """
        WITH change AS (
            SELECT *
            FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[],
                        $8::text[])
                 AS change (site, device, boot, seqs, stored, rejected, first_seen_ms, due)
        ), total AS (
            SELECT site, device, boot,
                   b.accounted + c.seqs::int8multirange AS accounted,
                   b.stored + c.stored AS stored,
                   b.rejected + c.rejected AS rejected,
                   b.due + c.due::int8multirange AS due,
                   least(b.first_seen_ms, c.first_seen_ms) AS first_seen_ms
            FROM boots b JOIN change c USING (site, device, boot)
        )
        UPDATE boots b
        SET accounted = t.accounted, stored = t.stored, rejected = t.rejected, first_seen_ms = t.first_seen_ms,
            due = t.due,
            lost = CASE WHEN isempty(t.accounted) THEN 0 ELSE
                (SELECT sum(upper(run) - lower(run)) FROM unnest(t.accounted) AS run) - t.stored - t.rejected
            END
        FROM total t
        WHERE b.site = t.site AND b.device = t.device AND b.boot = t.boot
        RETURNING b.site, b.device, b.boot, b.first_seen_ms, b.accounted
        """,
        *_columns([(*c.key, *c[1:]) for c in changes], 8),
    )
    return {BootKey(*row[:3]): BootState(row["first_seen_ms"], Accounted(row["accounted"])) for row in rows}


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """The arguments of an unnest."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


def _bigint(seq: int | None) -> int | None:
    """What a column can hold; a number that was refused may be anything, and stands in the payload."""
    return seq if seq is not None and -(2**63) <= seq < 2**63 else None


def _text(text: str) -> str:
    """What a text column can hold: no NUL and no lone surrogate, though refused input may have them."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()
