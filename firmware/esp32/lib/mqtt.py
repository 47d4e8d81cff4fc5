"""MQTT 3.1.1 for one device (OASIS standard, 29 October 2014): QoS 1, Last Will, keep-alive; one connection, no more.

Sessions are clean: nothing is sent again by packet id. What the store has not confirmed is sent again by the ring.
"""

import asyncio
import struct
import time

# Messages that the broker has not acknowledged: enough to keep the line busy, and few enough for the chip's memory.
IN_FLIGHT = 4
# An acknowledgement that takes longer than this will not come: the line is cut, or the broker stands still.
ACK_WITHIN_MS = 10000
# A configuration is a few hundred bytes; what is larger is not for this device, and does not fit its memory.
LARGEST_MESSAGE = 4096
_CHUNK = 256

# Section 2.2.1: the packet's type in the upper four bits, its flags in the lower.
_CONNECT, _CONNACK, _PUBLISH, _PUBACK, _SUBSCRIBE, _SUBACK = 0x10, 0x20, 0x30, 0x40, 0x82, 0x90
_PINGREQ = 0xC0
_QOS1, _RETAIN = 0x02, 0x01
# Section 3.2.2.3.
_REFUSALS = {
    1: "speaks no MQTT 3.1.1",
    2: "refuses the client id",
    3: "is not available",
    4: "does not know this user and password",
    5: "does not let this user in",
}


class MqttError(OSError):
    """The broker said no, or something that is no MQTT; like a cut line, it ends the connection."""


class Client:
    """One connection: `open`, then `listen` and `ping` beside each other, `publish` from anywhere, `cut`."""

    def __init__(self, host, port, client_id, user, password, keepalive_s):
        self.address = host, port
        self._client_id, self._user, self._password = client_id, user, password
        self._keepalive_s = keepalive_s
        self._reader = self._writer = None
        self._waiting = {}  # packet id -> when it was sent, by ticks_ms
        self._answers = {}  # packet id -> what the broker answered to SUBSCRIBE
        self._changed = asyncio.Event()
        self._packet_id = 0
        self._sent_at_ms = 0

    async def open(self, will_topic, will):
        """Connect; the broker publishes `will`, retained, when we are gone without a word. Raises: OSError."""
        self._waiting, self._answers = {}, {}
        self._sending = asyncio.Lock()
        self._reader, self._writer = await asyncio.open_connection(*self.address)
        await self._send(_CONNECT, self._connect_body(will_topic, will))
        try:
            kind, body = await asyncio.wait_for_ms(self._packet(), ACK_WITHIN_MS)
        except asyncio.TimeoutError:
            raise MqttError("no answer to CONNECT")
        if kind != _CONNACK or len(body) != 2:
            raise MqttError("what answers is no MQTT broker")
        if body[1]:
            raise MqttError("the broker " + _REFUSALS.get(body[1], "refuses with code %d" % body[1]))

    def cut(self):
        """Leave without a word: the broker says the will. A device never means to leave."""
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                writer.s.close()
            except OSError:
                pass

    async def publish(self, topic, pieces, retain=False):
        """Send these texts as one message with QoS 1, once there is room among those in flight.

        Its acknowledgement is not waited for.
        """
        while len(self._waiting) >= IN_FLIGHT:
            await self._change()
        packet_id = self._next_id()
        self._waiting[packet_id] = time.ticks_ms()
        head = _text(topic) + struct.pack(">H", packet_id)
        await self._send(_PUBLISH | _QOS1 | (_RETAIN if retain else 0), head, [piece.encode() for piece in pieces])

    async def subscribe(self, topics):
        """Ask for these topics at QoS 1; `listen` must be running. Raises: MqttError for one that is refused."""
        packet_id = self._next_id()
        body = struct.pack(">H", packet_id) + b"".join([_text(topic) + b"\x01" for topic in topics])
        self._waiting[packet_id] = time.ticks_ms()
        await self._send(_SUBSCRIBE, body)
        while packet_id not in self._answers:
            await self._change()
        if max(self._answers.pop(packet_id)) > 2:
            raise MqttError("the broker refuses a subscription")

    async def listen(self, hear):
        """Read until the line is cut, calling `hear(topic, payload)`. Raises: OSError."""
        while True:
            try:
                kind, body = await asyncio.wait_for_ms(self._packet(), 1000 * self._keepalive_s)
            except asyncio.TimeoutError:
                raise MqttError("nothing heard for %d s" % self._keepalive_s)
            if kind & 0xF0 == _PUBLISH:
                await self._take(kind, body, hear)
            elif kind in (_PUBACK, _SUBACK):
                (packet_id,) = struct.unpack(">H", body[:2])
                self._waiting.pop(packet_id, None)
                if kind == _SUBACK:
                    self._answers[packet_id] = body[2:]
                self._changed.set()

    async def ping(self):
        """Keep the line alive, and notice when it is not. Raises: OSError."""
        while True:
            await asyncio.sleep_ms(500)
            now = time.ticks_ms()
            if any(time.ticks_diff(now, sent) > ACK_WITHIN_MS for sent in self._waiting.values()):
                raise MqttError("no acknowledgement within %d s" % (ACK_WITHIN_MS // 1000))
            # Half the keep-alive: the answers come in time for our own patience, too.
            if time.ticks_diff(now, self._sent_at_ms) > 500 * self._keepalive_s:
                await self._send(_PINGREQ, b"")

    def _connect_body(self, will_topic, will):
        # Clean session, will at QoS 1 and retained (section 3.1.2.3).
        flags = 0x02 | 0x04 | 0x08 | 0x20
        payload = _text(self._client_id) + _text(will_topic) + _text(will)
        if self._user:
            flags |= 0x80 | 0x40
            payload += _text(self._user) + _text(self._password)
        return _text("MQTT") + bytes((4, flags)) + struct.pack(">H", self._keepalive_s) + payload

    async def _take(self, kind, body, hear):
        (length,) = struct.unpack(">H", body[:2])
        topic, rest = body[2 : 2 + length].decode(), body[2 + length :]
        if kind & 0x06:
            await self._send(_PUBACK, rest[:2])
            rest = rest[2:]
        await hear(topic, rest)

    async def _packet(self):
        """(first byte, body) of the next packet; one that is too large is read to its end and comes without a body."""
        while True:
            try:
                kind = (await self._reader.readexactly(1))[0]
                length = await self._length()
                if length <= LARGEST_MESSAGE:
                    return kind, await self._reader.readexactly(length)
                while length:
                    length -= len(await self._reader.readexactly(min(length, _CHUNK)))
            except EOFError:
                raise MqttError("the broker closed the connection")

    async def _length(self):
        """Section 2.2.3: seven bits a byte, at most four bytes."""
        length = shift = 0
        while True:
            byte = (await self._reader.readexactly(1))[0]
            length |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return length
            shift += 7
            if shift > 21:
                raise MqttError("not MQTT")

    async def _send(self, kind, body, pieces=()):
        if self._writer is None:
            raise MqttError("not connected")
        head = bytearray((kind,))
        length = len(body) + sum([len(piece) for piece in pieces])
        while True:
            head.append(length & 0x7F | (0x80 if length > 0x7F else 0))
            length >>= 7
            if not length:
                break
        # One task at a time: a second one's bytes would be lost where the stream drains the first one's.
        async with self._sending:
            self._writer.write(head + body)
            for piece in pieces:
                self._writer.write(piece)
            self._sent_at_ms = time.ticks_ms()
            await self._writer.drain()

    async def _change(self):
        self._changed.clear()
        await self._changed.wait()

    def _next_id(self):
        self._packet_id = self._packet_id % 0xFFFF + 1
        return self._packet_id


def _text(text):
    """Two bytes of length, then UTF-8 (section 1.5.3)."""
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack(">H", len(data)) + data
