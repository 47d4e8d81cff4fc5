"""A demonstration pump: silent until it is told, then a minute that anybody's detector must see."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from broker.memory import MemoryBroker
from edge.demo import FAULTY_S, MINUTE_S, DemoPump
from edge.device import Device
from edge.faults import FaultKind
from edge.flash import Flash
from edge.metrics import NAMES
from edge.pump import Pump
from tests.edge.store import START_MS, QuickClock, Store, listening

SITE, NAME, BOOT = "demo", "demo-1", "00112233445566aa"
ROWS = 300


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
async def store(broker) -> AsyncIterator[Store]:
    async with listening(broker.bus("store"), SITE) as store:
        yield store


@contextlib.asynccontextmanager
async def rested(
    broker: MemoryBroker, path: Path | None = None, *, prepare: bool = True, boot: str = BOOT, clock=None
) -> AsyncIterator[Callable[[], int]]:
    clock, flash = clock or QuickClock(), Flash(path)
    role = DemoPump(Pump(5), flash, clock, boot=boot, phase_ms=0, prepare=prepare, history_rows=ROWS)
    device = Device(broker.bus(f"{SITE}/{NAME}", persistent=False), SITE, NAME, role, flash, now_ms=clock.now_ms)
    stop = asyncio.Event()
    work = asyncio.create_task(device.run(stop))
    try:
        yield lambda: device.uplink.held
    finally:
        stop.set()
        await asyncio.wait_for(work, 10)


async def order(store: Store, command_id: str, **what: object) -> dict[str, object]:
    await store.until(lambda: store.statuses(NAME)[-1:] == [b"online"])
    before = len(store.answers(NAME))
    await store.order(NAME, msgspec.json.encode({"id": command_id, **what}))
    await store.until(lambda: len(store.answers(NAME)) > before)
    return store.answers(NAME)[-1]


async def simulated(broker: MemoryBroker, store: Store, fault: str) -> np.ndarray:
    async with rested(broker):
        await store.until(lambda: len(store.rows[NAME]) == ROWS)
        await order(store, "c-1", simulate={"fault": fault})
        await store.until(lambda: len(store.rows[NAME]) == ROWS + MINUTE_S)
    return np.array([list(values.values()) for _, (_, values) in sorted(store.rows[NAME].items())])


async def test_unprepared_it_is_silent_and_refuses_to_simulate(broker, store):
    async with rested(broker, prepare=False):
        await store.until(lambda: store.statuses(NAME) == [b"online"])
        assert (await order(store, "c-1", simulate={}))["refused"] == "not_prepared"
    assert not store.messages


async def test_its_past_is_flagged_and_ends_a_minute_ago_so_that_no_second_is_told_twice(broker, store):
    async with rested(broker):
        await store.until(lambda: len(store.rows[NAME]) == ROWS)
        assert all(message.replayed for _, message in store.messages)
        assert store.times(NAME)[-1] == START_MS - 1000 * MINUTE_S
        await order(store, "c-1", simulate={})
        await store.until(lambda: len(store.rows[NAME]) == ROWS + MINUTE_S)
    times = store.times(NAME)
    assert {later - earlier for earlier, later in itertools.pairwise(times)} == {1000}


async def test_the_minute_is_ordinary_traced_telemetry_with_the_clicks_id(broker, store):
    async with rested(broker):
        await store.until(lambda: len(store.rows[NAME]) == ROWS)
        answer = await order(store, "click-1", simulate={"fault": "imbalance"})
    minute = store.messages[-1][1]
    assert (minute.replayed, minute.traced, minute.correlation_id) == (False, True, "click-1")
    assert [reading.seq for reading in minute.readings] == list(range(ROWS, ROWS + MINUTE_S))
    assert {reading.boot for reading in minute.readings} == {BOOT}
    assert minute.readings[-1].measured_at_ms == START_MS
    assert answer == {"id": "click-1", "readings": 60, "published_at_ms": START_MS, "acknowledged_at_ms": START_MS}


@pytest.mark.parametrize("kind", FaultKind)
async def test_a_fault_breaks_out_within_the_minute_and_leaves_the_detector_time(broker, store, kind):
    rows = await simulated(broker, store, kind)
    past, before, full = rows[:ROWS], rows[ROWS : -FAULTY_S - 1], rows[-20:-10]
    spread = past.std(axis=0)
    # A mean over ten rows, ten seconds before the end: what the detector judges has long left the healthy band.
    assert np.max(np.abs(full.mean(axis=0) - past.mean(axis=0)) / spread) > 8
    assert np.all(np.abs(before.mean(axis=0) - past.mean(axis=0)) < 2.5 * spread)


async def test_none_is_a_healthy_minute(broker, store):
    rows = await simulated(broker, store, "none")
    assert np.array_equal(rows, np.array(Pump(5).measure(START_MS // 1000 - ROWS - MINUTE_S + 1, ROWS + MINUTE_S)))
    assert len(NAMES) == rows.shape[1]


async def test_a_repeated_command_is_done_once_and_answered_twice(broker, store):
    async with rested(broker):
        await store.until(lambda: len(store.rows[NAME]) == ROWS)
        first, second = await order(store, "c-1", simulate={}), await order(store, "c-1", simulate={})
    assert first == second
    assert len(store.rows[NAME]) == ROWS + MINUTE_S


async def test_a_command_from_before_a_power_cut_is_not_done_again(broker, store, tmp_path):
    async with rested(broker, tmp_path / "f"):
        await store.until(lambda: len(store.rows[NAME]) == ROWS)
        await order(store, "c-1", simulate={})
    async with rested(broker, tmp_path / "f", boot="b" * 16, clock=QuickClock(START_MS + 500_000)):
        await store.order(NAME, b'{"id":"c-1","simulate":{}}')
        await order(store, "c-2", simulate={})
    assert len(store.rows[NAME]) == ROWS + 2 * MINUTE_S


async def test_a_second_click_within_the_minute_is_refused_with_the_time_to_wait(broker, store):
    async with rested(broker):
        await store.until(lambda: len(store.rows[NAME]) == ROWS)
        await order(store, "c-1", simulate={})
        answer = await order(store, "c-2", simulate={})
    assert answer == {"id": "c-2", "refused": "not_rested", "detail": "this pump has just been used: try again in 60 s"}


async def test_it_can_be_prepared_by_command_and_again_after_use(broker, store):
    clock = QuickClock()
    async with rested(broker, prepare=False, clock=clock):
        assert (await order(store, "c-1", prepare=True))["readings"] == ROWS
        await order(store, "c-2", simulate={})
        clock.ms += 200_000
        assert (await order(store, "c-3", prepare=True))["readings"] == 140
        await store.until(lambda: len(store.rows[NAME]) == ROWS + MINUTE_S + 140)
    times = store.times(NAME)
    assert len(set(times)) == len(times)
    assert store.messages[-1][1].replayed


async def test_a_power_cut_while_preparing_is_made_good(broker, store, tmp_path):
    store.confirms = False
    async with rested(broker, tmp_path / "f"):
        await store.until(lambda: len(store.rows[NAME]) == ROWS)
    store.rows[NAME].clear()
    store.confirms = True
    async with rested(broker, tmp_path / "f", boot="b" * 16, clock=QuickClock(START_MS + 90_000)) as held:
        await store.until(lambda: len(store.rows[NAME]) == ROWS)
        answer = await order(store, "c-1", simulate={})
        assert answer["readings"] == MINUTE_S
        await store.until(lambda: held() == 0)
    assert {boot for boot, _ in store.rows[NAME]} == {BOOT, "b" * 16}


@pytest.mark.parametrize(
    "payload", [b"", b"{", b'{"id":"c-1","simulate":{"fault":"gremlins"}}', b'{"id":"x","fault":null}']
)
async def test_nonsense_is_refused_in_words_and_harms_nothing(broker, store, payload):
    async with rested(broker):
        await store.until(lambda: len(store.rows[NAME]) == ROWS)
        if payload:
            await store.order(NAME, payload)
            await store.until(lambda: bool(store.answers(NAME)))
            assert store.answers(NAME)[0].keys() == {"id", "refused", "detail"}
        assert (await order(store, "c-9", simulate={}))["readings"] == MINUTE_S


async def test_a_demonstration_pump_refuses_a_lasting_fault(broker, store):
    async with rested(broker):
        answer = await order(store, "c-1", fault={"kind": "imbalance", "seconds": 30})
    assert answer["refused"] == "not_running"
