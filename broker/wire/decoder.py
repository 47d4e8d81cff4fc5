"""What a broker says, from bytes that arrive in any cuts: the same packets however they were cut, or ProtocolError.

Written for the door of the chain, where every reading is a message: one call takes all that arrived.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from broker.bus import MAX_PACKET_BYTES, Message
from broker.filters import MAX_TOPIC_BYTES
from broker.wire.packets import MAX_LENGTH_BYTES, RETAIN

_CONNACK, _PUBLISH, _PUBACK, _SUBACK, _PINGRESP = 0x20, 0x30, 0x40, 0x90, 0xD0
_KIND, _QOS, _QOS_1 = 0xF0, 0x06, 0x02
# Where the packet id of a message stands in its token; above it, the number of the connection.
_TOKEN_BITS = 16
_PACKET_ID = (1 << _TOKEN_BITS) - 1
# Topics that are kept decoded: more than a site has devices. None of them is longer than MAX_TOPIC_BYTES.
_MAX_TOPICS = 10_000


class ProtocolError(Exception):
    """The broker broke MQTT 3.1.1; nothing it sends next can be trusted, so the connection is given up."""


class Connack(NamedTuple):
    """The answer to CONNECT: 0 for welcome, else why not (3.2.2.3)."""

    session_present: bool
    code: int


class Suback(NamedTuple):
    """The answer to SUBSCRIBE: a granted QoS, or 0x80, for each filter."""

    packet_id: int
    codes: bytes


class Received:
    """What one piece of the stream completed, by kind. CONNACK comes first; else no order between kinds matters."""

    __slots__ = ("acknowledged", "answers", "messages")

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.acknowledged: list[int] = []
        self.answers: list[Connack | Suback] = []


class Decoder:
    """The stream of one connection, whose number `epoch` goes into every token."""

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch << _TOKEN_BITS
        self._topics: dict[bytes, str] = {}
        self._rest = bytearray()
        self._needed = 0
        self._welcomed = False

    @property
    def held(self) -> int:
        """Bytes of a packet that is not whole yet; never more than one packet and one read of the socket."""
        return len(self._rest)

    def feed(self, data: bytes) -> Received:
        """Take the next bytes. Raises: ProtocolError, after which the stream is over."""
        received = Received()
        if self._rest:
            self._rest += data
            # A large packet in many small pieces costs one copy, not one for each.
            if len(self._rest) < self._needed:
                return received
            data = bytes(self._rest)
            self._rest.clear()
        try:
            end = self._packets(data, received)
        except (IndexError, UnicodeDecodeError) as error:
            raise ProtocolError(f"a packet that cannot be read ({error})") from error
        self._rest += data[end:]
        return received

    def _packets(self, data: bytes, received: Received) -> int:
        """Decode what is whole; returns where the first packet begins that is not."""
        at, size, messages = 0, len(data), received.messages
        while size - at >= 2:
            first, length, body = data[at], data[at + 1], at + 2
            if not self._welcomed and first != _CONNACK:
                raise ProtocolError("something other than CONNACK came first")
            if length > 127:
                length, body = _length(data, at + 1)
            end = body + length
            # `body` is 0 while the length itself is not whole.
            if not body or end > size:
                self._needed = end - at if body else size - at + 1
                return at
            if first & _KIND == _PUBLISH:
                messages.append(self._publish(first, data, body, end))
            else:
                self._other(first, data[body:end], received)
            at = end
        self._needed = 2
        return at

    def _publish(self, first: int, data: bytes, at: int, end: int) -> Message:
        start = at + 2 + (data[at] << 8 | data[at + 1])
        raw = data[at + 2 : start]
        token = 0
        if first & _QOS:
            token = data[start] << 8 | data[start + 1]
            start += 2
            if first & _QOS != _QOS_1 or not token:
                raise ProtocolError("a PUBLISH at another QoS than was asked for, or without a packet id")
            token |= self._epoch
        if start > end:
            raise ProtocolError("a PUBLISH that is shorter than it says")
        topic = self._topics.get(raw) or self._topic(raw)
        return Message(topic, data[start:end], first & RETAIN == RETAIN, token)

    def _topic(self, raw: bytes) -> str:
        topic = raw.decode()
        if not topic or "+" in topic or "#" in topic or "\x00" in topic:
            raise ProtocolError("a PUBLISH on what is no topic")
        if len(raw) <= MAX_TOPIC_BYTES:
            if len(self._topics) >= _MAX_TOPICS:
                self._topics.clear()
            self._topics[raw] = topic
        return topic

    def _other(self, first: int, body: bytes, received: Received) -> None:
        if first == _PUBACK and len(body) == 2:
            received.acknowledged.append(body[0] << 8 | body[1])
        elif first == _SUBACK and len(body) > 2:
            received.answers.append(Suback(body[0] << 8 | body[1], body[2:]))
        elif first == _CONNACK and len(body) == 2 and not self._welcomed and body[0] <= 1:
            self._welcomed = True
            received.answers.append(Connack(body[0] == 1, body[1]))
        elif first != _PINGRESP or body:
            raise ProtocolError(f"a packet that no client is sent (0x{first:02x}, {len(body)} bytes)")


def packet_ids(messages: Sequence[Message], epoch: int) -> list[int]:
    """The packet ids of those that came in on the connection `epoch` and wait for an acknowledgement."""
    tokens = [message.token for message in messages]
    return [token & _PACKET_ID for token in tokens if isinstance(token, int) and token >> _TOKEN_BITS == epoch]


def _length(data: bytes, at: int) -> tuple[int, int]:
    """The remaining length that begins at `at`, and where the body begins: (0, 0) while it is not whole."""
    length = 0
    for place, byte in enumerate(data[at : at + MAX_LENGTH_BYTES]):
        length |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            if length > MAX_PACKET_BYTES:
                raise ProtocolError(f"a packet of {length} bytes, over the limit of {MAX_PACKET_BYTES}")
            return length, at + place + 1
    if len(data) - at >= MAX_LENGTH_BYTES:
        raise ProtocolError("a length that never ends")
    return 0, 0
