"""A recording is played as what a machine says today: its spacing kept, its last row now, nothing lost."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.memory import MemoryBroker
from edge.clock import SystemClock
from edge.recording import Recording, parse_recording
from edge.replay import Outcome, Progress, ReplayError, plan, replay
from tests.edge.store import START_MS, QuickClock, Store, listening

SITE, NAME, BOOT = "plant-1", "rig", "00112233445566aa"


def recording(rows: int, spacing_s: int = 1) -> Recording:
    seconds = range(0, rows * spacing_s, spacing_s)
    stamps = [f"2020-03-09 {15 + at // 3600}:{at // 60 % 60:02}:{at % 60:02}" for at in seconds]
    lines = [f"{at};{n}.5;{n % 7}" for n, at in enumerate(stamps)]
    return parse_recording("\n".join(["datetime;Current;Pump pressure, bar", *lines]))


async def play(broker: MemoryBroker, played: Recording, **options) -> tuple[Outcome, list[Progress], QuickClock]:
    told: list[Progress] = []
    clock, stop = options.pop("clock", QuickClock()), options.pop("stop", asyncio.Event())
    bus = broker.bus(f"{SITE}/{NAME}", persistent=False)
    outcome = await asyncio.wait_for(
        replay(
            bus, SITE, NAME, played, **{"speed": 20.0, "patience_s": 0.3} | options,
            boot=BOOT, clock=clock, progress=told.append, stop=stop,
        ),
        20,
    )  # fmt: skip
    return outcome, told, clock


@given(st.lists(st.integers(0, 100_000), min_size=1, max_size=50), st.floats(1, 1000), st.integers(10**12, 2 * 10**12))
def test_spacing_is_kept_no_row_is_in_the_future_and_the_last_is_now(gaps, speed, start_ms):
    times = [sum(gaps[:n]) for n in range(len(gaps) + 1)]
    due = plan(times, speed, start_ms)
    assert [at - due.measured_at_ms[0] for at in due.measured_at_ms] == times
    assert all(measured <= sent for measured, sent in zip(due.measured_at_ms, due.send_at_ms, strict=True))
    assert 0 <= due.send_at_ms[-1] - due.measured_at_ms[-1] < 1
    assert list(due.send_at_ms) == sorted(due.send_at_ms)
    assert due.send_at_ms[0] >= start_ms - 1e-3
    assert due.send_at_ms[-1] - start_ms == pytest.approx(times[-1] / speed, abs=1e-2)


@pytest.mark.parametrize("speed", [0.5, 0, -1, float("nan"), float("inf")])
async def test_a_speed_that_needs_the_future_is_refused(speed):
    with pytest.raises(ReplayError, match="at least 1"):
        await play(MemoryBroker(), recording(5), speed=speed)


async def test_a_recording_arrives_whole_unflagged_and_accounted_for():
    broker, played = MemoryBroker(), recording(400)
    async with listening(broker.bus("store")) as store:
        outcome, told, clock = await play(broker, played)
        assert (outcome.rows, outcome.sent, outcome.accounted, outcome.unaccounted) == (400, 400, 400, 0)
        assert_played(store, played)
        assert store.times(NAME)[-1] == START_MS + 399_000 // 20
        assert abs(clock.now_ms() - store.times(NAME)[-1]) < 5000
    assert not any(message.replayed or message.traced for _, message in store.messages)
    assert max(len(message.readings) for _, message in store.messages) <= 5
    assert [p.sent for p in told] == sorted(p.sent for p in told)
    assert told[-1] == Progress(rows=400, sent=400, accounted=400)


def assert_played(store: Store, played: Recording) -> None:
    rows = store.rows[NAME]
    assert [tuple(rows[BOOT, n][1].values()) for n in range(len(rows))] == list(played.rows)
    assert tuple(rows[BOOT, 0][1]) == played.names
    times = [rows[BOOT, n][0] for n in range(len(rows))]
    assert [at - times[0] for at in times] == [at - played.times_ms[0] for at in played.times_ms]


async def test_what_the_store_does_not_confirm_is_said():
    broker = MemoryBroker()
    async with listening(broker.bus("store"), confirms=False) as store:
        outcome, _, _ = await play(broker, recording(50))
        assert len(store.rows[NAME]) == 50
    assert (outcome.sent, outcome.accounted, outcome.unaccounted) == (50, 0, 50)


async def test_a_replay_that_is_stopped_says_how_far_it_came():
    broker, stop = MemoryBroker(), asyncio.Event()
    async with listening(broker.bus("store")) as store:
        play_on = asyncio.create_task(play(broker, recording(3000), stop=stop, clock=SystemClock()))
        await store.until(lambda: len(store.rows[NAME]) > 10)
        stop.set()
        outcome, _, _ = await play_on
    assert 10 < outcome.sent < 200
    assert outcome.rows == 3000


async def test_the_rows_leave_at_the_speed_that_was_asked_for():
    broker, loop = MemoryBroker(), asyncio.get_running_loop()
    began = loop.time()
    async with listening(broker.bus("store")) as store:
        await play(broker, recording(41), clock=SystemClock())
        assert len(store.rows[NAME]) == 41
    assert 1.9 < loop.time() - began < 5


async def test_what_was_left_out_of_the_file_is_in_the_outcome():
    broker = MemoryBroker()
    text = "datetime;a;anomaly\n2020-03-09 15:56:30;1;0\n2020-03-09 15:56:31;;0\n2020-03-09 15:56:32;2;0\n"
    async with listening(broker.bus("store")):
        outcome, _, _ = await play(broker, parse_recording(text))
    assert (outcome.rows, outcome.skipped) == (2, {"missing or unreadable value": 1})
    assert outcome.ignored == ("anomaly",)
