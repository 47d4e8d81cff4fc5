"""A connection to a broker that is kept up while its bus is open, whichever client makes it.

Reconnecting, backing off, subscribing again and skipping what an earlier connection brought stand here once; how a
connection is opened and how one publishes over it is the client's own.
"""

from __future__ import annotations

import abc
import asyncio
import logging
from collections.abc import Sequence
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

import stamina

from broker.address import MqttAddress
from broker.bus import ANY_BROKER, Message, Promises, RefusedError
from broker.filters import is_filter
from broker.inbox import Inbox
from broker.refusals import look_into
from contract.errors import TransientError

log = logging.getLogger("ronda.broker.bus")

# Between the loss of a connection and the next: two clients with one id would otherwise spin. A connection that did
# not last doubles it, so that a broker which breaks every one at once is not asked without end.
_BREATH_S, _LONGEST_BREATH_S, _LASTED_S = 0.2, 5.0, 2.0
# aiomqtt waits with `wait_for`, which in Python 3.11 swallows a cancellation that comes together with the answer.
_CANCEL_AGAIN_S = 0.2


class LostError(Exception):
    """The connection broke, or did not come up; the text says why."""


# What passes by itself: nobody listens, or whoever does says nothing, or not what MQTT says.
PASSING = (OSError, LostError, TimeoutError)


class Link(Protocol):
    """One connection, from the broker's welcome to its loss."""

    @property
    def settled(self) -> bool:
        """Is everything answered that was asked?"""
        ...

    async def until_lost(self) -> str:
        """Wait until it is gone; returns why."""
        ...

    async def subscribe(self, filters: Sequence[str]) -> None:
        """Subscribe at QoS 1 and wait for the answer, unless it comes behind messages that the caller must take first.

        Raises: RefusedError, LostError.
        """
        ...

    async def acknowledge(self, messages: Sequence[Message]) -> None:
        """Acknowledge those that came in on this connection."""
        ...

    def read_on(self) -> None:
        """Read the socket again, once the inbox has room."""
        ...

    async def close(self) -> None:
        """Say good-bye; the broker then keeps the will to itself."""
        ...


L = TypeVar("L", bound=Link)


class KeptUp(abc.ABC, Generic[L]):
    """As `broker.bus.Bus` says, without `publish`."""

    def __init__(
        self, address: MqttAddress, client_id: str, *, promises: Promises = ANY_BROKER, timeout_s: float = 30.0
    ) -> None:
        self.promises = promises
        self._address, self._client_id, self._timeout_s = address, client_id, timeout_s
        self._filters: dict[str, None] = {}
        self._epoch = 0
        self._connection: L | None = None
        self._keeper: asyncio.Task[None] | None = None

    @abc.abstractmethod
    async def _open(self, epoch: int) -> None:
        """Make connection number `epoch`; `_taken_up` is called between the welcome and the first message behind it.

        Raises: RefusedError, TlsError, and what is PASSING; then nothing is left of the connection.
        """

    @property
    def connected(self) -> bool:
        """Is there a connection at this moment, with all subscriptions in force?"""
        return self._connection is not None and self._connection.settled

    async def __aenter__(self) -> Self:
        """Connect. Raises: RefusedError for a wrong password or certificate, TransientError when no broker answers."""
        self._inbox, self._up, self._failure = Inbox(), asyncio.Event(), ""
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

    def _taken_up(self, connection: L) -> None:
        """What comes from here on finds the connection that it is acknowledged on."""
        self._connection = connection
        self._inbox.open()
        self._up.set()

    async def _current(self) -> L:
        while self._connection is None:
            await self._up.wait()
        return self._connection

    async def _keep_connected(self) -> None:
        breath, clock = _BREATH_S / 2, asyncio.get_running_loop().time
        while True:
            connection, began = await self._current(), clock()
            reason = await connection.until_lost()
            self._gone()
            log.warning("bus.disconnected", extra={"client_id": self._client_id, "reason": reason})
            breath = _BREATH_S if clock() - began > _LASTED_S else min(breath * 2, _LONGEST_BREATH_S)
            await asyncio.sleep(breath)
            await self._connect(forgiving=True)

    async def _connect(self, *, forgiving: bool) -> None:
        """Try, with jittered backoff, until it works. A refusal ends it unless `forgiving`: mistakes get mended."""
        # Later on whatever is wrong, the cure is the next attempt.
        retriable: type[Exception] | tuple[type[Exception], ...] = Exception if forgiving else PASSING
        async for attempt in stamina.retry_context(retriable, attempts=None, timeout=None, wait_max=5.0):
            with attempt:
                await self._try(forgiving=forgiving)
        log.info("bus.connected", extra={"client_id": self._client_id, "broker": str(self._address)})

    async def _try(self, *, forgiving: bool) -> None:
        self._epoch += 1
        try:
            await self._open(self._epoch)
        except RefusedError as error:
            raise RefusedError(f"the broker at {self._address} refuses {self._client_id}: {error}") from error
        except PASSING as error:
            if not forgiving:
                words = str(error) if isinstance(error, LostError) else ""
                self._failure = words or await look_into(error, self._address)
            raise

    def _gone(self) -> None:
        """What it brought and nobody took comes again on the next one."""
        self._connection = None
        self._up.clear()
        self._inbox.forget()
