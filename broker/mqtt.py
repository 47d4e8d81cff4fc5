"""The bus over a real MQTT broker: persistent session, manual acknowledgement, reconnecting by itself.

Built on aiomqtt 2, whose public interface acknowledges on arrival, publishes one message per call and drops what
does not fit its queue; so the paho client below it is used directly for these three, and only in this file.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

import stamina

try:
    import aiomqtt
    from paho.mqtt.client import Client as Paho
    from paho.mqtt.client import MQTTMessage
except ImportError as missing:
    raise ImportError("the MQTT bus needs: pip install 'ronda[edge]'") from missing

from broker.address import MqttAddress
from broker.bus import Message, Promises, RefusedError, Will, check_sizes
from broker.filters import is_filter, is_topic, shortened
from broker.tls import TlsError, client_context, mistrust, speaks_tls
from contract.errors import ContractError, Reason, TransientError

__all__ = ["ANY_BROKER", "MqttAddress", "MqttBus", "Will"]

log = logging.getLogger("ronda.broker.bus")

# What MQTT 3.1.1 itself asks of every broker; hand in `EMBEDDED` or `MOSQUITTO` when the broker is known.
ANY_BROKER = Promises(
    redelivers_unacknowledged=True,
    survives_subscriber_kill=True,
    keeps_order_per_publisher=True,
    survives_broker_restart=False,
    survives_broker_kill=False,
    refuses_when_full=False,
)
# Published and not yet acknowledged: deep enough that a broker's group commit (a few ms) never starves it.
_SLICE = 500
_SLICES_AT_ONCE = 4
# Received and not yet taken by `receive`: beyond it the socket is not read, and TCP holds the broker back.
_MAX_UNREAD = 10_000
_MAX_UNREAD_BYTES = 64 * 1024 * 1024
# Notices a dead peer within 1.5 × this (MQTT 3.1.1, section 3.1.2.10).
_KEEPALIVE_S = 30
_CONNECT_TIMEOUT_S = 5.0
# Between the loss of a connection and the first attempt: two clients with one id would otherwise spin.
_BREATH_S = 0.2
_CANCEL_AGAIN_S = 0.2
_FAILURE = 0x80


class _Token(NamedTuple):
    """The packet id of a message and the connection on which it means something."""

    epoch: int
    packet_id: int


class _Inbox:
    """Messages that came in and were not taken yet; bounded by pausing the socket.

    Closed until its connection is the bus's own: what is taken earlier could not be acknowledged.
    """

    def __init__(self) -> None:
        self.filled = asyncio.Event()
        self._open = False
        self._messages: deque[Message] = deque()
        self._bytes = 0

    @property
    def full(self) -> bool:
        return len(self._messages) >= _MAX_UNREAD or self._bytes >= _MAX_UNREAD_BYTES

    def add(self, message: Message) -> None:
        self._messages.append(message)
        self._bytes += len(message.payload)
        if self._open:
            self.filled.set()

    def open(self) -> None:
        self._open = True
        if self._messages:
            self.filled.set()

    def take(self, limit: int) -> list[Message]:
        if not self._open:
            return []
        taken = [self._messages.popleft() for _ in range(min(limit, len(self._messages)))]
        self._bytes -= sum(len(message.payload) for message in taken)
        if not self._messages:
            self.filled.clear()
        return taken

    def forget(self) -> None:
        """The connection is gone: its messages come again on the next one."""
        self._messages.clear()
        self._bytes = 0
        self._open = False
        self.filled.clear()


class _Batch:
    """Messages under way to the broker, by packet id, and the moment the last one is acknowledged."""

    def __init__(self) -> None:
        self.unconfirmed: dict[int, tuple[str, bytes]] = {}
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def confirm(self, packet_id: int) -> None:
        self.unconfirmed.pop(packet_id, None)
        if not self.unconfirmed and not self.done.done():
            self.done.set_result(None)


class _Connection:
    """One TCP connection to the broker, from CONNECT to its loss."""

    def __init__(self, client: aiomqtt.Client, epoch: int, inbox: _Inbox) -> None:
        self._client, self._epoch, self._inbox = client, epoch, inbox
        self._paho: Paho = client._client  # noqa: SLF001  # aiomqtt's issue 345: no public way to acknowledge late
        self._batches: dict[int, _Batch] = {}
        self._paused: socket.socket | None = None

    async def open(self) -> None:
        """Connect. Raises: aiomqtt.MqttError."""
        self._paho.manual_ack_set(True)
        # paho searches all messages under way whenever one is acknowledged if it limits them; `_SLICE` does instead.
        self._paho.max_inflight_messages_set(0)
        self._paho.on_message = self._arrived
        self._paho.on_publish = self._confirmed
        await self._client.__aenter__()
        # asyncio complains of an exception that nobody asked for, and a connection may break while nobody waits.
        self._gone.add_done_callback(lambda gone: gone.cancelled() or gone.exception())
        self._paho.disable_logger()
        self._read_with(self._paho.socket())

    async def close(self) -> None:
        """Say good-bye; the broker then keeps the will to itself."""
        self.resume()
        try:
            await self._client.__aexit__(None, None, None)
        except aiomqtt.MqttError:
            log.debug("bus.closed_unheard")

    def abandon(self) -> None:
        """Drop a connection that did not come up whole."""
        with contextlib.suppress(OSError, ValueError):
            self._paho.disconnect()
            self._paho.loop_write()

    async def lost(self) -> str:
        """Wait until the connection is gone; returns why."""
        await asyncio.wait([self._gone])
        return str(self._gone.exception() or "closed")

    async def subscribe(self, filters: Sequence[str]) -> None:
        """Subscribe at QoS 1. Raises: aiomqtt.MqttError, RefusedError."""
        codes = await self._client.subscribe([(wanted, 1) for wanted in filters])
        refused = [wanted for wanted, code in zip(filters, codes, strict=True) if _value(code) >= _FAILURE]
        if refused:
            raise RefusedError(f"the broker refuses the subscription to {', '.join(refused)}")

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Send PUBACK for those that came in on this connection."""
        for message in messages:
            token = message.token
            if isinstance(token, _Token) and token.epoch == self._epoch and token.packet_id:
                self._paho.ack(token.packet_id, 1)

    async def publish(self, messages: Sequence[tuple[str, bytes]], *, retain: bool) -> list[tuple[str, bytes]]:
        """Publish without waiting in between; returns what the broker had not acknowledged when the line broke."""
        batch = _Batch()
        for message in messages:
            info = self._paho.publish(*message, qos=1, retain=retain)
            batch.unconfirmed[info.mid] = message
            self._batches[info.mid] = batch
        try:
            await asyncio.wait([batch.done, self._gone], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for packet_id in batch.unconfirmed:
                self._batches.pop(packet_id, None)
        return list(batch.unconfirmed.values())

    def resume(self) -> None:
        """Read the socket again, once the inbox has room."""
        if self._paused is not None and not self._inbox.full:
            sock, self._paused = self._paused, None
            if not self._gone.done():
                self._read_with(sock)

    @property
    def _gone(self) -> asyncio.Future[None]:
        return self._client._disconnected  # noqa: SLF001  # the loss is only told to those who iterate over messages

    def _read_with(self, sock: Any) -> None:
        if sock is not None:
            asyncio.get_running_loop().add_reader(sock.fileno(), self._read, sock)

    def _read(self, sock: Any) -> None:
        try:
            self._paho.loop_read()
            # TLS may hold decrypted bytes that no select() will announce.
            while isinstance(sock, ssl.SSLSocket) and sock.fileno() >= 0 and sock.pending():
                self._paho.loop_read()
        except Exception as error:  # whatever broke, the cure is the next connection
            if not self._gone.done():
                self._gone.set_exception(error)
        if self._inbox.full and sock.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(sock.fileno())
            self._paused = sock

    def _arrived(self, _client: Paho, _userdata: object, message: MQTTMessage) -> None:
        packet_id = message.mid if message.qos else 0
        token = _Token(self._epoch, packet_id)
        self._inbox.add(Message(message.topic, bytes(message.payload), bool(message.retain), token))

    def _confirmed(self, _client: Paho, _userdata: object, packet_id: int, *_: object) -> None:
        if batch := self._batches.pop(packet_id, None):
            batch.confirm(packet_id)


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
        self._connection: _Connection | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """Is there a connection at this moment?"""
        return self._connection is not None

    async def __aenter__(self) -> Self:
        """Connect. Raises: RefusedError for a wrong password or certificate, TransientError when no broker answers."""
        self._inbox, self._up, self._failure = _Inbox(), asyncio.Event(), ""
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
        except aiomqtt.MqttError as error:
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
        check_sizes(messages)
        for topic, _ in messages:
            if not is_topic(topic):
                raise ContractError(Reason.BAD_NAME, f"{shortened(topic)!r} is not a topic to publish on")
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

    async def _current(self) -> _Connection:
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
        retriable = (aiomqtt.MqttError, RefusedError, TlsError) if forgiving else _is_passing
        async for attempt in stamina.retry_context(retriable, attempts=None, timeout=None, wait_max=5.0):
            with attempt:
                try:
                    await self._establish()
                except aiomqtt.MqttError as error:
                    if not forgiving:
                        await self._look_into(error)
                    raise
        self._up.set()
        log.info("bus.connected", extra={"client_id": self._client_id, "broker": str(self._address)})

    async def _look_into(self, error: aiomqtt.MqttError) -> None:
        """Tell what a person must mend from what passes. Raises: RefusedError."""
        # aiomqtt hides the cause, but Python keeps it.
        cause, address = error.__context__, self._address
        if isinstance(cause, ssl.SSLCertVerificationError):
            words = mistrust(cause, address.host, address.ca_file)
            raise RefusedError(f"the broker at {address} is not trusted: {words}") from error
        if address.tls and isinstance(cause, ssl.SSLError | ConnectionResetError):
            self._failure = "what listens there does not speak TLS: it may be the port of mqtt://"
        # Who does not understand the other's first bytes hangs up without a word.
        if (
            not address.tls
            and isinstance(cause, TimeoutError)
            and await asyncio.to_thread(speaks_tls, address.host, address.port)
        ):
            raise RefusedError(
                f"the broker at {address} speaks TLS on this port: write mqtts://, or take its plain port"
            )

    async def _establish(self) -> None:
        self._epoch += 1
        connection = _Connection(self._client(), self._epoch, self._inbox)
        try:
            await connection.open()
            # From here on messages of the session come in, and must find a connection to be acknowledged on.
            self._connection = connection
            self._inbox.open()
            if self._filters:
                await connection.subscribe(list(self._filters))
        except BaseException as error:
            self._connection = None
            self._inbox.forget()
            connection.abandon()
            if isinstance(error, aiomqtt.exceptions.MqttConnectError):
                raise RefusedError(f"the broker at {self._address} refuses {self._client_id}: {error}") from error
            raise

    def _client(self) -> aiomqtt.Client:
        will = self._will
        return aiomqtt.Client(
            self._address.host,
            self._address.port,
            username=self._address.user,
            password=self._address.password,
            identifier=self._client_id,
            clean_session=not self._persistent,
            will=aiomqtt.Will(will.topic, will.payload, qos=1, retain=True) if will else None,
            keepalive=_KEEPALIVE_S,
            timeout=_CONNECT_TIMEOUT_S,
            tls_context=client_context(self._address.ca_file) if self._address.tls else None,
            # Without it Nagle and delayed acknowledgements hold small packets back for 40 ms.
            socket_options=((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),),
        )


def _is_passing(error: Exception) -> bool:
    return isinstance(error, aiomqtt.MqttError)


def _value(code: Any) -> int:
    return int(getattr(code, "value", code))
