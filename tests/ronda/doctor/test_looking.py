"""The facts, from a real store, real logs and doors that answer or do not."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import text

from cloud.storage.database import Database
from cloud.storage.devices import DeviceStore
from cloud.storage.migrate import newest_version
from cloud.storage.model_refusals import add_refusal
from cloud.storage.readings import ReadingStore
from contract.events import ModelRef, ModelRefusedEvent
from ronda.doctor.facts import Death, Gap
from ronda.doctor.look_parts import last_count, look_at_disk, look_at_mail, look_at_processes, look_at_registry
from ronda.doctor.look_store import look_at_store
from ronda.installation import Installation, Runtime
from tests.support.database import database, database_url, empty_url, postgres
from tests.support.ports import free_port
from tests.support.readings import BOOT, DEVICE, SITE, START_MS, block, rejected

__all__ = ["database", "database_url", "empty_url", "postgres"]

RUNTIME = Runtime(
    pid=0, base_url="", http_port=0, mqtt_host="", mqtt_port=0, database_url="", tracking_uri="", artifact_root="",
    smtp_host="127.0.0.1", smtp_port=0, own_mail=False, broker="embedded", agents=[],
)  # fmt: skip


async def test_an_empty_store_has_nothing_wrong_in_it(database_url: str) -> None:
    store = await look_at_store(database_url, START_MS)
    assert (store.door.error, store.version, store.missing_indexes) == ("", newest_version(), [])
    assert abs(store.ahead_ms) < 1000
    assert (store.gaps, store.seen, store.causes, store.refusals, store.mails, store.unpublished) == ([],) * 6


async def test_a_store_tells_what_waits_where(database: Database, database_url: str) -> None:
    readings, devices = ReadingStore(database), DeviceStore(database)
    await devices.ensure("plant-1", "mute", "provisioned", now_ms=5)
    await devices.ensure("plant-1", "rested", "demo", now_ms=5)
    await readings.store([block([0, 1, 5, 9])], [rejected(7), rejected(None)])
    await readings.store([block([3], boot="00000000000000aa", received_at_ms=START_MS + 9)], [])
    store = await look_at_store(database_url, START_MS)
    assert store.gaps == [
        Gap(site=SITE, device=DEVICE, boot=BOOT, first=2, missing=5, since_ms=START_MS),
        Gap(site=SITE, device=DEVICE, boot="00000000000000aa", first=0, missing=3, since_ms=START_MS + 9),
    ]
    assert [(each.device, each.received_at_ms) for each in store.seen] == [("mute", None), (DEVICE, START_MS)]
    assert [(cause.reason, cause.entries) for cause in store.causes] == [("out_of_range", 2)]
    assert store.totals is not None
    assert store.totals.waiting == 2
    assert (await look_at_store(database_url, START_MS + 3_600_001)).causes == []


_TOLD = """
INSERT INTO notifications (id, anomaly_id, event_id, site, device, decision, channel, delivery, receipt, recipients,
                           suppressed, correlation_id, sent_at_ms, severity, measured_at_ms, event)
SELECT 'n' || n, 'a', 'e', 'p', 'd', 'first', channel, delivery, '550 no', '{}', 0, 'c', n, 'warning', 0, '{}'
FROM (VALUES (1, 'email', 'failed'), (2, 'email', 'delivered'), (3, 'email', 'failed'), (4, 'email', 'failed'),
             (5, 'webhook', 'failed'), (6, 'webhook', 'delivered')) AS told (n, channel, delivery);
"""
_WAITING = """
INSERT INTO outbox (id, kind, topic, payload, created_at_ms, published_at_ms)
VALUES ('1', 'Anomaly', 't', '', 7, NULL), ('2', 'Anomaly', 't', '', 9, NULL), ('3', 'Anomaly', 't', '', 1, 2)
"""
_PROMOTED = """
INSERT INTO promotions (site, device, version, name, run_id, sha256, data_hash, artifact_uri, rows, trained_from_ms,
                        trained_through_ms, promoted_at_ms)
VALUES ('p', 'd', '3', 'm', 'r', 's', 'h', 'u', 1, 1, 1, 30), ('p', 'e', '4', 'm', 'r', 's', 'h', 'u', 1, 1, 1, 30)
"""


async def test_a_store_tells_who_was_not_told_and_what_is_not_in_use(database: Database, database_url: str) -> None:
    async with database.begin() as connection:
        for statement in (_TOLD, _WAITING, _PROMOTED):
            await connection.execute(text(statement))
        for device, version in (("d", "2"), ("d", "3"), ("e", "3")):
            model = ModelRef(name="m", version=version, run_id="r", sha256="s")
            await add_refusal(
                connection, ModelRefusedEvent(site="p", device=device, model=model, why="sum", at_ms=int(version))
            )
    store = await look_at_store(database_url, START_MS)
    assert [(mail.channel, mail.failed, mail.since_ms, mail.receipt) for mail in store.mails] == [
        ("email", 2, 3, "550 no")
    ]
    assert [(each.messages, each.oldest_ms) for each in store.unpublished] == [(2, 7)]
    assert [(each.device, each.version, each.why) for each in store.refusals] == [("d", "3", "sum")]


async def test_a_store_that_is_away_or_of_another_time_is_told_and_not_changed(empty_url: str) -> None:
    away = await look_at_store("postgresql://ronda:secret@127.0.0.1:1/ronda", START_MS)
    assert away.door.error
    assert "secret" not in away.door.where + away.door.error
    empty = await look_at_store(empty_url, START_MS)
    assert (empty.door.error, empty.version) == ("", None)
    assert (await look_at_store(empty_url, START_MS)).version is None


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    made = Installation(tmp_path)
    made.logs.mkdir()
    return made


def said(path: Path, *lines: tuple[int, dict[str, object]]) -> None:
    """A log in which these events stand, after half a line."""
    stamped = [{"at": datetime.fromtimestamp(at / 1000, UTC).isoformat(), **line} for at, line in lines]
    path.write_text("\n".join(['f": 1}', *map(json.dumps, stamped)]))


def test_parts_that_died_are_counted_within_the_hour(installation: Installation) -> None:
    died = {"event": "part.died", "part": "hub", "code": -9}
    lines = [(START_MS - 3_700_000, died), (START_MS - 9, died), (START_MS - 5, died)]
    said(installation.logs / "up.jsonl", *lines, (START_MS - 3, {"event": "database.died", "code": 1}))
    nobody = msgspec.structs.replace(RUNTIME, pid=2**22 + 1)
    processes = look_at_processes(installation, nobody, START_MS)
    assert (processes.alive, processes.missing) == (False, [])
    assert processes.deaths == [
        Death(part="hub", times=2, last_ms=START_MS - 5),
        Death(part="database", times=1, last_ms=START_MS - 3),
    ]


def test_the_brokers_last_word_is_found_unless_it_is_too_old(installation: Installation) -> None:
    counted = {"event": "broker.counted", "waiting_for": {"historian": 4}, "dropped_slow": 2, "waiting": 9}
    said(installation.logs / "hub.jsonl", (START_MS, counted | {"waiting_for": {}}), (START_MS + 9, counted))
    found = last_count(installation, START_MS)
    assert found is not None
    assert (found.at_ms, found.waiting_for, found.dropped["dropped_slow"]) == (START_MS + 9, {"historian": 4}, 2)
    assert last_count(installation, START_MS + 10) is None
    assert last_count(Installation(installation.root / "other"), 0) is None


async def test_doors_that_answer_and_doors_that_do_not(tmp_path: Path) -> None:
    port = free_port()
    there = msgspec.structs.replace(RUNTIME, smtp_port=port)
    with socket.create_server(("127.0.0.1", port)):
        door = await look_at_mail(there)
        assert door is not None
        assert door.error == ""
    door = await look_at_mail(there)
    assert door is not None
    assert "no answer" in door.error
    assert await look_at_mail(msgspec.structs.replace(RUNTIME, smtp_host="")) is None
    assert "no answer" in (await look_at_registry(f"http://127.0.0.1:{port}")).error
    assert (await look_at_registry(f"sqlite:///{tmp_path / 'mlflow.db'}")).error == "the file is not there"
    (tmp_path / "mlflow.db").touch()
    assert (await look_at_registry(f"sqlite:///{tmp_path / 'mlflow.db'}")).error == ""


def test_the_room_of_the_folder_is_known(tmp_path: Path) -> None:
    disk = look_at_disk(tmp_path)
    assert 0 < disk.free <= disk.total
