"""What runs once before a stack: done twice it is as if done once, and nobody's password changes by it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from broker.credentials import Credentials
from broker.listeners import TlsFiles
from cloud.models.object_store import ObjectStoreError
from cloud.storage.database import Database
from cloud.storage.devices import DeviceStore
from ronda.installation import SERVICES
from ronda.settings import Settings, SettingsError
from ronda.stack.prepare import creation, prepare_broker, prepare_fleet, prepare_store
from ronda.stack.secrets import make_secrets, read_mqtt_users
from tests.support.seaweed import seaweed

BUCKETS = {"ronda-models", "ronda-backups"}


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, empty_url: str) -> Path:
    """The folder where the shared volumes are, and a database with nothing in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", empty_url)
    for volume in ("broker", "emulator"):
        (tmp_path / volume).mkdir()
    return tmp_path


async def test_the_store_gets_tables_and_buckets(stack: Path, empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with seaweed(stack / "s3") as store:
        for name, value in (store.environment | {"MLFLOW_ARTIFACT_ROOT": "s3://ronda-models/mlflow"}).items():
            monkeypatch.setenv(name, value)
        for _ in range(2):
            await prepare_store(["ronda-backups"])
        assert {bucket["Name"] for bucket in store.client().list_buckets()["Buckets"]} == BUCKETS
    database = Database(empty_url)
    await database.open()
    assert await DeviceStore(database).all() == []
    await database.close()


@pytest.mark.parametrize(
    ("region", "endpoint", "told"),
    [
        ("eu-central-1", "", {"CreateBucketConfiguration": {"LocationConstraint": "eu-central-1"}}),
        ("us-east-1", "", {}),
        ("", "", {}),
        ("eu-central-1", "http://seaweedfs:8333", {}),
    ],
)
def test_amazon_is_told_where_a_bucket_shall_be(region: str, endpoint: str, told: dict[str, object]) -> None:
    settings = Settings(aws_default_region=region, mlflow_s3_endpoint_url=endpoint)
    assert creation(settings) == told


async def test_a_store_that_refuses_says_why_in_one_line(
    stack: Path, empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with seaweed(stack / "s3") as store:
        for name, value in (store.environment | {"AWS_SECRET_ACCESS_KEY": "wrong"}).items():
            monkeypatch.setenv(name, value)
        with pytest.raises(ObjectStoreError, match="s3://ronda-backups: the keys are refused"):
            await prepare_store(["ronda-backups"])


async def test_the_machines_get_users_and_are_registered(stack: Path, empty_url: str) -> None:
    await prepare_fleet(stack, 2)
    first = json.loads((stack / "emulator" / "fleet.json").read_text())
    await prepare_fleet(stack, 2)
    assert json.loads((stack / "emulator" / "fleet.json").read_text()) == first
    credentials = Credentials(stack / "broker" / "passwd")
    assert all(credentials.verify(machine["username"], machine["password"]) for machine in first)
    database = Database(empty_url)
    await database.open()
    registered = {(each.site, each.device): each.origin for each in await DeviceStore(database).all()}
    await database.close()
    assert registered == {
        (machine["site"], machine["device"]): "demo" if machine["role"] == "demo" else "emulator" for machine in first
    }


async def test_without_a_database_one_line_says_what_to_set(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL")
    with pytest.raises(SettingsError, match="DATABASE_URL must be set"):
        await prepare_store([])


def test_the_broker_keeps_its_devices_when_it_is_prepared_again(stack: Path) -> None:
    make_secrets(stack / "secrets")
    users, tls = stack / "secrets" / "mqtt_users", TlsFiles(Path("/run/secrets/crt"), Path("/run/secrets/key"))
    prepare_broker(stack, users, tls)
    credentials = Credentials(stack / "broker" / "passwd")
    credentials.set("plant-1/pump-07", "its password")
    prepare_broker(stack, users, tls)
    assert credentials.verify("plant-1/pump-07", "its password")
    assert all(credentials.verify(name, password) for name, password in read_mqtt_users(users).items())
    assert set(credentials.users()) == {*SERVICES, "plant-1/pump-07"}


def test_nobody_but_the_broker_s_own_user_reads_what_it_is_told(stack: Path) -> None:
    make_secrets(stack / "secrets")
    tls = TlsFiles(Path("/run/secrets/crt"), Path("/run/secrets/key"))
    prepare_broker(stack, stack / "secrets" / "mqtt_users", tls)
    modes = {file.name: file.stat().st_mode & 0o777 for file in (stack / "broker").glob("mosquitto.*")}
    assert modes == {"mosquitto.conf": 0o600, "mosquitto.acl": 0o600}
    assert "listener 8883 0.0.0.0" in (stack / "broker" / "mosquitto.conf").read_text()
