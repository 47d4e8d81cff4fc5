"""The bus over a client of our own: one party's connection to an MQTT 3.1.1 broker, kept up while the bus is open."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import stamina

from broker.address import MqttAddress
from broker.bus import ANY_BROKER, Message, Promises, RefusedError, Will, check_messages
from broker.filters import is_filter
from broker.inbox import Inbox
from broker.refusals import look_into
from broker.tls import client_context
from broker.wire.connection import Connection, LostError
from broker.wire.packets import Greeting, named
from broker.wire.session import Group, Session
from contract.errors import TransientError

log = logging.getLogger("ronda.broker.bus")

# A dead peer is noticed within twice this.
_KEEPALIVE_S = 30
_CONNECT_TIMEOUT_S = 5.0
# Between the loss of a connection and the next: two clients with one id would otherwise spin. A connection that did
# not last doubles it, so that a broker which breaks every one at once is not asked without end.
_BREATH_S, _LONGEST_BREATH_S, _LASTED_S = 0.2, 5.0, 2.0
# What passes by itself: nobody listens, or whoever does says nothing, or not what MQTT says.
_PASSING = (OSError, LostError, TimeoutError)


class WireBus:
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
        self.promises = promises
        self._address, self._client_id, self._timeout_s = address, client_id, timeout_s
        self._greeting = Greeting(client_id, persistent, keepalive_s, address.user, address.password, will)
        self._filters: dict[str, None] = {}
        self._epoch = 0
        self._connection: Connection | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """Is there a connection at this moment, with all subscriptions in force?"""
        return self._connection is not None and self._connection.settled

    async def __aenter__(self) -> Self:
        """Connect. Raises: RefusedError for a wrong password or certificate, TransientError when no broker answers."""
        self._inbox, self._session, self._up, self._failure = Inbox(), Session(), asyncio.Event(), ""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._connect(forgiving=False)
        except TimeoutError:
            why = f" ({self._failure})" if self._failure else ""
            raise TransientError(f"no MQTT broker answers at {self._address}{why}; is it running?") from None
        self._keeper = asyncio.create_task(self._keep_connected(), name=f"bus {self._client_id}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        self._session.end(TransientError(f"the connection to {self._address} was closed before all was acknowledged"))
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()

    async def subscribe(self, *filters: str) -> None:
        """Ask for these topics at QoS 1, now and after every reconnect. Raises: RefusedError, TransientError."""
        for wanted in filters:
            if not is_filter(wanted):
                raise ValueError(f"{wanted!r} is not a topic filter")
        try:
            async with asyncio.timeout(self._timeout_s):
                connection = await self._current()
                # Remembered in any case but a refusal: the next connection subscribes.
                self._filters.update(dict.fromkeys(filters))
                await connection.subscribe(filters)
        except (LostError, TimeoutError) as error:
            raise TransientError(f"the broker at {self._address} did not answer a subscription: {error}") from error
        except RefusedError:
            for wanted in filters:
                self._filters.pop(wanted, None)
            raise

    async def receive(self, limit: int = 256) -> list[Message]:
        """Wait for at least one message and return what is there, oldest first."""
        while not (taken := self._inbox.take(limit)):
            await self._inbox.filled.wait()
        if self._connection is not None:
            self._connection.read_on()
        return taken

    async def acknowledge(self, messages: Sequence[Message]) -> None:
        """Say that the work on `messages` is done; those of an earlier connection are skipped (they come again)."""
        if self._connection is not None:
            await self._connection.acknowledge(messages)

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

    async def _current(self) -> Connection:
        while self._connection is None:
            await self._up.wait()
        return self._connection

    async def _keep_connected(self) -> None:
        breath, clock = _BREATH_S / 2, asyncio.get_running_loop().time
        while True:
            connection, began = await self._current(), clock()
            await asyncio.wait([connection.lost])
            reason = connection.lost.result()
            self._connection = None
            self._up.clear()
            self._inbox.forget()
            log.warning("bus.disconnected", extra={"client_id": self._client_id, "reason": reason})
            breath = _BREATH_S if clock() - began > _LASTED_S else min(breath * 2, _LONGEST_BREATH_S)
            await asyncio.sleep(breath)
            await self._connect(forgiving=True)

    async def _connect(self, *, forgiving: bool) -> None:
        """Try, with jittered backoff, until it works. A refusal ends it unless `forgiving`: mistakes get mended."""
        # Later on whatever is wrong, the cure is the next attempt.
        retriable: type[Exception] | tuple[type[Exception], ...] = Exception if forgiving else _PASSING
        async for attempt in stamina.retry_context(retriable, attempts=None, timeout=None, wait_max=5.0):
            with attempt:
                try:
                    await self._establish()
                except _PASSING as error:
                    if not forgiving:
                        words = str(error) if isinstance(error, LostError) else ""
                        self._failure = words or await look_into(error, self._address)
                    raise
        log.info("bus.connected", extra={"client_id": self._client_id, "broker": str(self._address)})

    async def _establish(self) -> None:
        self._epoch += 1
        connection = Connection(self._epoch, self._greeting, self._session, self._inbox, self._opened)
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                await self._welcomed(connection)
        except RefusedError as error:
            raise RefusedError(f"the broker at {self._address} refuses {self._client_id}: {error}") from error

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
            self._connection = None
            self._inbox.forget()
            transport.abort()
            raise

    def _opened(self, connection: Connection) -> None:
        """Welcomed, and nothing else read yet: what comes from here on finds the connection it is acknowledged on."""
        self._connection = connection
        self._inbox.open()
        self._up.set()
        if self._filters:
            # Even where the session was kept: a broker that was killed may have kept an older one.
            connection.insist(connection.ask(list(self._filters)))
