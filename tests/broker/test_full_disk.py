"""The embedded broker on a disk that is full: it acknowledges nothing that it cannot keep, and finds its way out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from broker.bus import Bus
from broker.credentials import Credentials
from broker.embedded import EmbeddedBroker, QueueSpec
from broker.embedded.log import LogError
from broker.embedded.packets import publish
from broker.two_lines import TwoLines
from contract.errors import TransientError
from tests.broker.suite.venues import EmbeddedVenue, WireEmbeddedVenue
from tests.faults.disk import disk
from tests.support.brokers import EVERYTHING, RunningBroker, embedded

PATIENCE_S = 60.0
MEGABYTES = 48
# In the database pages of 4 kB go to a message, so that a disk is soon full.
SIZE = 3000
GROUP = 200
HISTORIAN, VALIDATION = "ronda-historian", "ronda-validation"
QUEUES = {
    HISTORIAN: QueueSpec(EVERYTHING.name, ["validated/+"]),
    VALIDATION: QueueSpec(EVERYTHING.name, ["ingested/+"]),
}


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.embedded.connection._HOLD_BACK_S", 0.5)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A small disk."""
    with disk(tmp_path / "small", MEGABYTES):
        yield tmp_path / "small"


@pytest.fixture
async def full(folder: Path) -> AsyncIterator[tuple[RunningBroker, int]]:
    """A broker whose disk the historian's queue has filled, and how many messages it acknowledged."""
    async with embedded(folder, queues=QUEUES) as running:
        yield running, await fill(running, "validated/1", 0)


def numbered(first: int, count: int = GROUP, topic: str = "validated/1") -> list[tuple[str, bytes]]:
    return [(topic, str(number).encode().ljust(SIZE)) for number in range(first, first + count)]


async def fill(running: RunningBroker, topic: str, first: int) -> int:
    """Publish until the broker takes no more; returns the first number that it did not acknowledge for sure."""
    async with asyncio.timeout(PATIENCE_S), running.bus("writer", timeout_s=1.0) as writer:
        with contextlib.suppress(TransientError):
            while True:
                await writer.publish(numbered(first, topic=topic))
                first += GROUP
    return first


async def drain(bus: Bus, through: int, seen: dict[int, None] | None = None) -> dict[int, None]:
    """Everything up to `through`; before each acknowledgement something is said, as the historian does."""
    seen = {} if seen is None else seen
    async with asyncio.timeout(PATIENCE_S):
        while through - 1 not in seen:
            messages = await bus.receive()
            seen.update(dict.fromkeys(int(message.payload) for message in messages))
            await bus.publish([("stored/1", str(max(seen)).encode())], retain=True)
            await bus.acknowledge(messages)
    return seen


def agent(running: RunningBroker, client_id: str) -> Bus:
    return TwoLines(running.bus(client_id), running.bus(f"{client_id}-speaks", persistent=False))


async def has_room(running: RunningBroker) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while running.broker.status().scarce:
            await asyncio.sleep(0.05)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


async def test_a_disk_that_its_own_queue_filled_is_left_again_and_nothing_acknowledged_is_lost(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ronda")
    async with embedded(folder, queues=QUEUES) as running:
        accepted = 0
        for turn in range(2):
            first, accepted = accepted, await fill(running, "validated/1", accepted)
            assert accepted - first > 2000, f"turn {turn}"
            status = running.broker.status()
            assert status.scarce
            assert (status.counters.disk_full, status.counters.refused_full > 0) == (turn + 1, True)
            async with agent(running, HISTORIAN) as historian:
                seen = await drain(historian, accepted)
                assert sorted(seen) == list(seen)
                assert set(range(first, accepted)) <= set(seen)
            await has_room(running)
            accepted = max(accepted, max(seen) + 1)
    assert [word for word in told(caplog) if word.startswith("reserve.")] == ["reserve.released"]
    assert told(caplog).count("disk.full") == told(caplog).count("disk.has_room") == 2


async def test_on_a_full_disk_those_who_are_up_to_date_go_on(full: tuple[RunningBroker, int]) -> None:
    running, _ = full
    async with agent(running, VALIDATION) as validation, running.bus("writer", timeout_s=2.0) as writer:
        for number in range(0, 10 * GROUP, 20):
            await writer.publish(numbered(number, 20, "ingested/1"))
            async with asyncio.timeout(PATIENCE_S):
                await drain(validation, number + 20)
    assert running.broker.status().scarce


@pytest.fixture
async def venue(folder: Path) -> AsyncIterator[EmbeddedVenue]:
    """A broker that can be killed, on a small disk."""
    here = WireEmbeddedVenue(folder)
    await here.start()
    yield here
    await here.stop()


async def test_what_was_acknowledged_before_the_disk_was_full_survives_kill_9(venue: EmbeddedVenue) -> None:
    accepted = await _fill_the_slow_queue(venue)
    await venue.kill()
    await venue.start()
    seen: list[int] = []
    async with asyncio.timeout(PATIENCE_S), venue.bus("ronda-slow") as reader:
        while accepted - 1 not in seen:
            messages = await reader.receive()
            seen += [int(message.payload) for message in messages]
            await reader.acknowledge(messages)
    assert list(dict.fromkeys(seen))[:accepted] == list(range(accepted))
    assert await _fill_the_slow_queue(venue, accepted) > accepted + 1000


async def test_a_disk_that_somebody_else_filled_is_left_when_there_is_room_again(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ronda")
    async with embedded(folder, queues=QUEUES) as running:
        async with running.bus("writer") as writer:
            await writer.publish(numbered(0))
        _occupy(folder / "somebody")
        await fill(running, "validated/1", GROUP)
        assert running.broker.status().scarce
        async with agent(running, HISTORIAN) as historian:
            seen = await drain(historian, GROUP)
        # What was kept in reserve is taken too: now there is nothing but to wait.
        _occupy(folder / "more")
        assert await fill(running, "ingested/1", 0) < 4000
        (folder / "somebody").unlink()
        (folder / "more").unlink()
        await has_room(running)
        async with asyncio.timeout(PATIENCE_S), running.bus("writer") as writer:
            await writer.publish(numbered(10_000))
        async with agent(running, HISTORIAN) as historian:
            await drain(historian, 10_000 + GROUP, seen)
    assert set(range(GROUP)) <= set(seen)
    assert "reserve.restored" in told(caplog)
    assert (folder / "broker" / "broker.reserve").stat().st_size > 0


async def test_a_broker_that_starts_on_a_full_disk_opens_with_its_reserve(folder: Path) -> None:
    async with embedded(folder, queues=QUEUES) as running, running.bus("writer") as writer:
        await writer.publish(numbered(0))
    _occupy(folder / "somebody")
    assert _free(folder) == 0
    async with embedded(folder, queues=QUEUES) as running, agent(running, HISTORIAN) as historian:
        assert list(await drain(historian, GROUP)) == list(range(GROUP))


async def test_a_disk_without_any_room_is_one_clear_line(tmp_path: Path) -> None:
    with disk(tmp_path / "tiny", 1):
        credentials = Credentials(tmp_path / "tiny" / "passwd")
        broker = EmbeddedBroker(tmp_path / "tiny" / "broker", "127.0.0.1", 0, credentials, [], {})
        (tmp_path / "tiny" / "broker").mkdir()
        _occupy(tmp_path / "tiny" / "somebody")
        with pytest.raises(LogError, match="cannot be used"):
            await broker.start()


async def test_a_disk_too_small_for_a_reserve_holds_every_queue_short(tmp_path: Path) -> None:
    with disk(tmp_path / "small", 20):
        async with embedded(tmp_path / "small", queues=QUEUES) as running:
            assert running.broker.status().scarce
            assert not (tmp_path / "small" / "broker" / "broker.reserve").exists()


async def test_where_there_is_plenty_nothing_is_kept_in_reserve(tmp_path: Path) -> None:
    async with embedded(tmp_path, queues=QUEUES) as running:
        assert not running.broker.status().scarce
        assert not (tmp_path / "broker" / "broker.reserve").exists()


async def test_one_message_of_many_megabytes_that_does_not_fit_harms_no_other(full: tuple[RunningBroker, int]) -> None:
    running, accepted = full
    async with running.bus("large", timeout_s=2.0) as large:
        for _ in range(3):
            with contextlib.suppress(TransientError):
                await large.publish([("ingested/1", bytes(5_000_000))])
    async with agent(running, HISTORIAN) as historian:
        assert list(await drain(historian, accepted))[:accepted] == list(range(accepted))


async def test_at_qos_2_too_what_the_log_could_not_have_is_taken_when_it_comes_again(
    ours: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = publish("plant/1", b"once", qos=2, retain=False, packet_id=7)
    async with ours.bus("reader") as reader:
        await reader.subscribe("plant/#")
        with monkeypatch.context() as broken:
            broken.setattr("broker.embedded.log.Log._write", _no_room)
            _, writer, _ = await _say(ours, message)
            writer.close()
        _, writer, answered = await _say(ours, message)
        assert answered == b"\x50\x02\x00\x07"
        async with asyncio.timeout(PATIENCE_S):
            assert [each.payload for each in await reader.receive()] == [b"once"]
        writer.close()


async def _say(running: RunningBroker, message: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    fields = [b"careful", EVERYTHING.name.encode(), running.passwords[EVERYTHING.name].encode()]
    # A session that is kept.
    body = b"\x00\x04MQTT\x04\xc0\x00\x3c" + b"".join(len(one).to_bytes(2, "big") + one for one in fields)
    writer.write(b"\x10" + bytes([len(body)]) + body)
    async with asyncio.timeout(PATIENCE_S):
        assert (await reader.readexactly(4))[3] == 0
        writer.write(message)
        return reader, writer, await reader.read(4)


def _no_room(*_: object) -> None:
    raise sqlite3.OperationalError("database or disk is full")


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _occupy(path: Path) -> None:
    """Every byte that is left."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


async def _fill_the_slow_queue(venue: EmbeddedVenue, first: int = 0) -> int:
    async with asyncio.timeout(PATIENCE_S), venue.bus("writer", timeout_s=2.0) as writer:
        with contextlib.suppress(TransientError):
            while True:
                await writer.publish([("slow/1", payload.ljust(2 * SIZE)) for _, payload in numbered(first)])
                first += GROUP
    return first
