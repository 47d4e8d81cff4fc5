"""What the embedded broker adds to amqtt: a log before each PUBACK, sessions that belong to somebody, bounds."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from broker.bus import RefusedError, Will
from broker.embedded import EmbeddedBroker, EmbeddedBrokerError, Limits, QueueSpec
from broker.embedded.log import LogError
from broker.mqtt import MqttBus
from contract.errors import TransientError
from tests.broker.conftest import GATEWAY, OTHER, PUMP
from tests.broker.suite.test_promises import everything
from tests.broker.suite.venues import EmbeddedVenue
from tests.support.brokers import EVERYTHING, RunningBroker, embedded
from tests.support.mosquitto_tools import listen, publish_lines
from tests.support.ports import free_port

PATIENCE_S = 20.0
TELEMETRY = f"ronda/v1/{PUMP}/telemetry"
QUEUE = {"ronda-historian": QueueSpec(user=EVERYTHING.name, filters=["plant/#"])}


async def test_kill_9_under_load_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    venue = EmbeddedVenue(tmp_path)
    await venue.start()
    acknowledged: list[bytes] = []
    for life in range(4):
        publishing = asyncio.create_task(_publish_until_cut(venue, life, acknowledged))
        already = len(acknowledged)
        async with asyncio.timeout(PATIENCE_S):
            while len(acknowledged) < already + 2000:
                await asyncio.sleep(0.01)
        await venue.kill()
        publishing.cancel()
        await asyncio.wait([publishing])
        await venue.start()
    async with venue.bus("ronda-slow") as reader:
        found = [message.payload for message in await everything(reader)]
    await venue.stop()
    assert len(acknowledged) >= 8000
    assert set(acknowledged) <= set(found)
    first_times = list(dict.fromkeys(found))
    assert [one for one in first_times if one in set(acknowledged)] == acknowledged


async def _publish_until_cut(venue: EmbeddedVenue, life: int, acknowledged: list[bytes]) -> None:
    async with venue.bus("writer") as writer:
        for start in range(0, 1_000_000, 50):
            batch = [f"{life}.{start + number}".encode() for number in range(50)]
            await writer.publish([("slow/1", payload) for payload in batch])
            acknowledged += batch


async def test_a_declared_queue_fills_before_its_agent_first_connects(tmp_path: Path) -> None:
    async with embedded(tmp_path, queues=QUEUE) as running:
        async with running.bus("writer") as writer:
            await writer.publish([("plant/1", b"early")])
        async with running.bus("ronda-historian") as historian:
            assert [message.payload for message in await everything(historian)] == [b"early"]


async def test_a_declaration_that_changed_replaces_the_filters(tmp_path: Path) -> None:
    async with embedded(tmp_path, queues=QUEUE):
        pass
    changed = {"ronda-historian": QueueSpec(user=EVERYTHING.name, filters=["other/#"])}
    async with embedded(tmp_path, queues=changed) as running, running.bus("writer") as writer:
        await writer.publish([("plant/1", b"no"), ("other/1", b"yes")])
        async with running.bus("ronda-historian") as historian:
            assert [message.payload for message in await everything(historian)] == [b"yes"]


async def test_who_is_not_authenticated_cannot_throw_a_session_away(tmp_path: Path) -> None:
    async with embedded(tmp_path, queues=QUEUE, devices=[PUMP]) as running:
        async with running.bus("writer") as writer:
            await writer.publish([("plant/1", b"kept")])
        wrong = running.address().with_user(EVERYTHING.name, "guess")
        assert await listen(wrong, "#", "-i", "ronda-historian") == []
        async with running.bus("ronda-historian") as historian:
            assert [message.payload for message in await everything(historian)] == [b"kept"]


@pytest.mark.parametrize("options", [(), ("-c",)], ids=["clean", "persistent"])
async def test_a_client_id_belongs_to_the_user_who_first_had_it(tmp_path: Path, options: Sequence[str]) -> None:
    async with (
        embedded(tmp_path, queues=QUEUE, devices=[PUMP]) as running,
        running.bus("writer") as writer,
        running.bus("ronda-historian") as historian,
    ):
        assert await listen(running.address(PUMP), "#", "-i", "ronda-historian", *options) == []
        assert historian.connected
        await writer.publish([("plant/1", b"kept")])
        assert [message.payload for message in await everything(historian)] == [b"kept"]


@pytest.mark.parametrize("user", [PUMP, GATEWAY])
@pytest.mark.parametrize("persistent", [False, True], ids=["clean", "persistent"])
async def test_client_ids_of_services_are_not_for_devices_even_when_nobody_has_them(
    ours: RunningBroker, user: str, persistent: bool
) -> None:
    with pytest.raises(RefusedError, match="refuses ronda-trainer"):
        async with ours.bus("ronda-trainer", user, persistent=persistent):
            pass
    async with ours.bus("ronda-trainer", "acquisition"):
        pass


async def test_a_client_id_without_end_is_refused_and_its_log_line_is_short(
    ours: RunningBroker, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(RefusedError):
        async with ours.bus("x" * 60_000, PUMP):
            pass
    (refused,) = [record for record in caplog.records if record.getMessage() == "connection.refused"]
    assert len(refused.client_id) < 200


async def test_a_clean_session_cannot_throw_a_declared_queue_away(tmp_path: Path) -> None:
    async with embedded(tmp_path, queues=QUEUE) as running:
        with pytest.raises(RefusedError):
            async with running.bus("ronda-historian", persistent=False):
                pass


async def test_a_take_over_loses_nothing_and_publishes_the_old_will_first(ours: RunningBroker) -> None:
    will = Will("plant/alive", b"gone")
    async with ours.bus("reader") as reader, ours.bus("writer") as writer:
        await reader.subscribe("plant/alive")
        async with ours.bus("agent", will=will) as first:
            await first.subscribe("plant/1")
            await writer.publish([("plant/1", b"kept")])
            await first.receive()
            old = await MqttBus(ours.address(), "agent", will=will).__aenter__()
            async with asyncio.timeout(PATIENCE_S):
                assert (await old.receive())[0].payload == b"kept"
            await old.publish([("plant/alive", b"here")], retain=True)
            # The first one would come back and take over in its turn.
            first._keeper.cancel()
            found = [message.payload for message in await everything(reader)]
            await old.__aexit__(None, None, None)
        assert found == [b"gone", b"here"]


async def test_a_message_that_its_subscriber_never_survives_is_put_aside(tmp_path: Path) -> None:
    async with embedded(tmp_path, queues=QUEUE) as running:
        async with running.bus("writer") as writer:
            await writer.publish([("plant/1", b"fine"), ("plant/1", b"poison"), ("plant/1", b"after")])
        survived: list[bytes] = []
        for _ in range(40):
            await _agent_that_dies_of_poison(running, survived)
            if b"after" in survived:
                break
        # At least once: an acknowledgement may die with its agent.
        assert list(dict.fromkeys(survived)) == [b"fine", b"after"]
        assert running.broker.dead_letters() == [("ronda-historian", "plant/1", b"poison")]
        assert running.broker.status().counters.dead_letters == 1


async def _agent_that_dies_of_poison(running: RunningBroker, survived: list[bytes]) -> None:
    """Takes everything, works on it in order, and dies at the poison without having acknowledged the rest."""
    bus = await running.bus("ronda-historian").__aenter__()
    done = []
    async with asyncio.timeout(PATIENCE_S):
        while True:
            messages = await bus.receive()
            if any(message.payload == b"poison" for message in messages):
                break
            await bus.acknowledge(messages)
            done += [message.payload for message in messages]
            if b"after" in done:
                # Let the acknowledgement reach the broker.
                await bus.publish([("elsewhere", b"")])
                break
            await asyncio.sleep(0)
    survived += done
    bus._keeper.cancel()
    bus._connection._paho.socket().shutdown(socket.SHUT_RDWR)
    async with asyncio.timeout(PATIENCE_S):
        while any(q.connected for q in running.broker.status().queues if q.client_id == "ronda-historian"):
            await asyncio.sleep(0.01)


async def test_good_byes_are_no_reason_to_put_a_message_aside(tmp_path: Path) -> None:
    async with embedded(tmp_path, queues=QUEUE) as running:
        async with running.bus("writer") as writer:
            await writer.publish([("plant/1", b"patient")])
        for _ in range(15):
            async with running.bus("ronda-historian") as bus:
                assert [message.payload for message in await bus.receive()] == [b"patient"]
        assert running.broker.dead_letters() == []


async def test_a_full_queue_closes_the_publisher_after_a_while_and_counts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.embedded.connection._HOLD_BACK_S", 0.3)
    async with (
        embedded(tmp_path, queues=QUEUE, limits=Limits(rows=10)) as running,
        running.bus("writer", timeout_s=1.5) as writer,
    ):
        with pytest.raises(TransientError):
            await writer.publish([("plant/1", str(number).encode()) for number in range(20)])
        await writer.publish([("unread/1", b"others are not held back")])
        assert running.broker.status().counters.refused_full > 0
        async with running.bus("ronda-historian") as historian:
            assert len(await everything(historian)) >= 10
        await writer.publish([("plant/1", b"there is room again")])


async def test_bytes_are_bounded_as_well_as_messages(tmp_path: Path) -> None:
    async with embedded(tmp_path, queues=QUEUE, limits=Limits(octets=1_000_000)) as running:
        async with running.bus("writer", timeout_s=0.5) as writer:
            with pytest.raises(TransientError):
                await writer.publish([("plant/1", bytes(200_000)) for _ in range(10)])
        (depth,) = [queue for queue in running.broker.status().queues if queue.client_id == "ronda-historian"]
        assert depth.octets == 1_000_000


async def test_a_device_that_is_away_misses_messages_and_holds_nobody_up(ours: RunningBroker) -> None:
    async with ours.bus("esp32", PUMP) as device:
        await device.subscribe(f"ronda/v1/{PUMP}/stored")
    async with ours.bus("historian") as historian:
        await historian.publish([(f"ronda/v1/{PUMP}/stored", b"x")] * 10_500)
    assert ours.broker.status().counters.dropped_slow == 500


async def test_a_revoked_devices_session_is_forgotten(ours: RunningBroker) -> None:
    async with ours.bus("esp32", PUMP) as device:
        await device.subscribe("#")
    ours.revoke(PUMP)
    async with asyncio.timeout(PATIENCE_S):
        while any(queue.user == PUMP for queue in ours.broker.status().queues):
            await asyncio.sleep(0.02)


async def test_one_user_cannot_leave_sessions_without_end(ours: RunningBroker) -> None:
    for number in range(16):
        async with ours.bus(f"esp32-{number}", PUMP):
            pass
    with pytest.raises(RefusedError):
        async with ours.bus("esp32-16", PUMP):
            pass
    async with ours.bus("esp32-0", PUMP), ours.bus("another", OTHER):
        pass


async def test_qos_2_is_taken_once_and_delivered_at_least_once(ours: RunningBroker) -> None:
    async with ours.bus("reader") as reader:
        await reader.subscribe("#")
        assert await publish_lines(ours.address(PUMP), TELEMETRY, ["a", "b"], "-q", "2") == 0
        assert [message.payload for message in await everything(reader)] == [b"a", b"b"]


async def test_qos_0_reaches_who_is_there_and_nobody_later(ours: RunningBroker) -> None:
    async with ours.bus("absent") as absent:
        await absent.subscribe("#")
    async with ours.bus("reader") as reader:
        await reader.subscribe("#")
        assert await publish_lines(ours.address(PUMP), TELEMETRY, ["a", "b"], "-q", "0") == 0
        assert [message.payload for message in await everything(reader)] == [b"a", b"b"]
    async with ours.bus("absent") as absent:
        assert await everything(absent) == []


async def test_a_refused_message_is_acknowledged_dropped_and_counted(ours: RunningBroker) -> None:
    assert await publish_lines(ours.address(PUMP), f"ronda/v1/{OTHER}/telemetry", ["x", "y"]) == 0
    assert ours.broker.status().counters.refused == {"not_yours": 2}


async def test_a_silent_client_is_given_up_after_its_keep_alive(ours: RunningBroker) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", ours.port)
    password = ours.passwords[PUMP].encode()
    fields = [b"silent", f"ronda/v1/{PUMP}/status".encode(), b"offline", PUMP.encode(), password]
    body = b"\x00\x04MQTT\x04\xee\x00\x01" + b"".join(len(one).to_bytes(2, "big") + one for one in fields)
    writer.write(b"\x10" + len(body).to_bytes(1, "big") + body)
    async with ours.bus("auditor") as auditor:
        await auditor.subscribe("#")
        started = time.monotonic()
        async with asyncio.timeout(PATIENCE_S):
            (message,) = await auditor.receive()
    assert (message.topic, message.payload) == (f"ronda/v1/{PUMP}/status", b"offline")
    assert time.monotonic() - started > 1.0
    writer.close()


async def test_a_version_5_client_is_told_and_does_not_hang(ours: RunningBroker) -> None:
    started = time.monotonic()
    assert await publish_lines(ours.address(PUMP), TELEMETRY, ["x"], "-V", "5") != 0
    assert time.monotonic() - started < 5.0


async def test_stop_is_quick_whatever_the_clients_do(tmp_path: Path) -> None:
    async with embedded(tmp_path) as running:
        bus = await running.bus("reader", persistent=False).__aenter__()
        await bus.subscribe("#")
        # Somebody who never reads, with more under way than the sockets hold.
        asyncio.get_running_loop().remove_reader(bus._connection._paho.socket().fileno())
        async with running.bus("writer") as writer:
            await writer.publish([("plant/1", bytes(1_000_000))] * 20)
        started = time.monotonic()
        await running.broker.stop()
        assert time.monotonic() - started < 3.0
        bus._keeper.cancel()


async def test_a_port_in_use_is_one_clear_line(tmp_path: Path, ours: RunningBroker) -> None:
    second = EmbeddedBroker(tmp_path / "second", "127.0.0.1", ours.port, ours.credentials, [], {})
    with pytest.raises(EmbeddedBrokerError, match=f"cannot listen on 127.0.0.1:{ours.port}.*in use"):
        await second.start()


async def test_a_folder_in_use_is_one_clear_line(tmp_path: Path, ours: RunningBroker) -> None:
    second = EmbeddedBroker(tmp_path / "broker", "127.0.0.1", free_port(), ours.credentials, [], {})
    with pytest.raises(LogError, match="another broker is running"):
        await second.start()


async def test_a_second_start_finds_what_the_first_left(tmp_path: Path) -> None:
    async with embedded(tmp_path, queues=QUEUE) as running, running.bus("writer") as writer:
        await writer.publish([("plant/1", str(number).encode()) for number in range(3000)])
    async with embedded(tmp_path, queues=QUEUE) as running, running.bus("ronda-historian") as historian:
        found = [message.payload for message in await everything(historian)]
    assert found == [str(number).encode() for number in range(3000)]


async def test_nothing_is_acknowledged_while_the_disk_cannot_take_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    async with embedded(tmp_path, queues=QUEUE) as running, running.bus("writer", timeout_s=1.0) as writer:
        with monkeypatch.context() as broken:
            broken.setattr("broker.embedded.log.Log._write", full)
            with pytest.raises(TransientError):
                await writer.publish([("plant/1", b"lost?")])
        await writer.publish([("plant/1", b"stored")])
        async with running.bus("ronda-historian") as historian:
            assert (await everything(historian))[-1].payload == b"stored"
        (depth,) = [queue for queue in running.broker.status().queues if queue.client_id == "ronda-historian"]
        assert (depth.messages, depth.octets) == (0, 0)


async def test_the_write_ahead_log_does_not_grow_without_end(tmp_path: Path) -> None:
    async with embedded(tmp_path, queues=QUEUE) as running, running.bus("writer") as writer:
        async with running.bus("ronda-historian") as historian:
            for _ in range(30):
                await writer.publish([("plant/1", bytes(1_000_000))] * 5)
                for _ in range(5):
                    await historian.acknowledge(await historian.receive(1))
                running.broker._log.tidy()
                await asyncio.sleep(0)
            running.broker._log.tidy()
        wal = tmp_path / "broker" / "broker.sqlite-wal"
        assert wal.stat().st_size < 100_000_000
