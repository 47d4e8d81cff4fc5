"""The steps of the proof, in order; each says what it saw and fails when that is not what was promised."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from urllib.parse import quote

import httpx

from broker.address import MqttAddress
from broker.bus import RefusedError
from broker.mqtt import MqttBus
from contract.errors import RondaError
from ronda.client import RondaClient
from tests.containers import looks
from tests.containers.device import Device
from tests.containers.stack import Stack
from tests.containers.transcript import Transcript

SITE = "proof"
# The order of the chain, then what it stands on.
RESTARTED = (
    "acquisition", "validation", "historian", "anomaly-detection", "notification", "api", "trainer", "emulator", "mail",
    "mosquitto", "postgres", "redis", "mlflow", "seaweedfs",
)  # fmt: skip
_BACKUPS = "s3://ronda-backups/proof"
_RESTORED = "s3://ronda-restored/mlflow"

Step = tuple[str, Callable[[], Awaitable[None]]]


class Proof:
    """One run over one stack."""

    def __init__(self, stack: Stack, transcript: Transcript) -> None:
        self._stack, self._say = stack, transcript.say
        self._url = f"http://127.0.0.1:{stack.http_port}"
        self._backup = ""

    def steps(self) -> list[Step]:
        """All of them, with their titles."""
        return [
            ("up to healthy", self._up),
            ("the emulated machines have learned, and the chain is ready", self._ready),
            ("a device is added by the API and publishes over TLS", self._device),
            ("who is not trusted stays outside", self._strangers),
            ("a reading is posted to the bridge", self._bridge),
            ("the golden path: a machine wears out, a person gets a mail", self._golden_path),
            ("the readings are rows of a hypertable", self._hypertable),
            ("each model is a run in MLflow with its objects in S3", self._models),
            ("Redis counts for the API", self._redis),
            ("each service is restarted in turn, and no reading is lost", self._restarts),
            ("a backup to the stack's S3, restored into an empty database", self._backup_and_restore),
            ("ronda check against the stack", self._check),
        ]

    async def _up(self) -> None:
        await self._stack.compose("up", "--detach", "--wait", "--wait-timeout", "300")
        states = await self._stack.states()
        healthy = sum(state == "healthy" for state in states.values())
        self._say(f"  {healthy} services are healthy, the other {len(states) - healthy} have done their work")
        await self._stack.until_healthy()

    async def _ready(self) -> None:
        async with RondaClient(self._url) as client:
            await looks.until_ready(client)

    async def _device(self) -> None:
        device = await self._added("press-1", every_s=0.02)
        await device.start()
        await asyncio.sleep(2)
        unstored = await device.finish(30)
        found = await looks.stored(self._stack, SITE, "press-1")
        self._say(
            f"  {device.measured} readings published as {SITE}/press-1 by mqtts, {found} rows, {unstored} unconfirmed"
        )
        assert unstored == 0
        assert found == device.measured

    async def _strangers(self) -> None:
        for what, address in {
            "a wrong password": self._broker().with_user(f"{SITE}/press-1", "wrong"),
            "a client that trusts other authorities": self._broker().with_user("a", "b").trusting(None),
        }.items():
            try:
                async with MqttBus(address, "stranger", persistent=False, timeout_s=10):
                    raise AssertionError(f"{what} was let in")
            except RefusedError as refusal:
                self._say(f"  {what}: {str(refusal).partition(': ')[2].partition(' (')[0]}")
        ports = json.loads(await self._stack.compose("config", "--format", "json"))["services"]
        published = sorted(f"{name}:{port['target']}" for name, one in ports.items() for port in one.get("ports", []))
        self._say(f"  published to this machine: {', '.join(published)}")
        assert published == ["api:8000", "mosquitto:8883"]

    async def _bridge(self) -> None:
        body = {"site": SITE, "device": "lathe-1", "ts": time.time_ns() // 1_000_000, "values": {"temperature_c": 41.5}}
        key = {"X-API-Key": self._stack.secret("api_key")}
        async with httpx.AsyncClient(base_url=self._url, timeout=30) as http:
            taken = await http.post("/api/v1/ingest", params={"wait": "stored"}, json=body, headers=key)
            refused = await http.post("/api/v1/ingest", json=body, headers={"X-API-Key": "wrong"})
        self._say(f"  POST /api/v1/ingest?wait=stored: {taken.status_code}; with a wrong key: {refused.status_code}")
        assert (taken.status_code, refused.status_code) == (201, 401)
        assert await looks.stored(self._stack, SITE, "lathe-1") == 1

    async def _golden_path(self) -> None:
        async with RondaClient(self._url) as client:
            await self._login(client)
            began = time.monotonic()
            started = await client.simulate("bearing_wear")
            mail = await looks.mail_of(client, started["correlation_id"])
            seconds = time.monotonic() - began
            stations = [step["station"] for step in (await client.trace(started["correlation_id"]))["steps"]]
        self._say(f"  {started['correlation_id']}: mail after {seconds:.1f} s: {mail['subject']}")
        self._say(f"  it passed {', '.join(dict.fromkeys(stations))}")
        assert {"acquisition", "validation", "anomaly-detection", "notification", "mail"} <= set(stations)

    async def _hypertable(self) -> None:
        tables = await looks.hypertables(self._stack)
        ((count, version),) = await self._stack.sql(
            "SELECT (SELECT count(*) FROM readings), extversion FROM pg_extension WHERE extname = 'timescaledb'"
        )
        self._say(f"  TimescaleDB {version}: {tables}; {int(count):,} rows of readings")
        assert tables.get("readings", 0) >= 1
        assert int(count) > 0

    async def _models(self) -> None:
        runs = await looks.finished_runs(self._stack)
        objects = await looks.objects(self._stack)
        models = [key for key in objects if key.endswith("/model.json")]
        self._say(f"  {len(runs)} finished runs, such as {runs[0][0]} ({runs[0][1]})")
        self._say(f"  {len(objects)} objects in ronda-models, {len(models)} of them models, such as {models[0]}")
        assert len(runs) >= 2
        assert len(models) >= 2

    async def _redis(self) -> None:
        keys = await looks.redis_keys(self._stack)
        self._say(f"  {len(keys)} keys, such as {min(keys) if keys else 'none'}")
        assert keys

    async def _restarts(self) -> None:
        """A device publishes all the while, and the emulated machines do."""
        device = await self._added("press-2", every_s=0.1)
        await device.start()
        for service in RESTARTED:
            began = time.monotonic()
            await self._stack.compose("restart", service)
            await self._stack.until_healthy()
            self._say(f"  {service:<18} healthy again after {time.monotonic() - began:5.1f} s")
        async with RondaClient(self._url) as client:
            await looks.until_ready(client)
        unstored = await device.finish(60)
        found = await looks.stored(self._stack, SITE, "press-2")
        self._say(f"  {device.measured} readings measured meanwhile, {device.sent_again} of them sent more than once")
        self._say(f"  {found} rows, {unstored} unconfirmed")
        assert unstored == 0
        assert found == device.measured
        await self._nothing_lost()

    async def _nothing_lost(self) -> None:
        async with RondaClient(self._url) as client:
            await self._login(client)
            rows = (await client.ledger())["items"]
        lost = {f"{row['site']}/{row['device']}": row["lost"] for row in rows if row["lost"]}
        stored = sum(row["stored"] or 0 for row in rows)
        self._say(f"  the ledger of all {len(rows)} devices: {stored:,} stored, lost: {lost or 'none'}")
        assert not lost

    async def _backup_and_restore(self) -> None:
        # Nobody publishes, so that what is compared stands still.
        await self._stack.compose("stop", "emulator")
        await asyncio.sleep(3)
        told = await self._stack.tools("backup", "--data", "/var/lib/ronda", "--to", _BACKUPS)
        backup = next(word for word in told.split() if word.startswith(f"{_BACKUPS}/"))
        self._say(f"  {told.strip().splitlines()[-1].partition(',')[0]}, at {backup}")
        where = await self._empty_place()
        await self._stack.tools("restore", backup, environment=where)
        before, after = await looks.contents(self._stack, "ronda"), await looks.contents(self._stack, "restored")
        self._say("  " + ", ".join(f"{table} {rows:,}" for table, (rows, _) in after.items()))
        assert after == before, f"restored is {after}, and was {before}"
        self._say("  the restored tables hold the same rows, by number and content")
        await self._stack.compose("start", "emulator")
        await self._stack.until_healthy()

    async def _empty_place(self) -> dict[str, str]:
        """Databases and a bucket with nothing in them, as settings."""
        await self._stack.sql("CREATE DATABASE restored")
        await self._stack.sql("CREATE DATABASE mlflow_restored TEMPLATE template0")
        await self._stack.tools("prepare", "store", "--bucket", "ronda-restored")
        password = quote(self._stack.secret("postgres_password"), safe="")
        return {
            "DATABASE_URL": f"postgresql://ronda:{password}@postgres:5432/restored",
            "MLFLOW_BACKEND_STORE_URI": f"postgresql://ronda:{password}@postgres:5432/mlflow_restored",
            "MLFLOW_ARTIFACT_ROOT": _RESTORED,
            "MQTT_PASSWORD_FILE": "/tmp/passwd",
        }

    async def _check(self) -> None:
        await self._stack.tools("seed")
        async with RondaClient(self._url) as client:
            await looks.until_ready(client)
        said = json.loads(await self._stack.tools("check", "--json", "--repository", "/checkout"))
        for line in said["lines"]:
            self._say(f"  {line['result']:<13} {line['gate']} {line['name']}: {line['said']}")
        assert said["fail"] == 0

    async def _added(self, name: str, *, every_s: float) -> Device:
        async with RondaClient(self._url) as client:
            await self._login(client)
            added = await client.add_device(SITE, name)
        return Device(self._broker().with_user(added["username"], added["password"]), SITE, name, every_s)

    async def _login(self, client: RondaClient) -> None:
        try:
            await client.login("admin", self._stack.secret("admin_password"))
        except RondaError as error:
            raise AssertionError(f"admin is not let in: {error}") from error

    def _broker(self) -> MqttAddress:
        address = MqttAddress(host="localhost", port=self._stack.mqtts_port, tls=True)
        return address.trusting(self._stack.secrets / "ca.crt")
