"""Real brokers between an emulated device and the store: what one of them forgets, the ring sends again."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from contract.topics import Channel
from edge.fleet import run_fleet
from edge.recording import parse_recording
from edge.replay import run_replay
from tests.edge.store import listening
from tests.support.brokers import RunningBroker, embedded, mosquitto
from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
SITE, NAMES = "plant-1", ["pump-01", "pump-02"]
# A ring is 1 Hz: a test that waits for ten readings takes ten seconds.
WAIT_S = 40

Start = Callable[..., contextlib.AbstractAsyncContextManager[RunningBroker]]


@pytest.fixture(params=[embedded, pytest.param(mosquitto, marks=pytest.mark.mosquitto)], ids=["embedded", "mosquitto"])
def start(request) -> Start:
    return request.param


def fleet_file(folder: Path, broker: RunningBroker, names: list[str], **fields: object) -> Path:
    members = [
        {"site": SITE, "device": name, "username": f"{SITE}/{name}", "password": broker.passwords[f"{SITE}/{name}"]}
        | {"history_rows": 200}
        | fields
        for name in names
    ]
    path = folder / "fleet.json"
    path.write_text(json.dumps(members))
    return path


@contextlib.asynccontextmanager
async def fleet(path: Path, broker: RunningBroker) -> AsyncIterator[None]:
    stop = asyncio.Event()
    work = asyncio.create_task(run_fleet(path, broker.address(), path.parent / "edge", stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(work, 20)


def users() -> list[str]:
    return [f"{SITE}/{name}" for name in NAMES]


async def test_devices_with_their_own_credentials_send_their_past_and_present(start, tmp_path):
    async with start(tmp_path, devices=users()) as broker, listening(broker.bus("store"), SITE) as store:
        async with fleet(fleet_file(tmp_path, broker, NAMES), broker):
            await store.until(lambda: all(len(store.rows[name]) >= 203 for name in NAMES), WAIT_S)
        await store.until(lambda: all(store.statuses(name)[-1:] == [b"offline"] for name in NAMES))
    for name in NAMES:
        times = store.times(name)
        assert {later - earlier for earlier, later in itertools.pairwise(times)} == {1000}


async def test_a_broker_that_was_away_costs_no_reading(start, tmp_path):
    """The port closes for a moment; what was measured meanwhile follows, and no number is missing."""
    port = free_port()
    async with start(tmp_path, devices=users(), port=port) as broker:
        path = fleet_file(tmp_path, broker, ["pump-01"])
        async with contextlib.AsyncExitStack() as stack:
            async with listening(broker.bus("store"), SITE) as store:
                await stack.enter_async_context(fleet(path, broker))
                await store.until(lambda: len(store.rows["pump-01"]) >= 202, WAIT_S)
            before = store.rows["pump-01"]
            await broker.broker.stop()
            await asyncio.sleep(3)
            async with (
                start(tmp_path, devices=users(), port=port) as again,
                listening(again.bus("store"), SITE) as later,
            ):
                later.rows["pump-01"] = before
                reached = max(seq for _, seq in before) + 6
                await later.until(lambda: max(seq for _, seq in later.rows["pump-01"]) >= reached, WAIT_S)
                await stack.aclose()
    (boot,) = {boot for boot, _ in before}
    assert sorted(seq for _, seq in before) == list(range(len(before)))
    assert later.statuses("pump-01")
    assert boot


async def test_a_command_reaches_a_demonstration_pump_and_its_answer_comes_back(start, tmp_path):
    async with start(tmp_path, devices=users()) as broker, listening(broker.bus("store"), SITE) as store:
        path = fleet_file(tmp_path, broker, ["pump-01"], role="demo", prepare=True)
        async with fleet(path, broker):
            await store.until(lambda: len(store.rows["pump-01"]) == 200, WAIT_S)
            await store.order("pump-01", b'{"id":"click-1","simulate":{"fault":"cavitation"}}')
            await store.until(lambda: bool(store.answers("pump-01")) and len(store.rows["pump-01"]) == 260, WAIT_S)
    assert store.answers("pump-01")[0]["readings"] == 60
    assert store.messages[-1][1].correlation_id == "click-1"
    assert not store.messages[-1][1].replayed


async def test_a_recording_is_played_over_a_real_broker(start, tmp_path):
    lines = ["datetime,Druck,Fluß", *(f"2020-03-09 15:{n // 60:02}:{n % 60:02},{n}.25,{n}" for n in range(60))]
    path = tmp_path / "rig.csv"
    path.write_text("\n".join(lines))
    async with start(tmp_path, devices=users()) as broker, listening(broker.bus("store"), SITE) as store:
        outcome = await run_replay(
            path,
            broker.address(),
            site=SITE,
            device="pump-02",
            username=f"{SITE}/pump-02",
            password=broker.passwords[f"{SITE}/pump-02"],
            speed=20,
            progress=lambda _: None,
        )
    assert (outcome.rows, outcome.accounted, outcome.unaccounted) == (60, 60, 0)
    assert [tuple(v.values()) for _, (_, v) in sorted(store.rows["pump-02"].items())] == list(
        parse_recording(path.read_text()).rows
    )
    assert store.said[0][1] == Channel.STATUS


PROCESS = """
import asyncio, sys
from pathlib import Path
from broker.address import MqttAddress
from edge.fleet import run_fleet
asyncio.run(run_fleet(Path(sys.argv[1]), MqttAddress.parse(sys.argv[2]), Path(sys.argv[3])))
"""
# Ten pumps in one process beside everything else that `ronda up` runs.
MAX_MEMORY_MB = 60


async def test_ten_devices_in_one_process_stay_small_and_leave_on_sigterm(tmp_path):
    names = [f"pump-{n:02}" for n in range(10)]
    devices = [f"{SITE}/{name}" for name in names]
    async with embedded(tmp_path, devices=devices) as broker, listening(broker.bus("store"), SITE) as store:
        path = fleet_file(tmp_path, broker, names, history_rows=1920)
        url = broker.address().url()
        process = subprocess.Popen([sys.executable, "-c", PROCESS, str(path), url, str(tmp_path / "edge")], cwd=ROOT)
        try:
            await store.until(lambda: all(len(store.rows[name]) >= 1923 for name in names), WAIT_S)
            memory = psutil.Process(process.pid).memory_full_info().pss / 2**20
            os.kill(process.pid, signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, 15) == 0
        finally:
            process.kill()
        await store.until(lambda: all(store.statuses(name)[-1:] == [b"offline"] for name in names))
    assert memory < MAX_MEMORY_MB
