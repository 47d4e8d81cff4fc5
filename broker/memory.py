"""The bus inside one process: the behaviour of a persistent MQTT session without a socket, for tests of agents."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import NamedTuple, Self

from broker.bus import Message, Promises, Will, check_messages
from broker.filters import is_filter, matches
from contract.errors import TransientError

MEMORY = Promises(
    redelivers_unacknowledged=True,
    survives_subscriber_kill=True,
    keeps_order_per_publisher=True,
    survives_broker_restart=False,
    survives_broker_kill=False,
    refuses_when_full=True,
)
# Enough for every test of ours; a queue beyond it is a subscriber that was forgotten.
_MAX_QUEUED = 200_000


class _Waiting(NamedTuple):
    topic: str
    payload: bytes
    retain: bool


class _Token(NamedTuple):
    epoch: int
    number: int


class _Session:
    """What one client has subscribed to, has still to receive, and has received but not acknowledged."""

    def __init__(self) -> None:
        self.filters: dict[str, None] = {}
        self.waiting: deque[_Waiting] = deque()
        self.unacknowledged: dict[int, _Waiting] = {}
        self.epoch = 0
        self.changed = asyncio.Event()
        self._numbers = itertools.count(1)

    def wants(self, topic: str) -> bool:
        return any(matches(wanted, topic) for wanted in self.filters)

    def add(self, message: _Waiting) -> None:
        self.waiting.append(message)
        self.changed.set()

    def take(self, limit: int) -> list[Message]:
        taken: list[Message] = []
        while self.waiting and len(taken) < limit:
            message, number = self.waiting.popleft(), next(self._numbers)
            self.unacknowledged[number] = message
            taken.append(Message(*message, _Token(self.epoch, number)))
        return taken

    def acknowledge(self, token: object) -> None:
        if isinstance(token, _Token) and token.epoch == self.epoch:
            self.unacknowledged.pop(token.number, None)
            self.changed.set()

    def reconnect(self) -> None:
        """A new connection: what was not acknowledged comes again, first and in its order."""
        self.epoch += 1
        self.waiting.extendleft(reversed(self.unacknowledged.values()))
        self.unacknowledged.clear()
        self.changed.set()


class MemoryBroker:
    """Where memory buses meet. Keeps sessions and retained messages as long as it lives."""

    promises = MEMORY

    def __init__(self, *, max_queued: int = _MAX_QUEUED) -> None:
        self._max_queued = max_queued
        self._sessions: dict[str, _Session] = {}
        self._retained: dict[str, bytes] = {}
        self._wills: dict[str, Will] = {}

    def bus(
        self, client_id: str, *, persistent: bool = True, will: Will | None = None, timeout_s: float = 30.0
    ) -> MemoryBus:
        """A bus for the party `client_id`; to be opened with `async with`."""
        return MemoryBus(self, client_id, persistent=persistent, will=will, timeout_s=timeout_s)

    def declare(self, client_id: str, *filters: str) -> None:
        """Make the party's queue before it first connects, so that nothing published earlier is missed."""
        self._sessions.setdefault(client_id, _Session()).filters.update(dict.fromkeys(filters))

    def cut(self, client_id: str) -> None:
        """Take a party's connection away, as a network does: its will is published, it reconnects by itself."""
        if will := self._wills.get(client_id):
            self.deliver(will.topic, will.payload, retain=True)
        self._sessions[client_id].reconnect()

    def connect(self, client_id: str, *, persistent: bool, will: Will | None) -> _Session:
        """The party's session: the kept one, or a new one. A second connection takes the first one's place."""
        if not persistent:
            self._sessions.pop(client_id, None)
        session = self._sessions.setdefault(client_id, _Session())
        session.reconnect()
        if will:
            self._wills[client_id] = will
        return session

    def disconnect(self, client_id: str, *, persistent: bool) -> None:
        """A good-bye: no will, and a session that was not persistent is forgotten."""
        self._wills.pop(client_id, None)
        if not persistent:
            self._sessions.pop(client_id, None)

    def subscribe(self, session: _Session, wanted: str) -> None:
        """Add a filter, and hand over what is retained there."""
        session.filters[wanted] = None
        for topic, payload in self._retained.items():
            if matches(wanted, topic):
                session.add(_Waiting(topic, payload, retain=True))

    def full(self, topic: str) -> _Session | None:
        """The first subscriber of `topic` whose queue has no room."""
        return next((s for s in self._sessions.values() if len(s.waiting) >= self._max_queued and s.wants(topic)), None)

    def deliver(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Put a message into the queue of everybody who subscribed to it."""
        if retain and payload:
            self._retained[topic] = payload
        elif retain:
            self._retained.pop(topic, None)
        for session in self._sessions.values():
            if session.wants(topic):
                session.add(_Waiting(topic, payload, retain=False))


class MemoryBus:
    """One party's view of a `MemoryBroker`."""

    promises = MEMORY

    def __init__(
        self, broker: MemoryBroker, client_id: str, *, persistent: bool, will: Will | None, timeout_s: float
    ) -> None:
        self._broker, self._client_id = broker, client_id
        self._persistent, self._will, self._timeout_s = persistent, will, timeout_s
        self._session = _Session()

    async def __aenter__(self) -> Self:
        self._session = self._broker.connect(self._client_id, persistent=self._persistent, will=self._will)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._broker.disconnect(self._client_id, persistent=self._persistent)

    async def subscribe(self, *filters: str) -> None:
        """Ask for these topics. Raises: ValueError for what is no filter."""
        for wanted in filters:
            if not is_filter(wanted):
                raise ValueError(f"{wanted!r} is not a topic filter")
            self._broker.subscribe(self._session, wanted)

    async def receive(self, limit: int = 256) -> list[Message]:
        """Wait for at least one message and return what is there, oldest first."""
        while not (taken := self._session.take(limit)):
            self._session.changed.clear()
            await self._session.changed.wait()
        self._session.changed.set()
        return taken

    async def acknowledge(self, messages: Sequence[Message]) -> None:
        """Say that the work on `messages` is done; those of an earlier connection are skipped."""
        for message in messages:
            self._session.acknowledge(message.token)

    async def publish(self, messages: Sequence[tuple[str, bytes]], *, retain: bool = False) -> None:
        """Hand messages to every subscriber. Raises: TransientError when a queue stays full; ContractError."""
        check_messages(messages)
        for topic, payload in messages:
            await self._room(topic)
            self._broker.deliver(topic, payload, retain=retain)
        # Others get their turn, as they would at a socket.
        await asyncio.sleep(0)

    async def _room(self, topic: str) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                while session := self._broker.full(topic):
                    session.changed.clear()
                    await session.changed.wait()
        except TimeoutError:
            raise TransientError(f"a subscriber of {topic} has no room; is it running?") from None
