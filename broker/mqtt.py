"""The bus over aiomqtt: persistent session, manual acknowledgement, reconnecting by itself.

The reference, and what tools use; the agents' own client is `broker.wire`, with the same promises.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import stamina

from broker.address import MqttAddress
from broker.aiomqtt_connection import Connection, MqttError, client
from broker.bus import ANY_BROKER, Message, Promises, RefusedError, Will, check_messages
from broker.filters import is_filter
from broker.inbox import Inbox
from broker.refusals import look_into
from broker.tls import TlsError
from contract.errors import TransientError

__all__ = ["ANY_BROKER", "MqttAddress", "MqttBus", "Will"]

log = logging.getLogger("ronda.broker.bus")

# Published and not yet acknowledged: deep enough that a broker's group commit (a few ms) never starves it.
_SLICE = 500
_SLICES_AT_ONCE = 4
# Between the loss of a connection and the first attempt: two clients with one id would otherwise spin.
_BREATH_S = 0.2
_CANCEL_AGAIN_S = 0.2


class MqttBus:
    """One party's connection to an MQTT 3.1.1 broker, kept up for as long as the bus is open."""

    def __init__(
        self,
        address: MqttAddress,
        client_id: str,
        *,
        persistent: bool = True,
        will: Will | None = None,
        promises: Promises = ANY_BROKER,
        timeout_s: float = 30.0,
    ) -> None:
        self.promises = promises
        self._address, self._client_id = address, client_id
        self._persistent, self._will, self._timeout_s = persistent, will, timeout_s
        self._filters: dict[str, None] = {}
        self._epoch = 0
        self._connection: Connection | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """Is there a connection at this moment, with all subscriptions in force?"""
        return self._connection is not None and self._up.is_set()

    async def __aenter__(self) -> Self:
        """Connect. Raises: RefusedError for a wrong password or certificate, TransientError when no broker answers."""
        self._inbox, self._up, self._failure = Inbox(), asyncio.Event(), ""
        self._slices = asyncio.Semaphore(_SLICES_AT_ONCE)
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
        # Again and again: `wait_for` of Python 3.11, in aiomqtt, swallows a cancellation that comes with the answer.
        while self._keeper is not None and not self._keeper.done():
            self._keeper.cancel()
            await asyncio.wait([self._keeper], timeout=_CANCEL_AGAIN_S)
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()

    async def subscribe(self, *filters: str) -> None:
        """Ask for these topics at QoS 1, now and after every reconnect. Raises: RefusedError, TransientError."""
        for wanted in filters:
            if not is_filter(wanted):
                raise ValueError(f"{wanted!r} is not a topic filter")
        connection = await self._current()
        self._filters.update(dict.fromkeys(filters))
        try:
            await connection.subscribe(filters)
        except MqttError as error:
            # Remembered: the next connection subscribes.
            raise TransientError(f"the broker at {self._address} did not answer a subscription: {error}") from error

    async def receive(self, limit: int = 256) -> list[Message]:
        """Wait for at least one message and return what is there, oldest first."""
        while not (taken := self._inbox.take(limit)):
            await self._inbox.filled.wait()
        if self._connection is not None:
            self._connection.resume()
        return taken

    async def acknowledge(self, messages: Sequence[Message]) -> None:
        """Say that the work on `messages` is done; those of an earlier connection are skipped (they come again)."""
        if self._connection is not None:
            self._connection.acknowledge(messages)

    async def publish(self, messages: Sequence[tuple[str, bytes]], *, retain: bool = False) -> None:
        """Publish (topic, payload) pairs at QoS 1; returns once the broker has acknowledged them all.

        Raises: TransientError when the broker did not take 500 of them within the time-out; ContractError.
        """
        check_messages(messages)
        for start in range(0, len(messages), _SLICE):
            try:
                async with asyncio.timeout(self._timeout_s), self._slices:
                    await self._publish_all(messages[start : start + _SLICE], retain=retain)
            except TimeoutError:
                raise TransientError(f"the broker at {self._address} did not acknowledge in time") from None

    async def _publish_all(self, messages: Sequence[tuple[str, bytes]], *, retain: bool) -> None:
        left = messages
        while left:
            connection = await self._current()
            left = await connection.publish(left, retain=retain)

    async def _current(self) -> Connection:
        while self._connection is None:
            await self._up.wait()
        return self._connection

    async def _keep_connected(self) -> None:
        while True:
            connection = await self._current()
            reason = await connection.lost()
            self._connection = None
            self._up.clear()
            self._inbox.forget()
            log.warning("bus.disconnected", extra={"client_id": self._client_id, "reason": reason})
            await asyncio.sleep(_BREATH_S)
            await self._connect(forgiving=True)

    async def _connect(self, *, forgiving: bool) -> None:
        """Try, with jittered backoff, until it works. A refusal ends it unless `forgiving`: mistakes get mended."""
        retriable = (MqttError, RefusedError, TlsError) if forgiving else _is_passing
        async for attempt in stamina.retry_context(retriable, attempts=None, timeout=None, wait_max=5.0):
            with attempt:
                try:
                    await self._establish()
                except MqttError as error:
                    if not forgiving:
                        # aiomqtt hides the cause, but Python keeps it.
                        self._failure = await look_into(error.__context__, self._address)
                    raise
        self._up.set()
        log.info("bus.connected", extra={"client_id": self._client_id, "broker": str(self._address)})

    async def _establish(self) -> None:
        self._epoch += 1
        unconnected = client(self._address, self._client_id, persistent=self._persistent, will=self._will)
        connection = Connection(unconnected, self._epoch, self._inbox)
        try:
            await self._open(connection)
            # From here on messages of the session come in, and must find a connection to be acknowledged on.
            self._connection = connection
            self._inbox.open()
            if self._filters:
                await connection.subscribe(list(self._filters))
        except BaseException:
            self._connection = None
            self._inbox.forget()
            connection.abandon()
            raise

    async def _open(self, connection: Connection) -> None:
        try:
            await connection.open()
        except RefusedError as error:
            raise RefusedError(f"the broker at {self._address} refuses {self._client_id}: {error}") from error


def _is_passing(error: Exception) -> bool:
    return isinstance(error, MqttError)
