"""Gate P1: where the product keeps its state: the database, the models in their bucket, Redis, the broker."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from functools import partial

from cryptography import x509
from sqlalchemy import text

from broker.bus import RefusedError
from broker.listeners import reached_at
from broker.mqtt import MqttBus
from broker.tls import client_context
from cloud.models.addresses import below
from cloud.models.object_store import ObjectStore
from cloud.models.registry import Registry
from cloud.storage.database import Database
from cloud.storage.layout import missing_indexes, readings_layout, schema_version
from cloud.storage.migrate import newest_version
from cloud.storage.promotions import Promotion, PromotionStore
from contract.errors import RondaError
from detection.model import MAX_BYTES, sha256
from ronda.checks.line import Check, FailedCheckError, NeedsAccountError
from ronda.parts import Surroundings
from ronda.tls.listening import own_trust

# "Recent": a model that was never renewed in a quarter says that nobody trains any more.
_RECENT_S = 90 * 86_400
_RUNS = 2
# A certificate that ends sooner wants somebody's attention now.
_DAYS_LEFT = 14
_HANDSHAKE_S = 10.0
_LAYOUTS = {"hypertable": "a hypertable", "partitions": "monthly partitions"}
_SEEDED = text("""
SELECT (SELECT count(*) FROM devices WHERE origin = 'seed') AS devices,
       (SELECT count(*) FROM readings JOIN devices USING (site, device) WHERE origin = 'seed') AS readings,
       (SELECT count(*) FROM anomalies JOIN devices USING (site, device) WHERE origin = 'seed') AS anomalies
""")


def checks(around: Surroundings) -> Mapping[str, Check]:
    """The gate's lines by name."""
    return {
        "database and its schema": partial(_schema, around),
        "indexes": partial(_indexes, around),
        "seed rows": partial(_seeded, around),
        f"{_RUNS} recent MLflow runs, their models in the bucket": partial(_runs, around),
        "Redis": partial(_redis, around),
        "broker with TLS": partial(_tls, around),
        "broker lets no stranger in": partial(_strangers, around),
    }


async def _schema(around: Surroundings) -> str:
    async with _store(around) as database, database.begin() as connection:
        version, layout = await schema_version(connection), await readings_layout(connection)
        server = await connection.scalar(text("SHOW server_version"))
    if version != newest_version():
        raise FailedCheckError(f"the schema is {version}, not {newest_version()}", "start any agent: it migrates")
    return f"PostgreSQL {server}, schema {version}, readings in {_LAYOUTS[layout]}"


async def _indexes(around: Surroundings) -> str:
    async with _store(around) as database, database.begin() as connection:
        missing = await missing_indexes(connection)
    if missing:
        raise FailedCheckError(f"missing: {', '.join(missing)}", "restore a backup, or make them by hand")
    return "every index and primary key is there"


async def _seeded(around: Surroundings) -> str:
    async with _store(around) as database, database.begin() as connection:
        devices, readings, anomalies = (await connection.execute(_SEEDED)).one()
    said = f"{devices} devices, {readings:,} readings, {anomalies} anomalies"
    if not (devices and readings and anomalies):
        raise FailedCheckError(f"{said} from the seed", "ronda seed")
    return said


async def _runs(around: Surroundings) -> str:
    """Two promoted models: each has a run in MLflow, and in the bucket the very bytes that were promoted."""
    root = around.settings.mlflow_artifact_root
    if not root.startswith("s3://"):
        raise NeedsAccountError(
            f"models are kept in {root or 'the data folder'}, not in a bucket",
            "an S3 bucket: MLFLOW_ARTIFACT_ROOT=s3://bucket/prefix, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and "
            "MLFLOW_S3_ENDPOINT_URL for a store other than Amazon's",
        )
    async with _store(around) as database:
        promotions = await PromotionStore(database).all_current()
    recent = [each for each in promotions if each.promoted_at_ms / 1000 > time.time() - _RECENT_S]
    newest = sorted(recent, key=lambda promotion: promotion.promoted_at_ms)[-_RUNS:]
    if len(newest) < _RUNS:
        raise FailedCheckError(f"{len(newest)} recent models are in force", "let two devices learn, then: ronda train")
    return await asyncio.to_thread(_kept, around, newest)


def _kept(around: Surroundings, promotions: list[Promotion]) -> str:
    root, endpoint = around.settings.mlflow_artifact_root, around.settings.mlflow_s3_endpoint_url
    store = ObjectStore(root, endpoint)
    registry = Registry(around.runtime.tracking_uri, root)
    for promotion in promotions:
        status = registry.run_status(promotion.run_id)
        name = below(promotion.artifact_uri, root)
        if name is None or status != "FINISHED":
            raise FailedCheckError(
                f"run {promotion.run_id} is {status}, its model at {promotion.artifact_uri}", "ronda train"
            )
        if sha256(store.read(name, MAX_BYTES)) != promotion.sha256:
            raise FailedCheckError(f"{store.uri}/{name} is not what was promoted", "ronda train, or restore a backup")
    return f"runs {', '.join(each.run_id[:8] for each in promotions)} with their models below {store.uri}"


@contextlib.asynccontextmanager
async def _store(around: Surroundings) -> AsyncIterator[Database]:
    """The database as it is: who only looks at it must not migrate it."""
    database = Database(around.runtime.database_url)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


async def _redis(around: Surroundings) -> str:
    from cloud.api.redis_link import ping

    url = around.settings.redis_url.get_secret_value()
    if not url:
        raise NeedsAccountError(
            "REDIS_URL is not set: each API process counts for itself", "a Redis: REDIS_URL=rediss://…"
        )
    began = time.perf_counter()
    await ping(url)
    return f"answers after {(time.perf_counter() - began) * 1000:.1f} ms"


async def _tls(around: Surroundings) -> str:
    host, port, context = _encrypted(around)
    async with asyncio.timeout(_HANDSHAKE_S):
        _, writer = await asyncio.open_connection(host, port, ssl=context)
    spoken: ssl.SSLObject = writer.get_extra_info("ssl_object")
    version, certificate = spoken.version(), spoken.getpeercert(binary_form=True)
    writer.close()
    ends = x509.load_der_x509_certificate(certificate or b"").not_valid_after_utc
    days = (ends - datetime.now(UTC)).days
    if days < _DAYS_LEFT:
        raise FailedCheckError(
            f"the broker's certificate ends on {ends:%Y-%m-%d}", "ronda certs, and start the broker again"
        )
    return f"{host}:{port} speaks {version}, its certificate is valid for {days} days"


def _encrypted(around: Surroundings) -> tuple[str, int, ssl.SSLContext]:
    """Where devices come in, and whom they trust. Raises: FailedCheckError when nothing is encrypted there."""
    runtime = around.runtime
    if runtime.mqtt_url:
        address = around.broker()
        if address.tls:
            return address.host, address.port, client_context(address.ca_file)
    elif trust := own_trust(runtime):
        return reached_at(runtime.listen), runtime.mqtts_port, trust
    raise FailedCheckError(
        f"{around.broker()} is not encrypted",
        "ronda certs, then ronda up --listen ADDRESS; or an MQTT_URL that begins with mqtts://",
    )


async def _strangers(around: Surroundings) -> str:
    stranger = around.broker().with_user("nobody/knows", "a wrong password")
    try:
        async with MqttBus(stranger, f"check-{time.time_ns()}", persistent=False):
            pass
    except RefusedError:
        return "a wrong password is refused"
    except RondaError as error:
        raise FailedCheckError(str(error), "start the broker, or correct MQTT_URL") from error
    raise FailedCheckError("a wrong password was let in", "set a password file and allow_anonymous false")
