"""The fleet follows its file: who is listed runs, who is added joins, who is removed leaves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from broker.memory import MemoryBroker
from contract.errors import TransientError
from edge.clock import SystemClock
from edge.device import last_will
from edge.fleet import Fleet, run_fleet
from edge.member import FleetFileError, Member, read_fleet
from tests.edge.store import Store, listening


def member(name: str, **fields: object) -> dict[str, object]:
    user = {"site": "plant-1", "device": name, "username": f"plant-1/{name}", "password": "secret-" + name}
    return user | {"history_rows": 30} | fields


def write(path: Path, *members: dict[str, object]) -> Path:
    path.write_bytes(msgspec.json.encode(members))
    return path


@contextlib.asynccontextmanager
async def running(broker: MemoryBroker, path: Path) -> AsyncIterator[Fleet]:
    def bus_for(one: Member):
        return broker.bus(one.name, persistent=False, will=last_will(one.site, one.device))

    fleet, stop = Fleet(path, path.parent / "edge", bus_for, SystemClock()), asyncio.Event()
    work = asyncio.create_task(fleet.run(stop))
    try:
        yield fleet
    finally:
        stop.set()
        await asyncio.wait_for(work, 20)


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
async def store(broker) -> AsyncIterator[Store]:
    async with listening(broker.bus("store")) as store:
        yield store


async def test_all_devices_of_the_file_run_and_say_good_bye(broker, store, tmp_path):
    path = write(tmp_path / "fleet.json", member("pump-01"), member("pump-02"), member("demo-1", role="demo"))
    async with running(broker, path):
        await store.until(lambda: len(store.rows["pump-01"]) > 30 and len(store.rows["pump-02"]) > 30)
        await store.until(lambda: store.statuses("demo-1") == [b"online"])
    await store.until(lambda: all(store.statuses(n)[-1] == b"offline" for n in ("pump-01", "pump-02", "demo-1")))
    assert not store.rows["demo-1"]
    assert {file.name for file in (tmp_path / "edge").iterdir()} == {"plant-1.pump-01.json", "plant-1.pump-02.json"}


async def test_a_device_that_is_added_joins_and_one_that_is_removed_leaves(broker, store, tmp_path):
    path = write(tmp_path / "fleet.json", member("pump-01"))
    async with running(broker, path):
        await store.until(lambda: len(store.rows["pump-01"]) > 30)
        write(path, member("pump-02"))
        await store.until(lambda: len(store.rows["pump-02"]) > 30 and store.statuses("pump-01")[-1] == b"offline")


async def test_an_unreadable_file_changes_nothing_for_those_who_run(broker, store, tmp_path):
    path = write(tmp_path / "fleet.json", member("pump-01"))
    async with running(broker, path):
        await store.until(lambda: len(store.rows["pump-01"]) > 30)
        path.write_text("[")
        seen = len(store.rows["pump-01"])
        await store.until(lambda: len(store.rows["pump-01"]) > seen + 1)
        write(path, member("pump-01"), member("pump-02"))
        await store.until(lambda: len(store.rows["pump-02"]) > 30)
    assert store.statuses("pump-01") == [b"online", b"offline"]


async def test_a_device_whose_broker_is_away_comes_back_by_itself(broker, store, tmp_path):
    class Away:
        async def __aenter__(self):
            raise TransientError("no MQTT broker answers")

    attempts = 0

    def bus_for(one: Member):
        nonlocal attempts
        attempts += 1
        return Away() if attempts < 3 else broker.bus(one.name, persistent=False)

    path, stop = write(tmp_path / "fleet.json", member("pump-01")), asyncio.Event()
    work = asyncio.create_task(Fleet(path, tmp_path / "edge", bus_for, SystemClock()).run(stop))
    await store.until(lambda: len(store.rows["pump-01"]) > 30)
    stop.set()
    await asyncio.wait_for(work, 20)
    assert attempts == 3


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[", "cannot use the fleet's file"),
        ("{}", "Expected `array`"),
        ('[{"site": "plant-1"}]', "missing required field"),
        ('[{"site":"a.b","device":"c","username":"u","password":"p"}]', "the site name"),
        ('[{"site":"a","device":"c","username":"u","password":"p","role":"clown"}]', "role"),
        ('[{"site":"a","device":"c","username":"u","password":"p","seed":-1}]', "impossible seed"),
    ],
)
async def test_a_fleet_that_cannot_be_run_is_refused_in_one_line(tmp_path, content, reason):
    path = tmp_path / "fleet.json"
    path.write_text(content)
    with pytest.raises(FleetFileError, match=reason) as caught:
        await run_fleet(path, None, tmp_path)  # type: ignore[arg-type]  # it does not come so far
    assert "\n" not in str(caught.value)


def test_one_device_stands_in_the_file_once(tmp_path):
    with pytest.raises(FleetFileError, match="twice"):
        read_fleet(write(tmp_path / "fleet.json", member("pump-01"), member("pump-01")))


def test_a_password_shows_in_no_message(tmp_path):
    (one,) = read_fleet(write(tmp_path / "fleet.json", member("pump-01")))
    assert "secret" not in repr(one) + str(one)


def test_seed_and_phase_follow_from_the_name_and_differ(tmp_path):
    one, other = read_fleet(write(tmp_path / "fleet.json", member("pump-01"), member("pump-02")))
    assert one.own_seed == read_fleet(tmp_path / "fleet.json")[0].own_seed != other.own_seed
    assert one.phase_ms != other.phase_ms
