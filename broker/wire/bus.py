"""The bus over a client of our own: one party's connection to an MQTT 3.1.1 broker, kept up while the bus is open."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from broker.address import MqttAddress
from broker.bus import ANY_BROKER, Promises, Will, check_messages
from broker.kept_up import KeptUp
from broker.tls import client_context
from broker.wire.connection import Connection
from broker.wire.packets import Greeting, named
from broker.wire.session import Group, Session
from contract.errors import TransientError

# A dead peer is noticed within twice this.
_KEEPALIVE_S = 30
_CONNECT_TIMEOUT_S = 5.0


class WireBus(KeptUp[Connection]):
    """As `broker.bus.Bus` says; may be used in place of `broker.mqtt.MqttBus`."""

    def __init__(
        self,
        address: MqttAddress,
        client_id: str,
        *,
        persistent: bool = True,
        will: Will | None = None,
        promises: Promises = ANY_BROKER,
        timeout_s: float = 30.0,
        keepalive_s: int = _KEEPALIVE_S,
    ) -> None:
        super().__init__(address, client_id, promises=promises, timeout_s=timeout_s)
        self._greeting = Greeting(client_id, persistent, keepalive_s, address.user, address.password, will)

    async def __aenter__(self) -> Self:
        """Connect. Raises: RefusedError for a wrong password or certificate, TransientError when no broker answers."""
        self._session = Session()
        return await super().__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.end(TransientError(f"the connection to {self._address} was closed before all was acknowledged"))
        await super().__aexit__(kind, error, trace)

    async def publish(self, messages: Sequence[tuple[str, bytes]], *, retain: bool = False) -> None:
        """Publish (topic, payload) pairs at QoS 1; returns once the broker has acknowledged them all.

        Raises: TransientError when the broker took none of them within the time-out; ContractError.
        """
        check_messages(messages)
        group = self._session.add([(named(topic), payload) for topic, payload in messages], retain=retain)
        if self._connection is not None:
            self._connection.pump()
        try:
            await self._acknowledged(group, len(messages))
        except asyncio.CancelledError:
            self._session.abandon(group)
            raise

    async def _acknowledged(self, group: Group, size: int) -> None:
        """Raises: TransientError when within the time-out none of the group is acknowledged, nor of those before it."""
        while not group.done.done():
            before = group.left, group.unsent == size and self._session.confirmed
            await asyncio.wait([group.done], timeout=self._timeout_s)
            if not group.done.done() and before == (group.left, group.unsent == size and self._session.confirmed):
                self._session.abandon(group)
                raise TransientError(f"the broker at {self._address} did not acknowledge in time")
        group.done.result()

    async def _open(self, epoch: int) -> None:
        connection = Connection(epoch, self._greeting, self._session, self._inbox, self._opened)
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            await self._welcomed(connection)

    async def _welcomed(self, connection: Connection) -> None:
        address = self._address
        transport, _ = await asyncio.get_running_loop().create_connection(
            lambda: connection,
            address.host,
            address.port,
            ssl=client_context(address.ca_file) if address.tls else None,
        )
        try:
            await connection.welcome
        except BaseException:
            self._gone()
            transport.abort()
            raise

    def _opened(self, connection: Connection) -> None:
        """Welcomed, and nothing else read yet."""
        self._taken_up(connection)
        if self._filters:
            # Even where the session was kept: a broker that was killed may have kept an older one.
            connection.insist(connection.ask(list(self._filters)))
