"""amqtt's broker, sub-classed: its listeners, handshake and rare packets over our exchange.

Closed here, each by a test: a connection that is not authenticated changes nothing; a client id belongs to the user
who first used it; a take-over publishes the old will before the new connection speaks; nothing is retained, broadcast
or remembered by amqtt itself. Pinned to 0.12.1; a test checks the signature of each overridden method.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from amqtt.broker import Broker
from amqtt.contexts import Action as AmqttAction
from amqtt.errors import AMQTTError, MQTTError, NoDataError
from amqtt.mqtt.connack import IDENTIFIER_REJECTED, NOT_AUTHORIZED, ConnackPacket
from amqtt.mqtt.disconnect import DisconnectPacket
from amqtt.session import Session
from amqtt.utils import gen_client_id

from broker.credentials import SERVICE_PREFIX, Credentials
from broker.embedded.clients import Client, is_service
from broker.embedded.connection import Connection
from broker.embedded.exchange import Exchange
from broker.embedded.packets import MalformedError
from broker.embedded.plugins import plugins
from broker.embedded.streams import PacketReader, PacketWriter
from broker.filters import shortened
from broker.listeners import Listener
from broker.tls import server_context

log = logging.getLogger("ronda.broker.server")

# From the connection to its CONNECT, and before it for the handshake of TLS.
_HANDSHAKE_S = 10.0
# How soon a revoked user is cut off, and a vanished client noticed.
_SWEEP_S = 0.5
# A client is gone after one and a half times its keep-alive [MQTT-3.1.2-24].
_KEEPALIVE_FACTOR = 1.5
# A durable session that nobody declared and nobody used for this long is forgotten.
_FORGET_AFTER_S = 7 * 86_400.0
# After a start its clients have this long to come back, however long the broker itself was away.
_RETURN_S = 600.0
# How often those that are here are noted as seen: after kill -9 their sessions must not look unused.
_NOTE_EVERY_S = 3600.0
# These bound what one user can make the broker remember. A device's own name has at most 127 characters.
_MAX_CLIENT_ID = 256
_SESSIONS_PER_USER = 16
_FILTERS_PER_CLIENT = 1000
_REFUSED_SUBSCRIPTION = 0x80
_CONNECT = 0x10
_VERSION_5 = b"\x00\x04MQTT\x05"
# MQTT 5's own CONNACK with reason 0x84: one in version 3 would leave the client waiting.
_UNSUPPORTED_VERSION = b"\x20\x03\x00\x84\x00"
_STOP_TIMEOUT_S = 2.0


class Server(Broker):  # type: ignore[misc]  # amqtt publishes no types
    """The broker behind `EmbeddedBroker`: amqtt's sockets and handshake over our exchange."""

    def __init__(self, listeners: Sequence[Listener], credentials: Credentials, exchange: Exchange) -> None:
        """The first listener's port is `port`. Raises: TlsError for a certificate that cannot be used."""
        # amqtt calls the one that it takes its settings from `default`.
        named = dict(zip(("default", *map(str, listeners[1:])), listeners, strict=True))
        super().__init__(
            {
                "listeners": {name: {"type": "tcp", "bind": str(one)} for name, one in named.items()},
                "plugins": plugins(credentials, exchange.rules),
            }
        )
        self._tls = {name: server_context(one.tls) for name, one in named.items() if one.tls is not None}
        self._credentials, self._exchange = credentials, exchange
        self._known = credentials.hashes()
        self._stopping = False
        self._began_s = self._noted_s = time.monotonic()
        self._open: set[PacketWriter] = set()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        number: int = self._servers["default"].instance.sockets[0].getsockname()[1]
        return number

    async def _create_server_instance(
        self,
        listener_name: str,
        listener_type: Any,  # noqa: ARG002  # amqtt's signature; all of ours are TCP
        address: str | None,
        port: int,
        ssl_context: ssl.SSLContext | None,  # noqa: ARG002  # amqtt's own would ask every client for a certificate
    ) -> asyncio.Server:
        """Listen on one address, with our own TLS where it has some."""
        context = self._tls.get(listener_name)
        return await asyncio.start_server(
            partial(self.stream_connected, listener_name=listener_name),
            address,
            port,
            reuse_address=True,
            ssl=context,
            ssl_handshake_timeout=_HANDSHAKE_S if context else None,
        )

    async def close_listeners(self) -> None:
        """Free the ports that are open already, after a start that failed."""
        for server in self._servers.values():
            await server.close_instance()

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        """Serve one TCP connection, from its first byte to its end; no failure leaves it open."""
        packets = PacketWriter(writer)
        self._open.add(packets)
        self._exchange.counters.connections += 1
        try:
            await self._client_connected(listener_name, PacketReader(reader), packets)
        except Exception as error:  # a bug in the handling of one client must not reach the others
            log.exception("connection.failed", extra={"error": str(error)})
        finally:
            self._open.discard(packets)
            await packets.close()

    async def _initialize_client_session(
        self, reader: Any, writer: Any, remote_address: str, remote_port: int
    ) -> tuple[Connection, Session]:
        """Read the CONNECT, and touch nothing of anybody's session before we know who it is."""
        try:
            async with asyncio.timeout(_HANDSHAKE_S):
                handler, session = await self._handshake(reader, writer)
        except (TimeoutError, AMQTTError, MQTTError, NoDataError, MalformedError, ValueError) as error:
            self._exchange.counters.malformed_connections += 1
            raise MQTTError(f"no CONNECT from {remote_address}:{remote_port}: {error}") from error
        session.client_id = session.client_id or gen_client_id()
        if not await self._authenticate(session, self.listeners_config["default"]):
            await self._refuse(session, writer, NOT_AUTHORIZED, "wrong user or password")
        if (reason := self._not_its_own(session)) is not None:
            await self._refuse(session, writer, IDENTIFIER_REJECTED, reason)
        await self._take_over(session.client_id)
        durable = not session.clean_session
        client, present = self._exchange.start_session(session.client_id, session.username, durable=durable)
        session.parent = int(present)
        handler.bind(self._exchange, client)
        return handler, session

    async def _handshake(self, reader: PacketReader, writer: PacketWriter) -> tuple[Connection, Session]:
        # Looked at before amqtt reads it field by field: it would wait for what is missing in a broken one.
        first, body = await reader.peek() or (0, b"")
        if first != _CONNECT:
            raise MalformedError("the first packet is no CONNECT")
        if body.startswith(_VERSION_5):
            writer.write(_UNSUPPORTED_VERSION)
            await writer.close()
            raise MalformedError("MQTT 5 is not spoken here")
        handler, session = await Connection.init_from_connect(reader, writer, self.plugins_manager)
        return handler, session

    async def _refuse(self, session: Session, writer: PacketWriter, code: int, reason: str) -> None:
        self._exchange.counters.refused_connections += 1
        client_id, user = shortened(session.client_id), shortened(session.username or "")
        log.warning("connection.refused", extra={"client_id": client_id, "user": user, "reason": reason})
        await ConnackPacket.build(0, code).to_stream(writer)
        await writer.close()
        raise MQTTError(reason)

    def _not_its_own(self, session: Session) -> str | None:
        """Why this user may not have this client id, or None."""
        if len(session.client_id) > _MAX_CLIENT_ID:
            return f"a client id may have {_MAX_CLIENT_ID} characters"
        if session.client_id.startswith(SERVICE_PREFIX) and not is_service(session.username):
            return f"client ids that begin with {SERVICE_PREFIX} are the services'"
        known = self._exchange.clients.get(session.client_id)
        if known is not None and known.user != session.username:
            return "the client id belongs to another user"
        if known is not None and known.declared and session.clean_session:
            return "a declared queue cannot be thrown away by a clean session"
        if known is None and not session.clean_session and self._sessions_of(session.username) >= _SESSIONS_PER_USER:
            return f"a user may have {_SESSIONS_PER_USER} persistent sessions"
        return None

    def _sessions_of(self, user: str) -> int:
        return sum(c.user == user and c.durable is not None for c in self._exchange.clients.values())

    async def _take_over(self, client_id: str) -> None:
        """End the connection that has the client id now, its will included."""
        session, handler = self._sessions.pop(client_id, (None, None))
        if handler is None:
            return
        log.warning("connection.taken_over", extra={"client_id": client_id})
        handler.kindly = True
        self._publish_will(session, handler)
        await self._stop_handler(handler)

    async def _handle_disconnect(
        self, client_session: Session, handler: Connection, disconnect_waiter: asyncio.Future[Any]
    ) -> None:
        """The connection ended: publish its will unless it said good-bye, and free its place."""
        if not isinstance(disconnect_waiter.result(), DisconnectPacket) and not handler.kindly:
            self._publish_will(client_session, handler)
        await self._stop_handler(handler)
        _, current = self._sessions.get(client_session.client_id, (None, None))
        if current is handler:
            del self._sessions[client_session.client_id]

    def _publish_will(self, session: Session, handler: Connection) -> None:
        if session.will_flag and not self._stopping:
            session.will_flag = False
            taken = self._exchange.publish(
                handler.client.user,
                session.will_topic,
                bytes(session.will_message or b""),
                qos=session.will_qos or 0,
                retain=bool(session.will_retain),
            )
            # There is nobody left to hold back.
            self._exchange.counters.dropped_slow += not taken

    async def add_subscription(self, subscription: tuple[str, int], session: Session) -> int:
        """Grant a subscription, at QoS 1 at most, or answer 0x80."""
        wanted, qos = subscription
        client = self._client_of(session)
        if client is None or not await self._topic_filtering(session, wanted, AmqttAction.SUBSCRIBE):
            return _REFUSED_SUBSCRIPTION
        if len(list(self._exchange.routes.filters(client.client_id))) >= _FILTERS_PER_CLIENT:
            return _REFUSED_SUBSCRIPTION
        granted = min(qos, 1)
        self._exchange.subscribe(client, wanted, granted)
        return granted

    def _del_subscription(self, a_filter: str, session: Session) -> int:
        """End a subscription."""
        client = self._client_of(session)
        return int(client is not None and self._exchange.unsubscribe(client, a_filter))

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Session
    ) -> None:
        """Hand over what is retained there and the client may read."""
        client = self._client_of(session)
        if client is not None:
            wanted, qos = subscription
            self._exchange.send_retained(client, wanted, min(qos, 1))

    def _client_of(self, session: Session) -> Client | None:
        return self._exchange.clients.get(session.client_id)

    async def _session_monitor(self) -> None:
        """Every half second: cut off who was revoked or vanished, forget who never came back, tidy the log."""
        while True:
            await asyncio.sleep(_SWEEP_S)
            try:
                self._cut_revoked()
                self._cut_silent()
                self._note_present()
                self._forget_lost()
                self._exchange.tidy()
            except Exception as error:  # the next sweep is due whatever went wrong in this one
                log.exception("sweep.failed", extra={"error": str(error)})

    def _cut_revoked(self) -> None:
        hashes = self._credentials.hashes()
        if hashes is self._known:
            return
        known, self._known = self._known, hashes
        changed = {user for user, password in known.items() if hashes.get(user) != password}
        for client in [c for c in self._exchange.clients.values() if c.user in changed]:
            if client.line is not None:
                client.line.cut("revoked" if client.user not in hashes else "password changed")
            if client.user not in hashes and not client.declared:
                self._exchange.end_session(client)

    def _cut_silent(self) -> None:
        now = self._loop.time()
        for session, handler in list(self._sessions.values()):
            if session.keep_alive and now - handler.heard_at_s > _KEEPALIVE_FACTOR * session.keep_alive:
                handler.cut("silent for longer than its keep-alive")

    def _note_present(self) -> None:
        if time.monotonic() - self._noted_s < _NOTE_EVERY_S:
            return
        self._noted_s = time.monotonic()
        here = [c.client_id for c in self._exchange.clients.values() if c.line is not None and c.durable is not None]
        self._exchange.log.mark_seen(here, time.time())

    def _forget_lost(self) -> None:
        if time.monotonic() - self._began_s < _RETURN_S:
            return
        horizon = time.time() - _FORGET_AFTER_S
        for client in list(self._exchange.clients.values()):
            if client.line is None and not client.declared and client.last_seen_s < horizon:
                log.info("session.forgotten", extra={"client_id": client.client_id, "user": client.user})
                self._exchange.end_session(client)

    async def shutdown(self) -> None:
        """Close every connection at once, without wills, then stop amqtt's own tasks."""
        self._stopping = True
        handlers = [handler for _, handler in self._sessions.values()]
        self._sessions.clear()
        for handler in handlers:
            handler.kindly = True
        await asyncio.gather(*map(self._stop_handler, handlers))
        for writer in list(self._open):
            writer.abort()
        try:
            async with asyncio.timeout(_STOP_TIMEOUT_S):
                await super().shutdown()
        except TimeoutError:
            log.warning("broker.stopped_late", extra={"timeout_s": _STOP_TIMEOUT_S})
