"""What a gateway is there for: killed, cut off and out of room, it loses nothing and doubles nothing."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
import signal
import subprocess

import pytest

from edge.buffer import Buffer
from edge.clock import SystemClock
from edge.uplink import Uplink
from tests.edge.gateway.site import BOOT, GATEWAY, OWN, SITE, START_MS, WAIT_S, Talker, gateway, statuses, until
from tests.edge.store import listening
from tests.support.brokers import embedded, mosquitto
from tests.support.ports import free_port

NAMES = ["pump-1", "pump-2", "pump-3"]
KILLS = 6
# Readings of 60 values: more than eight megabytes.
FILLS_THE_DISK = 12_000


@pytest.fixture(params=[embedded, pytest.param(mosquitto, marks=pytest.mark.mosquitto)], ids=["embedded", "mosquitto"])
def start(request):
    return request.param


def everything_arrived(store, talkers):
    return lambda: all(set(store.rows[talker.device]) >= talker.said for talker in talkers)


def exactly_what_was_said(store, talkers):
    """Identities and contents: the store itself asserts that one identity has one content."""
    return {t.device: set(store.rows[t.device]) for t in talkers} == {t.device: t.said for t in talkers}


async def test_kill_9_at_random_points_under_load_loses_and_doubles_nothing(start, tmp_path):
    chance = random.Random(7)  # the points are drawn by a seed
    async with (
        start(tmp_path / "local") as local,
        start(tmp_path / "cloud", devices=[GATEWAY]) as cloud,
        listening(cloud.bus("store"), SITE) as store,
        local.bus("device") as bus,
        gateway(tmp_path, local, cloud) as process,
    ):
        await store.until(lambda: bool(statuses(store)), WAIT_S)
        talkers = [Talker(bus, name, number) for number, name in enumerate(NAMES)]
        in_flight = 0
        for _ in range(KILLS):
            saying = [asyncio.create_task(talker.say(400, each=4)) for talker in talkers]
            await asyncio.sleep(chance.uniform(0.02, 0.5))
            await process.end(signal.SIGKILL)
            in_flight += not everything_arrived(store, talkers)()
            await asyncio.gather(*saying)
            await process.start()
            await asyncio.sleep(chance.uniform(0.3, 1.2))
        await store.until(everything_arrived(store, talkers), WAIT_S)
        assert exactly_what_was_said(store, talkers)
        assert in_flight > 0
        await until(lambda: statuses(store)[-1].held == 0 and statuses(store)[-1].stored == len(NAMES) * 400 * KILLS)
    print(f"{KILLS} kills, {in_flight} with work in flight, {store.arrivals} came for {len(NAMES) * 400 * KILLS}")


async def test_a_cloud_that_was_away_gets_everything_when_it_is_back(start, tmp_path):
    port = free_port()
    cloud_again = functools.partial(start, tmp_path / "cloud", devices=[GATEWAY], port=port)
    async with start(tmp_path / "local") as local, local.bus("device") as bus, contextlib.AsyncExitStack() as stack:
        talkers = [Talker(bus, name, number) for number, name in enumerate(NAMES)]
        async with cloud_again() as cloud, listening(cloud.bus("store"), SITE) as first:
            await stack.enter_async_context(gateway(tmp_path, local, cloud))
            await first.until(lambda: bool(statuses(first)), WAIT_S)
            for talker in talkers:
                await talker.say(100)
            await first.until(everything_arrived(first, talkers), WAIT_S)
        for talker in talkers:
            await talker.say(700)
        async with cloud_again() as cloud, listening(cloud.bus("store"), SITE) as store:
            store.rows |= first.rows
            await store.until(everything_arrived(store, talkers), WAIT_S)
            await until(lambda: bool(statuses(store)) and statuses(store)[-1].held == 0)
            assert exactly_what_was_said(store, talkers)
            assert statuses(store)[-1].dropped == {}
            await stack.aclose()


@contextlib.asynccontextmanager
async def without_cloud(start, folder, mapping=OWN):
    """(a device's bus, what the gateway says here, the cloud when it comes)."""
    port = free_port()
    async with start(folder / "cloud", devices=[GATEWAY], port=port) as cloud:
        await cloud.broker.stop()
        async with (
            start(folder / "local") as local,
            local.bus("device") as bus,
            gateway(folder, local, cloud, mapping) as process,
            listening(local.bus("ear"), SITE, confirms=False) as here,
        ):
            await here.until(lambda: bool(statuses(here)), WAIT_S)
            yield bus, here, functools.partial(_comes, start, folder, port)
            assert process.process.returncode is None


@contextlib.asynccontextmanager
async def _comes(start, folder, port):
    async with (
        start(folder / "cloud", devices=[GATEWAY], port=port) as cloud,
        listening(cloud.bus("store"), SITE) as store,
    ):
        yield store


async def test_a_gateway_that_starts_without_the_cloud_collects(start, tmp_path):
    async with without_cloud(start, tmp_path) as (bus, here, cloud):
        talker = Talker(bus, "pump-1")
        await talker.say(300)
        await until(lambda: statuses(here)[-1].held == 300)
        assert not statuses(here)[-1].cloud
        async with cloud() as store:
            await store.until(everything_arrived(store, [talker]), WAIT_S)
            assert exactly_what_was_said(store, [talker])


async def test_a_local_broker_that_was_away_costs_no_reading_of_a_device_that_keeps_them(start, tmp_path):
    port = free_port()
    ring = Buffer(BOOT.format(0), 5000)
    async with (
        start(tmp_path / "cloud", devices=[GATEWAY]) as cloud,
        listening(cloud.bus("store"), SITE) as store,
        contextlib.AsyncExitStack() as stack,
        start(tmp_path / "local", port=port) as local,
    ):
        device = await stack.enter_async_context(local.bus("device"))
        uplink = Uplink(device, SITE, "pump-1", ["x"], now_ms=SystemClock().now_ms, late_ms=None)
        uplink.add(ring)
        for job in (uplink.run(), _hears(device, uplink)):
            stack.callback(asyncio.create_task(job).cancel)
        await stack.enter_async_context(gateway(tmp_path, local, cloud))
        _measure(ring, uplink, 300)
        await store.until(lambda: len(store.rows["pump-1"]) == 300, WAIT_S)
        await local.broker.stop()
        _measure(ring, uplink, 300)
        await asyncio.sleep(1)
        async with start(tmp_path / "local", port=port):
            _measure(ring, uplink, 300)
            await store.until(lambda: len(store.rows["pump-1"]) == 900, WAIT_S)
            async with asyncio.timeout(WAIT_S):
                await uplink.until(lambda: uplink.held == 0)
            await stack.aclose()
    assert {seq for _, seq in store.rows["pump-1"]} == set(range(900))
    assert ring.dropped == 0


def _measure(ring, uplink, readings):
    for _ in range(readings):
        ring.hold(START_MS + 1000 * ring.next_seq, [0.5])
    uplink.wake()


async def _hears(bus, uplink):
    await bus.subscribe(f"ronda/v1/{SITE}/pump-1/stored")
    while True:
        messages = await bus.receive()
        for message in messages:
            await uplink.stored(message.payload, retained=message.retain)
        await bus.acknowledge(messages)


async def test_what_a_full_outbox_gives_up_is_counted_and_told(start, tmp_path):
    """Of a device that the gateway counts: the cloud hears what is gone, and its watermark passes it."""
    mapping = f'site = "{SITE}"\n[limits]\nrows = 200\n[[source]]\ntopic = "hall/{{device}}"\n'
    async with without_cloud(start, tmp_path, mapping) as (bus, here, cloud):
        await bus.publish([("hall/press-3", b'{"x": %d}' % n) for n in range(1000)])
        await until(lambda: statuses(here)[-1].kept == 1000)
        dropped = statuses(here)[-1].dropped["rows"]
        assert statuses(here)[-1].dropped_by_device == {"press-3": dropped}
        assert dropped >= 800
        async with cloud() as store:
            await store.until(lambda: len(store.rows["press-3"]) == 1000 - dropped, WAIT_S)
            await until(lambda: statuses(here)[-1].held == 0)
    assert {seq for _, seq in store.rows["press-3"]} == set(range(dropped, 1000))
    assert store.messages[0][1].oldest == dropped


async def test_what_is_measured_now_overtakes_back_fill_which_is_flagged(start, tmp_path):
    mapping = f"{OWN}[limits]\nlate_s = 2\nbackfill_per_s = 300\n"
    async with without_cloud(start, tmp_path, mapping) as (bus, here, cloud):
        talker = Talker(bus, "pump-1")
        await talker.say(2000)
        await until(lambda: statuses(here)[-1].held == 2000)
        await asyncio.sleep(2.5)
        async with cloud() as store:
            await store.until(lambda: bool(store.messages), WAIT_S)
            await talker.say(50)
            await store.until(everything_arrived(store, [talker]), WAIT_S)
            assert exactly_what_was_said(store, [talker])
    live = [message for _, message in store.messages if message.readings[0].seq >= 2000]
    late = [message for _, message in store.messages if message.readings[0].seq < 2000]
    assert {message.replayed for message in live} == {False}
    assert {message.replayed for message in late} == {True}
    assert store.messages[-1][1] in late
    for part in (live, late):
        numbers = [message.readings[0].seq for message in part]
        assert numbers == sorted(numbers)


async def test_a_full_disk_holds_the_local_broker_back_and_loses_nothing(tmp_path, small_disk):
    async with without_cloud(embedded, tmp_path) as (bus, here, cloud):
        talker = Talker(bus, "pump-1", metrics=60)
        await talker.say(FILLS_THE_DISK, each=100)
        await until(lambda: statuses(here)[-1].trouble is not None)
        assert "make room" in statuses(here)[-1].trouble
        assert 0 < statuses(here)[-1].held < FILLS_THE_DISK
        async with cloud() as store:
            await store.until(everything_arrived(store, [talker]), WAIT_S)
            await until(lambda: statuses(here)[-1].held == 0 and statuses(here)[-1].trouble is None)
            assert exactly_what_was_said(store, [talker])


@pytest.fixture
def small_disk(tmp_path):
    """The outbox's folder as a disk of its own of eight megabytes (needs root, as CI has)."""
    folder = tmp_path / "gateway" / "data"
    folder.mkdir(parents=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)
