"""How long the embedded broker keeps a session that nobody declares, and what it costs the others."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from pathlib import Path

import pytest

from broker.embedded import Limits, QueueSpec
from tests.broker.suite.test_promises import everything
from tests.broker.suite.venues import EmbeddedVenue
from tests.support.brokers import EVERYTHING, RunningBroker, embedded

PATIENCE_S = 20.0
QUEUE = {"ronda-historian": QueueSpec(user=EVERYTHING.name, filters=["plant/#"])}


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_the_queue_of_an_agent_that_nobody_declares_survives_the_broker(tmp_path: Path, end: str) -> None:
    venue = EmbeddedVenue(tmp_path)
    await venue.start()
    async with venue.bus("ronda-validation-0-31") as agent:
        await agent.subscribe("plant/#")
    async with venue.bus("writer") as writer:
        await writer.publish([("plant/1", str(number).encode()) for number in range(500)])
    await (venue.kill() if end == "kill" else venue.stop())
    await venue.start()
    async with venue.bus("ronda-validation-0-31") as agent:
        assert [message.payload for message in await everything(agent)] == [b"%d" % number for number in range(500)]
    await venue.stop()


async def test_a_queue_that_is_no_longer_declared_fills_to_its_bound_and_holds_nobody_up(tmp_path: Path) -> None:
    async with embedded(tmp_path, queues=QUEUE):
        pass
    async with embedded(tmp_path, limits=Limits(rows=10)) as running, asyncio.timeout(PATIENCE_S):
        async with running.bus("reader") as reader, running.bus("writer") as writer:
            await reader.subscribe("plant/#")
            for number in range(25):
                await writer.publish([("plant/1", b"%d" % number)])
                await reader.acknowledge(await reader.receive())
        status = running.broker.status()
        (left,) = [queue for queue in status.queues if queue.client_id == "ronda-historian"]
        assert (left.messages, status.counters.dropped_slow, status.counters.refused_full) == (10, 15, 0)
    # Declared again, it goes on with what it has.
    async with embedded(tmp_path, queues=QUEUE) as running, running.bus("ronda-historian") as historian:
        assert [message.payload for message in await everything(historian)] == [b"%d" % number for number in range(10)]


@pytest.mark.parametrize(("unused_days", "kept"), [(6, True), (8, False)])
async def test_a_session_that_nobody_used_for_a_week_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unused_days: int, kept: bool
) -> None:
    await _leave_session(tmp_path, "ronda-gone", unused_days)
    monkeypatch.setattr("broker.embedded.server._RETURN_S", 0.0)
    async with embedded(tmp_path) as running:
        await _sweep(running)
        assert {queue.client_id for queue in running.broker.status().queues} == ({"ronda-gone"} if kept else set())


async def test_after_a_start_everybody_has_time_to_come_back(tmp_path: Path) -> None:
    await _leave_session(tmp_path, "ronda-patient", unused_days=30)
    async with embedded(tmp_path) as running:
        await _sweep(running)
        assert [queue.client_id for queue in running.broker.status().queues] == ["ronda-patient"]


async def test_who_is_here_is_noted_as_seen_so_that_kill_9_cannot_age_its_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.embedded.server._NOTE_EVERY_S", 0.0)
    async with embedded(tmp_path) as running, running.bus("ronda-busy"):
        _age_session(tmp_path, "ronda-busy", days=30)
        await _sweep(running)
        (session,) = running.broker._log.sessions()
        assert time.time() - session.seen_s < PATIENCE_S


async def _leave_session(folder: Path, client_id: str, unused_days: int) -> None:
    async with embedded(folder) as running, running.bus(client_id) as bus:
        await bus.subscribe("plant/#")
    _age_session(folder, client_id, unused_days)


def _age_session(folder: Path, client_id: str, days: int) -> None:
    with contextlib.closing(sqlite3.connect(folder / "broker" / "broker.sqlite")) as database, database:
        database.execute("UPDATE session SET seen_s = ? WHERE client = ?", (time.time() - days * 86_400, client_id))


async def _sweep(running: RunningBroker) -> None:
    """Wait for the next sweep: it cuts off whom we revoke, and does the rest in the same turn."""
    running.add_user("plant-1/short-lived")
    async with running.bus("short-lived", "plant-1/short-lived", persistent=False) as bus:
        # Known to a sweep before it is gone in a later one.
        while "plant-1/short-lived" not in running.broker._server._known:
            await asyncio.sleep(0.02)
        running.revoke("plant-1/short-lived")
        async with asyncio.timeout(PATIENCE_S):
            while bus.connected:
                await asyncio.sleep(0.02)
