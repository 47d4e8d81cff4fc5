"""A running pump on the bus: its past, its readings, its orders; over the memory bus and without waiting."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from broker.memory import MemoryBroker
from edge.device import Device, last_will
from edge.faults import FaultKind
from edge.flash import Flash, Past
from edge.live import LivePump, PlannedFault
from edge.metrics import NAMES
from edge.pump import Pump
from edge.uplink import BATCH, LATE_MS
from tests.edge.store import QuickClock, Store, listening

SITE, NAME, BOOT = "plant-1", "pump-01", "00112233445566aa"
PHASE_MS, ROWS = 250, 320


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
async def store(broker) -> AsyncIterator[Store]:
    async with listening(broker.bus("store")) as store:
        yield store


@contextlib.asynccontextmanager
async def running(
    broker: MemoryBroker, path: Path, *, boot: str = BOOT, clock: QuickClock | None = None, rows: int = ROWS, planned=()
) -> AsyncIterator[Device]:
    clock = clock or QuickClock()
    flash = Flash(path)
    role = LivePump(Pump(5), flash, clock, boot=boot, phase_ms=PHASE_MS, history_rows=rows, planned=planned)
    bus = broker.bus(f"{SITE}/{NAME}", persistent=False, will=last_will(SITE, NAME))
    device, stop = Device(bus, SITE, NAME, role, flash, now_ms=clock.now_ms, late_ms=LATE_MS), asyncio.Event()
    work = asyncio.create_task(device.run(stop))
    try:
        yield device
    finally:
        stop.set()
        await asyncio.wait_for(work, 10)


async def test_the_healthy_past_comes_first_flagged_and_in_batches(broker, store, tmp_path):
    async with running(broker, tmp_path / "f"):
        await store.until(lambda: len(store.times(NAME)) > ROWS + 5)
    past = [message for _, message in store.messages if message.replayed]
    live = [message for _, message in store.messages if not message.replayed]
    assert [len(message.readings) for message in past] == [BATCH, BATCH, BATCH, ROWS - 3 * BATCH]
    assert [r.seq for m in past for r in m.readings] == list(range(ROWS))
    assert live[0].readings[0].seq == ROWS


async def test_past_and_present_join_without_a_seam(broker, store, tmp_path):
    async with running(broker, tmp_path / "f"):
        await store.until(lambda: len(store.times(NAME)) > ROWS + 20)
    rows = store.rows[NAME]
    assert {boot for boot, _ in rows} == {BOOT}
    times = [rows[BOOT, seq][0] for seq in range(len(rows))]
    assert {later - earlier for earlier, later in itertools.pairwise(times)} == {1000}
    assert times[0] % 1000 == PHASE_MS
    expected = Pump(5).measure(times[0] // 1000, len(rows))
    assert [tuple(rows[BOOT, seq][1].values()) for seq in range(len(rows))] == expected
    assert tuple(rows[BOOT, 0][1]) == NAMES


async def test_no_reading_comes_from_the_future(broker, store, tmp_path):
    clock = QuickClock()
    async with running(broker, tmp_path / "f", clock=clock):
        await store.until(lambda: len(store.times(NAME)) > ROWS + 5)
        assert store.times(NAME)[-1] <= clock.now_ms()


async def test_the_ring_is_freed_by_the_store_alone(broker, store, tmp_path):
    store.confirms = False
    async with running(broker, tmp_path / "f") as device:
        await store.until(lambda: len(store.times(NAME)) > ROWS + 5)
        assert device.uplink.held > ROWS + 5
        await store.confirm(NAME, BOOT)
        store.confirms = True
        await asyncio.wait_for(device.uplink.until(lambda: device.uplink.held < 10), 5)


async def test_the_past_is_sent_once_and_each_later_power_up_is_a_new_boot(broker, store, tmp_path):
    async with running(broker, tmp_path / "f"):
        await store.until(lambda: len(store.times(NAME)) > ROWS + 5)
    first = len(store.messages)
    async with running(broker, tmp_path / "f", boot="b" * 16, clock=QuickClock(1_763_800_500_000)):
        await store.until(lambda: ("b" * 16, 3) in store.rows[NAME])
    assert not any(message.replayed for _, message in store.messages[first:])
    assert min(seq for boot, seq in store.rows[NAME] if boot == "b" * 16) == 0


async def test_a_power_cut_within_the_past_sends_the_same_identities_again(broker, store, tmp_path):
    """The store would stumble over one identity with two contents; what lies between is the same, too."""
    start_s = 1_763_800_000 - ROWS
    Flash(tmp_path / "f").remember_past(Past(boot=BOOT, first_seq=0, first_s=start_s, rows=ROWS))
    pump = Pump(5)
    for seq in range(130):
        values = dict(zip(NAMES, pump.measure(start_s + seq, 1)[0], strict=True))
        store.rows[NAME][BOOT, seq] = (1000 * (start_s + seq) + PHASE_MS, values)
    async with running(broker, tmp_path / "f", boot="b" * 16):
        await store.until(lambda: ("b" * 16, 5) in store.rows[NAME])
    assert [seq for boot, seq in sorted(store.rows[NAME]) if boot == BOOT] == list(range(ROWS))
    past = Flash(tmp_path / "f").memory.past
    assert past is not None
    assert past.done


async def test_an_unfinished_past_is_sent_before_the_present(broker, store, tmp_path):
    Flash(tmp_path / "f").remember_past(Past(boot=BOOT, first_seq=0, first_s=1_763_799_000, rows=ROWS))
    async with running(broker, tmp_path / "f", boot="b" * 16):
        await store.until(lambda: ("b" * 16, 5) in store.rows[NAME])
    boots = [message.readings[0].boot for _, message in store.messages]
    assert boots == sorted(boots)


async def test_a_computer_that_slept_invents_no_readings(broker, store, tmp_path):
    clock = QuickClock()
    async with running(broker, tmp_path / "f", rows=0, clock=clock):
        await store.until(lambda: len(store.times(NAME)) > 3)
        clock.ms += 3_600_000
        await store.until(lambda: store.times(NAME)[-1] >= 1_763_800_000_000 + 3_600_000)
    times = store.times(NAME)
    assert len(times) < 200
    assert max(later - earlier for earlier, later in itertools.pairwise(times)) > 3_500_000


async def test_the_status_is_online_then_offline_and_a_vanished_device_has_a_will(broker, store, tmp_path):
    async with running(broker, tmp_path / "f", rows=0):
        await store.until(lambda: store.statuses(NAME) == [b"online"])
        broker.cut(f"{SITE}/{NAME}")
        await store.until(lambda: store.statuses(NAME) == [b"online", b"offline"])
    await store.until(lambda: store.statuses(NAME) == [b"online", b"offline", b"offline"])


async def test_a_fault_told_by_command_develops_and_ends(broker, store, tmp_path):
    vibration = "vibration_de_rms_g"
    async with running(broker, tmp_path / "f", rows=0):
        await store.until(lambda: len(store.times(NAME)) > 5)
        await store.order(NAME, b'{"id":"c-1","fault":{"kind":"imbalance","seconds":60}}')
        await store.until(lambda: bool(store.answers(NAME)))
        told = store.times(NAME)[-1]
        await store.until(lambda: store.times(NAME)[-1] > told + 120_000)
    assert store.answers(NAME)[0].keys() == {"id", "readings", "published_at_ms", "acknowledged_at_ms"}
    values = {at_ms: values[vibration] for at_ms, values in store.rows[NAME].values()}
    during = [v for at, v in values.items() if told + 30_000 < at < told + 50_000]
    after = [v for at, v in values.items() if at > told + 70_000]
    assert min(during) > 1.3 * max(after)


async def test_a_planned_fault_comes_at_its_time(broker, store, tmp_path):
    planned = [PlannedFault(kind=FaultKind.BLOCKED_VALVE, after_s=30, ramp_s=5)]
    async with running(broker, tmp_path / "f", rows=0, planned=planned):
        await store.until(lambda: len(store.times(NAME)) > 60)
    flows = [values["flow_lpm"] for _, (_, values) in sorted(store.rows[NAME].items())]
    assert min(flows[:25]) > 1.5 * max(flows[40:])


async def test_a_running_pump_refuses_to_simulate(broker, store, tmp_path):
    async with running(broker, tmp_path / "f", rows=0):
        await store.until(lambda: len(store.times(NAME)) > 1)
        await store.order(NAME, b'{"id":"c-1","simulate":{}}')
        await store.until(lambda: bool(store.answers(NAME)))
    assert store.answers(NAME)[0]["refused"] == "not_a_demo"


async def test_everything_it_says_keeps_the_contract(broker, store, tmp_path):
    """The store decodes each message with the contract's decoder and fails on a refusal; here: it did decode some."""
    async with running(broker, tmp_path / "f"):
        await store.until(lambda: len(store.times(NAME)) > ROWS)
    assert all(message.readings and not message.refused for _, message in store.messages)
    assert msgspec.json.encode(store.times(NAME))


class Watched(QuickClock):
    """Remembers how long it was slept."""

    longest_s = 0.0

    async def sleep(self, seconds: float) -> None:
        self.longest_s = max(self.longest_s, seconds)
        await super().sleep(seconds)


async def test_a_clock_that_is_set_back_is_not_waited_for(broker, store, tmp_path):
    clock = Watched()
    async with running(broker, tmp_path / "f", clock=clock, rows=0):
        await store.until(lambda: len(store.times(NAME)) > 5)
        before = len(store.times(NAME))
        clock.ms -= 3_600_000
        await store.until(lambda: len(store.times(NAME)) > before + 30)
    assert clock.longest_s <= 2
    assert min(store.times(NAME)) < clock.ms < min(store.times(NAME)) + 3_600_000
