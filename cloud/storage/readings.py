"""The stored readings: written once and in one transaction, and read back for people, the detector and the trainer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any

import asyncpg
import msgspec
from sqlalchemy import BigInteger, Select, func, select, text, tuple_

from cloud.storage import reading_queries as sql
from cloud.storage.database import Database
from cloud.storage.devices import SEED_ORIGIN
from cloud.storage.ingest import Stored, ingest
from cloud.storage.reading_blocks import (
    Grown,
    LastSeen,
    Learner,
    Ledger,
    Position,
    ReadingBlock,
    ReadingRow,
    TrainingRows,
    column_block,
    training_rows,
)
from cloud.storage.reading_series import drawn
from cloud.storage.resolution import Drawn
from cloud.storage.tables import Boot, Device, ModelVersion, Promotion, Reading, RetiredReadings
from contract.events import ReadingRejectedEvent, ValidatedDataEvent, Watermark
from contract.identity import UNCOUNTED_BOOT

__all__ = ["ReadingStore", "Stored"]

_BLOCK = (
    Reading.boot,
    Reading.seq,
    Reading.measured_at_ms,
    Reading.received_at_ms,
    Reading.values,
    Reading.replayed,
    Reading.request_id,
)
# What a correlation id finds at most: an HTTP client's whole request.
_REQUEST_ROWS = 1000
# A column of 64 bits with a sign; the digests of uncounted readings use all of it.
_LARGEST_SEQ = 2**63 - 1
# A past that was made up, a recording that is played, a demonstration.
_SHOWS_SOMETHING = (SEED_ORIGIN, "replay", "demo")


class ReadingStore:
    """Readings in, readings out."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def store(self, validated: Sequence[ValidatedDataEvent], rejected: Sequence[ReadingRejectedEvent]) -> Stored:
        """Store readings and refusals in one transaction; the same ones again change nothing.

        A reading whose identity is stored with another time or other values is never written over: it is quarantined
        and returned in `conflicts`. Raises: TransientError when the database is away; nothing is stored then.
        """
        try:
            async with self._database.copying() as connection:
                return await ingest(connection, validated, rejected)
        except asyncpg.UniqueViolationError:
            # The boots know less than the store holds, as after a repair by hand: every reading is looked for.
            async with self._database.copying() as connection:
                return await ingest(connection, validated, rejected, believing=False)

    async def readings(
        self, site: str, device: str, *, from_ms: int | None = None, to_ms: int | None = None, limit: int
    ) -> ReadingBlock:
        """The newest `limit` readings measured from `from_ms` up to and with `to_ms`, oldest first."""
        newest = _between(select(*_BLOCK), site, device, from_ms, to_ms)
        newest = newest.order_by(Reading.measured_at_ms.desc(), Reading.boot.desc(), Reading.seq.desc()).limit(limit)
        rows = await self._rows(newest)
        return column_block(site, device, await self._metrics(site, device), rows[::-1])

    async def drawn(
        self, site: str, device: str, *, from_ms: int | None, to_ms: int | None, points: int, most: int
    ) -> Drawn:
        """What a chart of so many points needs of a span, from at most `most` rows: readings, minutes or hours."""

        async def fetch(from_ms: int | None, to_ms: int | None, limit: int) -> ReadingBlock:
            return await self.readings(site, device, from_ms=from_ms, to_ms=to_ms, limit=limit)

        return await drawn(self._database, site, device, fetch, (from_ms, to_ms), points=points, most=most)

    async def rows_after(
        self, site: str, device: str, after: Position, *, limit: int, to_ms: int | None = None
    ) -> ReadingBlock:
        """The next `limit` readings after `after` in the order of their own time, as the detector reads them."""
        place = tuple_(Reading.measured_at_ms, Reading.boot, Reading.seq)
        following = (
            _between(select(*_BLOCK), site, device, after.measured_at_ms, to_ms)
            .where(place > tuple_(after.measured_at_ms, after.boot, after.seq))
            .order_by(Reading.measured_at_ms, Reading.boot, Reading.seq)
            .limit(limit)
        )
        rows = await self._rows(following)
        return column_block(site, device, await self._metrics(site, device), rows)

    async def training_rows(
        self, site: str, device: str, *, limit: int, from_ms: int | None = None, to_ms: int | None = None
    ) -> TrainingRows:
        """The oldest `limit` readings measured from `from_ms` up to and with `to_ms`, as arrays."""
        oldest = _between(select(Reading.measured_at_ms, Reading.values), site, device, from_ms, to_ms)
        oldest = oldest.order_by(Reading.measured_at_ms, Reading.boot, Reading.seq).limit(limit)
        rows = await self._rows(oldest)
        return training_rows(site, device, await self._metrics(site, device), rows)

    async def reaching_back(self, site: str, device: str, through_ms: int, rows: int) -> int | None:
        """The time of the reading that is `rows` before the last one up to `through_ms`; None: there are fewer."""
        times = _between(select(Reading.measured_at_ms), site, device, None, through_ms)
        found = await self._rows(times.order_by(Reading.measured_at_ms.desc()).offset(rows - 1).limit(1))
        return int(found[0][0]) if found else None

    async def find(self, site: str, device: str, boot: str, seq: int) -> ReadingRow | None:
        """The reading with this identity, or None."""
        wanted = select(Reading.__table__).where(
            Reading.site == site, Reading.device == device, Reading.boot == boot, Reading.seq == seq
        )
        found = await self._found(wanted)
        return found[0] if found else None

    async def by_correlation(self, correlation_id: str) -> list[ReadingRow]:
        """The readings that this id follows: those of a request that had it, or the one whose identity it spells."""
        wanted = select(Reading.__table__).where(Reading.request_id == correlation_id)
        found = await self._found(wanted.order_by(Reading.measured_at_ms, Reading.seq).limit(_REQUEST_ROWS))
        site, _, rest = correlation_id.partition(".")
        device, _, rest = rest.partition(".")
        boot, _, seq = rest.partition(".")
        if found or not (seq.isascii() and seq.isdigit() and int(seq) <= _LARGEST_SEQ):
            return found
        one = await self.find(site, device, boot, int(seq))
        return [] if one is None else [one]

    async def count_between(self, site: str, device: str, from_ms: int, to_ms: int) -> int:
        """How many readings of a device were measured from `from_ms` up to and with `to_ms`."""
        counted = _between(select(func.count()).select_from(Reading), site, device, from_ms, to_ms)
        return int((await self._rows(counted))[0][0])

    async def count(self, site: str | None = None, device: str | None = None) -> int:
        """How many readings are stored, of everybody, one site or one device."""
        counted = select(func.count()).select_from(Reading)
        counted = counted if site is None else counted.where(Reading.site == site)
        counted = counted if device is None else counted.where(Reading.device == device)
        return int((await self._rows(counted))[0][0])

    async def watermark(self, site: str, device: str) -> Watermark | None:
        """The watermark of the device's latest boot; None when it never sent a counted reading."""
        about = {"site": site, "device": device, "uncounted": UNCOUNTED_BOOT}
        async with self._database.begin() as connection:
            row = (await connection.execute(text(sql.LATEST_WATERMARK), about)).one_or_none()
        return None if row is None else Watermark(boot=row.boot, through=row.through)

    async def watermarks(self, site: str, device: str, boots: Collection[str]) -> dict[str, int]:
        """Boot → its watermark, of those of the device's boots that count."""
        about = {"site": site, "device": device, "boots": list(boots), "uncounted": UNCOUNTED_BOOT}
        async with self._database.begin() as connection:
            rows = await connection.execute(text(sql.WATERMARKS), about)
            return {row.boot: row.through for row in rows}

    async def ledger(self) -> list[Ledger]:
        """What became of everybody's readings, by site and device."""
        async with self._database.begin() as connection:
            rows = await connection.execute(text(sql.LEDGER), {"uncounted": UNCOUNTED_BOOT})
            return [_ledger(row._asdict()) for row in rows]

    async def last_seen(self) -> dict[tuple[str, str], LastSeen]:
        """Each registered device's newest reading; devices without one are left out."""
        async with self._database.begin() as connection:
            rows = await connection.execute(text(sql.LAST_SEEN))
            return {(site, device): LastSeen(measured_at_ms=at, received_at_ms=by) for site, device, at, by in rows}

    async def devices_ready_to_learn(self, default_rows: int) -> list[Learner]:
        """Devices without a model that have enough readings for their first; revoked and seeded ones are left alone."""
        need = func.coalesce(Device.learn_rows, default_rows)
        promoted = select(Promotion).where(Promotion.site == Device.site, Promotion.device == Device.device)
        ready = (
            select(Device.site, Device.device, need.label("learn_rows"), _there(Device).label("stored"))
            .join(Boot, (Boot.site == Device.site) & (Boot.device == Device.device))
            .where(Device.revoked_at_ms.is_(None), Device.origin != SEED_ORIGIN, ~promoted.exists())
            .group_by(Device.site, Device.device)
            .having(_there(Device) >= need)
            .order_by(Device.site, Device.device)
        )
        return [Learner(site=s, device=d, learn_rows=n, stored=int(has)) for s, d, n, has in await self._rows(ready)]

    async def devices_to_learn_anew(self, model_format: int) -> list[Grown]:
        """Devices all of whose models are of an earlier format than this, which nobody can read any more."""
        outdated = (
            select(Device.site, Device.device, func.max(ModelVersion.rows))
            .join(ModelVersion, (ModelVersion.site == Device.site) & (ModelVersion.device == Device.device))
            .where(Device.revoked_at_ms.is_(None), Device.origin != SEED_ORIGIN)
            .group_by(Device.site, Device.device)
            .having(func.max(ModelVersion.format) < model_format)
            .order_by(Device.site, Device.device)
        )
        return [Grown(site=s, device=d, needed=n, stored=n) for s, d, n in await self._rows(outdated)]

    async def devices_that_grew(self, most_rows: int, most_numbers: int) -> list[Grown]:
        """Devices with twice as many readings as their largest model was fitted on, or at last with as many as a fit
        takes: `most_rows`, and `most_numbers` in all channels together.

        Left alone are revoked ones, those whose `learn_rows` a person set, and machines that only show something: what
        they send is a fault on purpose.
        """
        channels = func.greatest(func.jsonb_array_length(Device.metrics), 1)
        most = func.least(most_rows, most_numbers / channels, type_=BigInteger)
        largest = select(func.max(ModelVersion.rows)).where(
            ModelVersion.site == Device.site, ModelVersion.device == Device.device
        )
        learner = select(Device.site, Device.device, largest.scalar_subquery().label("largest"), most.label("most"))
        learner = learner.where(
            Device.revoked_at_ms.is_(None), Device.learn_rows.is_(None), Device.origin.not_in(_SHOWS_SOMETHING)
        )
        of = learner.subquery()
        needed = func.least(2 * of.c.largest, of.c.most)
        grown = (
            select(of.c.site, of.c.device, needed, _there(of.c))
            .join(Boot, (Boot.site == of.c.site) & (Boot.device == of.c.device))
            .where(of.c.largest < of.c.most)
            .group_by(of.c.site, of.c.device, of.c.largest, of.c.most)
            .having(_there(of.c) >= needed)
            .order_by(of.c.site, of.c.device)
        )
        return [Grown(site=s, device=d, needed=int(n), stored=int(has)) for s, d, n, has in await self._rows(grown)]

    async def devices_at_a_loss(self, rows: int) -> list[tuple[str, str]]:
        """Devices that have run for so many readings as no model of theirs has ever seen them run: site and device."""
        wanted = {"rows": rows, "shows": list(_SHOWS_SOMETHING)}
        async with self._database.begin() as connection:
            return [(site, device) for site, device in await connection.execute(text(sql.AT_A_LOSS), wanted)]

    async def _rows(self, query: Select[*tuple[Any, ...]]) -> list[Any]:
        async with self._database.begin() as connection:
            return list(await connection.execute(query))

    async def _metrics(self, site: str, device: str) -> list[str]:
        """Read after the rows: what was appended meanwhile is only more."""
        wanted = select(Device.metrics).where(Device.site == site, Device.device == device)
        rows = await self._rows(wanted)
        return [metric["name"] for metric in rows[0][0] or []] if rows else []

    async def _found(self, query: Select[*tuple[Any, ...]]) -> list[ReadingRow]:
        rows = await self._rows(query)
        devices = {(row.site, row.device) for row in rows}
        names = {device: await self._metrics(*device) for device in devices}
        return [_reading(row, names[row.site, row.device]) for row in rows]


def _reading(row: Any, metrics: Sequence[str]) -> ReadingRow:
    named = zip(metrics, row.values, strict=False)
    values = {name: value for name, value in named if value is not None}
    return msgspec.convert({**row._asdict(), "values": values}, ReadingRow)


def _there(of: Any) -> Any:
    """How many readings a device (a row with `site` and `device`) has, grouped with its boots: without what retired."""
    gone = select(func.coalesce(func.sum(RetiredReadings.readings), 0)).where(
        RetiredReadings.site == of.site, RetiredReadings.device == of.device
    )
    return func.sum(Boot.stored) - gone.scalar_subquery()


def _ledger(entry: dict[str, Any]) -> Ledger:
    """Sums come as decimals, since that of what a device claims may be larger than its terms' type."""
    plain = {name: int(value) if isinstance(value, Decimal) else value for name, value in entry.items()}
    return msgspec.convert(plain, Ledger)


def _between(
    query: Select[*tuple[Any, ...]], site: str, device: str, from_ms: int | None, to_ms: int | None
) -> Select[*tuple[Any, ...]]:
    query = query.where(Reading.site == site, Reading.device == device)
    query = query if from_ms is None else query.where(Reading.measured_at_ms >= from_ms)
    return query if to_ms is None else query.where(Reading.measured_at_ms <= to_ms)
