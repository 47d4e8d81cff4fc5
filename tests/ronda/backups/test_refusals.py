"""A backup that is not as it was written, and a target that is not empty, are refused before anything is touched."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from cloud.models.addresses import backend_store
from cloud.models.mlflow_link import quiet_mlflow
from cloud.models.object_store import Stored
from cloud.models.registry import Registry
from ronda.backups.archive import pack, unpack
from ronda.backups.errors import BackupError
from ronda.backups.files import Packer, Unpacker
from ronda.backups.making import run_backup
from ronda.backups.manifest import NAME
from ronda.backups.manifest import Registry as Kept
from ronda.backups.places import Chosen, Folder
from ronda.backups.registry import check_registry_is_new
from ronda.backups.restoring import run_restore
from ronda.backups.whereabouts import whereabouts_of_new
from ronda.installation import InstallationError
from ronda.settings import SettingsError, load_settings
from tests.ronda.backups.plant import Plant, files_of, learn
from tests.support.seaweed import seaweed

Empty = Callable[[str], Awaitable[str]]


async def refusal(backup: Path | str, data: Path) -> str:
    with pytest.raises(BackupError) as caught:
        await run_restore(str(backup), data, lambda _: None)
    return str(caught.value)


@pytest.mark.parametrize("name", ["database/readings.copy.gz", "registry/mlflow.db.gz", "artifacts.tar.gz"])
async def test_a_file_that_was_cut_short_changed_or_lost_is_named(backup: Path, tmp_path: Path, name: str) -> None:
    file, target = backup / name, tmp_path / "new"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    assert f"{file} has {len(whole) - 1} bytes, written were {len(whole)}" in await refusal(backup, target)
    file.write_bytes(whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])
    assert f"{file} was changed after it was written" in await refusal(backup, target)
    file.unlink()
    assert f"{file} cannot be read: No such file" in await refusal(backup, target)
    assert not target.exists()


async def test_a_backup_that_was_never_finished_is_none(backup: Path, tmp_path: Path) -> None:
    manifest = backup / NAME
    whole = manifest.read_bytes()
    manifest.write_bytes(whole[: len(whole) // 2])
    assert f"{manifest} is damaged" in await refusal(backup, tmp_path / "new")
    manifest.unlink()
    assert "is no complete backup" in await refusal(backup, tmp_path / "new")


async def test_who_names_the_folder_of_all_backups_is_told_the_newest(backup: Path, tmp_path: Path) -> None:
    assert f"the newest below it is {backup}" in await refusal(backup.parent, tmp_path / "new")


async def test_a_backup_of_a_newer_ronda_is_left_to_that(backup: Path, tmp_path: Path) -> None:
    manifest = msgspec.json.decode((backup / NAME).read_bytes())
    (backup / NAME).write_bytes(msgspec.json.encode(manifest | {"schema": "9999", "ronda": "9.0"}))
    assert "made by Ronda 9.0, which is newer" in await refusal(backup, tmp_path / "new")
    (backup / NAME).write_bytes(msgspec.json.encode({"format": 2}))
    assert "has format 2, this program reads 1" in await refusal(backup, tmp_path / "new")


async def test_a_folder_that_is_not_empty_is_left_as_it_is(backup: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "diary.txt").write_text("mine")
    assert "new is not empty (diary.txt): restore into an empty folder" in await refusal(backup, tmp_path / "new")


async def test_a_database_with_rows_is_left_as_it_is(
    plant: Plant, backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", plant.url)
    assert "of DATABASE_URL has rows already" in await refusal(backup, tmp_path / "new")
    assert not (tmp_path / "new").exists()


async def test_passwords_of_devices_that_are_there_already_are_not_lost(
    plant: Plant, empty_database: Empty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with seaweed(tmp_path / "seaweed", "models", "restored") as store:
        passwd = tmp_path / "passwd"
        passwd.write_text("acquisition:hash\nplant-1/pump-01:hash\n")
        for name, value in (store.environment | {"MQTT_PASSWORD_FILE": str(passwd)}).items():
            monkeypatch.setenv(name, value)
        address = await backed_up(plant.url, await empty_database("old_users"), "s3://models/plant", monkeypatch)

        place(monkeypatch, await empty_database("new_rows"), await empty_database("new_users"), "s3://restored/plant")
        passwd.write_text("acquisition:hash\nplant-1/pump-02:newer\n")
        with pytest.raises(BackupError, match=r"passwords of devices already \(plant-1/pump-02\)"):
            await run_restore(address, None, lambda _: None)
        assert store.keys("restored") == []
        # Nobody's but the services', which a new installation has from the start.
        passwd.write_text("acquisition:hash\n")
        await run_restore(address, None, lambda _: None)
        assert "plant-1/pump-01:hash" in passwd.read_text()


def place(monkeypatch: pytest.MonkeyPatch, database: str, registry: str, artifacts: str) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    # Each time, since MLflow puts the one that it has just used into its place.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", registry)
    monkeypatch.setenv("MLFLOW_ARTIFACT_ROOT", artifacts)


async def backed_up(database: str, registry: str, artifacts: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a fresh backup without a folder. `registry` by a name of its own: MLflow makes its tables once."""
    place(monkeypatch, database, registry, artifacts)
    learn(Registry(registry, artifacts))
    lines: list[str] = []
    await run_backup(None, "backups", lines.append)
    return lines[0].removeprefix("backup to ")


async def test_a_restore_that_fails_on_the_way_leaves_the_folder_empty(backup: Path, tmp_path: Path) -> None:
    """Here: a manifest that was edited together with its file, so that only the rows give it away."""
    manifest = msgspec.json.decode((backup / NAME).read_bytes())
    manifest["tables"]["hops"]["rows"] = 2
    (backup / NAME).write_bytes(msgspec.json.encode(manifest))
    assert "hops.copy.gz holds 1 rows, the manifest says 2" in await refusal(backup, tmp_path / "new")
    assert not list((tmp_path / "new").iterdir())


async def test_models_registered_in_a_file_do_not_go_into_a_server(
    backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", "postgresql://u:p@127.0.0.1:9/mlflow")
    assert "registered in sqlite: restore it with no MLFLOW_BACKEND_STORE_URI" in await refusal(
        backup, tmp_path / "new"
    )


async def test_an_mlflow_that_somebody_has_begun_to_use_is_left_as_it_is(empty_database: Empty) -> None:
    uri = backend_store(await empty_database("begun"))
    client = quiet_mlflow().MlflowClient(uri)
    client.search_experiments(max_results=1)
    backup = Kept(kind="postgresql", version="", tables={})
    # As MLflow itself makes it, it is new.
    await check_registry_is_new(uri, backup)
    client.create_experiment("somebody's", "s3://elsewhere")
    with pytest.raises(BackupError, match="MLflow's table experiments has rows already"):
        await check_registry_is_new(uri, backup)


async def test_a_model_whose_bytes_are_gone_is_told_and_does_not_stop_the_backup(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = shutil.copytree(plant.data, tmp_path / "data")
    monkeypatch.setenv("DATABASE_URL", plant.url)
    lines: list[str] = []
    await run_backup(data, "again", lines.append)
    assert any("warning: the bytes of plant-1/pump-01 version 1 are not" in line for line in lines)


async def test_what_must_be_set_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InstallationError, match="nothing runs in"):
        await run_backup(None, "backups", lambda _: None)
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@host/ronda")
    with pytest.raises(SettingsError, match="MLFLOW_BACKEND_STORE_URI and MLFLOW_ARTIFACT_ROOT must be set"):
        await run_backup(None, "backups", lambda _: None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    with pytest.raises(SettingsError, match="must be set, as the MLflow server has it"):
        await run_backup(None, "backups", lambda _: None)


class Replaced(Chosen):
    """Files that their owners replace as soon as they are named."""

    def names(self) -> Iterator[Stored]:
        for stored, path in zip(super().names(), self._files.values(), strict=True):
            path.write_text("another, and longer")
            yield stored


def test_a_file_that_is_replaced_meanwhile_is_in_the_backup_as_one_of_the_two(tmp_path: Path) -> None:
    (tmp_path / "passwd").write_text("one")
    packer = Packer(Folder(tmp_path / "backup"), lambda _: None)
    pack(Replaced({"broker/passwd": tmp_path / "passwd"}), packer, "private.tar.gz")
    unpack(Unpacker(Folder(tmp_path / "backup"), packer.files), "private.tar.gz", Folder(tmp_path / "new"))
    assert files_of(tmp_path / "new") == {"broker/passwd": b"one"}


def test_a_file_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    for name in ("demo-1.json", "demo-1.json.new"):
        (tmp_path / "emulator" / "devices").mkdir(parents=True, exist_ok=True)
        (tmp_path / "emulator" / "devices" / name).write_text("{}")
    where = whereabouts_of_new(load_settings(), tmp_path)
    assert set(where.private) == {"emulator/devices/demo-1.json"}
