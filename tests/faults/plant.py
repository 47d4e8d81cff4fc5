"""An installation in pieces, each in a process of its own, with our proxies between them: here faults happen."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Set as AbstractSet
from functools import partial
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
from cloud.storage.promotions import Promotion, PromotionStore
from contract.access import gateway_rights
from detection.model import sha256
from ronda.installation import AGENT_NAMES, Installation, service_passwords, write_private
from ronda.mosquitto import MosquittoPart
from ronda.processes import FOLLOW
from tests.faults.account import Alarms, Beyond, Mails, alarms, beyond, mailed_since, mails
from tests.faults.disk import disk
from tests.faults.distant import DistantSender
from tests.faults.field import READY_WITHIN_S, Broker, Field, until_true
from tests.faults.gear import Gear
from tests.faults.ground import Ground
from tests.faults.machine import METRICS, Course
from tests.faults.mail import MailServer
from tests.faults.models import ModelServer
from tests.faults.outbox import SiteSender
from tests.faults.postgres import Postgres
from tests.faults.processes import Process
from tests.faults.proxy import Proxy
from tests.faults.senders import SITE, MachineSender, MqttSender
from tests.faults.site import GATEWAY, OUTBOX, SITE_BROKER, Site
from tests.faults.web import HttpSender
from tests.faults.wire import Wire
from tests.support.installation import clean_environment
from tests.support.ports import free_port
from tests.support.redis import RedisServer

DEVICES = ("flow-1", "flow-2", "flow-3")
# Behind the gateway: those that count, and those that cannot.
BEHIND, UNABLE = ("behind-1", "behind-2"), ("press-1", "press-2")
MACHINE, DISTANT = "pump-07", "distant-1"
# HTTP clients: one counts, the readings of the other one are what they say.
CLIENT, SAYER = "web-1", "web-2"
# Whose readings pass through it; through what is not named here pass all.
_THROUGH = {
    GATEWAY: (*BEHIND, *UNABLE),
    SITE_BROKER: (*BEHIND, *UNABLE),
    "api": (CLIENT, SAYER),
    "wire": (DISTANT,),
}
# Enough that every step has work in its hands at any moment, on two cores that the faults need too.
_DEVICE_PER_S, _MACHINE_PER_S, _BEHIND_PER_S = 40.0, 100.0, 20.0
_DAY_MS = 24 * 60 * 60 * 1000
_PASSWORD = "of the plant under test"
_SERVICES = "0123456789abcdef" * 4
# PostgreSQL keeps up to 256 MB of its log; the broker's grows while a subscriber is away. The gateway keeps three
# megabytes of its disk free to delete in.
_DISKS_MB = {"postgres": 700, "data": 400, OUTBOX: 24}


class Plant(Field):
    """Everything of Ronda, with senders at work; `async with` starts it and waits until readings are stored."""

    def __init__(self, folder: Path, broker: Broker, seed: int, gear: AbstractSet[Gear] = frozenset()) -> None:
        """`gear`: a disk each for the database, the broker and the gateway; a distant device on a wire; an MLflow."""
        super().__init__(seed)
        self.folder = folder
        self.broker: Broker = broker
        self.mail = MailServer()
        self._ground = Ground(folder, self.rng)
        self._stack = self._ground.stack
        self.processes, self.others = self._ground.processes, self._ground.others
        self.models = ModelServer()
        self.database: dict[str, Proxy] = {}
        self.bus: dict[str, Proxy] = {}
        self._gear = gear
        self._course = Course(_now_ms() - 3 * _DAY_MS)
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
        if "disk" in self._gear:
            for name, megabytes in _DISKS_MB.items():
                self._stack.enter_context(disk(self.folder / name, megabytes))
        await self._stack.enter_async_context(self.mail)
        await self._start_database()
        await self._start_broker()
        self.redis = RedisServer(self.folder)
        self.redis.start()
        self._stack.callback(self.redis.kill)
        await asyncio.gather(*(self._start_part(name, ["agent", name]) for name in AGENT_NAMES))
        await self._start_part("api", ["api", "--http-port", str(self.http_port)])
        self.bus["devices"] = await self._ground.line(self.mqtt_port)
        self.web = await self._ground.line(self.http_port)
        await self._start_site()
        if "wire" in self._gear:
            self.wire = await self._stack.enter_async_context(Wire(self.rng))
            self.bus["wire"] = await self._ground.line(self.mqtt_port, self.wire.near)
        await self.log_in()
        self._start_senders()
        await self.recovered(READY_WITHIN_S)

    async def _start_database(self) -> None:
        self.postgres = await self._stack.enter_async_context(Postgres(self.folder / "postgres"))
        database = Database(self.postgres.url)
        await database.open()
        await database.migrate()
        devices = DeviceStore(database)
        for device in (*DEVICES, *BEHIND, *UNABLE, MACHINE, DISTANT, CLIENT, SAYER):
            await devices.ensure(SITE, device, "provisioned", now_ms=_now_ms(), learn_rows=10**9)
        await PromotionStore(database).promote(await self._promotion())
        await database.close()

    async def _promotion(self) -> Promotion:
        """The machine's model, in force: in an MLflow, or in a file."""
        learned = self._course.learned()
        if "mlflow" in self._gear:
            await self.models.start(self._ground, self._environment())
            kept = await self.models.register(SITE, MACHINE, learned, _now_ms())
            return self._course.promotion(SITE, MACHINE, kept.sha256, kept.artifact_uri)
        payload, file = learned.model.to_bytes(), self.folder / "model.json"
        file.write_bytes(payload)
        return self._course.promotion(SITE, MACHINE, sha256(payload), file.as_uri())

    async def _start_broker(self) -> None:
        self.mqtt_port, self.http_port = free_port(), free_port()
        installation = Installation(self.folder / "data")
        installation.create()
        known = installation.secrets()
        known.services = service_passwords(_SERVICES)
        write_private(installation.root / "secrets.json", msgspec.json.encode(known))
        self._services = known.services
        self._credentials = Credentials(installation.passwd)
        users = {f"{SITE}/{device}": _PASSWORD for device in (*DEVICES, MACHINE, DISTANT)}
        users[gateway_rights(SITE).name] = _PASSWORD
        self._credentials.set_all(users | self._services)
        if self.broker == "mosquitto":
            self.mosquitto = MosquittoPart(installation, "127.0.0.1", self.mqtt_port, list(AGENT_NAMES))
            await self._stack.enter_async_context(self.mosquitto)
            return
        arguments = ["broker", "--data", str(installation.root), "--mqtt-port", str(self.mqtt_port)]
        await self._ground.begin(Process("broker", arguments, self._environment(), self.folder / "broker"))
        await until_true(self._broker_listens, "the broker listens")

    async def _broker_listens(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.mqtt_port)
        except OSError:
            return False
        writer.close()
        return True

    async def _start_part(self, name: str, arguments: list[str]) -> None:
        port = self.postgres.port
        self.database[name] = await self._ground.line(port)
        self.bus[name] = await self._ground.line(self.mqtt_port)
        environment = self._environment() | {
            "DATABASE_URL": self.postgres.url.replace(f":{port}/", f":{self.database[name].port}/"),
            "MQTT_URL": f"mqtt://127.0.0.1:{self.bus[name].port}",
        }
        if name == "anomaly-detection" and self.models.url:
            environment["MLFLOW_TRACKING_URI"] = self.models.url_on_the_line
        await self._ground.begin(Process(name, arguments, environment, self.folder / name))

    async def _start_site(self) -> None:
        self.bus[GATEWAY] = await self._ground.line(self.mqtt_port)
        self.site = Site(self.folder / "site", self.broker, BEHIND)
        cloud = MqttAddress(host="127.0.0.1", port=self.bus[GATEWAY].port)
        cloud = cloud.with_user(gateway_rights(SITE).name, _PASSWORD)
        await self.site.start(self._ground, cloud, self._environment())

    def _environment(self) -> dict[str, str]:
        redis = {"REDIS_URL": self.redis.url} if hasattr(self, "redis") else {}
        return clean_environment() | redis | {
            FOLLOW: str(os.getpid()),
            "MQTT_SERVICES_SECRET": _SERVICES,
            "MQTT_PASSWORD_FILE": str(self.folder / "data" / "broker" / "passwd"),
            "MLFLOW_TRACKING_URI": self.models.url or f"sqlite:///{self.folder / 'mlflow.db'}",
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
        for device, counts in ((CLIENT, True), (SAYER, False)):
            url = f"http://127.0.0.1:{self.web.port}"
            self.add(HttpSender(device, self.rng, url, lambda: self._token, self.log_in, _now_ms, counts=counts))
        for device in BEHIND:
            self.add(MqttSender(device, self.rng, self.site.address(f"{SITE}/{device}"), _BEHIND_PER_S, _now_ms))
        for device in UNABLE:
            self.add(SiteSender(device, self.rng, self.site.address(), _BEHIND_PER_S, self.site.outbox))
        if "wire" in self._gear:
            there = MqttAddress(host=self.wire.near, port=self.bus["wire"].port)
            there = there.with_user(f"{SITE}/{DISTANT}", _PASSWORD)
            self.add(DistantSender(DISTANT, self.rng, self.wire.name, there, _DEVICE_PER_S))

    def _as_device(self, device: str) -> MqttAddress:
        # One line for all of them.
        return MqttAddress(host="127.0.0.1", port=self.bus["devices"].port).with_user(f"{SITE}/{device}", _PASSWORD)

    # -- what is asked of it --

    def in_flight(self, through: str) -> int:
        """Readings under way of those that pass through it."""
        return sum(self.senders[device].under_way for device in _THROUGH.get(through, self.senders))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    def service(self, name: str) -> tuple[str, str]:
        """User and password of one of ours on the broker."""
        return name, self._services[name]

    @property
    def broker_pid(self) -> int:
        return self.mosquitto._mosquitto.pid if self.broker == "mosquitto" else self.processes["broker"].pid

    async def sql(self, database: str = "ronda") -> asyncpg.Connection[Any]:
        """A connection past everything of ours; to be closed. Waits until the server lets us in."""
        return await self.postgres.connect(database)

    @property
    def rows(self) -> int:
        return self.machine.rows

    async def alarmed(self, within_s: float) -> float:
        """Wait until an alarm that was raised from now on is mailed; returns the seconds it took."""
        began, since_ms = time.monotonic(), _now_ms()
        await until_true(partial(mailed_since, self.postgres.url, since_ms), "an alarm is mailed", within_s)
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

    async def beyond(self) -> Beyond:
        """Of the machines behind the gateway that cannot count."""
        senders = [sender for sender in self.senders.values() if isinstance(sender, SiteSender)]
        connection = await self.sql()
        try:
            acknowledged = {sender.device: sender.acknowledged for sender in senders}
            return await beyond(connection, acknowledged, self._site_losses)
        finally:
            await connection.close()

    @property
    def _site_losses(self) -> int:
        """How often the site's broker died with what it had in memory alone; the embedded one has nothing there."""
        return self.others[SITE_BROKER].deaths if self.broker == "mosquitto" else 0

    async def ledger(self) -> dict[str, dict[str, int]]:
        """What Ronda itself says, by device."""
        async with httpx.AsyncClient(base_url=self.url, headers={"Authorization": f"Bearer {self._token}"}) as client:
            answer = await client.get("/api/v1/ledger", params={"site": SITE}, timeout=30)
        answer.raise_for_status()
        return {row["device"]: row for row in answer.json()["items"]}


def _now_ms() -> int:
    return int(time.time() * 1000)
