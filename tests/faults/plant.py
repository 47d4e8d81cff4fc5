"""An installation in pieces, each in a process of its own, with our proxies between them: here faults happen."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import asyncpg
import httpx
import msgspec

from broker.address import MqttAddress
from broker.credentials import Credentials
from cloud.storage.database import Database
from cloud.storage.devices import DeviceStore
from cloud.storage.postgres import EmbeddedPostgres
from cloud.storage.promotions import PromotionStore
from contract.errors import RondaError
from ronda.installation import AGENT_NAMES, Installation, service_passwords, write_private
from ronda.mosquitto import MosquittoPart
from ronda.processes import FOLLOW
from tests.faults.account import Alarms, Mails, alarms, mails
from tests.faults.disk import disk
from tests.faults.field import READY_WITHIN_S, Broker, Field, until_true
from tests.faults.machine import METRICS, Course
from tests.faults.mail import MailServer
from tests.faults.processes import Process
from tests.faults.proxy import Proxy
from tests.faults.senders import SITE, HttpSender, MachineSender, MqttSender
from tests.faults.shelf import ModelShelf
from tests.support.installation import clean_environment
from tests.support.ports import free_port
from tests.support.redis import RedisServer

DEVICES = ("flow-1", "flow-2", "flow-3")
MACHINE, CLIENT = "pump-07", "web-1"
# Enough that every step has work in its hands at any moment, on two cores that the faults need too.
_DEVICE_PER_S, _MACHINE_PER_S = 40.0, 100.0
_DAY_MS = 24 * 60 * 60 * 1000
_PASSWORD = "of the plant under test"
_SERVICES = "0123456789abcdef" * 4
# PostgreSQL keeps up to 256 MB of its log; the broker's grows while a subscriber is away.
_DISKS_MB = {"postgres": 700, "data": 400}
_AGAIN_S = 0.3


class Plant(Field):
    """Everything of Ronda, with senders at work; `async with` starts it and waits until readings are stored."""

    def __init__(self, folder: Path, broker: Broker, seed: int, *, small_disks: bool = False) -> None:
        """`small_disks`: the database and the broker have a disk of their own, which only root can give them."""
        super().__init__(seed)
        self.folder = folder
        self.broker: Broker = broker
        self.mail = MailServer()
        self.processes: dict[str, Process] = {}
        self.database: dict[str, Proxy] = {}
        self.bus: dict[str, Proxy] = {}
        self.postgres_runs = asyncio.Event()
        self._small_disks = small_disks
        self._stack = contextlib.AsyncExitStack()
        self._course = Course(_now_ms() - 3 * _DAY_MS)
        self.shelf = ModelShelf(self._course.model())
        self._token = ""

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.dismiss()
        await self._stack.aclose()

    # -- the beginning --

    async def _start(self) -> None:
        if self._small_disks:
            for name, megabytes in _DISKS_MB.items():
                self._stack.enter_context(disk(self.folder / name, megabytes))
        await self._stack.enter_async_context(self.mail)
        await self._stack.enter_async_context(self.shelf)
        await self._start_database()
        await self._start_broker()
        self.redis = RedisServer(self.folder)
        self.redis.start()
        self._stack.callback(self.redis.kill)
        await asyncio.gather(*(self._start_part(name, ["agent", name]) for name in AGENT_NAMES))
        await self._start_part("api", ["api", "--http-port", str(self.http_port)])
        self.bus["devices"] = await self._proxy(self.mqtt_port)
        self.web = await self._proxy(self.http_port)
        await self.log_in()
        self._start_senders()
        await self.recovered(READY_WITHIN_S)

    async def _start_database(self) -> None:
        folder = self.folder / "postgres"
        folder.mkdir(parents=True, exist_ok=True)
        self._postgres = EmbeddedPostgres(folder, settings={"max_connections": "60"})
        self._stack.push_async_callback(self._postgres.stop)
        self._url = await self._postgres.start()
        self.postgres_runs.set()
        keeper = asyncio.create_task(self._keep_database())
        self._stack.callback(keeper.cancel)
        database = Database(self._url)
        await database.open()
        await database.migrate()
        devices = DeviceStore(database)
        for device in (*DEVICES, MACHINE, CLIENT):
            await devices.ensure(SITE, device, "provisioned", now_ms=_now_ms(), learn_rows=10**9)
        await PromotionStore(database).promote(self._course.promotion(SITE, MACHINE, self.shelf.url))
        await database.close()

    async def _keep_database(self) -> None:
        """As `ronda up` does."""
        while True:
            await self._postgres.wait()
            self.postgres_runs.clear()
            with contextlib.suppress(RondaError):
                await self._postgres.start()
                self.postgres_runs.set()
            await asyncio.sleep(_AGAIN_S)

    async def _start_broker(self) -> None:
        self.mqtt_port, self.http_port = free_port(), free_port()
        installation = Installation(self.folder / "data")
        installation.create()
        known = installation.secrets()
        known.services = service_passwords(_SERVICES)
        write_private(installation.root / "secrets.json", msgspec.json.encode(known))
        self._services = known.services
        self._credentials = Credentials(installation.passwd)
        users = {f"{SITE}/{device}": _PASSWORD for device in (*DEVICES, MACHINE)}
        self._credentials.set_all(users | self._services)
        if self.broker == "mosquitto":
            self.mosquitto = MosquittoPart(installation, "127.0.0.1", self.mqtt_port, list(AGENT_NAMES))
            await self._stack.enter_async_context(self.mosquitto)
            return
        arguments = ["broker", "--data", str(installation.root), "--mqtt-port", str(self.mqtt_port)]
        await self._begin(Process("broker", arguments, self._environment(), self.folder / "broker"))
        await until_true(self._broker_listens, "the broker listens")

    async def _broker_listens(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.mqtt_port)
        except OSError:
            return False
        writer.close()
        return True

    async def _start_part(self, name: str, arguments: list[str]) -> None:
        port = int(self._url.rpartition(":")[2].partition("/")[0])
        self.database[name] = await self._proxy(port)
        self.bus[name] = await self._proxy(self.mqtt_port)
        environment = self._environment() | {
            "DATABASE_URL": self._url.replace(f":{port}/", f":{self.database[name].port}/"),
            "MQTT_URL": f"mqtt://127.0.0.1:{self.bus[name].port}",
        }
        await self._begin(Process(name, arguments, environment, self.folder / name))

    async def _begin(self, process: Process) -> None:
        self.processes[process.part] = process
        self._stack.push_async_callback(process.stop)
        await process.start()

    async def _proxy(self, port: int) -> Proxy:
        return await self._stack.enter_async_context(Proxy(port, self.rng))

    def _environment(self) -> dict[str, str]:
        redis = {"REDIS_URL": self.redis.url} if hasattr(self, "redis") else {}
        return clean_environment() | redis | {
            FOLLOW: str(os.getpid()),
            "MQTT_SERVICES_SECRET": _SERVICES,
            "MQTT_PASSWORD_FILE": str(self.folder / "data" / "broker" / "passwd"),
            "MLFLOW_TRACKING_URI": f"sqlite:///{self.folder / 'mlflow.db'}",
            "JWT_SECRET": _SERVICES,
            "ADMIN_PASSWORD": _PASSWORD,
            "EMAIL_SMTP_HOST": "127.0.0.1",
            "EMAIL_SMTP_PORT": str(self.mail.port),
            "EMAIL_SMTP_TLS": "false",
            # Every alarm is a mail, so that each can be counted.
            "NOTIFICATION_COOLDOWN_S": "0",
            "RATE_LIMIT_PER_MINUTE": "0",
            "DATABASE_POOL_SIZE": "4",
            "OPENBLAS_NUM_THREADS": "1",
        }  # fmt: skip

    async def log_in(self) -> None:
        async def try_it() -> bool:
            form = {"username": "admin", "password": _PASSWORD}
            try:
                async with httpx.AsyncClient(base_url=self.url) as client:
                    answer = await client.post("/api/v1/auth/token", data=form)
            except httpx.HTTPError:
                return False
            self._token = answer.json()["access_token"]
            return True

        await until_true(try_it, "the API lets us in")

    def _start_senders(self) -> None:
        for device in DEVICES:
            self.add(MqttSender(device, self.rng, self._as_device(device), _DEVICE_PER_S, _now_ms))
        course = self._course
        self.add(
            MachineSender(
                MACHINE, self.rng, self._as_device(MACHINE), _MACHINE_PER_S, _now_ms, metrics=METRICS, row=course.row
            )
        )
        url = f"http://127.0.0.1:{self.web.port}"
        self.add(HttpSender(CLIENT, self.rng, url, lambda: self._token, self.log_in, _now_ms))

    def _as_device(self, device: str) -> MqttAddress:
        # One line for all of them.
        return MqttAddress(host="127.0.0.1", port=self.bus["devices"].port).with_user(f"{SITE}/{device}", _PASSWORD)

    # -- what is asked of it --

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def database_url(self) -> str:
        """Without any proxy."""
        return self._url

    def service(self, name: str) -> tuple[str, str]:
        """User and password of one of ours on the broker."""
        return name, self._services[name]

    @property
    def postgres_pid(self) -> int:
        assert self._postgres._server is not None
        return self._postgres._server.pid

    @property
    def broker_pid(self) -> int:
        return self.mosquitto._mosquitto.pid if self.broker == "mosquitto" else self.processes["broker"].pid

    async def sql(self, database: str = "ronda") -> asyncpg.Connection[Any]:
        """A connection past everything of ours; to be closed. Waits until the server lets us in."""
        url = f"{self._url.rpartition('/')[0]}/{database}"
        async with asyncio.timeout(READY_WITHIN_S):
            while True:
                await self.postgres_runs.wait()
                try:
                    return await asyncpg.connect(url, ssl=False)
                except (OSError, asyncpg.CannotConnectNowError, asyncpg.PostgresConnectionError):
                    await asyncio.sleep(_AGAIN_S)

    @property
    def rows(self) -> int:
        return self.machine.rows

    async def alarmed(self, within_s: float) -> float:
        """Wait until an alarm that was raised from now on is mailed; returns the seconds it took."""
        began, since_ms = time.monotonic(), _now_ms()

        async def mailed() -> bool:
            try:
                connection = await asyncpg.connect(self._url, ssl=False)
            except (OSError, asyncpg.PostgresError):
                return False
            try:
                query = """
                    SELECT EXISTS (SELECT FROM notifications JOIN anomalies USING (anomaly_id)
                                   WHERE detected_at_ms >= $1 AND delivery = 'delivered')
                """
                return bool(await connection.fetchval(query, since_ms))
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                return False
            finally:
                connection.terminate()

        await until_true(mailed, "an alarm is mailed", within_s)
        return time.monotonic() - began

    @property
    def machine(self) -> MachineSender:
        sender = self.senders[MACHINE]
        assert isinstance(sender, MachineSender)
        return sender

    async def alarms(self) -> tuple[Alarms, Mails]:
        """Against the truth of the machine's life up to now."""
        windows = self._course.windows(self.machine.rows)
        connection = await self.sql()
        try:
            found = await alarms(connection, MACHINE, windows)
            return found, await mails(connection, MACHINE, windows, self.mail.received, self.mail.refused)
        finally:
            await connection.close()

    async def ledger(self) -> dict[str, dict[str, int]]:
        """What Ronda itself says, by device."""
        async with httpx.AsyncClient(base_url=self.url, headers={"Authorization": f"Bearer {self._token}"}) as client:
            answer = await client.get("/api/v1/ledger", params={"site": SITE}, timeout=30)
        answer.raise_for_status()
        return {row["device"]: row for row in answer.json()["items"]}


def _now_ms() -> int:
    return int(time.time() * 1000)
