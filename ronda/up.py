"""`ronda up`: the whole product on one machine, started in order, watched, and stopped without a trace."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from broker.credentials import Credentials
from broker.listeners import bracketed, is_every, reached_at
from cloud.storage.postgres import EmbeddedPostgres
from contract.errors import RondaError
from ronda.fleet import RESTED, write_fleet
from ronda.guards import LOOPBACK, alone, check_agents, check_database, check_port, check_settings, free_port
from ronda.installation import Installation, InstallationError, Runtime, Secrets, with_settings
from ronda.logs import set_up_logs
from ronda.mlflow.tracking import tracking
from ronda.processes import Part, until_told_to_stop
from ronda.settings import Settings
from ronda.tls.certs import main_address
from ronda.tls.listening import Listening, listening, material, mqtt_listeners, own_trust, own_url, shown_certificate

# Beyond this something is wrong that waiting does not mend.
READY_TIMEOUT_S = 180.0
POLL_S = 0.25
# A part that died this often before anything worked will die again.
RESTARTS_BEFORE_READY = 4
# All parts, one after the other, and the database: seconds; more is a part that hangs.
STOP_WITHIN_S = 60.0
RESTART_PAUSE_S = 1.0

log = logging.getLogger("ronda.up")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line chose."""

    data: Path
    http_port: int
    mqtt_port: int
    broker: Literal["embedded", "mosquitto"]
    devices: int
    without: tuple[str, ...]
    listen: str | None = None
    mqtts_port: int = 8883
    insecure: bool = False


class Up:
    """A running installation; `say` prints a line for the person who started it."""

    def __init__(self, options: Options, settings: Settings, say: Callable[[str], None]) -> None:
        self._options = options
        self._settings = settings
        self._say = say
        self._installation = Installation(options.data)
        self._began = time.monotonic()
        self._parts: list[Part] = []

    async def run(self) -> None:
        """Until Ctrl-C. Raises: RondaError with one clear line when it cannot start."""
        agents = check_agents(self._options.without)
        check_settings(self._settings)
        self._place = self._where()
        self._installation.create()
        with alone(self._installation.root):
            set_up_logs("up", self._settings.log_level, self._installation.logs)
            self._check_ports()
            stop = asyncio.create_task(until_told_to_stop(STOP_WITHIN_S))
            async with contextlib.AsyncExitStack() as stack:
                start = asyncio.create_task(self._start(stack, agents))
                await asyncio.wait({start, stop}, return_when=asyncio.FIRST_COMPLETED)
                if stop.done():
                    start.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await start
                await stop
                self._say("\nstopping …")
            self._say("stopped; everything is kept in " + str(self._installation.root))

    async def _start(self, stack: contextlib.AsyncExitStack, agents: list[str]) -> None:
        secrets = with_settings(self._installation.secrets(), self._settings)
        self._say(f"Ronda starts in {self._installation.root}")
        for warning in [*self._settings.warnings(), *self._place_warnings()]:
            self._say(f"  note: {warning}")
        data = ["--data", str(self._installation.root)]
        if not tracking(self._settings).uri and not (self._installation.mlflow / "mlflow.db").exists():
            # The slowest step of a first start: begun before everything else, beside everything else.
            await self._part(stack, "trainer", ["train", "--first", *data])
        Credentials(self._installation.passwd).set_all(secrets.services)
        # On somebody else's broker our emulated machines have no users.
        own_broker = not self._settings.mqtt_url.get_secret_value()
        write_fleet(self._installation, self._options.devices if own_broker else None)
        database_url = await self._database(stack)
        runtime = self._runtime(database_url, agents)
        self._installation.announce(runtime)
        stack.callback(self._installation.retract)
        await self._mosquitto(stack, runtime)
        await self._part(stack, "hub", ["hub", *data], keep=True)
        await self._part(stack, "web", ["api", *data], keep=True)
        if own_broker:
            await self._part(stack, "emulator", ["emulate", *data], keep=True)
        self._step("processes", "hub, web and emulator are starting" if own_broker else "hub and web are starting")
        await self._until_ready(runtime)
        self._step("ready", self._ready_words() if own_broker else "no emulated machines on a broker that is not ours")
        self._welcome(runtime, secrets)

    async def _database(self, stack: contextlib.AsyncExitStack) -> str:
        if given := self._settings.database_url.get_secret_value():
            await check_database(given)
            self._step("database", "as DATABASE_URL says")
            return given
        postgres = EmbeddedPostgres(self._installation.postgres)
        stack.push_async_callback(postgres.stop)
        url = await postgres.start()
        watch = asyncio.create_task(_keep_database(postgres))
        stack.callback(watch.cancel)
        self._step("database", f"PostgreSQL on {url.rpartition('@')[2]}")
        return url

    async def _mosquitto(self, stack: contextlib.AsyncExitStack, runtime: Runtime) -> None:
        plain, further = mqtt_listeners(self._place, runtime.mqtt_port, runtime.mqtts_port)
        where = " and ".join(map(str, (plain, *further)))
        if self._settings.mqtt_url.get_secret_value():
            self._step("broker", "as MQTT_URL says")
        elif self._options.broker == "mosquitto":
            from ronda.mosquitto import MosquittoPart  # brings the agents' declarations, which nothing else here needs

            most = self._settings.broker_queue_messages
            mosquitto = MosquittoPart(
                self._installation, plain.host, plain.port, runtime.agents, further, max_queued=most
            )
            await stack.enter_async_context(mosquitto)
            self._step("broker", f"Mosquitto on {where}")
        else:
            self._step("broker", f"embedded, in the hub, on {where}")

    async def _part(
        self, stack: contextlib.AsyncExitStack, name: str, arguments: list[str], *, keep: bool = False
    ) -> None:
        part = Part(name, arguments, self._installation.logs / f"{name}.err")
        self._parts.append(part)
        stack.push_async_callback(part.stop)
        await part.start()
        if keep:
            watch = asyncio.create_task(part.keep())
            stack.callback(watch.cancel)

    async def _until_ready(self, runtime: Runtime) -> None:
        """Wait for `/readyz`, telling what is still missing each time that changes."""
        told, url, trust = "", f"{own_url(runtime)}/readyz", own_trust(runtime)
        give_up = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < give_up:
            ready, missing = await asyncio.to_thread(ask_readiness, url, trust)
            if ready:
                return
            if dying := next((part for part in self._parts if part.restarts >= RESTARTS_BEFORE_READY), None):
                raise InstallationError(f"{dying.name} does not stay up: {dying.last_words() or 'its log says why'}")
            if missing and missing != told:
                told = missing
                self._step("waiting", missing)
            await asyncio.sleep(POLL_S)
        raise InstallationError(
            f"not ready after {READY_TIMEOUT_S:.0f} s: {told or 'the web process does not answer'}; "
            f"the logs in {self._installation.logs} say why"
        )

    def _runtime(self, database_url: str, agents: list[str]) -> Runtime:
        settings = self._settings
        place = self._place
        base_url = settings.api_base_url or f"{place.scheme}://{bracketed(self._outward())}:{self._options.http_port}"
        own_mail = not settings.email_smtp_host
        return Runtime(
            pid=os.getpid(),
            base_url=base_url,
            http_port=self._options.http_port,
            mqtt_host=reached_at(place.plain_mqtt),
            mqtt_port=self._options.mqtt_port,
            mqtt_url=settings.mqtt_url.get_secret_value(),
            database_url=database_url,
            tracking_uri=tracking(settings).uri or self._installation.own_tracking_uri,
            artifact_root=settings.mlflow_artifact_root or self._installation.own_artifact_root,
            smtp_host=LOOPBACK if own_mail else settings.email_smtp_host,
            smtp_port=free_port(LOOPBACK) if own_mail else settings.email_smtp_port,
            own_mail=own_mail,
            broker="external" if settings.mqtt_url.get_secret_value() else self._options.broker,
            agents=agents,
            listen=place.address,
            insecure=place.insecure,
            mqtts_port=self._options.mqtts_port,
            tls_cert_file=str(place.tls.certificate) if place.tls else "",
            tls_key_file=str(place.tls.key) if place.tls else "",
            certificate=shown_certificate(place.tls),
        )

    def _where(self) -> Listening:
        tls = material(self._settings, self._installation)
        return listening(self._options.listen, tls, insecure=self._options.insecure)

    def _outward(self) -> str:
        """The address by which others come, or this machine alone where nobody else can."""
        return main_address() if is_every(self._place.address) else self._place.address

    def _place_warnings(self) -> list[str]:
        # An administrator's own certificate has its own names, and API_BASE_URL says them.
        made_here = self._place.tls is not None and self._installation.tls in self._place.tls.certificate.parents
        return self._place.warned([self._outward()] if made_here else [])

    def _check_ports(self) -> None:
        plain, further = mqtt_listeners(self._place, self._options.mqtt_port, self._options.mqtts_port)
        check_port(self._place.address, self._options.http_port, "--http-port")
        if not self._settings.mqtt_url.get_secret_value():
            check_port(plain.host, plain.port, "--mqtt-port")
            for listener in further:
                check_port(listener.host, listener.port, "--mqtts-port")

    def _step(self, what: str, text: str) -> None:
        self._say(f"  {time.monotonic() - self._began:5.1f} s  {what:<10} {text}")

    def _ready_words(self) -> str:
        live = "1 machine is" if self._options.devices == 1 else f"{self._options.devices} machines are"
        return f"{live} live and judged, {RESTED} demonstration machines are rested"

    def _mqtt_words(self) -> str:
        if self._settings.mqtt_url.get_secret_value():
            return "as MQTT_URL says"
        plain, further = mqtt_listeners(self._place, self._options.mqtt_port, self._options.mqtts_port)
        tls = "".join(f"mqtts://{bracketed(self._outward())}:{listener.port} and " for listener in further)
        host = bracketed(self._outward()) if self._place.insecure else plain.host
        return f"{tls}mqtt://{host}:{plain.port}; `ronda device add SITE/DEVICE` makes a user and its password"

    def _welcome(self, runtime: Runtime, secrets: Secrets) -> None:
        self._say(
            f"\n  dashboard   {runtime.base_url}/ui/\n"
            f"  golden path {runtime.base_url}/ui/golden-path\n"
            f"  API         {runtime.base_url}/docs\n"
            f"  MQTT        {self._mqtt_words()}\n"
            f"  first user  admin, password {secrets.admin_password}\n\n"
            f"  logs in {self._installation.logs}; Ctrl-C stops everything"
        )


async def _keep_database(postgres: EmbeddedPostgres) -> None:
    """Start it again, on the port it had, whenever it dies; those who work with it wait and try again."""
    while True:
        code = await postgres.wait()
        log.error("database.died", extra={"code": code})
        with contextlib.suppress(RondaError):
            await postgres.start()
        await asyncio.sleep(RESTART_PAUSE_S)


def ask_readiness(url: str, trust: ssl.SSLContext | None) -> tuple[bool, str]:
    """(ready, what is missing in words); not ready and nothing to say while nobody answers.

    Who has everything and is behind has started all the same: it works off what came while it was away.
    """
    try:
        with urllib.request.urlopen(url, timeout=5, context=trust) as answer:  # noqa: S310  # our own address
            return answer.status == 200, ""
    except urllib.error.HTTPError as refusal:
        with contextlib.suppress(ValueError, AttributeError):
            told = json.loads(refusal.read())
            return bool(told.get("behind")) and not told.get("missing"), str(told.get("detail", ""))
    except OSError:
        return False, ""
    return False, ""
