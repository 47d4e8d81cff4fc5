"""What was refused, with the reason and the original bytes: looked through, settled, and in the end archived."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Row, Select, func, select, text, tuple_, update

from cloud.storage import quarantine_archive as archive
from cloud.storage.database import Database
from cloud.storage.quarantine_archive import Archived
from cloud.storage.quarantine_return import take_back
from cloud.storage.tables import Rejected
from contract.identity import UNCOUNTED_BOOT
from contract.telemetry import MAX_SEQ

_PLACE = (Rejected.received_at_ms, Rejected.id)
_SIZE = func.octet_length(Rejected.payload).label("size")
_WHOLE = (*Rejected.__table__.c, _SIZE)
# A list shows how a payload begins; a payload may have megabytes.
_BEGINNING = 256
_BRIEF = (
    *(column for column in Rejected.__table__.c if column.key != "payload"),
    func.substr(Rejected.payload, 1, _BEGINNING).label("payload"),
    _SIZE,
)


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """One refused reading, or message where `boot` and `seq` are None.

    `payload` has `size` bytes, in lists only its first 256 of them. `settled_at_ms`: since then all of it is stored, or
    was refused anew as an entry of its own.
    """

    id: str
    site: str
    device: str
    boot: str | None
    seq: int | None
    stage: str
    reason: str
    detail: str
    topic: str
    payload: bytes
    size: int
    received_at_ms: int
    correlation_id: str | None
    replayed_at_ms: int | None = None
    settled_at_ms: int | None = None

    @property
    def place(self) -> Place:
        """Where it stands in the quarantine."""
        return Place(self.received_at_ms, self.id)

    @property
    def numbered(self) -> bool:
        """Is it one reading whose number counts? What has none is counted with the device's uncounted readings."""
        return bool(self.boot) and self.seq is not None and 0 <= self.seq <= MAX_SEQ


class Place(NamedTuple):
    """Where in the quarantine, by time of arrival."""

    received_at_ms: int
    id: str


class Wanted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which entries: None means any. `before_ms`: those that arrived earlier; `settled` None: settled or not."""

    ids: list[str] | None = None
    site: str | None = None
    device: str | None = None
    stage: str | None = None
    reason: str | None = None
    before_ms: int | None = None
    settled: bool | None = False


class CauseOfRefusal(msgspec.Struct, frozen=True, kw_only=True):
    """How many entries wait for the same reason: of one device, at one stage."""

    site: str
    device: str
    stage: str
    reason: str
    entries: int
    first_ms: int
    last_ms: int


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """How full the quarantine is, and how much was archived from it; `bytes` are those of the payloads."""

    entries: int
    waiting: int
    bytes: int
    archived: int
    archives: int


class Quarantine:
    """Reads what the Historian put away. `folder`: where archives go; None: they stay in the database."""

    def __init__(self, database: Database, folder: Path | None = None) -> None:
        self._database = database
        self._folder = folder

    async def newest(self, *, limit: int = 50) -> list[Rejection]:
        """The last refusals, newest first, settled or not."""
        wanted = select(*_WHOLE).order_by(*(each.desc() for each in _PLACE))
        return await self._found(wanted.limit(limit))

    async def page(self, wanted: Wanted, *, limit: int, behind: Place | None = None) -> list[Rejection]:
        """The newest `limit` of those wanted that stand behind `behind`, newest first."""
        query = select(*_BRIEF).where(*_conditions(wanted))
        query = query if behind is None else query.where(tuple_(*_PLACE) < tuple_(*behind))
        return await self._found(query.order_by(*(each.desc() for each in _PLACE)).limit(limit))

    async def oldest(self, wanted: Wanted, *, limit: int, after: Place | None = None) -> list[Rejection]:
        """The oldest `limit` of those wanted behind `after`, oldest first and whole: the order of a replay."""
        query = select(*_WHOLE).where(*_conditions(wanted))
        query = query if after is None else query.where(tuple_(*_PLACE) > tuple_(*after))
        return await self._found(query.order_by(*_PLACE).limit(limit))

    async def get(self, rejection_id: str) -> Rejection | None:
        """One, or None."""
        found = await self._found(select(*_WHOLE).where(Rejected.id == rejection_id))
        return found[0] if found else None

    async def by_correlation(self, correlation_id: str) -> list[Rejection]:
        """What was refused of a message with this id."""
        wanted = select(*_WHOLE).where(Rejected.correlation_id == correlation_id)
        return await self._found(wanted.order_by(*_PLACE))

    async def causes(self, *, limit: int, since_ms: int = 0) -> list[CauseOfRefusal]:
        """Why most of what waits and arrived since then was refused, the most frequent first."""
        named = (Rejected.site, Rejected.device, Rejected.stage, Rejected.reason)
        entries, first, last = func.count(), func.min(Rejected.received_at_ms), func.max(Rejected.received_at_ms)
        query = select(*named, entries.label("entries"), first.label("first_ms"), last.label("last_ms"))
        query = query.where(Rejected.settled_at_ms.is_(None), Rejected.received_at_ms >= since_ms).group_by(*named)
        async with self._database.begin() as connection:
            rows = await connection.execute(query.order_by(entries.desc(), *named).limit(limit))
            return [CauseOfRefusal(**row._asdict()) for row in rows]

    async def totals(self) -> Totals:
        """How full it is."""
        async with self._database.begin() as connection:
            return Totals(**(await connection.execute(text(_TOTALS))).one()._asdict())

    async def replayed(self, ids: Sequence[str], *, at_ms: int) -> None:
        """These are about to go through the door again: noted first, so that a crash in between leaves a trace."""
        change = update(Rejected).where(Rejected.id.in_(ids)).values(replayed_at_ms=at_ms)
        async with self._database.begin() as connection:
            await connection.execute(change)

    async def refused_again(self, rejection_id: str, *, stage: str, reason: str, detail: str) -> None:
        """It stays, and says from now on why it was refused the last time."""
        known = update(Rejected).where(Rejected.id == rejection_id)
        async with self._database.begin() as connection:
            await connection.execute(known.values(stage=stage, reason=reason, detail=detail))

    async def settle(self, rejection: Rejection, *, at_ms: int) -> bool:
        """All of it is accounted for elsewhere; done again it changes nothing. Returns whether it was the first time.

        What has no number of its own stops counting as refused here; for a numbered reading the Historian saw to it
        when it stored it.
        """
        settled = update(Rejected).where(Rejected.id == rejection.id, Rejected.settled_at_ms.is_(None))
        about = {"site": rejection.site, "device": rejection.device, "uncounted": UNCOUNTED_BOOT}
        async with self._database.begin() as connection:
            if not rejection.numbered:
                # First of all, as the Historian does, so that neither waits for the other.
                await connection.execute(text(_LOCK_UNCOUNTED), about)
            first = (await connection.execute(settled.values(settled_at_ms=at_ms))).rowcount > 0
            if first and not rejection.numbered:
                await connection.execute(text(_ONE_FEWER), about)
        return first

    async def archive(self, wanted: Wanted, *, now_ms: int) -> Archived:
        """Move the oldest of those wanted, as many as one archive takes."""
        return await archive.move(self._database, list(_conditions(wanted)), self._folder, now_ms=now_ms)

    async def unarchive(self, name: str) -> list[str] | None:
        """Bring back what an archive took: the ids, oldest first; None where there is none. Raises: ArchiveError."""
        return await take_back(self._database, name, self._folder)

    async def keep_within(self, entries: int, size: int, *, now_ms: int) -> int:
        """Archive the oldest until there is room again within `entries` and `size` bytes. Returns how many went."""
        return await archive.keep_within(self._database, entries, size, self._folder, now_ms=now_ms)

    async def _found(self, query: Select[*tuple[Any, ...]]) -> list[Rejection]:
        async with self._database.begin() as connection:
            return [_rejection(row) for row in await connection.execute(query)]


_TOTALS = """
SELECT count(*) AS entries, count(*) FILTER (WHERE settled_at_ms IS NULL) AS waiting,
       coalesce(sum(octet_length(payload)), 0)::bigint AS bytes,
       (SELECT coalesce(sum(rows), 0)::bigint FROM quarantine_archives) AS archived,
       (SELECT count(*) FROM quarantine_archives) AS archives
FROM rejected
"""
_LOCK_UNCOUNTED = "SELECT FROM boots WHERE site = :site AND device = :device AND boot = :uncounted FOR UPDATE"
_ONE_FEWER = """
UPDATE boots SET rejected = rejected - 1 WHERE site = :site AND device = :device AND boot = :uncounted AND rejected > 0
"""


def _conditions(wanted: Wanted) -> Iterator[ColumnElement[bool]]:
    if wanted.ids is not None:
        yield Rejected.id.in_(wanted.ids)
    for column in (Rejected.site, Rejected.device, Rejected.stage, Rejected.reason):
        if (value := getattr(wanted, column.key)) is not None:
            yield column == value
    if wanted.before_ms is not None:
        yield Rejected.received_at_ms < wanted.before_ms
    if wanted.settled is not None:
        yield Rejected.settled_at_ms.is_not(None) if wanted.settled else Rejected.settled_at_ms.is_(None)


def _rejection(row: Row[*tuple[Any, ...]]) -> Rejection:
    return Rejection(**row._asdict())
