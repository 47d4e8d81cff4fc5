"""The quarantine as the API shows it."""

from __future__ import annotations

from typing import Any

import msgspec

from cloud.api.paging import bad_cursor
from cloud.api.quarantine_advice import advice
from cloud.api.replayed_message import message_of
from cloud.api.replaying import Outcome
from cloud.api.shown_bytes import Shown, escaped, show
from cloud.api.times import iso
from cloud.storage.quarantine import CauseOfRefusal, Place, Rejection, Totals

# As much of a payload as fits into a line.
_BEGINNING = 120


class EntryView(msgspec.Struct, frozen=True, kw_only=True):
    """One refusal. `beginning` of its `size` bytes, escaped; `settled`: all of it is accounted for elsewhere by now."""

    id: str
    site: str
    device: str
    boot: str | None
    seq: int | None
    stage: str
    reason: str
    detail: str
    topic: str
    size: int
    beginning: str
    received_at_ms: int
    received_at: str
    correlation_id: str | None
    replayed_at: str | None
    settled: bool


class EntryDetail(EntryView, frozen=True, kw_only=True):
    """One with its bytes and what to do about it; `replayable`: there is a door that it could go through again."""

    payload: Shown
    advice: str
    replayable: bool


class EntryPage(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first; `next` is the cursor of the page behind. `causes`: why most of what waits was refused."""

    items: list[EntryView]
    next: str | None
    totals: Totals
    causes: list[CauseOfRefusal]


class ReplayPage(msgspec.Struct, frozen=True, kw_only=True):
    """What became of each entry, oldest first; `next`: send it as `cursor` to go on."""

    items: list[Outcome]
    next: str | None


class ArchivedView(msgspec.Struct, frozen=True, kw_only=True):
    """How many entries were moved, into which archives."""

    archived: int
    archives: list[str]


class UnarchivedView(msgspec.Struct, frozen=True, kw_only=True):
    """The entries that an archive gave back, oldest first."""

    ids: list[str]


def entry_view(entry: Rejection) -> EntryView:
    """One of a list."""
    return EntryView(**_told(entry))


def entry_detail(entry: Rejection) -> EntryDetail:
    """One by itself."""
    return EntryDetail(
        **_told(entry),
        payload=show(entry.payload),
        advice=advice(entry.reason),
        replayable=entry.settled_at_ms is None and message_of(entry) is not None,
    )


def _told(entry: Rejection) -> dict[str, Any]:
    shown = show(entry.payload, _BEGINNING)
    return {
        "id": entry.id,
        "site": entry.site,
        "device": entry.device,
        "boot": entry.boot,
        "seq": entry.seq,
        "stage": entry.stage,
        "reason": entry.reason,
        "detail": escaped(entry.detail),
        "topic": escaped(entry.topic),
        "size": entry.size,
        "beginning": shown.text if shown.text is not None else entry.payload[:_BEGINNING].hex(" "),
        "received_at_ms": entry.received_at_ms,
        "received_at": iso(entry.received_at_ms),
        "correlation_id": entry.correlation_id,
        "replayed_at": None if entry.replayed_at_ms is None else iso(entry.replayed_at_ms),
        "settled": entry.settled_at_ms is not None,
    }


def write_cursor(place: Place) -> str:
    """`received_at_ms.id`."""
    return f"{place.received_at_ms}.{place.id}"


def read_cursor(cursor: str) -> Place:
    """The reverse. Raises: Problem 422."""
    at_ms, _, rejection_id = cursor.partition(".")
    # A bigint's digits, and no more of an id than ours have.
    if not (
        at_ms.isascii() and at_ms.isdigit() and len(at_ms) <= 18 and rejection_id.isalnum() and rejection_id.isascii()
    ):
        raise bad_cursor(cursor)
    return Place(int(at_ms), rejection_id)
