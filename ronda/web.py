"""The HTTP bridge, the dashboard and the local mail server in one process."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

import httpx
import stamina
import uvicorn
from fastapi import FastAPI

from broker.bus import RefusedError
from broker.credentials import SERVICE_PREFIX, Credentials
from broker.mqtt import MqttBus
from cloud.api.app import create_api
from cloud.api.auth import AuthSettings
from cloud.api.callers import Scope
from cloud.api.lookups import StoreLookups
from cloud.api.ports import Parts
from cloud.api.registration import NoCredentials
from cloud.notifications.mailbox import Mailbox
from cloud.notifications.mailserver import MailServer
from cloud.storage.anomalies import AnomalyStore
from cloud.storage.database import Database
from cloud.storage.devices import DeviceStore
from cloud.storage.ended_tokens import EndedTokenStore
from cloud.storage.hops import HopStore
from cloud.storage.limits import LimitStore
from cloud.storage.model_versions import ModelVersionStore
from cloud.storage.notifications import NotificationStore
from cloud.storage.promotions import PromotionStore
from cloud.storage.quarantine import Quarantine
from cloud.storage.readings import ReadingStore
from cloud.storage.users import UserStore
from cloud.storage.verdicts import VerdictStore
from contract.codec import encode_events
from contract.events import ModelPromotedEvent
from dashboard.app import create_dashboard
from ronda.client import RondaClient
from ronda.guards import check_port
from ronda.hub import open_database
from ronda.metrics.page import metrics_served
from ronda.parts import Surroundings, clock_ms
from ronda.processes import until_told_to_stop
from ronda.settings import SettingsError
from ronda.tls.listening import listening, material, place_of
from ronda.tls.serving import server_config
from ronda.training.force import championship

ADMIN = "admin"
ADMIN_SCOPES = tuple(str(scope) for scope in Scope)
# A broker that has not let a new device in by then has not read its password file.
_ADMITTED_WITHIN_S = 5.0
_ASYNCAPI = Path(__file__).parents[1] / "contract" / "generated" / "asyncapi.yaml"


async def run_web(
    data: Path | None, http_port: int | None, listen: str | None = None, *, insecure: bool = False
) -> None:
    """Serve until told to stop. `listen`: an address in place of the one that `ronda up` chose, or the loopback one."""
    around = Surroundings("web", data)
    port = around.runtime.http_port if http_port is None else http_port
    place = place_of(around.runtime)
    if listen is not None:
        place = listening(listen, material(around.settings, around.installation), insecure=insecure)
    for warning in place.warned():
        print(f"note: {warning}", flush=True)
    check_port(place.address, port, "--http-port")
    if missing := [name for name, value in _needed(around).items() if not value]:
        raise SettingsError(f"without --data, {' and '.join(missing)} must be set too")
    async with contextlib.AsyncExitStack() as stack:
        mailbox = await stack.enter_async_context(_mail(around))
        database = await stack.enter_async_context(open_database(around))
        await _first_user(around, database)
        bus = await stack.enter_async_context(
            # By chance, not `secret_client_id`: several of us may run, and none has a session to come back to.
            MqttBus(around.mqtt("web"), f"{SERVICE_PREFIX}web-{uuid.uuid4().hex[:16]}", persistent=False)
        )
        app = application(around, database, bus, mailbox)
        if around.installation is None:
            # `ronda up` needs no second address: Prometheus is on the same machine, and the hub has the port.
            await stack.enter_async_context(metrics_served(around.settings, app.state.services.exposition))
        config = server_config(app, place, port, around.settings.proxies)
        server = uvicorn.Server(config)
        # We decide when to stop, and what is closed before and after.
        server.capture_signals = contextlib.nullcontext  # type: ignore[assignment, method-assign]  # no setting for it
        serving = asyncio.create_task(server.serve())
        stop = asyncio.create_task(until_told_to_stop())
        await asyncio.wait({serving, stop}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving


def _needed(around: Surroundings) -> dict[str, str]:
    return {"JWT_SECRET": around.secrets.jwt_secret, "ADMIN_PASSWORD": around.secrets.admin_password}


def application(around: Surroundings, database: Database, bus: MqttBus, mailbox: Mailbox | None) -> FastAPI:
    """The API with the dashboard on it."""
    password_file = _password_file(around)
    credentials = Credentials(password_file) if password_file else NoCredentials()
    api = create_api(
        Parts(
            auth=_auth(around),
            bus=bus,
            users=UserStore(database),
            ended_tokens=EndedTokenStore(database),
            credentials=credentials,
            admitted=partial(_until_admitted, around),
            devices=DeviceStore(database),
            readings=ReadingStore(database),
            anomalies=AnomalyStore(database),
            notifications=NotificationStore(database),
            hops=HopStore(database),
            quarantine=Quarantine(database, around.installation.quarantine if around.installation else None),
            promotions=PromotionStore(database),
            limits=LimitStore(database),
            verdicts=VerdictStore(database),
            model_versions=ModelVersionStore(database),
            championship=championship(around, database, partial(_announce, bus)),
            lookups=StoreLookups(database),
            mailbox=mailbox,
            agents=around.runtime.agents,
            broker_up=lambda: bus.connected,
            asyncapi=_ASYNCAPI,
            cooldown_ms=around.settings.notification_cooldown_s * 1000,
            clock_ms=clock_ms,
            new_id=lambda: uuid.uuid4().hex,
            metrics_directory=around.settings.prometheus_multiproc_dir,
            rate_limit_per_minute=around.settings.rate_limit_per_minute,
            redis_url=around.settings.redis_url.get_secret_value(),
            max_queued=around.settings.broker_queue_messages,
        )
    )
    # Within the process, and still through the API's own doors: permissions are checked in one place.
    transport = httpx.ASGITransport(api, raise_app_exceptions=False)
    client = RondaClient(around.runtime.base_url, transport=transport)
    create_dashboard(api, client.on_behalf_of, clock_ms=lambda: int(clock_ms()), time_zone=around.settings.time_zone)
    return api


async def _announce(bus: MqttBus, events: Sequence[ModelPromotedEvent]) -> None:
    """Who judges a machine is retained on the bus, for an agent that comes later."""
    await bus.publish(encode_events(events), retain=True)


def _auth(around: Surroundings) -> AuthSettings:
    return AuthSettings(
        jwt_secret=around.secrets.jwt_secret,
        previous_secrets=around.settings.previous_jwt_secrets,
        api_key=around.secrets.api_key or None,
    )


def _password_file(around: Surroundings) -> Path | None:
    """The broker's, where devices are added; None: somebody else keeps its users."""
    if around.installation is not None and around.runtime.broker != "external":
        return around.installation.passwd
    return around.settings.mqtt_password_file


async def _until_admitted(around: Surroundings, user: str, password: str) -> None:
    """Try the new credentials ourselves: Mosquitto reads its password file a moment after it changed."""
    if around.runtime.broker == "external" and around.settings.mqtt_password_file is None:
        # Its users are its administrator's business.
        return
    address = around.mqtt("web").with_user(user, password)
    async for attempt in stamina.retry_context(RefusedError, timeout=_ADMITTED_WITHIN_S, wait_max=0.2):
        with attempt:
            async with MqttBus(address, f"try-{uuid.uuid4().hex[:12]}", persistent=False):
                return


@contextlib.asynccontextmanager
async def _mail(around: Surroundings) -> AsyncIterator[Mailbox | None]:
    """The local mail server where no other is set; it listens before anything can want to send."""
    if not around.runtime.own_mail:
        yield None
        return
    if around.installation is None:
        # `ronda mail` receives into it, as a part of its own.
        folder = around.settings.mail_folder
        yield None if folder is None else Mailbox(folder)
        return
    mailbox = Mailbox(around.installation.mail)
    server = MailServer(mailbox, now_ms=lambda: int(clock_ms()), port=around.runtime.smtp_port)
    await server.start()
    try:
        yield mailbox
    finally:
        await server.stop()


async def _first_user(around: Surroundings, database: Database) -> None:
    """`admin`, whose password follows ADMIN_PASSWORD."""
    users = UserStore(database)
    password = around.secrets.admin_password
    added = await users.add(ADMIN, password, scopes=ADMIN_SCOPES, devices=["*"], now_ms=int(clock_ms()))
    if not added and await users.authenticate(ADMIN, password) is None:
        await users.set_password(ADMIN, password)
