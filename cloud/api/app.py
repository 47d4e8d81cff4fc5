"""Puts the API together from its parts. Nothing connects here: the parts are opened by whoever hands them in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from broker.bus import Message
from cloud.api import problems, schemas
from cloud.api.addresses import Addresses
from cloud.api.arrivals import Arrivals
from cloud.api.auth import Tokens
from cloud.api.catching_up import CatchingUp
from cloud.api.counters import Counters
from cloud.api.demonstration import Demonstration
from cloud.api.fleet import Fleet
from cloud.api.gate import OPEN, Gate
from cloud.api.history import History
from cloud.api.idempotency import Idempotency
from cloud.api.identify import Identify
from cloud.api.ingestion import Ingestion
from cloud.api.kept import KeptHere, KeptInRedis
from cloud.api.listener import AGENT, BROKER, Listener
from cloud.api.login import Login
from cloud.api.logouts import Logouts
from cloud.api.measures import Measures
from cloud.api.pace import Pace
from cloud.api.ports import Parts
from cloud.api.presence import Presence
from cloud.api.pressure import Pressure
from cloud.api.readiness import Readiness
from cloud.api.recorder import Recorder
from cloud.api.redis_link import RedisLink
from cloud.api.registration import Registration
from cloud.api.replaying import Replaying
from cloud.api.routes import (
    anomalies,
    auth,
    devices,
    documents,
    drift,
    health,
    ingest,
    limits,
    mails,
    models,
    quarantine,
    ranges,
    readings,
    simulate,
    stream,
    unknown,
    verdicts,
)
from cloud.api.sealing import Seal
from cloud.api.services import Services
from cloud.api.stream import Hub
from contract.codec import decode_events
from contract.events import ReadingRejectedEvent
from contract.topics import Channel, DeviceTopic, Stage

_ROUTERS = (
    auth,
    ingest,
    readings,
    anomalies,
    verdicts,
    devices,
    limits,
    ranges,
    quarantine,
    drift,
    models,
    simulate,
    mails,
    stream,
    health,
    documents,
)
_ABOUT = "Predictive maintenance from the sensor to the e-mail."


def create_api(parts: Parts) -> FastAPI:
    """The application. What it listens with runs from its start-up to its shut-down."""
    services = _services(parts)
    app = FastAPI(
        title="Ronda",
        version=version("ronda"),
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan(services),
    )
    app.state.services = services
    problems.install(app)
    schemas.install(app)
    for module in _ROUTERS:
        app.include_router(module.router)
    # Last, and before anything that others add: the dashboard's catch-all never sees a path of ours.
    app.include_router(unknown.router)
    identify = Identify(services.tokens, parts.auth.api_key)
    addresses = Addresses(app.openapi)
    pace = Pace(services.counters, parts.rate_limit_per_minute, lambda: parts.clock_ms() / 1000)
    open_paths = (*OPEN, *parts.open_paths)
    app.add_middleware(Gate, identify=identify, is_unknown=addresses.is_unknown, pace=pace, open_paths=open_paths)
    # Added last, so outermost: what the gate turns away is counted and logged too.
    app.add_middleware(Recorder, measures=services.measures, new_id=parts.new_id)
    return app


def _services(parts: Parts) -> Services:
    auth = parts.auth
    tokens = Tokens(auth.jwt_secret, lambda: parts.clock_ms() / 1000, auth.previous_secrets)
    measures = Measures(parts.metrics_directory)
    redis = RedisLink(parts.redis_url, told=measures.redis_away) if parts.redis_url else None
    counters = Counters(lambda: parts.clock_ms() / 1000, redis)
    kept = KeptHere(lambda: parts.clock_ms() / 1000) if redis is None else KeptInRedis(redis)
    registration = Registration(parts.devices, parts.credentials, parts.admitted, parts.clock_ms)
    fleet = Fleet(parts.devices, parts.readings, parts.lookups, parts.promotions, parts.clock_ms)
    hub = Hub(parts.clock_ms, measures.dropped.inc)
    presence = Presence(hub.tell_agent)
    pressure = Pressure(parts.max_queued)
    arrivals = Arrivals(parts.lookups)
    return Services(
        parts=parts,
        tokens=tokens,
        login=Login(parts.users, parts.credentials, tokens, counters),
        logouts=Logouts(tokens, parts.ended_tokens, parts.clock_ms),
        registration=registration,
        ingestion=Ingestion(parts.bus, registration, parts.clock_ms, behind=lambda: pressure.behind),
        idempotency=Idempotency(kept, Seal(auth.jwt_secret, auth.previous_secrets)),
        arrivals=arrivals,
        replaying=Replaying(parts.quarantine, parts.devices, parts.lookups, arrivals, parts.bus, parts.clock_ms),
        fleet=fleet,
        history=History(parts),
        demonstration=Demonstration(
            parts.bus, fleet, cooldown_ms=parts.cooldown_ms, clock_ms=parts.clock_ms, new_id=parts.new_id
        ),
        presence=presence,
        pressure=pressure,
        readiness=Readiness(
            presence,
            fleet,
            broker_up=parts.broker_up,
            database=parts.lookups.alive,
            agents=parts.agents,
            behind=lambda: pressure.behind,
            redis=None if redis is None else redis.ping,
        ),
        hub=hub,
        measures=measures,
        counters=counters,
        redis=redis,
    )


def _lifespan(services: Services) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as running:
            if services.redis is not None:
                await running.enter_async_context(services.redis)
            await running.enter_async_context(services.logouts)
            await running.enter_async_context(_listener(services))
            await running.enter_async_context(services.demonstration)
            await running.enter_async_context(CatchingUp(services.parts.lookups, services.hub, services.parts.clock_ms))
            yield

    return lifespan


def _listener(services: Services) -> Listener:
    """Who hears what."""
    hub = services.hub
    hears = {
        Channel.ANOMALY: [hub.hear_anomaly],
        Channel.NOTIFICATION: [hub.hear_notification],
        Channel.REJECTED: [lambda message: _refused(services, message)],
        Channel.STORED: [lambda message: _stored(services, message)],
        Channel.COMMAND_RESULT: [services.demonstration.hear_result],
        Stage.VALIDATED: [hub.hear_readings],
        Stage.TRACE: [hub.hear_hops],
        AGENT: [services.presence.hear],
        BROKER: [services.pressure.hear],
    }
    return Listener(services.parts.bus, hears)


def _stored(services: Services, message: Message) -> None:
    topic = DeviceTopic.parse(message.topic)
    services.arrivals.on_stored((topic.site, topic.device))


def _refused(services: Services, message: Message) -> None:
    for event in decode_events(ReadingRejectedEvent, message.payload):
        services.arrivals.on_rejected(event)
