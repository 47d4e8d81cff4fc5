"""The way out: what is sent when, what is sent again, and how it is flagged."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Self

import pytest

from broker.bus import Message
from broker.memory import MEMORY
from contract.errors import TransientError
from contract.telemetry import Telemetry, decode
from edge.buffer import BACKFILL, Buffer, Mark
from edge.uplink import BATCH, LATE_MS, PIPELINE, Uplink

NOW_MS = 1_763_800_000_000
BOOT, EARLIER = "b" * 16, "a" * 16


class RememberingBus:
    """Takes everything, or fails as often as told."""

    promises = MEMORY

    def __init__(self, *, failures: int = 0) -> None:
        self.failures = failures
        self.groups: list[list[Telemetry]] = []
        self.changed = asyncio.Condition()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def subscribe(self, *filters: str) -> None: ...

    async def receive(self, limit: int = 256) -> list[Message]:
        raise NotImplementedError

    async def acknowledge(self, messages: Sequence[Message]) -> None: ...

    async def publish(self, messages: Sequence[tuple[str, bytes]], *, retain: bool = False) -> None:
        if self.failures:
            self.failures -= 1
            raise TransientError("the broker is away")
        assert {topic for topic, _ in messages} == {"ronda/v1/plant-1/pump-01/telemetry"}
        assert not retain
        self.groups.append([decode(payload, "plant-1", "pump-01") for _, payload in messages])
        async with self.changed:
            self.changed.notify_all()

    @property
    def messages(self) -> list[Telemetry]:
        return [message for group in self.groups for message in group]

    @property
    def seqs(self) -> list[int]:
        return [reading.seq for message in self.messages for reading in message.readings]

    async def until(self, readings: int) -> None:
        async with asyncio.timeout(5), self.changed:
            await self.changed.wait_for(lambda: len(self.seqs) >= readings)


@contextlib.asynccontextmanager
async def sending(bus: RememberingBus, *buffers: Buffer, late_ms: int | None = LATE_MS) -> AsyncIterator[Uplink]:
    uplink = Uplink(bus, "plant-1", "pump-01", ("a", "b"), now_ms=lambda: NOW_MS, late_ms=late_ms)
    for buffer in buffers:
        uplink.add(buffer)
    work = asyncio.create_task(uplink.run())
    try:
        yield uplink
    finally:
        work.cancel()
        await asyncio.wait([work])


def filled(readings: int, *, boot: str = BOOT, age_ms: int = 0, mark: Mark = Mark(), **options) -> Buffer:  # noqa: B008  # frozen
    buffer = Buffer(boot, 5000, **options)
    for _ in range(readings):
        buffer.hold(NOW_MS - age_ms, (1.0, 2.0), mark)
    return buffer


def stored(through: int, boot: str = BOOT) -> bytes:
    return b'{"boot":"%s","through":%d}' % (boot.encode(), through)


async def test_a_backlog_leaves_in_batches_several_at_once():
    bus = RememberingBus()
    async with sending(bus, filled(BATCH * PIPELINE + 50)):
        await bus.until(BATCH * PIPELINE + 50)
    assert [[len(m.readings) for m in group] for group in bus.groups] == [[BATCH] * PIPELINE, [50]]


async def test_a_failure_to_send_is_retried_and_nothing_is_skipped():
    bus = RememberingBus(failures=2)
    async with sending(bus, filled(5)):
        await bus.until(5)
    assert bus.seqs == [0, 1, 2, 3, 4]


async def test_a_retained_watermark_means_that_the_line_was_cut_and_the_rest_goes_again():
    bus = RememberingBus()
    async with sending(bus, filled(5)) as uplink:
        await bus.until(5)
        await uplink.stored(stored(1), retained=True)
        await bus.until(8)
    assert bus.seqs == [0, 1, 2, 3, 4, 2, 3, 4]


async def test_an_ordinary_watermark_only_frees():
    bus = RememberingBus()
    async with sending(bus, filled(5)) as uplink:
        await bus.until(5)
        await uplink.stored(stored(1), retained=False)
        await asyncio.wait_for(uplink.until(lambda: uplink.held == 3), 5)
    assert bus.seqs == [0, 1, 2, 3, 4]
    assert uplink.through(BOOT) == 1


async def test_silence_of_the_store_makes_it_send_again():
    bus, start = RememberingBus(), asyncio.get_running_loop().time()
    uplink = Uplink(
        bus, "plant-1", "pump-01", ("a", "b"), now_ms=lambda: int((asyncio.get_running_loop().time() - start) * 1000)
    )
    uplink.add(filled(3, stall_ms=50))
    work = asyncio.create_task(uplink.run())
    await bus.until(9)
    work.cancel()
    assert bus.seqs[:9] == [0, 1, 2] * 3


@pytest.mark.parametrize(("age_ms", "flagged"), [(0, False), (LATE_MS - 1, False), (LATE_MS + 1, True)])
async def test_what_waited_out_an_outage_is_flagged_and_what_is_fresh_is_not(age_ms, flagged):
    bus = RememberingBus()
    async with sending(bus, filled(3, age_ms=age_ms)):
        await bus.until(3)
    assert [message.replayed for message in bus.messages] == [flagged]


async def test_a_recording_is_never_flagged_however_old_its_rows():
    bus = RememberingBus()
    async with sending(bus, filled(3, age_ms=10 * LATE_MS), late_ms=None):
        await bus.until(3)
    assert not bus.messages[0].replayed


async def test_the_marks_of_the_readings_are_said_of_the_message():
    bus, buffer = RememberingBus(), filled(2, mark=BACKFILL)
    buffer.hold(NOW_MS, (1.0, 2.0), Mark(traced=True, correlation_id="c-1"))
    async with sending(bus, buffer):
        await bus.until(3)
    assert [(m.replayed, m.traced, m.correlation_id) for m in bus.messages] == [
        (True, False, None),
        (False, True, "c-1"),
    ]


async def test_the_present_waits_until_the_store_has_an_earlier_boot():
    bus = RememberingBus()
    async with sending(bus, filled(2, boot=EARLIER), filled(2)) as uplink:
        await bus.until(2)
        assert {reading.boot for message in bus.messages for reading in message.readings} == {EARLIER}
        await uplink.stored(stored(1, EARLIER), retained=False)
        await bus.until(4)
    assert bus.messages[-1].readings[0].boot == BOOT


async def test_what_a_full_ring_dropped_is_reported_as_lost():
    buffer, bus = Buffer(BOOT, 3), RememberingBus()
    for _ in range(5):
        buffer.hold(NOW_MS, (1.0, 2.0))
    async with sending(bus, buffer) as uplink:
        await bus.until(3)
        assert uplink.dropped == 2
    assert [message.oldest for message in bus.messages] == [2]


async def test_the_brokers_acknowledgement_frees_nothing():
    bus, buffer = RememberingBus(), filled(4)
    async with sending(bus, buffer) as uplink:
        await asyncio.wait_for(uplink.until(uplink.all_accepted), 5)
    assert len(buffer) == 4
