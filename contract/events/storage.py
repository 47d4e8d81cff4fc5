"""What the store has, as a sender is told it: what it may delete."""

from __future__ import annotations

import msgspec

from contract.events.event import Event


class Watermark(msgspec.Struct, frozen=True, kw_only=True):
    """On `stored`: everything of this boot up to and with `through` is stored or accounted for (-1: nothing yet)."""

    boot: str
    through: int


class StoredEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The store's word to a device, on `stored` (retained) as a bare `Watermark`: delete up to `through`."""

    boot: str
    through: int
