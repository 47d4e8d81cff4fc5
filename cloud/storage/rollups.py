"""Readings added up by the minute and by the hour, behind whoever stores them and at his cost of one column.

Each transaction that stores readings notes their minutes in the row of the boot that it writes anyway. Now and then
these notes are handed over to a list of work, in a short transaction; then the list is worked off, the newest minutes
first, each piece again from the readings that are there: doing it twice, or after a kill, gives the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from cloud.storage import rollup_sql as sql
from cloud.storage.database import Database
from cloud.storage.ingest_sql import Connection
from cloud.storage.rollup_due import MINUTE_MS, merged, multirange_of, newest
from cloud.storage.seqs import Run

_HOUR = 60
# 72,000 readings at one a second: about a fifth of a second, in which nobody waits.
_MINUTES_AT_ONCE = 1200
_DEVICES_AT_ONCE = 500
# "rollu" as a number: of several processes one does it.
ONE_AT_A_TIME = 0x726F6C6C75


class _Piece(NamedTuple):
    """Some of the minutes that one entry of the list has."""

    id: int
    site: str
    device: str
    width: int
    runs: list[Run]


class RollUps:
    """Brings minutes and hours up to date."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def hand_over(self) -> int:
        """Put on the list what was stored since. Returns of how many boots."""
        async with self._database.copying() as connection:
            rows = await connection.fetch(sql.LOCK_DUE)
            if rows:
                await connection.execute(sql.HAND_OVER, *([row[at] for row in rows] for at in range(4)))
            return len(rows)

    async def work_off(self) -> int:
        """Add up the next pieces of the list. Returns how many minutes they had; 0: nothing is due."""
        async with self._database.copying() as connection:
            if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", ONE_AT_A_TIME):
                return 0
            await connection.execute("SET LOCAL statement_timeout = 0")
            pieces = _pieces(await connection.fetch(sql.WAITING, _DEVICES_AT_ONCE))
            await _add_up(connection, pieces)
            if pieces:
                done = [multirange_of(piece.runs) for piece in pieces]
                await connection.execute(sql.DONE, [piece.id for piece in pieces], done)
            return sum(run.high - run.low for piece in pieces for run in piece.runs)

    async def bring_up_to_date(self) -> int:
        """All that is due now. Returns how many minutes that were."""
        await self.hand_over()
        total = 0
        while done := await self.work_off():
            total += done
        return total


def _pieces(rows: Sequence[Any]) -> list[_Piece]:
    left, pieces = _MINUTES_AT_ONCE, []
    for id_, site, device, minutes, width in rows:
        runs = newest([Run(each.lower, each.upper) for each in minutes], left)
        left -= sum(run.high - run.low for run in runs)
        pieces.append(_Piece(id_, site, device, width, runs))
        if left <= 0:
            break
    return pieces


async def _add_up(connection: Connection, pieces: Iterable[_Piece]) -> None:
    by_width: dict[int, list[_Piece]] = defaultdict(list)
    for piece in pieces:
        by_width[piece.width].append(piece)
    for width, alike in by_width.items():
        await connection.execute(sql.minutes(width), *_columns(alike, 1))
        await connection.execute(sql.hours(width), *_columns(alike, _HOUR))


def _columns(pieces: Sequence[_Piece], step: int) -> list[list[Any]]:
    """Site, device, from and end of every stretch, in whole steps of so many minutes; no minute of a device twice."""
    of_device: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for piece in pieces:
        of_device[piece.site, piece.device] += piece.runs
    wanted = [
        (*device, run.low * MINUTE_MS, run.high * MINUTE_MS)
        for device, found in of_device.items()
        for run in merged(found, step)
    ]
    return [list(column) for column in zip(*wanted, strict=True)]
