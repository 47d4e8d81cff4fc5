"""Real brokers for tests: the embedded one in this process, or a Mosquitto, each on a free port with given users."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from broker.bus import Will
from broker.credentials import Credentials
from broker.embedded import EmbeddedBroker, Limits, QueueSpec
from broker.listeners import Listener, TlsFiles
from broker.mosquitto import Mosquitto
from broker.mqtt import MqttAddress, MqttBus
from broker.wire import WireBus
from contract.access import Party
from tests.support.ports import free_port

# May say and hear everything: stands for whatever service a test does not care about.
EVERYTHING = Party(name="everything", writes=["#"], reads=["#"])


@dataclass
class RunningBroker:
    """A broker that runs, and the passwords of its users."""

    broker: EmbeddedBroker | Mosquitto
    credentials: Credentials
    passwords: dict[str, str] = field(default_factory=dict)
    tls_port: int = 0
    # What `bus` makes.
    client: type[MqttBus | WireBus] = MqttBus

    @property
    def port(self) -> int:
        return self.broker.port

    def address(self, user: str = EVERYTHING.name) -> MqttAddress:
        """The address for `user`, password included."""
        return MqttAddress(host="127.0.0.1", port=self.port).with_user(user, self.passwords[user])

    def secure(self, ca_file: Path | None, user: str = EVERYTHING.name, host: str = "127.0.0.1") -> MqttAddress:
        """The address of the listener with TLS."""
        address = MqttAddress(host=host, port=self.tls_port, tls=True, ca_file=ca_file)
        return address.with_user(user, self.passwords[user])

    def bus(
        self,
        client_id: str,
        user: str = EVERYTHING.name,
        *,
        persistent: bool = True,
        will: Will | None = None,
        timeout_s: float = 15.0,
    ) -> MqttBus | WireBus:
        """A bus for `user`; to be opened with `async with`."""
        return self.client(
            self.address(user),
            client_id,
            persistent=persistent,
            will=will,
            promises=self.broker.promises,
            timeout_s=timeout_s,
        )

    def add_user(self, user: str) -> None:
        """Let one more user connect; a Mosquitto is told."""
        self.passwords[user] = self.credentials.new_password()
        self.credentials.set(user, self.passwords[user])
        if isinstance(self.broker, Mosquitto):
            self.broker.reload()

    def revoke(self, user: str) -> None:
        """Let a user connect no more; a Mosquitto is told."""
        self.credentials.remove(user)
        if isinstance(self.broker, Mosquitto):
            self.broker.reload()


@contextlib.asynccontextmanager
async def embedded(
    folder: Path,
    *,
    parties: Sequence[Party] = (),
    devices: Iterable[str] = (),
    queues: Mapping[str, QueueSpec] | None = None,
    limits: Limits | None = None,
    port: int = 0,
    tls: TlsFiles | None = None,
) -> AsyncIterator[RunningBroker]:
    """The embedded broker on a free port. `devices`: user names such as `plant-1/pump-07` or `gateway/plant-1`.

    `tls`: on a second port also encrypted.
    """
    further = listeners(tls)
    parties = [EVERYTHING, *parties]
    credentials, passwords = prepare_users(folder, parties, devices)
    broker = EmbeddedBroker(
        folder / "broker", "127.0.0.1", port, credentials, parties, queues or {}, further=further, limits=limits
    )
    await broker.start()
    try:
        yield RunningBroker(broker, credentials, passwords, further[0].port if further else 0)
    finally:
        await broker.stop()


@contextlib.asynccontextmanager
async def mosquitto(
    folder: Path,
    *,
    parties: Sequence[Party] = (),
    devices: Iterable[str] = (),
    port: int = 0,
    tls: TlsFiles | None = None,
) -> AsyncIterator[RunningBroker]:
    """A Mosquitto process on a free port with the same users and rules."""
    further = listeners(tls)
    parties = [EVERYTHING, *parties]
    credentials, passwords = prepare_users(folder, parties, devices)
    broker = Mosquitto(folder / "mosquitto", "127.0.0.1", port or free_port(), credentials, parties, further=further)
    await broker.start()
    try:
        yield RunningBroker(broker, credentials, passwords, further[0].port if further else 0)
    finally:
        await broker.stop()


def listeners(tls: TlsFiles | None) -> list[Listener]:
    """One with TLS on a free port, or none."""
    return [Listener("127.0.0.1", free_port(), tls)] if tls else []


def prepare_users(folder: Path, parties: Sequence[Party], devices: Iterable[str]) -> tuple[Credentials, dict[str, str]]:
    """The password file of `folder`; those of an earlier start of the same test keep their passwords."""
    credentials = Credentials(folder / "broker" / "passwd")
    passwords = {user: f"password of {user}" for user in [*(party.name for party in parties), *devices]}
    credentials.set_all(passwords)
    return credentials, passwords
