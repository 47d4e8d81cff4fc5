"""The API on a real store, with the bus in memory; `chain` adds the real agents that store what is sent."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from broker.bus import Bus
from broker.credentials import Credentials
from broker.memory import MemoryBroker
from cloud.agents.acquisition import DataAcquisitionAgent
from cloud.agents.historian import Historian
from cloud.agents.runner import Runner
from cloud.agents.validation import ValidationAgent
from cloud.api.app import create_api
from cloud.api.auth import AuthSettings, Tokens
from cloud.api.lookups import StoreLookups
from cloud.api.ports import Parts
from cloud.models.championship import Championship
from cloud.notifications.mailbox import Mailbox
from cloud.storage.anomalies import AnomalyStore
from cloud.storage.backtests import BacktestStore
from cloud.storage.database import Database
from cloud.storage.devices import DeviceStore
from cloud.storage.ended_tokens import EndedTokenStore
from cloud.storage.hops import HopStore
from cloud.storage.limits import LimitStore
from cloud.storage.model_versions import ModelVersion, ModelVersionStore
from cloud.storage.notifications import NotificationStore
from cloud.storage.promotions import PromotionStore
from cloud.storage.quarantine import Quarantine
from cloud.storage.readings import ReadingStore
from cloud.storage.users import UserStore
from cloud.storage.verdicts import VerdictStore
from contract.codec import encode_events
from contract.events import ModelPromotedEvent
from ronda.client import RondaClient
from tests.support.database import database, database_url, postgres
from tests.support.redis import redis_server

__all__ = ["database", "database_url", "postgres", "redis_server"]

SECRET = "a secret for tests only, of thirty-two bytes and more"
API_KEY = "machine-key-for-tests"
ALL_SCOPES = ("ingest:write", "simulate:write", "data:read", "devices:write", "alarms:write", "models:write")
AGENTS = ("acquisition", "validation", "historian")


async def at_once(_user: str, _password: str) -> None:
    """A broker that knows every new device already."""


def now_ms() -> float:
    return time.time() * 1000


def token(*scopes: str, devices: tuple[str, ...] = ("*",), subject: str = "tester") -> str:
    return Tokens(SECRET, time.time).mint(subject, scopes or ALL_SCOPES, devices)


def bearer(*scopes: str, devices: tuple[str, ...] = ("*",), subject: str = "tester") -> dict[str, str]:
    return {"Authorization": f"Bearer {token(*scopes, devices=devices, subject=subject)}"}


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


class Unchanged:
    """Whoever keeps the models' bytes says that they are those that were registered."""

    async def check(self, model: ModelVersion) -> None:
        pass


def championship_on(database: Database, bus: Bus) -> Championship:
    """What moves models in and out of force, telling this bus."""

    async def announce(events: Sequence[ModelPromotedEvent]) -> None:
        await bus.publish(encode_events(events), retain=True)

    versions, trials = ModelVersionStore(database), BacktestStore(database)
    return Championship(PromotionStore(database), versions, trials, Unchanged(), announce, now_ms)


def parts_on(database: Database, bus: Bus, folder: Path, new_id: Callable[[], str]) -> Parts:
    """The API's parts on a real store, with its files in `folder`."""
    return Parts(
        auth=AuthSettings(jwt_secret=SECRET, api_key=API_KEY),
        bus=bus,
        users=UserStore(database),
        ended_tokens=EndedTokenStore(database),
        credentials=Credentials(folder / "passwd"),
        admitted=at_once,
        devices=DeviceStore(database),
        readings=ReadingStore(database),
        anomalies=AnomalyStore(database),
        notifications=NotificationStore(database),
        hops=HopStore(database),
        quarantine=Quarantine(database),
        promotions=PromotionStore(database),
        limits=LimitStore(database),
        verdicts=VerdictStore(database),
        model_versions=ModelVersionStore(database),
        championship=championship_on(database, bus),
        lookups=StoreLookups(database),
        mailbox=Mailbox(folder / "mail"),
        agents=AGENTS,
        broker_up=lambda: True,
        asyncapi=folder / "asyncapi.yaml",
        cooldown_ms=600_000,
        clock_ms=now_ms,
        new_id=new_id,
    )


@pytest.fixture
async def parts(database: Database, broker: MemoryBroker, tmp_path: Path) -> AsyncIterator[Parts]:
    ids = itertools.count(1)
    async with broker.bus("web", persistent=False) as bus:
        yield parts_on(database, bus, tmp_path, lambda: f"id-{next(ids)}")


@contextlib.asynccontextmanager
async def running(parts: Parts) -> AsyncIterator[FastAPI]:
    """An API of these parts, started."""
    made = create_api(parts)
    async with made.router.lifespan_context(made):
        yield made


@pytest.fixture
async def app(parts: Parts) -> AsyncIterator[FastAPI]:
    async with running(parts) as made:
        yield made


def http_on(app: FastAPI, address: str = "203.0.113.9") -> httpx.AsyncClient:
    """A client far away; `address` is where the server sees it."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 50_000))
    return httpx.AsyncClient(transport=transport, base_url="http://ronda.test")


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Nobody has logged in."""
    async with http_on(app) as client:
        yield client


@pytest.fixture
async def ronda(app: FastAPI) -> AsyncIterator[RondaClient]:
    """Somebody who may do everything."""
    async with RondaClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), token=token()) as client:
        yield client


class Trail:
    """The Historian's view of the hops."""

    def __init__(self, store: HopStore) -> None:
        self._store = store

    async def record(self, hops):
        await self._store.store(hops)


class Machines:
    """Validation's view of the devices."""

    def __init__(self, store: DeviceStore) -> None:
        self._store = store
        self.metrics = store.metrics

    async def register_metrics(self, site, device, metrics):
        return await self._store.register_metrics(site, device, metrics, now_ms=int(now_ms()))


@pytest.fixture
async def chain(database: Database, broker: MemoryBroker) -> AsyncIterator[None]:
    """Acquisition, validation and the Historian at work."""
    agents = [
        DataAcquisitionAgent(now_ms),
        ValidationAgent(Machines(DeviceStore(database)), now_ms),
        Historian(ReadingStore(database), Trail(HopStore(database)), now_ms),
    ]
    for agent in agents:
        broker.declare(agent.name, *agent.filters())
    runners = [
        Runner(agent, broker.bus(agent.name), clock_ms=now_ms, instance="0-63", since_ms=int(now_ms()))
        for agent in agents
    ]
    tasks = [asyncio.create_task(runner.run()) for runner in runners]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def until(asked: Callable[[], object], within_s: float = 10.0) -> None:
    """Wait until something that other tasks bring about is so."""
    async with asyncio.timeout(within_s):
        while not asked():
            await asyncio.sleep(0.01)
