"""Debian's Mosquitto as the broker of `ronda up`, told when the password file changes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from broker.address import MqttAddress
from broker.credentials import Credentials, secret_client_id
from broker.fullness import MAX_MESSAGES
from broker.listeners import Listener, reached_at
from broker.mosquitto import Mosquitto, MosquittoError
from broker.mqtt import MqttBus
from cloud.agents.registry import AGENTS, client_id
from contract.errors import RondaError
from ronda.installation import Installation
from ronda.parties import parties

log = logging.getLogger("ronda.mosquitto")

# A device that was just added connects within a second or two: nobody notices one more.
_LOOK_S = 0.5


class MosquittoPart:
    """The process and the watch over its users."""

    def __init__(
        self,
        installation: Installation,
        host: str,
        port: int,
        agents: Sequence[str],
        further: Sequence[Listener] = (),
        *,
        max_queued: int = MAX_MESSAGES,
    ) -> None:
        self._agents = agents
        self._passwords = installation.secrets().services
        self._credentials = Credentials(installation.passwd)
        self._mosquitto = Mosquitto(
            installation.broker, host, port, self._credentials, parties(), further=further, max_queued=max_queued
        )
        self._watch: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._mosquitto.start()
        await self._make_queues()
        self._watch = asyncio.create_task(self._look_after())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        await self._mosquitto.stop()

    async def _make_queues(self) -> None:
        """Mosquitto knows a queue from its subscriber's first visit on: pay it before anybody publishes."""
        address = MqttAddress(host=reached_at(self._mosquitto.host), port=self._mosquitto.port)
        for agent in AGENTS:
            if agent.name in self._agents:
                password = self._passwords[agent.name]
                user = address.with_user(agent.name, password)
                async with MqttBus(user, secret_client_id(client_id(agent), password)) as bus:
                    await bus.subscribe(*agent.filters())

    async def _look_after(self) -> None:
        """Start it again when it died, and have it read the password file when that changed."""
        known = self._credentials.hashes()
        while True:
            await asyncio.sleep(_LOOK_S)
            if not self._mosquitto.running:
                log.error("mosquitto.died")
                with contextlib.suppress(RondaError):
                    await self._mosquitto.start()
            now = self._credentials.hashes()
            if now is not known:
                known = now
                # One that is down reads them when it starts.
                with contextlib.suppress(ProcessLookupError, MosquittoError):
                    self._mosquitto.reload()
