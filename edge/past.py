"""The healthy past of an emulated pump: what it would have in its ring, had it run before anybody listened."""

from __future__ import annotations

import msgspec

from edge.buffer import BACKFILL, Buffer
from edge.flash import Flash, Past
from edge.pump import Pump
from edge.uplink import Uplink

# Half an hour of healthy running at one reading a second is what a detector needs to learn a machine (fewer rows gave
# false alarms in the measurements), and two minutes more, so that a row that is left out is not missed.
HISTORY_ROWS = 1800 + 120


def fill(buffer: Buffer, past: Past, pump: Pump, phase_ms: int) -> None:
    """Put the readings of `past` into the ring, flagged as back-fill. `phase_ms`: when within a second it measures."""
    for second, values in enumerate(pump.measure(past.first_s, past.rows), start=past.first_s):
        buffer.hold(second * 1000 + phase_ms, values, BACKFILL)


def unfinished(flash: Flash, pump: Pump, phase_ms: int) -> Buffer | None:
    """The ring of an earlier power-up whose back-fill never got through, with the same identities; or None."""
    past = flash.memory.past
    if past is None or past.done:
        return None
    buffer = Buffer(past.boot, past.rows, next_seq=past.first_seq)
    fill(buffer, past, pump, phase_ms)
    return buffer


def arrived(flash: Flash, uplink: Uplink) -> bool:
    """Is there a back-fill of which the store has all, and which is not yet noted as done?"""
    past = flash.memory.past
    return past is not None and not past.done and uplink.through(past.boot) >= past.last_seq


def note_arrival(flash: Flash) -> None:
    """The store has the past: never send it again."""
    if past := flash.memory.past:
        flash.remember_past(msgspec.structs.replace(past, done=True))
