"""What the detector reads on from the store: nothing behind a hole that may still be filled, or is being filled."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pytest

from cloud.agents.assets import Position
from cloud.storage.database import Database
from cloud.storage.hops import HopStore
from cloud.storage.readings import ReadingStore
from contract.events import HopEvent
from ronda.holes import PATIENCE_MS
from ronda.memory import DetectorMemory
from tests.support.readings import BOOT, DEVICE, SITE, START_MS, block, rejected

AFTER = Position(START_MS + 2000, BOOT, 2)


class Filling(ReadingStore):
    """The missing readings are stored between two questions."""

    def __init__(self, database: Database, missing: Sequence[int]) -> None:
        super().__init__(database)
        self._missing = missing

    async def watermarks(self, site: str, device: str, boots: Collection[str]) -> dict[str, int]:
        await self.store([block(self._missing)], [])
        return await super().watermarks(site, device, boots)


class Clock:
    """Stands where it is put."""

    now_ms = float(START_MS)

    def __call__(self) -> float:
        return self.now_ms


async def read(memory: DetectorMemory) -> list[int]:
    return [seq for rows in await memory.rows_after(SITE, DEVICE, AFTER, 2000) for seq in rows.seq]


async def test_what_lies_behind_a_hole_is_read_once_it_is_filled(database: Database) -> None:
    store, memory = ReadingStore(database), DetectorMemory(database, "test", Clock(), Clock())
    await store.store([block(range(5)), block(range(9, 12))], [])
    assert await read(memory) == [3, 4]
    await store.store([block(range(5, 9))], [])
    assert await read(memory) == [3, 4, 5, 6, 7, 8, 9, 10, 11]


async def test_a_hole_that_is_filled_while_we_ask_is_not_passed(database: Database) -> None:
    memory = DetectorMemory(database, "test", Clock(), Clock())
    await ReadingStore(database).store([block(range(5)), block(range(9, 12))], [])
    memory._readings = Filling(database, range(5, 9))
    assert await read(memory) == [3, 4, 5, 6, 7, 8, 9, 10, 11]


async def test_a_hole_that_stays_is_passed_after_a_minute_and_a_refusal_is_none(database: Database) -> None:
    store, clock = ReadingStore(database), Clock()
    memory = DetectorMemory(database, "test", Clock(), clock)
    await store.store([block(range(5)), block([6]), block(range(9, 12))], [rejected(5)])
    assert await read(memory) == [3, 4, 6]
    clock.now_ms += PATIENCE_MS
    assert await read(memory) == [3, 4, 6, 9, 10, 11]


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_clock_that_is_set_lets_nobody_wait_longer_or_shorter(database: Database, hours: int) -> None:
    store, clock, elapsed = ReadingStore(database), Clock(), Clock()
    memory = DetectorMemory(database, "test", clock, elapsed)
    await store.store([block(range(5)), block(range(9, 12))], [])
    assert await read(memory) == [3, 4]
    clock.now_ms += hours * 3_600_000
    elapsed.now_ms += PATIENCE_MS - 1
    assert await read(memory) == [3, 4]
    elapsed.now_ms += 1
    assert await read(memory) == [3, 4, 9, 10, 11]


async def test_what_was_traced_goes_on_with_its_trace(database: Database) -> None:
    store, memory = ReadingStore(database), DetectorMemory(database, "test", Clock(), Clock())
    await store.store([block(range(4), request_id="click-1"), block(range(4, 8), request_id="order-17")], [])
    passed = HopEvent(
        site=SITE, device=DEVICE, correlation_id="click-1", station="acquisition", at_ms=START_MS, readings=4,
        did="decoded",
    )  # fmt: skip
    await HopStore(database).store([passed])
    found = await memory.rows_after(SITE, DEVICE, Position(0), 2000)
    assert [(rows.request_id, rows.traced) for rows in found] == [("click-1", True), ("order-17", False)]


async def test_back_fill_that_goes_on_coming_is_read_in_its_order_though_what_is_measured_now_came_first(
    database: Database,
) -> None:
    store, clock = ReadingStore(database), Clock()
    memory = DetectorMemory(database, "test", Clock(), clock)
    await store.store([block(range(3)), block(range(100, 110))], [])
    read_so_far: list[int] = []
    after = AFTER
    for first in range(3, 100, 10):
        clock.now_ms += PATIENCE_MS - 1
        await store.store([block(range(first, min(first + 10, 100)), replayed=True)], [])
        for rows in await memory.rows_after(SITE, DEVICE, after, 2000):
            read_so_far += rows.seq
            after = Position(rows.measured_at_ms[-1], BOOT, rows.seq[-1])
    assert read_so_far == list(range(3, 110))


async def test_the_tail_of_an_earlier_boot_with_a_hole_before_it_is_waited_for(database: Database) -> None:
    store, elapsed = ReadingStore(database), Clock()
    memory = DetectorMemory(database, "test", Clock(), elapsed)
    times = [START_MS + 60_000 + 1000 * seq for seq in range(3)]
    later = block(range(3), boot="b" * 16, measured_at_ms=times)
    await store.store([block(range(5)), block(range(9, 12)), later], [])
    assert await read(memory) == [3, 4], "the new boot waits too"
    await store.store([block(range(5, 9))], [])
    assert await read(memory) == [3, 4, 5, 6, 7, 8, 9, 10, 11, 0, 1, 2]
