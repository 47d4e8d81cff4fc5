"""What became of everything, by questions of our own to PostgreSQL and to the mail server; the ledger has no say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import asyncpg

from contract.identity import UNCOUNTED_BOOT
from tests.faults.machine import Window
from tests.faults.senders import SITE, Span

# `made.number`, not `seq`: within the inner questions that would be their own column, and nothing would ever be lost.
_LOST = """
SELECT count(*) FROM generate_series($3::bigint, $4::bigint) AS made (number)
WHERE NOT EXISTS (SELECT FROM readings r WHERE (r.boot, r.seq, r.site, r.device) = ($2, made.number, $5, $1))
  AND NOT EXISTS (SELECT FROM rejected q WHERE (q.boot, q.seq, q.site, q.device) = ($2, made.number, $5, $1))
"""
# Once in the readings; a reading that was refused and let in later is stored once.
_DOUBLED = """
SELECT coalesce(sum(times - 1), 0)::bigint FROM (
    SELECT count(*) AS times FROM readings
    WHERE (boot, site, device) = ($2, $5, $1) AND seq BETWEEN $3 AND $4 GROUP BY seq
) AS each
"""
_REFUSED = """
SELECT count(DISTINCT seq) FROM rejected
WHERE (boot, site, device) = ($2, $5, $1) AND seq BETWEEN $3 AND $4
"""


class Count(NamedTuple):
    """Of a span of readings: how many there are, are nowhere, are there twice, are in quarantine."""

    readings: int = 0
    lost: int = 0
    doubled: int = 0
    refused: int = 0

    def plus(self, other: Count) -> Count:
        return Count(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


async def count(connection: asyncpg.Connection[Any], spans: Iterable[Span]) -> Count:
    """What became of these."""
    total = Count()
    for span in spans:
        if span.last >= span.first:
            total = total.plus(await _counted(connection, span))
    return total


async def _counted(connection: asyncpg.Connection[Any], span: Span) -> Count:
    made = span.last - span.first + 1
    if span.boot == UNCOUNTED_BOOT:
        told = await numbers(connection, span.device)
        times = [told[number] for number in range(span.first, span.last + 1)]
        return Count(made, times.count(0), sum(each - 1 for each in times if each > 1))
    return Count(made, *[await connection.fetchval(query, *span, SITE) for query in (_LOST, _DOUBLED, _REFUSED)])


async def numbers(connection: asyncpg.Connection[Any], device: str) -> Counter[int]:
    """Of readings whose first value is their number: how often each is stored, whatever it was counted as."""
    query = "SELECT values[1]::bigint, count(*) FROM readings WHERE (site, device) = ($1, $2) GROUP BY 1"
    return Counter(dict(await connection.fetch(query, SITE, device)))


class Beyond(NamedTuple):
    """Of machines behind the gateway that cannot count: what their own broker had acknowledged, and became of it.

    `missing` is nowhere: that broker lost it before the gateway's disk had it. `again` came more than once, as QoS 1
    may. `excused`: how often that broker died with what it had not saved.
    """

    acknowledged: int = 0
    missing: int = 0
    again: int = 0
    excused: int = 0


async def beyond(connection: asyncpg.Connection[Any], acknowledged: Mapping[str, int], excused: int) -> Beyond:
    """`acknowledged`: device → so many, from number 0 on."""
    total = Beyond(excused=excused)
    for device, readings in acknowledged.items():
        told = await numbers(connection, device)
        times = [told[number] for number in range(readings)]
        total = total._replace(
            acknowledged=total.acknowledged + readings,
            missing=total.missing + times.count(0),
            again=total.again + sum(each - 1 for each in times if each > 1),
        )
    return total


class Alarms(NamedTuple):
    """Against the injected truth: `missed` and `doubled` by the window's first row; `false` by their own."""

    expected: int
    missed: list[int]
    doubled: list[int]
    false: list[int]


async def alarms(connection: asyncpg.Connection[Any], device: str, windows: Sequence[Window]) -> Alarms:
    """Every anomaly of the machine, each in the window that it belongs to."""
    query = "SELECT raised_at_ms FROM anomalies WHERE (site, device) = ($1, $2) ORDER BY raised_at_ms"
    raised = [row[0] for row in await connection.fetch(query, SITE, device)]
    found = Counter(_window(at_ms, windows) for at_ms in raised)
    false = [at_ms for at_ms in raised if _window(at_ms, windows) is None and at_ms <= windows[-1].through_ms]
    return Alarms(
        expected=len(windows),
        missed=[window.first_row for window in windows if not found[window]],
        doubled=[window.first_row for window in windows if found[window] > 1],
        false=[windows[0].first_row + (at_ms - windows[0].from_ms) // 1000 for at_ms in false],
    )


def _window(at_ms: int, windows: Sequence[Window]) -> Window | None:
    return next((window for window in windows if window.from_ms <= at_ms <= window.through_ms), None)


async def mailed_since(url: str, since_ms: int) -> bool:
    """Was an alarm that was raised since then mailed? No, where the database does not answer just now."""
    query = """
        SELECT EXISTS (SELECT FROM notifications JOIN anomalies USING (anomaly_id)
                       WHERE detected_at_ms >= $1 AND delivery = 'delivered')
    """
    try:
        connection = await asyncpg.connect(url, ssl=False)
    except (OSError, asyncpg.PostgresError):
        return False
    try:
        return bool(await connection.fetchval(query, since_ms))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    finally:
        connection.terminate()


class Mails(NamedTuple):
    """One mail per alarm: those `missed`, those with `several` different ones, how often a Message-ID came again.

    Alarms by their window's first row. `unrecorded`: what the mail server took and Ronda keeps no receipt of.
    """

    expected: int
    missed: list[int]
    several: list[int]
    unrecorded: list[str]
    doubled: dict[str, int]


_TOLD = """
SELECT a.anomaly_id, a.raised_at_ms, array_remove(array_agg(DISTINCT n.message_id), NULL) AS message_ids
FROM anomalies a LEFT JOIN notifications n USING (anomaly_id)
WHERE (a.site, a.device) = ($1, $2)
GROUP BY a.anomaly_id, a.raised_at_ms
"""


async def mails(
    connection: asyncpg.Connection[Any], device: str, windows: Sequence[Window], received: Mapping[str, int],
    refused: set[str],
) -> Mails:  # fmt: skip
    """Of the alarms in these windows: what the mail server said 250 to. `refused`: what it said 5xx to."""
    rows = await connection.fetch(_TOLD, SITE, device)
    told = [(window.first_row, set(row[2])) for row in rows if (window := _window(row[1], windows))]
    recorded = {row[0] for row in await connection.fetch("SELECT message_id FROM notifications")}
    return Mails(
        expected=len(told),
        missed=[alarm for alarm, ids in told if not ids & (received.keys() | refused)],
        several=[alarm for alarm, ids in told if len(ids & received.keys()) > 1],
        unrecorded=[name for name in received if name not in recorded],
        doubled={name: times for name, times in received.items() if times > 1},
    )


async def stumbles(connection: asyncpg.Connection[Any]) -> int:
    """How often an agent put aside what nothing was wrong with, because it could not do its own work."""
    return int(await connection.fetchval("SELECT count(*) FROM rejected WHERE reason = 'internal_error'"))


async def in_transactions(connection: asyncpg.Connection[Any]) -> int:
    """How many transactions of Ronda's are open at this moment."""
    query = """
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
    """
    return int(await connection.fetchval(query))
