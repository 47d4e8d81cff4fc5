"""Takes away what is older than it is to be kept: readings by whole months, minutes and hours by the month.

Readings go once their minutes were counted against them, minutes once their hours were; never before. What was stored
stays counted as stored, and a repeat of it is known for one (`ingest_retired`).
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from cloud.storage import retention_sql as sql
from cloud.storage.database import Database
from cloud.storage.ingest_sql import Connection
from cloud.storage.layout import Layout, readings_layout
from cloud.storage.rollups import ONE_AT_A_TIME
from contract.errors import TransientError

log = logging.getLogger("ronda.storage")

DAY_MS = 24 * 60 * 60 * 1000
# Below the server's deadlock_timeout of a second: whoever stores readings is never the one that has to give way.
_WAIT = "SET LOCAL lock_timeout = '500ms'"
# Counting a month of a large plant takes longer than any question may.
_TAKE_TIME = "SET LOCAL statement_timeout = 0"


class What(enum.StrEnum):
    """What is kept for how long."""

    READINGS = "readings"
    MINUTES = "minutes"
    HOURS = "hours"


class Keep(NamedTuple):
    """For how many days each is kept; 0: for ever. Each at least as long as what is finer."""

    readings_days: int
    minutes_days: int
    hours_days: int


class Fate(enum.StrEnum):
    """What becomes of something that is old enough."""

    GONE = "gone"
    ARRIVED_LATELY = "arrived lately"
    NOT_ADDED_UP = "not added up yet"
    HELD_UP = "what it is made of is still there"
    BUSY = "in use"


class Old(NamedTuple):
    """Something that is older than it is to be kept; `name`: its table. `rows` are about so many until it is gone."""

    what: What
    name: str
    from_ms: int
    end_ms: int
    rows: int


class Outcome(NamedTuple):
    """What became of it."""

    old: Old
    fate: Fate


class Retention:
    """Says what is too old, and takes it away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def old(self, keep: Keep, now_ms: int) -> list[Old]:
        """What is older than it is to be kept, the oldest first."""
        found: list[Old] = []
        async with self._database.begin() as connection:
            layout = await readings_layout(connection)
        async with self._database.copying() as connection:
            await connection.execute(_TAKE_TIME)
            if keep.readings_days:
                found += await _old_parts(connection, layout, now_ms - keep.readings_days * DAY_MS)
            for what, table, days in (
                (What.MINUTES, "readings_by_minute", keep.minutes_days),
                (What.HOURS, "readings_by_hour", keep.hours_days),
            ):
                if days:
                    found += await _old_months(connection, what, table, month_of(now_ms - days * DAY_MS))
        return found

    async def apply(self, keep: Keep, now_ms: int) -> list[Outcome]:
        """Take away what may go. The rest is tried the next time, and nothing waits for it."""
        outcomes = []
        for each in await self.old(keep, now_ms):
            try:
                outcome = await self._take_away(each, keep, now_ms)
            except TransientError:
                outcome = Outcome(each, Fate.BUSY)
            _tell(outcome)
            outcomes.append(outcome)
        return outcomes

    async def _take_away(self, old: Old, keep: Keep, now_ms: int) -> Outcome:
        async with self._database.copying() as connection:
            await connection.execute(f"{_WAIT}; {_TAKE_TIME}")
            # Nobody adds up meanwhile what is counted here.
            await connection.execute("SELECT pg_advisory_xact_lock($1)", ONE_AT_A_TIME)
            if old.what is What.READINGS:
                return await _drop(connection, old, now_ms - keep.readings_days * DAY_MS, now_ms)
            return await _delete(connection, old, now_ms)


def month_of(at_ms: int) -> int:
    """The beginning (UTC) of the month of this time."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return int(datetime(at.year, at.month, 1, tzinfo=UTC).timestamp() * 1000)


async def _old_parts(connection: Connection, layout: Layout, before_ms: int) -> list[Old]:
    parts = await connection.fetch(sql.PARTITIONS if layout == "partitions" else sql.CHUNKS)
    return [
        Old(What.READINGS, name, from_ms, end_ms, await connection.fetchval(sql.ABOUT, name))
        for name, from_ms, end_ms in parts
        if end_ms <= before_ms
    ]


async def _old_months(connection: Connection, what: What, table: str, before_ms: int) -> list[Old]:
    first = await connection.fetchval(sql.FIRST.format(table=table))
    if first is None or first >= before_ms:
        return []
    rows = await connection.fetchval(f"SELECT count(*) FROM {table} WHERE from_ms < $1", before_ms)  # noqa: S608  # a name of ours
    return [Old(what, table, month_of(first), before_ms, rows)]


async def _drop(connection: Connection, old: Old, arrived_before_ms: int, now_ms: int) -> Outcome:
    """One part of the readings, with what it held counted by boot."""
    # Who stores readings of that time waits until this is decided.
    await connection.execute(f"LOCK TABLE {old.name} IN SHARE MODE")
    lately = f"SELECT EXISTS (SELECT FROM {old.name} WHERE received_at_ms > $1)"  # noqa: S608  # a name from the catalogue
    if await connection.fetchval(lately, arrived_before_ms):
        return Outcome(old, Fate.ARRIVED_LATELY)
    boots = await connection.fetch(
        f"SELECT site, device, boot, count(*) AS readings FROM {old.name} GROUP BY site, device, boot"  # noqa: S608  # as above
    )
    there: dict[tuple[str, str], int] = {}
    for site, device, _, readings in boots:
        there[site, device] = there.get((site, device), 0) + readings
    if wrong := await _not_added_up(connection, old, there):
        await connection.execute(sql.ADD_UP_AGAIN, *_columns(wrong), old.from_ms, old.end_ms)
        return Outcome(old, Fate.NOT_ADDED_UP)
    rows = sum(there.values())
    await connection.execute("LOCK TABLE ONLY readings IN ACCESS EXCLUSIVE MODE")
    await connection.execute(sql.RETIRE, old.what, old.from_ms, old.end_ms, now_ms, rows)
    if boots:
        await connection.execute(sql.RETIRE_READINGS, *([row[at] for row in boots] for at in range(4)))
    await connection.execute(f"DROP TABLE {old.name}")
    return Outcome(old._replace(rows=rows), Fate.GONE)


async def _not_added_up(connection: Connection, old: Old, there: dict[tuple[str, str], int]) -> list[tuple[str, str]]:
    """The devices whose minutes are of other readings than these."""
    counted = await connection.fetch(sql.MINUTES_HAVE, *_columns(list(there)), old.from_ms, old.end_ms)
    return [(site, device) for site, device, readings in counted if readings != there[site, device]]


async def _delete(connection: Connection, old: Old, now_ms: int) -> Outcome:
    if old.what is What.MINUTES:
        if await connection.fetchval(sql.HELD_UP, old.from_ms, old.end_ms):
            return Outcome(old, Fate.HELD_UP)
        if wrong := await connection.fetch(sql.HOURS_DIFFER, old.from_ms, old.end_ms):
            await connection.execute(
                sql.ADD_UP_AGAIN, *_columns([tuple(row) for row in wrong]), old.from_ms, old.end_ms
            )
            return Outcome(old, Fate.NOT_ADDED_UP)
    elif await connection.fetchval("SELECT EXISTS (SELECT FROM readings_by_minute WHERE from_ms < $1)", old.end_ms):
        return Outcome(old, Fate.HELD_UP)
    done = await connection.execute(f"DELETE FROM {old.name} WHERE from_ms < $1", old.end_ms)  # noqa: S608  # a name of ours
    rows = int(done.rpartition(" ")[2])
    await connection.execute(sql.RETIRE, old.what, old.from_ms, old.end_ms, now_ms, rows)
    return Outcome(old._replace(rows=rows), Fate.GONE)


def _columns(devices: Sequence[tuple[str, ...]]) -> list[list[str]]:
    return [[device[0] for device in devices], [device[1] for device in devices]]


def _tell(outcome: Outcome) -> None:
    old, fate = outcome
    fields = {"what": old.what, "from_ms": old.from_ms, "end_ms": old.end_ms, "rows": old.rows}
    if fate is Fate.GONE:
        log.warning("retention.gone", extra=fields)
    else:
        log.info("retention.kept", extra=fields | {"why": fate})
