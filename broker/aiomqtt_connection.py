"""One connection of aiomqtt 2 to a broker: the one file that imports it.

Its public interface acknowledges on arrival, publishes one message per call and drops what does not fit its queue; so
the paho client below it is used directly for these three.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import socket
import ssl
from collections.abc import Sequence
from typing import Any, NamedTuple

try:
    import aiomqtt
    from aiomqtt import MqttError
    from paho.mqtt.client import Client as Paho
    from paho.mqtt.client import MQTTMessage
except ImportError as missing:
    raise ImportError("the MQTT bus needs: pip install 'ronda[edge]'") from missing

from broker.address import MqttAddress
from broker.bus import Message, RefusedError, Will
from broker.inbox import Inbox
from broker.kept_up import LostError
from broker.tls import client_context

__all__ = ["Connection", "client"]

log = logging.getLogger("ronda.broker.bus")

# Notices a dead peer within 1.5 × this (MQTT 3.1.1, section 3.1.2.10).
_KEEPALIVE_S = 30
CONNECT_TIMEOUT_S = 5.0
_FAILURE = 0x80


class _Token(NamedTuple):
    """The packet id of a message and the connection on which it means something."""

    epoch: int
    packet_id: int


class _Batch:
    """Messages under way to the broker, by packet id, and the moment the last one is acknowledged."""

    def __init__(self) -> None:
        self.unconfirmed: dict[int, tuple[str, bytes]] = {}
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def confirm(self, packet_id: int) -> None:
        self.unconfirmed.pop(packet_id, None)
        if not self.unconfirmed and not self.done.done():
            self.done.set_result(None)


class Connection:
    """One TCP connection to the broker, from CONNECT to its loss."""

    def __init__(self, client: aiomqtt.Client, epoch: int, inbox: Inbox) -> None:
        self._client, self._epoch, self._inbox = client, epoch, inbox
        self._paho: Paho = client._client  # noqa: SLF001  # aiomqtt's issue 345: no public way to acknowledge late
        self._batches: dict[int, _Batch] = {}
        self._paused: socket.socket | None = None
        self._resting = asyncio.Event()
        # Set by whoever renews the subscriptions.
        self.settled = False

    async def open(self) -> None:
        """Connect. Raises: LostError, OSError; RefusedError for what the broker says no to."""
        self._paho.manual_ack_set(True)
        # paho searches all messages under way whenever one is acknowledged if it limits them; `_SLICE` does instead.
        self._paho.max_inflight_messages_set(0)
        self._paho.on_message = self._arrived
        self._paho.on_publish = self._confirmed
        try:
            await self._client.__aenter__()
        except aiomqtt.exceptions.MqttConnectError as error:
            raise RefusedError(str(error)) from error
        except MqttError as error:
            # aiomqtt hides the cause, but Python keeps it.
            raise _cause(error) from error
        # asyncio complains of an exception that nobody asked for, and a connection may break while nobody waits.
        self._gone.add_done_callback(lambda gone: gone.cancelled() or gone.exception())
        self._paho.disable_logger()
        self._read_with(self._paho.socket())

    async def close(self) -> None:
        """Say good-bye; the broker then keeps the will to itself."""
        self.read_on()
        try:
            await self._client.__aexit__(None, None, None)
        except MqttError:
            log.debug("bus.closed_unheard")

    def abandon(self) -> None:
        """Drop a connection that did not come up whole."""
        with contextlib.suppress(OSError, ValueError):
            self._paho.disconnect()
            self._paho.loop_write()

    async def until_lost(self) -> str:
        """Wait until the connection is gone; returns why."""
        await asyncio.wait([self._gone])
        return str(self._gone.exception() or "closed")

    async def subscribe(self, filters: Sequence[str]) -> None:
        """Subscribe at QoS 1 and wait for the answer, unless it comes behind messages that the caller must take first.

        Raises: LostError, RefusedError.
        """
        asking = asyncio.create_task(self._ask(filters))
        self._gone.add_done_callback(lambda _: asking.cancel())
        resting = asyncio.create_task(self._resting.wait())
        try:
            await asyncio.wait({asking, resting}, timeout=CONNECT_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            resting.cancel()
            if not self._resting.is_set():
                asking.cancel()
        if self._resting.is_set() and not asking.done():
            asking.add_done_callback(self._hear)
            return
        try:
            await asking
        except asyncio.CancelledError as error:
            raise LostError("the broker did not answer") from error
        except MqttError as error:
            raise LostError(str(error)) from error

    async def _ask(self, filters: Sequence[str]) -> None:
        codes = await self._client.subscribe([(wanted, 1) for wanted in filters], timeout=math.inf)
        refused = [wanted for wanted, code in zip(filters, codes, strict=True) if _value(code) >= _FAILURE]
        if refused:
            raise RefusedError(f"the broker refuses the subscription to {', '.join(refused)}")

    def _hear(self, asking: asyncio.Task[None]) -> None:
        """A late refusal ends the connection, with the reason."""
        if not asking.cancelled() and (error := asking.exception()) and not self._gone.done():
            self._gone.set_exception(error)
            self.abandon()

    async def acknowledge(self, messages: Sequence[Message]) -> None:
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

    def read_on(self) -> None:
        """Read the socket again, once the inbox has room."""
        if self._paused is not None and not self._inbox.full:
            sock, self._paused = self._paused, None
            self._resting.clear()
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
            self._resting.set()

    def _arrived(self, _client: Paho, _userdata: object, message: MQTTMessage) -> None:
        packet_id = message.mid if message.qos else 0
        token = _Token(self._epoch, packet_id)
        self._inbox.add([Message(message.topic, bytes(message.payload), bool(message.retain), token)])

    def _confirmed(self, _client: Paho, _userdata: object, packet_id: int, *_: object) -> None:
        if batch := self._batches.pop(packet_id, None):
            batch.confirm(packet_id)


def client(address: MqttAddress, client_id: str, *, persistent: bool, will: Will | None) -> aiomqtt.Client:
    """An unconnected client of aiomqtt."""
    return aiomqtt.Client(
        address.host,
        address.port,
        username=address.user,
        password=address.password,
        identifier=client_id,
        clean_session=not persistent,
        will=aiomqtt.Will(will.topic, will.payload, qos=1, retain=True) if will else None,
        keepalive=_KEEPALIVE_S,
        timeout=CONNECT_TIMEOUT_S,
        tls_context=client_context(address.ca_file) if address.tls else None,
        # Without it Nagle and delayed acknowledgements hold small packets back for 40 ms.
        socket_options=((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),),
    )


def _value(code: Any) -> int:
    return int(getattr(code, "value", code))


def _cause(error: MqttError) -> OSError | LostError:
    """What lies behind aiomqtt's words."""
    cause = error.__context__
    return cause if isinstance(cause, OSError) else LostError(str(error))
