"""One client's connection: packets in and out, past amqtt's task and time-out per message.

amqtt sends PUBACK before anybody has the message, and forgets what is not acknowledged in 5 s. Here everything that
arrived together is routed in its order, written to the log as one transaction, and only then acknowledged.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from amqtt.adapters import BufferReader
from amqtt.errors import AMQTTError, MQTTError, NoDataError
from amqtt.mqtt import packet_class
from amqtt.mqtt.disconnect import DisconnectPacket
from amqtt.mqtt.packet import PINGREQ, SUBSCRIBE, UNSUBSCRIBE, MQTTFixedHeader
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler

from broker.embedded.clients import Client
from broker.embedded.exchange import Exchange
from broker.embedded.log import LogError
from broker.embedded.packets import (
    DISCONNECT,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    MalformedError,
    Publish,
    id_packet,
    read_packet_id,
    read_publish,
)
from broker.embedded.streams import PacketReader, PacketWriter

log = logging.getLogger("ronda.broker.connection")

# How long a publisher is held back for an agent's queue to get room, before its connection is closed.
_HOLD_BACK_S = 10.0
_BAD_PACKETS = (MalformedError, MQTTError, AMQTTError, NoDataError, ValueError)


class FullError(Exception):
    """An agent's queue stayed full."""


class Connection(BrokerProtocolHandler):  # type: ignore[misc]  # amqtt publishes no types
    """amqtt's handler of one connection, with our own way of reading, acknowledging and delivering."""

    reader: PacketReader
    writer: PacketWriter

    def bind(self, exchange: Exchange, client: Client) -> None:
        """Say whose connection this is; amqtt makes the handler itself."""
        self._exchange, self.client = exchange, client
        self._answers = bytearray()
        # QoS 2: taken with those answers, and again when the log cannot have them.
        self._taken: set[int] = set()
        self._sender: asyncio.Task[None] | None = None
        self._closing_reason = ""
        # The client's own good-bye, a take-over or the broker's stop: no will is due, no attempt is counted.
        self.kindly = False
        self.farewell: DisconnectPacket | None = None
        self.heard_at_s = asyncio.get_running_loop().time()

    def cut(self, reason: str) -> None:
        """Drop the connection now."""
        log.info(
            "connection.cut", extra={"client_id": self.client.client_id, "user": self.client.user, "reason": reason}
        )
        if self._sender is not None:
            self._sender.cancel()
        self.writer.abort()

    async def start(self) -> None:
        """Send what was under way on the last connection, then read and deliver."""
        again = self._exchange.connect(self.client, self)
        if again:
            self.writer.write(again)
        await super().start()
        if self._reader_stopped.is_set() and self._disconnect_waiter is not None:
            # It said good-bye together with its CONNECT, before amqtt had anybody to tell.
            self._disconnect_waiter.set_result(self.farewell)
        else:
            self._sender = asyncio.create_task(self._deliver(), name=f"deliver {self.client.client_id}")

    async def stop(self) -> None:
        """Stop delivering and close."""
        if self._sender is not None:
            self._sender.cancel()
        self._exchange.disconnect(self.client, self, kindly=self.kindly)
        await super().stop()

    async def _retry_deliveries(self) -> None:
        """Nothing: `start` has sent them again."""

    async def _reader_loop(self) -> None:
        """Read until the client leaves, breaks the protocol, or nothing can be written any more."""
        assert self._reader_ready is not None  # noqa: S101  # amqtt's start() made it
        self._reader_ready.set()
        try:
            while self.farewell is None and (packets := await self.reader.packets()):
                self.heard_at_s = asyncio.get_running_loop().time()
                for first, body in packets:
                    await self._take(first, body)
                await self._settle()
        except _BAD_PACKETS as error:
            self._exchange.counters.malformed_connections += 1
            self._report("connection.malformed", error)
        except (FullError, LogError, OSError) as error:
            self._report("connection.closed", error)
        finally:
            await self.handle_disconnect(self.farewell)
            self._reader_stopped.set()
            await self.stop()

    async def _take(self, first: int, body: bytes) -> None:
        kind = first >> 4
        if kind == PUBLISH:
            await self._publish(read_publish(first, body))
        elif kind == PUBACK:
            self._exchange.acknowledge(self.client, read_packet_id(body))
        elif kind == PUBREL:
            packet_id = read_packet_id(body)
            self.client.taken.discard(packet_id)
            self._answers += id_packet(PUBCOMP, packet_id)
        else:
            await self._take_rare(kind, first & 0x0F, body)

    async def _publish(self, message: Publish) -> None:
        if message.qos < 2 or message.packet_id not in self.client.taken:
            await self._route(message)
        if message.qos == 1:
            self._answers += id_packet(PUBACK, message.packet_id)
        elif message.qos:
            self.client.taken.add(message.packet_id)
            self._taken.add(message.packet_id)
            self._answers += id_packet(PUBREC, message.packet_id)

    async def _route(self, message: Publish) -> None:
        topic, payload, qos, retain, _ = message
        publish, user = self._exchange.publish, self.client.user
        if publish(user, topic, payload, qos=qos, retain=retain):
            return
        await self._settle()
        try:
            async with asyncio.timeout(_HOLD_BACK_S):
                while not publish(user, topic, payload, qos=qos, retain=retain):
                    self._exchange.room.clear()
                    await self._exchange.room.wait()
        except TimeoutError:
            self._exchange.counters.refused_full += 1
            raise FullError(f"the queue of an agent that reads {topic} stayed full") from None

    async def _settle(self) -> None:
        """Once the log has it, say so."""
        if self._answers:
            answers, self._answers = bytes(self._answers), bytearray()
            taken, self._taken = self._taken, set()
            try:
                await self._exchange.log.written()
            except LogError:
                self.client.taken -= taken
                self._exchange.counters.refused_full += 1
                raise
            self.writer.write(answers)
            await self.writer.drain()

    async def _take_rare(self, kind: int, flags: int, body: bytes) -> None:
        if kind == DISCONNECT:
            self.farewell, self.kindly = DisconnectPacket(), True
            return
        handle = {
            SUBSCRIBE: self.handle_subscribe,
            UNSUBSCRIBE: self.handle_unsubscribe,
            PINGREQ: self.handle_pingreq,
        }.get(kind)
        if handle is None:
            raise MalformedError(f"a packet of type {kind} has no place here")
        header = MQTTFixedHeader(kind, flags, len(body))
        packet: Any = await packet_class(header).from_stream(BufferReader(body), fixed_header=header)
        if kind != PINGREQ and not packet.payload.topics:
            raise MalformedError("a subscription without a filter")
        await handle(packet)

    async def _deliver(self) -> None:
        """Send what waits, as fast as the client reads."""
        outbox = self.client.outbox
        try:
            while True:
                outbox.wake.clear()
                burst, count = outbox.burst()
                if burst:
                    self._exchange.counters.delivered += count
                    self.writer.write(burst)
                    await self.writer.drain()
                else:
                    await outbox.wake.wait()
        except OSError:
            # The reader notices too, and ends the connection.
            return
        except Exception as error:  # without delivery the client would wait for ever: let it connect again
            log.exception("delivery.failed", extra={"client_id": self.client.client_id, "error": str(error)})
            self.writer.abort()

    def _report(self, event: str, error: Exception) -> None:
        log.warning(event, extra={"client_id": self.client.client_id, "user": self.client.user, "error": str(error)})
