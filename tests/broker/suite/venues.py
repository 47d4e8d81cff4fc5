"""Where the suite takes place: each kind of bus with its broker, which can be stopped, started and killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Protocol

from broker.bus import Bus, Promises, Will
from broker.embedded import EMBEDDED, Limits, QueueSpec
from broker.listeners import Listener
from broker.memory import MemoryBroker, MemoryBus
from broker.mosquitto import Mosquitto
from broker.mqtt import MqttAddress, MqttBus
from broker.wire import WireBus
from tests.support.broker_process import BrokerProcess, Setting
from tests.support.brokers import EVERYTHING, prepare_users
from tests.support.certificates import certificates
from tests.support.ports import free_port
from tests.support.vanishing import vanish

# A queue so small that a test can fill it.
SMALL = 100
# The one declared queue, there before its agent.
SLOW = "ronda-slow"
SLOW_FILTER = "slow/#"


class Venue(Protocol):
    """One kind of bus."""

    promises: Promises

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def kill(self) -> None: ...

    def bus(
        self, client_id: str, *, persistent: bool = True, will: Will | None = None, timeout_s: float = 15.0
    ) -> Bus: ...

    def vanish(self, bus: Bus, client_id: str) -> None: ...


class MemoryVenue:
    """The memory bus: its broker lives and dies with the process."""

    def __init__(self, folder: Path) -> None:
        self._broker = MemoryBroker(max_queued=SMALL * 100)
        self.promises = self._broker.promises

    async def start(self) -> None:
        self._broker.declare(SLOW, SLOW_FILTER)

    async def stop(self) -> None:
        self._broker = MemoryBroker()

    async def kill(self) -> None:
        self._broker = MemoryBroker()

    def bus(
        self, client_id: str, *, persistent: bool = True, will: Will | None = None, timeout_s: float = 15.0
    ) -> MemoryBus:
        return self._broker.bus(client_id, persistent=persistent, will=will, timeout_s=timeout_s)

    def vanish(self, bus: Bus, client_id: str) -> None:
        self._broker.cut(client_id)


class _MqttVenue:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self.tls: Listener | None = None
        self._ca: Path | None = None
        if self.encrypted:
            self._ca, files = certificates(folder / "tls")
            self.tls = Listener("127.0.0.1", free_port(), files)
        self.credentials, self._passwords = prepare_users(folder, [EVERYTHING], [])

    promises: Promises
    encrypted = False
    client: type[MqttBus | WireBus] = MqttBus

    def bus(
        self, client_id: str, *, persistent: bool = True, will: Will | None = None, timeout_s: float = 15.0
    ) -> MqttBus | WireBus:
        address = MqttAddress(host="127.0.0.1", port=self._port)
        if self.tls is not None:
            address = MqttAddress(host=self.tls.host, port=self.tls.port, tls=True, ca_file=self._ca)
        address = address.with_user(EVERYTHING.name, self._passwords[EVERYTHING.name])
        return self.client(
            address, client_id, persistent=persistent, will=will, promises=self.promises, timeout_s=timeout_s
        )

    def vanish(self, bus: Bus, client_id: str) -> None:
        """Break the connection as a pulled cable does: no good-bye."""
        assert isinstance(bus, MqttBus | WireBus)
        vanish(bus)


class EmbeddedVenue(_MqttVenue):
    """The embedded broker in a process of its own."""

    promises = EMBEDDED

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        queues = {SLOW: QueueSpec(user=EVERYTHING.name, filters=[SLOW_FILTER])}
        limits = Limits(rows=SMALL * 100)
        setting = Setting(str(folder), self._port, [EVERYTHING], queues, limits)
        if self.tls is not None and self.tls.tls is not None:
            setting.tls_port, files = self.tls.port, self.tls.tls
            setting.tls = (str(files.certificate), str(files.key))
        self._process = BrokerProcess(setting)

    async def start(self) -> None:
        await self._process.start()

    async def stop(self) -> None:
        await self._process.stop()

    async def kill(self) -> None:
        await self._process.kill()


class MosquittoVenue(_MqttVenue):
    """A real Mosquitto with our configuration."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._broker = Mosquitto(
            folder / "mosquitto",
            "127.0.0.1",
            self._port,
            self.credentials,
            [EVERYTHING],
            further=[self.tls] if self.tls else [],
            max_queued=SMALL * 100,
        )
        self.promises = self._broker.promises

    async def start(self) -> None:
        await self._broker.start()
        # Mosquitto cannot declare a queue: its agent must have been here once.
        async with self.bus(SLOW) as bus:
            await bus.subscribe(SLOW_FILTER)

    async def stop(self) -> None:
        await self._broker.stop()

    async def kill(self) -> None:
        os.kill(self._broker.pid, signal.SIGKILL)
        await self._broker.wait()


class EncryptedEmbeddedVenue(EmbeddedVenue):
    """The embedded broker behind TLS."""

    encrypted = True


class EncryptedMosquittoVenue(MosquittoVenue):
    """Mosquitto behind TLS."""

    encrypted = True


class WireEmbeddedVenue(EmbeddedVenue):
    """The embedded broker, spoken to by our own client."""

    client = WireBus


class WireEncryptedEmbeddedVenue(EncryptedEmbeddedVenue):
    """The same behind TLS."""

    client = WireBus


class WireMosquittoVenue(MosquittoVenue):
    """Mosquitto, spoken to by our own client."""

    client = WireBus


class WireEncryptedMosquittoVenue(EncryptedMosquittoVenue):
    """The same behind TLS."""

    client = WireBus


VENUES = {
    "memory": MemoryVenue,
    "embedded": EmbeddedVenue,
    "embedded-tls": EncryptedEmbeddedVenue,
    "mosquitto": MosquittoVenue,
    "mosquitto-tls": EncryptedMosquittoVenue,
    "wire-embedded": WireEmbeddedVenue,
    "wire-embedded-tls": WireEncryptedEmbeddedVenue,
    "wire-mosquitto": WireMosquittoVenue,
    "wire-mosquitto-tls": WireEncryptedMosquittoVenue,
}
