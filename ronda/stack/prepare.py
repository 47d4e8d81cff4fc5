"""What must be there before the parts of a stack of containers start: users, rules, tables, buckets, machines."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from broker.credentials import Credentials
from broker.listeners import Listener, TlsFiles
from broker.mosquitto import access_list, configuration
from cloud.models.object_store import explained
from cloud.storage.database import Database
from ronda.fleet import write_fleet
from ronda.installation import Installation, write_private
from ronda.parties import parties
from ronda.provision import register_machines
from ronda.settings import Settings, SettingsError, load_settings
from ronda.stack.secrets import read_mqtt_users
from ronda.store import opened_store

# Where the image of Mosquitto keeps what it must not forget.
_MOSQUITTO_STATE = Path("/mosquitto/data")
_MQTTS = 8883
_AMAZONS_FIRST = "us-east-1"


def prepare_broker(data: Path, users: Path, tls: TlsFiles) -> None:
    """Write Mosquitto's configuration, access list and users into `data`/broker.

    `users`: the services' passwords, as `ronda secrets` wrote them. `tls`: the certificate, where Mosquitto sees it.
    """
    installation = Installation(data)
    folder = installation.broker
    Credentials(installation.passwd).set_all(read_mqtt_users(users))
    text = configuration(
        _MOSQUITTO_STATE,
        # Its container has its own network; what of it can be reached is the manifest's choice.
        [Listener("0.0.0.0", _MQTTS, tls)],  # noqa: S104  # as said above
        passwd=installation.passwd,
        acl=folder / "mosquitto.acl",
    )
    write_private(folder / "mosquitto.conf", text.encode())
    write_private(folder / "mosquitto.acl", access_list(parties()).encode())


async def prepare_store(further: Sequence[str]) -> None:
    """Bring the tables up to date; make the models' bucket and `further` ones where there are none."""
    settings = load_settings("prepare")
    async with _tables(settings):
        pass
    root = urlsplit(settings.mlflow_artifact_root)
    for bucket in [*([root.netloc] if root.scheme == "s3" else []), *further]:
        await asyncio.to_thread(_make_bucket, bucket, settings)


async def prepare_fleet(data: Path, pumps: int) -> None:
    """Give `pumps` emulated machines and the demonstration's their users, and register them."""
    installation = Installation(data)
    write_fleet(installation, pumps)
    async with _tables(load_settings("prepare")) as database:
        await register_machines(installation, database)


def _tables(settings: Settings) -> AbstractAsyncContextManager[Database]:
    if not (url := settings.database_url.get_secret_value()):
        raise SettingsError("DATABASE_URL must be set")
    return opened_store(url, settings)


def _make_bucket(bucket: str, settings: Settings) -> None:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    client = boto3.client(
        "s3",
        endpoint_url=settings.mlflow_s3_endpoint_url or None,
        aws_access_key_id=settings.aws_access_key_id or None,
        aws_secret_access_key=settings.aws_secret_access_key.get_secret_value() or None,
        region_name=settings.aws_default_region or None,
        config=Config(signature_version="s3v4", retries={"mode": "standard", "max_attempts": 10}),
    )
    try:
        # Asked first: who may use a bucket need not be one who may make any.
        if not _is_there(client, bucket):
            with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou):
                client.create_bucket(Bucket=bucket, **creation(settings))
    except (BotoCoreError, ClientError) as error:
        raise explained(error, f"s3://{bucket}") from error


def _is_there(client: Any, bucket: str) -> bool:
    from botocore.exceptions import ClientError

    try:
        client.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != HTTPStatus.NOT_FOUND:
            raise
        return False
    return True


def creation(settings: Settings) -> dict[str, Any]:
    """How a bucket is to be made: Amazon wants to be told the region, and may not be told its first."""
    region = settings.aws_default_region
    if settings.mlflow_s3_endpoint_url or region in {"", _AMAZONS_FIRST}:
        return {}
    return {"CreateBucketConfiguration": {"LocationConstraint": region}}
