"""What was backed up comes back: every table, every model byte, every password, wherever it is put."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace

import asyncpg
import pytest

from cloud.models.addresses import below
from cloud.models.artifacts import Artifacts
from cloud.models.registry import Registry
from cloud.storage.database import Database
from cloud.storage.migrate import newest_version, upgrade
from cloud.storage.tables import Base
from ronda.backups.making import run_backup
from ronda.backups.manifest import Manifest, read
from ronda.backups.places import place_at
from ronda.backups.restoring import run_restore
from tests.ronda.backups.plant import Plant, files_of, fill, learn, rows_of, tables_of
from tests.support.seaweed import seaweed

Empty = Callable[[str], Awaitable[str]]


def say(monkeypatch: pytest.MonkeyPatch, **settings: object) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, str(value))


async def backed_up(to: object, data: Path | None = None) -> str:
    """The address of a fresh backup."""
    lines: list[str] = []
    await run_backup(data, str(to), lines.append)
    return lines[0].removeprefix("backup to ")


def manifest_of(address: object, endpoint_url: str = "") -> Manifest:
    return read(place_at(str(address), endpoint_url))


async def test_every_table_every_model_byte_and_every_password_comes_back(
    plant: Plant, empty_database: Empty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert manifest_of(plant.backup).without_bytes == []
    assert {stat.S_IMODE(path.stat().st_mode) for path in plant.backup.rglob("*") if path.is_file()} == {0o600}

    url, new = await empty_database("restored"), tmp_path / "new"
    say(monkeypatch, DATABASE_URL=url)
    await run_restore(str(plant.backup), new, lambda _: None)

    assert await tables_of(url) == await tables_of(plant.url)
    for table in set(Base.metadata.tables) - {"promotions", "model_versions"}:
        assert await rows_of(url, table) == await rows_of(plant.url, table), table
    models = files_of(plant.data / "mlflow" / "artifacts")
    assert models
    assert files_of(new / "mlflow" / "artifacts") == models
    for name in ("broker/passwd", "secrets.json", "tls/ca.key", "emulator/fleet.json"):
        assert (new / name).read_bytes() == (plant.data / name).read_bytes()
        assert stat.S_IMODE((new / name).stat().st_mode) == 0o600
    assert not (new / "logs" / "hub.jsonl").exists()

    [moved] = await rows_of(url, "promotions")
    assert new.as_uri() in moved
    [model] = await rows_of(url, "model_versions")
    assert new.as_uri() in model
    champion = Registry(f"sqlite:///{new}/mlflow/mlflow.db", "unused").champion("plant-1", "pump-01")
    assert champion is not None
    assert champion.artifact_uri in moved
    assert (champion.version, champion.sha256) == (plant.promotion.version, plant.promotion.sha256)
    assert Artifacts().load(champion.artifact_uri, champion.sha256)
    assert registry_rows(new) == registry_rows(plant.data)

    # The stream of anomalies must not begin again from 1.
    connection = await asyncpg.connect(url)
    serial = await connection.fetchval(
        "INSERT INTO outbox (id, kind, topic, payload, created_at_ms) VALUES ('n', 'k', 't', '', 1) RETURNING serial"
    )
    await connection.close()
    assert serial == 6


def registry_rows(data: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every table of MLflow's file, without the addresses, which move with the folder."""
    with sqlite3.connect(data / "mlflow" / "mlflow.db") as database:
        names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: sorted(map(repr, database.execute(f'SELECT * FROM "{name}"'))) for name in names}
    return {name: [(row.replace(data.as_uri(), ""),) for row in found] for name, found in rows.items()}


async def test_a_backup_of_before_the_partitions_restores_into_them(
    plant: Plant, empty_database: Empty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_url = await empty_database("before")
    database = Database(old_url)
    await database.open()
    async with database.begin() as connection:
        await connection.run_sync(upgrade, "0001")
    await database.close()
    await fill(old_url)
    # The program of then, which knew no other tables and no newer version.
    then = {name: None for name in await tables_of(old_url) if name != "alembic_version"}
    monkeypatch.setattr("ronda.backups.making.Base", SimpleNamespace(metadata=SimpleNamespace(tables=then)))
    monkeypatch.setattr("ronda.backups.making.newest_version", lambda: "0001")
    say(monkeypatch, DATABASE_URL=old_url)
    address = await backed_up(tmp_path / "backups", plant.data)
    assert manifest_of(address).schema == "0001"

    new_url = await empty_database("after")
    say(monkeypatch, DATABASE_URL=new_url)
    await run_restore(address, tmp_path / "new", lambda _: None)
    assert await rows_of(new_url, "readings") == await rows_of(old_url, "readings")
    assert await rows_of(new_url, "alembic_version") == [f"({newest_version()})"]


async def test_a_registry_in_postgresql_and_artifacts_in_s3_move_to_another_bucket(
    database_url: str, empty_database: Empty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the settings alone, as in a container; the backup itself is in S3 too."""
    with seaweed(tmp_path / "seaweed", "old-models", "new-models", "backups") as store:
        mlflow_url, passwd = await empty_database("registry"), tmp_path / "passwd"
        passwd.write_text("plant-1/pump-01:$7$101$salt$hash\n")
        say(
            monkeypatch,
            **store.environment,
            DATABASE_URL=database_url,
            MLFLOW_TRACKING_URI="http://mlflow:5000",
            MLFLOW_BACKEND_STORE_URI=mlflow_url,
            MLFLOW_ARTIFACT_ROOT="s3://old-models/plant",
            MQTT_PASSWORD_FILE=passwd,
        )
        promotion = learn(Registry(mlflow_url, "s3://old-models/plant"))
        assert promotion.artifact_uri.startswith("s3://old-models/plant/")
        await fill(database_url, promotion)
        address = await backed_up("s3://backups/nightly")
        made = manifest_of(address, store.url)
        assert (made.registry.kind, made.without_bytes, made.private) == ("postgresql", [], ["broker/passwd"])

        new_url, new_mlflow = await empty_database("restored_plant"), await empty_database("restored_registry")
        say(
            monkeypatch,
            DATABASE_URL=new_url,
            MLFLOW_TRACKING_URI="http://mlflow:5000",
            MLFLOW_BACKEND_STORE_URI=new_mlflow,
            MLFLOW_ARTIFACT_ROOT="s3://new-models/here",
            MQTT_PASSWORD_FILE=tmp_path / "broker" / "users",
        )
        await run_restore(address, None, lambda _: None)
        assert (tmp_path / "broker" / "users").read_text() == passwd.read_text()
        assert [key.removeprefix("here/") for key in store.keys("new-models")] == [
            key.removeprefix("plant/") for key in store.keys("old-models")
        ]
        for table in await tables_of(mlflow_url):
            old = await rows_of(mlflow_url, table)
            moved = [row.replace("s3://old-models/plant", "s3://new-models/here") for row in old]
            assert await rows_of(new_mlflow, table) == sorted(moved), table
        champion = Registry(new_mlflow, "s3://new-models/here").champion("plant-1", "pump-01")
        assert champion is not None
        assert below(champion.artifact_uri, "s3://new-models/here") == below(
            promotion.artifact_uri, "s3://old-models/plant"
        )
        assert Artifacts(s3_endpoint_url=store.url).load(champion.artifact_uri, champion.sha256)
        # A second model after it: the counters stand where they stood.
        assert learn(Registry(new_mlflow, "s3://new-models/here")).version == "2"


async def test_every_table_of_the_store_is_in_a_backup(database_url: str) -> None:
    """A table that only a migration knows would be left out."""
    assert set(await tables_of(database_url)) == {*Base.metadata.tables, "alembic_version"}
