"""A running plant is backed up, its copy starts in an empty folder, and goes on where the plant stood."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import asyncpg

from broker.address import MqttAddress
from broker.mqtt import MqttBus
from cloud.storage.postgres import EmbeddedPostgres
from cloud.storage.tables import Base
from tests.ronda.backups.plant import files_of, rows_of
from tests.support.installation import Ronda, until
from tests.system.conftest import Make


def test_a_plant_starts_again_in_another_place_from_its_backup(ronda: Ronda, make_ronda: Make) -> None:
    device = _new_device(ronda)
    folder = ronda.data.parent / "backups"
    with _standing_still(ronda):
        said = ronda.run("backup", "--data", str(ronda.data), "--to", str(folder))
        address = said.splitlines()[-1].rpartition(" ")[2]
        copy = make_ronda("--devices", "2", name="copy")
        copy.run("restore", address, "--data", str(copy.data))
        asyncio.run(_compare(ronda, copy))
    old_models = {each["device"]: each["model"] for each in _judged(ronda)}

    copy.start()
    print(f"restored: ready after {copy.until_ready():.1f} s")
    asyncio.run(_log_in(copy, *device))
    fleet = (copy.data / "emulator" / "fleet.json").read_bytes()
    assert fleet == (ronda.data / "emulator" / "fleet.json").read_bytes()
    until(lambda: _goes_on(copy), "new readings of the emulated machine, judged")
    assert {each["device"]: each["model"] for each in _judged(copy)}.items() >= {
        name: old_models[name] for name in ("pump-01", "pump-02")
    }.items()
    with copy.http() as client:
        assert client.get("/api/v1/devices").status_code == 200, "the first user has the old password"


def test_only_what_runs_can_be_backed_up_and_only_an_empty_folder_be_filled(ronda: Ronda, tmp_path: Path) -> None:
    _, line = ronda.refusal("backup", "--data", str(tmp_path / "none"))
    assert "nothing runs in" in line
    _, line = ronda.refusal("restore", str(tmp_path / "none"), "--data", str(tmp_path / "new"))
    assert "is no complete backup" in line


def _new_device(ronda: Ronda) -> tuple[str, str]:
    with ronda.http() as client:
        answer = client.post("/api/v1/devices", json={"site": "plant-1", "device": "kept-1"})
    assert answer.status_code == 201, answer.text
    return answer.json()["username"], answer.json()["password"]


@contextlib.contextmanager
def _standing_still(ronda: Ronda) -> Iterator[None]:
    """Its parts do not move, so that the database can be compared with a picture of it."""
    parts = [ronda.part(name).pid for name in ("emulate", "hub", "api")]
    for pid in parts:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in parts:
            os.kill(pid, signal.SIGCONT)


async def _compare(ronda: Ronda, copy: Ronda) -> None:
    """Every table, those of models but for their addresses, which moved with the folder, and every byte of a model."""
    server = EmbeddedPostgres(copy.data / "postgres")
    url, old = await server.start(), ronda.runtime()["database_url"]
    try:
        for table in set(Base.metadata.tables) - {"promotions", "model_versions", "classifiers"}:
            assert await rows_of(url, table) == await rows_of(old, table), table
        for table in ("promotions", "model_versions"):
            assert await _models(url, table) == await _models(old, table)
    finally:
        await server.stop()
    assert files_of(copy.data / "mlflow" / "artifacts") == files_of(ronda.data / "mlflow" / "artifacts")


async def _models(url: str, table: str) -> set[tuple[str, str]]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(f"SELECT device, sha256 FROM {table}")  # our own names
    finally:
        await connection.close()
    return {(row["device"], row["sha256"]) for row in rows}


async def _log_in(ronda: Ronda, user: str, password: str) -> None:
    address = MqttAddress.parse(f"mqtt://127.0.0.1:{ronda.mqtt_port}").with_user(user, password)
    async with asyncio.timeout(10), MqttBus(address, "kept-1", persistent=False):
        pass


def _judged(ronda: Ronda) -> list[dict[str, object]]:
    return [each for each in ronda.get("/api/v1/devices")["items"] if each["model"]]


def _goes_on(ronda: Ronda) -> bool | None:
    """Does the detector, on its old model, keep up with what comes in now?"""
    [(behind,)] = ronda.sql(
        "SELECT max(r.measured_at_ms) - (SELECT measured_at_ms FROM detector_states WHERE device = 'pump-01') "
        "FROM readings r WHERE device = 'pump-01' AND received_at_ms > 1000 * extract(epoch FROM now()) - 5000"
    )
    return True if behind is not None and behind < 30_000 else None
