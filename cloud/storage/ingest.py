"""One transaction of the Historian: what arrived becomes stored, refused or lost, each exactly once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

import msgspec

from cloud.storage import ingest_sql as sql
from cloud.storage.ingest_copy import copy_readings
from cloud.storage.ingest_retired import take_out_what_is_retired
from cloud.storage.ingest_rows import BootKey, Identity, Sorted, key_of, key_of_rejected, sort
from cloud.storage.ingest_sql import BootState, Change, Connection, Known
from cloud.storage.metric_order import metric_order
from cloud.storage.rollup_due import due
from cloud.storage.seqs import NOTHING, Accounted, multirange
from contract.events import ReadingRejectedEvent, ValidatedDataEvent, Watermark

_DAY_MS = 24 * 60 * 60 * 1000


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What one call stored.

    `watermarks` has, per device, that of the latest boot concerned; `earlier` those of its other boots, oldest first:
    a device that restarted waits for them too, so they are published before. `conflicts` are to be published.
    """

    watermarks: dict[tuple[str, str], Watermark]
    earlier: dict[tuple[str, str], list[Watermark]]
    conflicts: list[ReadingRejectedEvent]
    stored: int
    repeats: int


async def ingest(
    connection: Connection,
    validated: Sequence[ValidatedDataEvent],
    rejected: Sequence[ReadingRejectedEvent],
    *,
    believing: bool = True,
) -> Stored:
    """Store and account for everything, inside the caller's transaction.

    `believing`: what a boot does not account for is not in the store, as it should be, and goes straight to its place.
    Raises: asyncpg.UniqueViolationError when it is there all the same; nothing is stored then.
    """
    # First of all: who waits here for another Historian to make a month must not hold a boot that the other wants.
    await sql.make_room(connection, {at_ms // _DAY_MS for block in validated for at_ms in block.measured_at_ms})
    touched = _touched(validated, rejected)
    order = await metric_order(connection, validated)
    boots = await sql.lock_boots(connection, {key: touch.first_seen_ms for key, touch in touched.items()})
    straight = {key for key, touch in touched.items() if believing and touch.is_new(key, boots[key])}
    await copy_readings(
        connection, [(block, order[key_of(block).of]) for block in validated if key_of(block) in straight]
    )
    known = await sql.look_up(connection, _accounted_before(touched, boots, but=straight))
    others = [block for block in validated if key_of(block) not in straight]
    arrived = sort(others, order, {identity: had.content for identity, had in known.items() if had.content})
    again = await take_out_what_is_retired(connection, arrived, known)
    rows = [row for taken in arrived.rows.values() for row in taken.values()]
    inserted = await sql.insert_readings(connection, rows)
    absorbed = len(rows) - sum(inserted.values())
    inserted |= {key: touched[key].readings for key in straight}
    accepted = _accepted_after_all(arrived, known)
    await sql.count_as_stored(connection, accepted)
    fresh = await sql.quarantine(connection, [*rejected, *arrived.conflicts])
    refused = _newly_refused(rejected, arrived, known)
    await sql.count_as_refused(connection, refused)
    change = _change_of_refused(rejected, fresh, refused, accepted)
    changes = [touch.change(key, boots[key].floor, inserted.get(key, 0), change[key]) for key, touch in touched.items()]
    current, earlier = _watermarks(await sql.account(connection, changes))
    return Stored(
        watermarks=current,
        earlier=earlier,
        conflicts=arrived.conflicts,
        stored=sum(inserted.values()),
        repeats=arrived.repeats + again + absorbed,
    )


class _Touch:
    """What arrived of one boot."""

    def __init__(self, first_seen_ms: int) -> None:
        self.first_seen_ms = first_seen_ms
        self.seqs: list[int] = []
        self.times_ms: list[int] = []
        self.oldest = 0

    @property
    def readings(self) -> int:
        """How many there are, refusals left out."""
        return len(self.times_ms)

    def is_new(self, key: BootKey, accounted: Accounted) -> bool:
        """Did none of it arrive before, neither alone nor twice in this batch? Uncounted readings are never sure."""
        distinct = len(set(self.seqs)) == len(self.seqs)
        return key.counted and distinct and not accounted.has_any(min(self.seqs), max(self.seqs))

    def change(self, key: BootKey, floor: int, stored: int, rejected: int) -> Change:
        accounted = multirange(self.seqs, max(self.oldest, floor)) if key.counted else NOTHING
        minutes = due(self.times_ms) if stored else NOTHING
        return Change(key, accounted, stored, rejected, self.first_seen_ms, minutes)


def _touched(
    validated: Sequence[ValidatedDataEvent], rejected: Sequence[ReadingRejectedEvent]
) -> dict[BootKey, _Touch]:
    touched: dict[BootKey, _Touch] = {}
    for block in validated:
        touch = _touch(touched, key_of(block), block.received_at_ms)
        touch.seqs += block.seq
        touch.times_ms += block.measured_at_ms
        # A sender still holds what it sends; whatever else it claims, more than this cannot be lost.
        touch.oldest = max(touch.oldest, min(block.oldest or 0, max(block.seq) + 1))
    for refusal in rejected:
        touch = _touch(touched, key_of_rejected(refusal), refusal.received_at_ms)
        touch.seqs += [] if refusal.seq is None else [refusal.seq]
    return touched


def _touch(touched: dict[BootKey, _Touch], key: BootKey, at_ms: int) -> _Touch:
    touch = touched.setdefault(key, _Touch(at_ms))
    touch.first_seen_ms = min(touch.first_seen_ms, at_ms)
    return touch


def _accounted_before(
    touched: Mapping[BootKey, _Touch], boots: Mapping[BootKey, Accounted], *, but: AbstractSet[BootKey]
) -> set[Identity]:
    """The readings that are repeats, contradictions, or late ones that were thought lost or were refused."""
    asked = {key: touch for key, touch in touched.items() if key.counted and key not in but}
    return {(key, seq) for key, touch in asked.items() for seq in touch.seqs if seq in boots[key]}


def _accepted_after_all(arrived: Sorted, known: Mapping[Identity, Known]) -> dict[Identity, int]:
    """The readings that counted as refused and are stored now, with the time of it."""
    return {
        (key, seq): arrived.rows[key][seq].received_at_ms
        for (key, seq), had in known.items()
        if had.refused and not had.content and seq in arrived.rows.get(key, ())
    }


def _newly_refused(
    rejected: Sequence[ReadingRejectedEvent], arrived: Sorted, known: Mapping[Identity, Known]
) -> set[Identity]:
    """The numbered readings that count as refused from now on; one that is stored does not."""
    numbered = {(key_of_rejected(event), event.seq or 0) for event in rejected}
    return {
        (key, seq)
        for key, seq in numbered
        if key.counted and not _was_counted(known.get((key, seq))) and seq not in arrived.rows.get(key, ())
    }


def _was_counted(had: Known | None) -> bool:
    return had is not None and (had.refused or had.content is not None)


def _change_of_refused(
    rejected: Sequence[ReadingRejectedEvent], fresh: set[str], refused: Iterable[Identity], accepted: Iterable[Identity]
) -> Counter[BootKey]:
    """By how much each boot's count of refused readings changes."""
    change = Counter(key for key, _ in refused)
    change.subtract(key for key, _ in accepted)
    unnumbered = {event.id: key_of_rejected(event) for event in rejected}
    change.update(key for id_, key in unnumbered.items() if not key.counted and id_ in fresh)
    return change


def _watermarks(
    boots: Mapping[BootKey, BootState],
) -> tuple[dict[tuple[str, str], Watermark], dict[tuple[str, str], list[Watermark]]]:
    by_device: dict[tuple[str, str], list[Watermark]] = {}
    for key, state in sorted(boots.items(), key=lambda item: item[1].first_seen_ms):
        if key.counted:
            mark = Watermark(boot=key.boot, through=state.accounted.through)
            by_device.setdefault((key.site, key.device), []).append(mark)
    return {of: marks[-1] for of, marks in by_device.items()}, {
        of: marks[:-1] for of, marks in by_device.items() if marks[:-1]
    }
