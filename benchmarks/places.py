"""Where it is measured: a broker by itself, or a whole installation without machines of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import psutil

from broker.address import MqttAddress
from broker.embedded import Limits
from broker.mosquitto import Mosquitto
from ronda.installation import AGENT_NAMES
from ronda.parties import parties
from tests.support.broker_process import BrokerProcess, Setting
from tests.support.brokers import prepare_users
from tests.support.installation import Ronda
from tests.support.ports import free_port

POSTGRESQL = "postgresql"


class Place(Protocol):
    """A broker that runs, and what runs beside it."""

    def address(self, user: str) -> MqttAddress:
        """The broker, as one of the services."""
        ...

    def processes(self) -> dict[str, psutil.Process]:
        """Those that work for a reading."""
        ...


class Alone:
    """A broker of either kind, with the services' users and rights."""

    def __init__(self, name: str, port: int, passwords: dict[str, str], pid: int) -> None:
        self._name, self._port, self._passwords, self._pid = name, port, passwords, pid

    def address(self, user: str) -> MqttAddress:
        """The broker, as one of the services."""
        return MqttAddress(host="127.0.0.1", port=self._port).with_user(user, self._passwords[user])

    def processes(self) -> dict[str, psutil.Process]:
        """The broker's."""
        return {self._name: psutil.Process(self._pid)}


class Installation:
    """A `ronda up`."""

    def __init__(self, ronda: Ronda) -> None:
        self.ronda = ronda

    def address(self, user: str) -> MqttAddress:
        """The broker, as one of the services."""
        password = self.ronda.secrets()["services"][user]
        return MqttAddress(host="127.0.0.1", port=self.ronda.mqtt_port).with_user(user, password)

    def processes(self) -> dict[str, psutil.Process]:
        """Those that work for a reading; `hub` is what runs there, the embedded broker included."""
        found = {"hub": self.ronda.part("hub"), "web": self.ronda.part("api")}
        family = self.ronda.family()
        for process in family:
            # A trainer that comes and goes is no part of it.
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.name() == "mosquitto":
                    found["mosquitto"] = process
                if process.name().startswith("postgres") and process.parent() == family[0]:
                    found[POSTGRESQL] = process
        return found


@contextlib.asynccontextmanager
async def broker_alone(folder: Path, broker: str) -> AsyncIterator[Alone]:
    """A broker without an installation: `ronda up` without agents would give up waiting for them."""
    port = free_port()
    credentials, passwords = prepare_users(folder, parties(), [])
    if broker == "mosquitto":
        mosquitto = Mosquitto(folder / "mosquitto", "127.0.0.1", port, credentials, parties())
        await mosquitto.start()
        try:
            yield Alone(broker, port, passwords, mosquitto.pid)
        finally:
            await mosquitto.stop()
        return
    process = BrokerProcess(Setting(str(folder), port, list(parties()), {}, Limits()))
    await process.start()
    try:
        yield Alone(broker, port, passwords, process.pid)
    finally:
        await process.stop()


@contextlib.asynccontextmanager
async def installation(folder: Path, broker: str, client: str, *, agents: bool) -> AsyncIterator[Installation]:
    """A `ronda up` without machines; up, and not yet asked whether it is ready. `agents`: in its hub, or none."""
    options = [option for name in (() if agents else AGENT_NAMES) for option in ("--without", name)]
    ronda = Ronda(folder, "--devices", "0", "--broker", broker, *options, environment={"MQTT_CLIENT": client})
    ronda.start()
    try:
        await asyncio.to_thread(ronda.until_up)
        yield Installation(ronda)
    finally:
        await asyncio.to_thread(ronda.stop)
