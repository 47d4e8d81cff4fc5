"""A week that was made up, in a real database: the same twice, honest, and in nobody's way."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text

from cloud.api.lookups import StoreLookups
from cloud.api.ports import AnomalyFilter
from cloud.storage.anomalies import AnomalyRecord, AnomalyStore
from cloud.storage.database import Database
from cloud.storage.devices import DeviceStore
from cloud.storage.notifications import NotificationStore
from cloud.storage.readings import ReadingStore
from contract.errors import RondaError
from contract.events import Phase, Severity
from ronda.installation import Installation, Runtime
from ronda.seeds.past import MACHINES, READINGS, WEEK_MS, past_of
from ronda.seeds.seed import Counts, seed
from tests.support.database import database, database_url, postgres

__all__ = ["database", "database_url", "postgres"]

_DAY_MS = 24 * 60 * 60 * 1000
_ILL = [machine for machine in MACHINES if machine.events]
# The sensor that each fault is first seen in.
_FIRST_SEEN = {
    "intake-1": "motor_temperature_c", "booster-1": "pressure_bar",
    "feed-1": "vibration_de_rms_g", "return-1": "flow_lpm",
}  # fmt: skip
_WHOLE = Counts(sites=2, devices=6, readings=6 * READINGS, raised=4, updated=4, cleared=4)
_PRINTED = "sites 2 devices 6 readings 60,480 anomalies raised 4 became critical 4 cleared 4"


@pytest.fixture(scope="module")
def seeded_url(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database that the command has seeded, by the settings alone."""
    url = f"{postgres.rpartition('/')[0]}/seeded"
    asyncio.run(_create(url))
    said = _command(Path(tmp_path_factory.mktemp("seed")), {"DATABASE_URL": url})
    assert said.split() == _PRINTED.split()
    return url


@pytest.fixture
async def seeded(seeded_url: str) -> AsyncIterator[Database]:
    opened = Database(seeded_url)
    await opened.open()
    yield opened
    await opened.close()


async def _create(url: str) -> None:
    connection = await asyncpg.connect(f"{url.rpartition('/')[0]}/postgres", ssl=False)
    await connection.execute("CREATE DATABASE seeded TEMPLATE ronda")
    await connection.close()


async def _lives(seeded: Database) -> dict[str, AnomalyRecord]:
    records = await StoreLookups(seeded).anomalies(AnomalyFilter(), 100)
    return {record.device: record for record in records}


async def _end_ms(seeded: Database) -> int:
    """The midnight at which the week ends."""
    return (await DeviceStore(seeded).all())[0].created_at_ms // _DAY_MS * _DAY_MS


async def test_twice_is_the_same_as_once_even_a_week_later(seeded: Database) -> None:
    end_ms = await _end_ms(seeded)
    assert await seed(seeded, end_ms + WEEK_MS) == _WHOLE
    seen = await ReadingStore(seeded).last_seen()
    assert {end_ms - each.measured_at_ms for each in seen.values()} <= set(range(1, 60_001))
    assert {(each.stored, each.lost, each.rejected) for each in await ReadingStore(seeded).ledger()} == {
        (READINGS, 0, 0)
    }


async def test_a_folder_in_which_ronda_runs_is_seeded_too(seeded_url: str, tmp_path: Path) -> None:
    installation = Installation(tmp_path / "data")
    installation.create()
    installation.announce(_runtime(seeded_url))
    said = await asyncio.to_thread(_command, tmp_path, {}, "--data", "data")
    assert said.split() == _PRINTED.split()


async def test_in_production_it_needs_no_secret_but_the_address(seeded_url: str, tmp_path: Path) -> None:
    said = await asyncio.to_thread(_command, tmp_path, {"DATABASE_URL": seeded_url, "ENV": "production"})
    assert said.split() == _PRINTED.split()


async def test_each_fault_is_raised_gets_worse_and_is_over_after_the_repair(seeded: Database) -> None:
    lives, end_ms = await _lives(seeded), await _end_ms(seeded)
    assert lives.keys() == {machine.device for machine in _ILL}
    for machine in _ILL:
        life = lives[machine.device]
        [fault] = machine.faults((end_ms - WEEK_MS) // 1000)
        assert (life.event.phase, life.event.severity) == (Phase.RAISED, Severity.WARNING)
        assert (life.phase, life.severity) == (Phase.CLEARED, Severity.CRITICAL)
        assert life.cleared_at_ms is not None
        assert fault.onset_s * 1000 < life.raised_at_ms < fault.end_s * 1000 < life.cleared_at_ms < end_ms


async def test_the_evidence_is_the_detectors_own(seeded: Database) -> None:
    for device, life in (await _lives(seeded)).items():
        raised = life.event
        assert raised.evidence.sensors[0].name == _FIRST_SEEN[device]
        assert raised.evidence.window.measured_at_ms[-1] == raised.measured_at_ms == raised.detected_at_ms
        assert device in raised.evidence.sentence["en"]
        assert raised.replayed
        found = await ReadingStore(seeded).find(raised.site, device, raised.boot, raised.seq)
        assert found is not None
        assert found.measured_at_ms == raised.measured_at_ms


async def test_a_seeding_that_was_interrupted_is_completed_with_the_very_same(seeded: Database) -> None:
    bearing = MACHINES[0]
    end_ms, before = await _end_ms(seeded), (await _lives(seeded))[bearing.device].event
    async with seeded.begin() as connection:
        for table in ("readings", "boots", "anomalies"):
            await connection.execute(text(f"DELETE FROM {table} WHERE device = :device"), {"device": bearing.device})
    # As when it was killed between the anomalies and the readings, and before the repair was known.
    past = await asyncio.to_thread(past_of, bearing, end_ms, end_ms)
    await AnomalyStore(seeded).keep_past(past.anomalies[:2])
    assert await seed(seeded, end_ms + _DAY_MS) == _WHOLE
    assert (await _lives(seeded))[bearing.device].event == before


async def test_nobody_is_told_and_nothing_is_learned(seeded: Database) -> None:
    assert await AnomalyStore(seeded).outbox.unpublished() == []
    assert await NotificationStore(seeded).outbox.unpublished() == []
    assert await ReadingStore(seeded).devices_ready_to_learn(100) == []
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    assert all(life.latest.detected_at_ms < now_ms - 60_000 for life in (await _lives(seeded)).values())


async def test_a_device_of_the_plant_is_never_taken_for_one_of_the_seed(database: Database) -> None:
    mine = MACHINES[1]
    await DeviceStore(database).ensure(mine.site, mine.device, "provisioned", now_ms=_DAY_MS)
    with pytest.raises(RondaError, match=r"^waterworks/intake-2 is a device of yours: nothing was seeded$"):
        await seed(database, _DAY_MS)
    assert [each.device for each in await DeviceStore(database).all()] == [mine.device]


def test_without_a_database_the_command_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"^ronda: nothing runs in .*data; start `ronda up"):
        _command(tmp_path, {"DATABASE_URL": ""})


def _command(folder: Path, settings: dict[str, str], *options: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **settings}
    command = [sys.executable, "-m", "ronda", "seed", *options]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _runtime(url: str) -> Runtime:
    return Runtime(
        pid=os.getpid(), base_url="", http_port=0, mqtt_host="", mqtt_port=0, database_url=url, tracking_uri="",
        artifact_root="", smtp_host="", smtp_port=0, own_mail=False, broker="embedded", agents=[],
    )  # fmt: skip
