"""The few MQTT 3.1.1 packets that carry the load, to and from bytes; amqtt's classes read and write the others."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import NamedTuple

from broker.bus import MAX_PACKET_BYTES

PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, DISCONNECT = 3, 4, 5, 6, 7, 14
_DUP, _RETAIN = 0x08, 0x01
# The remaining length has at most four bytes of seven bits (section 2.2.3).
_MAX_LENGTH_BYTES = 4
_UINT16 = struct.Struct("!H")
_ID_PACKET = struct.Struct("!BBH")
# PUBREL and its answer carry reserved flags (section 3.6.1).
_FIRST_BYTE = {PUBACK: 0x40, PUBREC: 0x50, PUBREL: 0x62, PUBCOMP: 0x70}


class MalformedError(Exception):
    """The peer broke the protocol; nothing it sends next can be trusted, so the connection is closed."""


class TooLargeError(MalformedError):
    """A packet over MAX_PACKET_BYTES."""


class Publish(NamedTuple):
    """A message as it came in; `packet_id` is 0 at QoS 0."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    packet_id: int


def split(buffer: bytearray) -> tuple[list[tuple[int, bytes]], int]:
    """The whole packets at the head of `buffer` as (first byte, body), and how many bytes they take.

    Raises: MalformedError for a remaining length that never ends, TooLargeError.
    """
    packets: list[tuple[int, bytes]] = []
    start = 0
    while (head := _head(buffer, start)) is not None:
        body, length = head
        if body + length > len(buffer):
            break
        packets.append((buffer[start], bytes(buffer[body : body + length])))
        start = body + length
    return packets, start


def _head(buffer: bytearray, start: int) -> tuple[int, int] | None:
    """Where the body of the packet at `start` begins and how long it is; None while that has not arrived."""
    length = 0
    for index in range(_MAX_LENGTH_BYTES):
        at = start + 1 + index
        if at >= len(buffer):
            return None
        length |= (buffer[at] & 0x7F) << (7 * index)
        if not buffer[at] & 0x80:
            if length > MAX_PACKET_BYTES:
                raise TooLargeError(f"a packet of {length} bytes is over the limit of {MAX_PACKET_BYTES}")
            return at + 1, length
    raise MalformedError("the remaining length has more than four bytes")


def read_publish(first: int, body: bytes) -> Publish:
    """Decode a PUBLISH. Raises: MalformedError."""
    qos = (first >> 1) & 0x03
    try:
        (length,) = _UINT16.unpack_from(body)
        end = 2 + length
        topic = body[2:end].decode()
        packet_id = 0
        if qos:
            (packet_id,) = _UINT16.unpack_from(body, end)
            end += 2
    except (struct.error, UnicodeDecodeError) as error:
        raise MalformedError(f"a PUBLISH that cannot be read: {error}") from error
    if len(body) < end or qos > 2 or (qos and not packet_id):
        raise MalformedError("a PUBLISH with an impossible length, QoS or packet id")
    if not topic or "+" in topic or "#" in topic or "\x00" in topic:
        raise MalformedError("a PUBLISH on what is no topic")
    return Publish(topic, body[end:], qos, bool(first & _RETAIN), packet_id)


def read_packet_id(body: bytes) -> int:
    """The packet id of a PUBACK, PUBREC, PUBREL or PUBCOMP. Raises: MalformedError."""
    if len(body) != _UINT16.size:
        raise MalformedError("an acknowledgement without a packet id")
    (packet_id,) = _UINT16.unpack(body)
    return int(packet_id)


def id_packet(kind: int, packet_id: int) -> bytes:
    """A PUBACK, PUBREC or PUBCOMP."""
    return _ID_PACKET.pack(_FIRST_BYTE[kind], 2, packet_id)


def publish(topic: str, payload: bytes, *, qos: int, retain: bool, packet_id: int, dup: bool = False) -> bytes:
    """A PUBLISH."""
    named = _named(topic)
    first = PUBLISH << 4 | (_DUP if dup else 0) | qos << 1 | (_RETAIN if retain else 0)
    if not qos:
        return b"%c%b%b%b" % (first, _length(len(named) + len(payload)), named, payload)
    ident = _UINT16.pack(packet_id)
    return b"%c%b%b%b%b" % (first, _length(len(named) + 2 + len(payload)), named, ident, payload)


@lru_cache(4096)
def _named(topic: str) -> bytes:
    encoded = topic.encode()
    return _UINT16.pack(len(encoded)) + encoded


def _length(length: int) -> bytes:
    encoded = bytearray()
    while True:
        length, low = divmod(length, 128)
        encoded.append(low | (0x80 if length else 0))
        if not length:
            return bytes(encoded)
