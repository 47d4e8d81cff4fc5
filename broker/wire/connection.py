"""One TCP connection to a broker, from CONNECT to its loss: bytes in and out, pauses both ways, and the keep-alive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

from broker.bus import Message, RefusedError
from broker.inbox import Inbox
from broker.kept_up import LostError
from broker.wire.decoder import Connack, Decoder, ProtocolError, Suback, packet_ids
from broker.wire.packets import DISCONNECT, PINGREQ, Greeting, acknowledge, connect, subscribe
from broker.wire.session import Session

# Written at once, and waiting in the socket's buffer before we rest: some thousand readings, or one large message.
_WRITE_BYTES = 256 * 1024
_MAX_UNWRITTEN_BYTES = 1024 * 1024
_FAILURE = 0x80
# Without a sign of the broker for this many keep-alives it is gone: what a broker grants us (3.1.2.10).
_SILENCE = 1.5
_CLOSED = "closed"
# A good-bye to a broker that does not read is not waited for.
_CLOSE_TIMEOUT_S = 2.0
# The answers to CONNECT (3.2.2.3).
_REFUSALS = {
    1: "it does not speak MQTT 3.1.1",
    2: "it does not take this client id",
    3: "it is not available",
    4: "bad user name or password",
    5: "not authorised",
}
_UNAVAILABLE = 3


class Connection(asyncio.Protocol):
    """Its number `epoch` is in the token of each of its messages."""

    def __init__(
        self, epoch: int, greeting: Greeting, session: Session, inbox: Inbox, opened: Callable[[Connection], None]
    ) -> None:
        """`opened` is called between the broker's welcome and the first message behind it."""
        loop = asyncio.get_running_loop()
        self.welcome: asyncio.Future[None] = loop.create_future()
        self.welcome.add_done_callback(_heard_of)
        self.lost: asyncio.Future[str] = loop.create_future()
        self._loop, self._epoch, self._greeting = loop, epoch, greeting
        self._session, self._inbox, self._opened = session, inbox, opened
        self._decoder = Decoder(epoch)
        self._answers: dict[int, tuple[Sequence[str], asyncio.Future[None]]] = {}
        self._reason = ""
        self._heard = self._said = loop.time()
        self._readable, self._writable = True, asyncio.Event()
        # Done when reading rests: what was asked for is then answered behind what nobody has taken yet.
        self._resting: asyncio.Future[None] = loop.create_future()

    @property
    def settled(self) -> bool:
        """Is everything answered that was asked?"""
        return not self._answers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say who we are."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(_MAX_UNWRITTEN_BYTES)
        self._writable.set()
        self._write(connect(self._greeting))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who waits."""
        reason = self._reason or (str(exc) if exc else "it hung up")
        self._writable.set()
        if not self.welcome.done():
            self.welcome.set_exception(LostError(reason) if self._reason else exc or ConnectionResetError(reason))
        for _, answer in self._answers.values():
            if not answer.done():
                answer.set_exception(LostError(reason))
        if not self.lost.done():
            self.lost.set_result(reason)

    async def until_lost(self) -> str:
        """Wait until the connection is gone; returns why."""
        await asyncio.wait([self.lost])
        return self.lost.result()

    def pause_writing(self) -> None:
        """The broker does not keep up."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """It does again."""
        self._writable.set()
        self.pump()

    def data_received(self, data: bytes) -> None:
        """Take what arrived; a broken protocol ends the connection."""
        if self._reason:
            return
        self._heard = self._loop.time()
        try:
            received = self._decoder.feed(data)
        except ProtocolError as error:
            self.drop(f"it broke the protocol: {error}")
            return
        for answer in received.answers:
            self._take(answer)
        if received.messages:
            self._inbox.add(received.messages)
            self._rest_when_full()
        if received.acknowledged:
            self._session.confirm(received.acknowledged)
            self.pump()

    def drop(self, reason: str) -> None:
        """Give the connection up."""
        self._reason = self._reason or reason
        self._transport.abort()

    async def close(self) -> None:
        """Say good-bye, so that the broker keeps the will to itself, and wait until it is out."""
        self._reason = _CLOSED
        if not self.lost.done():
            self._write(DISCONNECT)
            self._transport.close()
            # What still comes is read, though nobody takes it: the end of a TLS connection is behind it.
            self._transport.resume_reading()
        if not (await asyncio.wait([self.lost], timeout=_CLOSE_TIMEOUT_S))[0]:
            self._transport.abort()

    def pump(self) -> None:
        """Write what the session has to say, as far as its window and the socket go."""
        while self._writable.is_set() and not self.lost.done() and (frames := self._session.frames(_WRITE_BYTES)):
            self._write(frames)

    async def acknowledge(self, messages: Sequence[Message]) -> None:
        """Send a PUBACK for those that came in on this connection, in one piece."""
        await self._writable.wait()
        if (ids := packet_ids(messages, self._epoch)) and not self.lost.done():
            self._write(acknowledge(ids))

    def ask(self, filters: Sequence[str]) -> asyncio.Future[None]:
        """Subscribe; a refusal is the answer's RefusedError, the loss of the connection its LostError."""
        packet_id = self._session.reserve_id()
        answer: asyncio.Future[None] = self._loop.create_future()
        answer.add_done_callback(_heard_of)
        if self.lost.done():
            answer.set_exception(LostError(self.lost.result()))
            return answer
        self._answers[packet_id] = filters, answer
        self._write(subscribe(packet_id, filters))
        return answer

    async def subscribe(self, filters: Sequence[str]) -> None:
        """Subscribe and wait for the answer, unless it comes behind messages that the caller must take first.

        Raises: RefusedError, LostError.
        """
        answer = self.ask(filters)
        await asyncio.wait({answer, self._resting}, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            answer.result()
        else:
            self.insist(answer)

    def insist(self, answer: asyncio.Future[None]) -> None:
        """Give the connection up when the answer, whenever it comes, is a refusal."""
        answer.add_done_callback(self._hear)

    def read_on(self) -> None:
        """Read the socket again, once the inbox has room."""
        if not self._readable and not self._inbox.full and not self.lost.done():
            self._readable, self._heard = True, self._loop.time()
            self._resting = self._loop.create_future()
            self._transport.resume_reading()

    def _rest_when_full(self) -> None:
        if self._readable and self._inbox.full:
            self._readable = False
            self._transport.pause_reading()
            self._resting.set_result(None)

    def _take(self, answer: Connack | Suback) -> None:
        if isinstance(answer, Connack):
            self._welcomed(answer)
            return
        self._session.release_id(answer.packet_id)
        filters, waiting = self._answers.pop(answer.packet_id, ((), None))
        if waiting is None or waiting.done():
            return
        if len(answer.codes) != len(filters):
            # Which of them it grants cannot be told (3.9.3).
            waiting.set_exception(LostError("its answer to a subscription does not fit"))
            self.drop(f"it broke the protocol: {len(answer.codes)} answers to {len(filters)} filters")
            return
        refused = [wanted for wanted, code in zip(filters, answer.codes, strict=True) if code >= _FAILURE]
        if refused:
            waiting.set_exception(RefusedError(f"the broker refuses the subscription to {', '.join(refused)}"))
        else:
            waiting.set_result(None)

    def _welcomed(self, answer: Connack) -> None:
        if self.welcome.done():
            # Too late: whoever waited has given up.
            return
        if answer.code:
            why = _REFUSALS.get(answer.code, f"reason {answer.code}")
            known = LostError if answer.code == _UNAVAILABLE else RefusedError
            self.welcome.set_exception(known(why))
            return
        self._session.reconnected(present=answer.session_present)
        self._opened(self)
        self.welcome.set_result(None)
        self._loop.call_later(self._greeting.keepalive_s / 2, self._watch)
        self.pump()

    def _hear(self, answer: asyncio.Future[None]) -> None:
        if not answer.cancelled() and isinstance(error := answer.exception(), RefusedError):
            self.drop(str(error))

    def _watch(self) -> None:
        """Twice in a keep-alive: is the broker there, and does it hear of us?"""
        if self.lost.done():
            return
        period, now = self._greeting.keepalive_s, self._loop.time()
        # While we do not read, its silence is ours.
        if self._readable and now - self._heard > _SILENCE * period:
            self.drop(f"it was silent for {now - self._heard:.0f} s")
            return
        if now - min(self._heard, self._said) >= period / 2:
            self._write(PINGREQ)
        self._loop.call_later(period / 2, self._watch)

    def _write(self, data: bytes) -> None:
        self._said = self._loop.time()
        self._transport.write(data)


def _heard_of(future: asyncio.Future[None]) -> None:
    """Asyncio complains of an exception that nobody asked for, and a connection may break while nobody waits."""
    if not future.cancelled():
        future.exception()
