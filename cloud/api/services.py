"""What the routes work with, made once per application."""

from __future__ import annotations

from dataclasses import dataclass

from cloud.api.arrivals import Arrivals
from cloud.api.auth import Tokens
from cloud.api.counters import Counters
from cloud.api.demonstration import Demonstration
from cloud.api.fleet import Fleet
from cloud.api.history import History
from cloud.api.idempotency import Idempotency
from cloud.api.ingestion import Ingestion
from cloud.api.login import Login
from cloud.api.logouts import Logouts
from cloud.api.measures import Measures
from cloud.api.ports import Parts
from cloud.api.presence import Presence
from cloud.api.pressure import Pressure
from cloud.api.readiness import Readiness
from cloud.api.redis_link import RedisLink
from cloud.api.registration import Registration
from cloud.api.replaying import Replaying
from cloud.api.stream import Hub


@dataclass(frozen=True, kw_only=True)
class Services:
    """The parts, and what is built on them."""

    parts: Parts
    tokens: Tokens
    login: Login
    logouts: Logouts
    registration: Registration
    ingestion: Ingestion
    idempotency: Idempotency
    arrivals: Arrivals
    replaying: Replaying
    fleet: Fleet
    history: History
    demonstration: Demonstration
    presence: Presence
    pressure: Pressure
    readiness: Readiness
    hub: Hub
    measures: Measures
    counters: Counters
    redis: RedisLink | None

    def exposition(self) -> bytes:
        """The numbers for Prometheus, with who listens and who is online at this moment."""
        self.measures.listeners.set(self.hub.listeners)
        self.measures.agents.set(self.presence.online)
        return self.measures.page()
