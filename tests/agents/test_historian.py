"""The Historian's word to the devices: after the commit, not too often, and whatever its clock does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cloud.agents.historian import WATERMARK_INTERVAL_MS, Historian
from contract.events import HopEvent, ReadingRejectedEvent, StoredEvent, ValidatedDataEvent, Watermark
from tests.support.readings import BOOT, DEVICE, SITE, block

_HOUR_MS = 60 * 60 * 1000


class Done(NamedTuple):
    """What a transaction did."""

    watermarks: Mapping[tuple[str, str], Watermark]
    earlier: Mapping[tuple[str, str], Sequence[Watermark]]
    conflicts: Sequence[ReadingRejectedEvent]


class MemoryStore:
    """Remembers how far it has stored."""

    async def store(self, validated: Sequence[ValidatedDataEvent], rejected: Sequence[ReadingRejectedEvent]) -> Done:
        through = max(seq for each in validated for seq in each.seq)
        return Done({(SITE, DEVICE): Watermark(boot=BOOT, through=through)}, {}, ())


class NoTrail:
    """Keeps no hops."""

    async def store(self, hops: Sequence[HopEvent]) -> None:
        """Nothing is traced here."""


class Clock:
    """Stands where it is put."""

    def __init__(self) -> None:
        self.now_ms = 1_763_800_000_000.0

    def __call__(self) -> float:
        return self.now_ms


async def told(historian: Historian, seq: int) -> list[int]:
    """The watermarks that follow when this reading is stored, and at the tick after it."""
    events = [*await historian.handle([block([seq])]), *await historian.tick()]
    return [event.through for event in events if isinstance(event, StoredEvent)]


async def test_a_device_is_told_once_a_second() -> None:
    clock = Clock()
    historian = Historian(MemoryStore(), NoTrail(), clock)
    assert await told(historian, 0) == [0]
    assert await told(historian, 1) == []
    clock.now_ms += WATERMARK_INTERVAL_MS
    assert await told(historian, 2) == [2]


async def test_a_clock_that_is_set_back_by_an_hour_does_not_silence_the_watermark() -> None:
    clock = Clock()
    historian = Historian(MemoryStore(), NoTrail(), clock)
    assert await told(historian, 0) == [0]
    clock.now_ms -= _HOUR_MS
    assert await told(historian, 1) == [1]
    assert await told(historian, 2) == []
